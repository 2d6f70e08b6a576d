"""The notes' neuron, forward and backward, drawn: `python examples/autograd_neuron.py [folder]`.

Writes neuron.svg; in a notebook, `draw(o)` displays it.
"""

import sys
from pathlib import Path

from hornbook.autograd import Value, draw


def neuron() -> Value:
    """tanh(x1 w1 + x2 w2 + b), every step with a label."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    x1w1 = x1 * w1
    x1w1.label = "x1*w1"
    x2w2 = x2 * w2
    x2w2.label = "x2*w2"
    total = x1w1 + x2w2
    total.label = "x1*w1 + x2*w2"
    n = total + b
    n.label = "n"
    o = n.tanh()
    o.label = "o"
    return o


def main(folder: str = ".") -> None:
    o = neuron()
    o.backward()
    path = draw(o).save(Path(folder) / "neuron.svg")
    print(f"o = {o.data:.4f}; the graph with its gradients is in {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
