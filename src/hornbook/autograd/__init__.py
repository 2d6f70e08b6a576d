"""A scalar autograd engine: a `Value` records how it was computed. Standard library only.

    value, node, functions    Value, its operations, `backward()`
    nn, losses, optim         Neuron, Layer, MLP; squared error, hinge, cross-entropy; SGD, Adam
    compiler, tape            `compile(f)`: straight-line code for value and gradients
    checking                  `check(f, *inputs)`: gradients against finite differences
    drawing, layout           `draw(value)`: the graph as SVG, DOT and Mermaid
    moons                     `two_moons`: a data set for a first classifier

Sources: the notes, 'Autograd' and 'MLP(Perceptron)'; Karpathy's micrograd, whose programs run here
after a change of the import. Left out on purpose: tensors, in-place operations, second derivatives.
"""

from hornbook.autograd.checking import GradientError, check
from hornbook.autograd.compiler import Compiled, compile
from hornbook.autograd.drawing import Drawing, draw
from hornbook.autograd.losses import cross_entropy, hinge, squared_error
from hornbook.autograd.moons import two_moons
from hornbook.autograd.nn import MLP, Layer, Module, Neuron
from hornbook.autograd.optim import SGD, Adam, Optimizer
from hornbook.autograd.tape import TraceError
from hornbook.autograd.value import Value

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "Compiled",
    "Drawing",
    "GradientError",
    "Layer",
    "Module",
    "Neuron",
    "Optimizer",
    "TraceError",
    "Value",
    "check",
    "compile",
    "cross_entropy",
    "draw",
    "hinge",
    "squared_error",
    "two_moons",
]
