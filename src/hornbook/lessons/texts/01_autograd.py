# %% [markdown] name="title" needs="" reading="50" running="1"
# # Lesson 1: Autograd and a neuron
#
# **New in this lesson:** what a derivative is; how a program can follow every calculation it does and
# then compute all derivatives by itself (*autograd*); and the smallest part of a neural network, a
# *neuron*.
#
# You need Python, and nothing about machine learning. Every model in these lessons, up to the GPT of
# lesson 10, learns in one way: it computes a number that says how wrong it is, asks for the derivative
# of that number with respect to each of its parameters, and changes each parameter a little in the
# direction that makes the number smaller. So we begin with derivatives.

# %%
import math

import matplotlib.pyplot as plt
import torch

from hornbook import autograd
from hornbook.lessons import check, hint, solution

# %% [markdown] name="how-to-use"
# **How to use a lesson.** Run its cells from top to bottom. Change a number, run the cell again, and see
# what happens: that is what they are for. `hornbook lesson 1 --open` opens the lesson as a notebook, and
# `hornbook lesson 1 --notebook` writes one.
# At the end are exercises: complete a function, run its cell, and `check` says whether it is right.

# %% [markdown] name="derivative"
# ## A derivative is a slope
#
# Take any function of one number:


# %%
def f(x):
    return 3 * x**2 - 4 * x + 5


print(f(3.0))

# %% [markdown] name="slope"
# If we make `x` a tiny bit larger, by `h`, how does the result respond? The *derivative* at `x` is the
# change of the result divided by the change of `x`, for an `h` as small as can be. It is the slope of the
# curve at that point.

# %%
h = 0.000001
x = 3.0
print("slope at 3:  ", (f(x + h) - f(x)) / h)

x = 2 / 3
print("slope at 2/3:", (f(x + h) - f(x)) / h)

# %% [markdown] name="slope-picture"
# At 3 the slope is 14: one step to the right would climb 14, if the curve went straight on. At 2/3 the
# slope is 0: this is the lowest point of the curve. A negative slope would say that the result falls as
# `x` grows. (The printed numbers are a little off, since our `h` is small but not 0. `3e-06` is Python's
# way to write 0.000003.)

# %%
xs = [i / 50 - 2 for i in range(301)]
plt.figure(figsize=(6, 4), layout="constrained")
plt.plot(xs, [f(x) for x in xs], label="f(x)")
for x in (2 / 3, 3.0):
    slope = (f(x + h) - f(x)) / h
    near = [x - 0.8, x + 0.8]
    plt.plot(
        near, [f(x) + slope * (at - x) for at in near], "--", label=f"slope {slope:.0f} at {x:.2f}"
    )
plt.xlabel("x")
plt.legend()
plt.title("The derivative is the slope")
plt.show()

# %% [markdown] name="several-inputs"
# A function of several inputs has one derivative for each of them: change this input alone, keep the
# others. The list of all these derivatives is the *gradient*.

# %%
a, b, c = 2.0, -3.0, 10.0
d = a * b + c
print("d =", d)
print("with respect to a:", ((a + h) * b + c - d) / h)
print("with respect to b:", (a * (b + h) + c - d) / h)
print("with respect to c:", (a * b + (c + h) - d) / h)

# %% [markdown] name="local-rules"
# These three numbers can be had without `h`, and they are worth remembering:
#
# - **a product** `a * b`: the derivative with respect to `a` is the other factor, `b` (here -3), and the
#   one with respect to `b` is `a` (here 2);
# - **a sum**: the derivative with respect to each part is 1. If `c` grows by a little, so does the sum.
#
# With `h`, each input takes one more evaluation of the whole function. A GPT has millions of numbers that
# we want derivatives for. So we need something better.

# %% [markdown] name="graph"
# ## A number that remembers
#
# The better way: while a program calculates, let each number remember which numbers it was computed from,
# and beside each of them the derivative of this one step. We write a small class for it. Python calls
# `__add__` for `+` and `__mul__` for `*`.


# %%
class Number:
    def __init__(self, data, operands=(), slopes=()):
        self.data = data
        self.operands = operands  # the Numbers this one was computed from
        self.slopes = slopes  # beside each of them: the derivative of this one with respect to it
        self.grad = 0.0  # will be: the derivative of the final result with respect to this one

    def __repr__(self):
        return f"Number({self.data})"

    def __add__(self, other):
        return Number(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Number(self.data * other.data, (self, other), (other.data, self.data))


a, b, c, g = Number(2.0), Number(-3.0), Number(10.0), Number(-2.0)
e = a * b
d = e + c
L = d * g
print("L =", L)
print("L was computed from", L.operands, "with slopes", L.slopes)
print("d was computed from", d.operands, "with slopes", d.slopes)

# %% [markdown] name="repr"
# **`repr` and `str`.** `print` showed our text `Number(-8.0)`, though we defined only `__repr__`. That is
# Python's rule: `print` and `str()` ask for `__str__`, and take `__repr__` where a class has none. The two
# have different readers. `repr` is for the person who debugs, and should show everything of interest;
# `str` is for the person who uses the program. Lists and notebooks show the `repr`.


# %%
class Temperature:
    def __init__(self, degrees):
        self.degrees = degrees

    def __repr__(self):
        return f"Temperature(degrees={self.degrees})"

    def __str__(self):
        return f"{self.degrees} °C"


t = Temperature(21)
print("str: ", t)
print("repr:", repr(t))
print("list:", [t])

# %% [markdown] name="chain-rule"
# ## The chain rule, by hand
#
# The calculation above is a *graph*: `a` and `b` make `e`; `e` and `c` make `d`; `d` and `g` make `L`. How
# does `L` respond to `a`, three steps away?
#
# **The chain rule**: multiply the slopes along the way. If `d` moves `L` by a factor of -2, and `e` moves
# `d` by a factor of 1, and `a` moves `e` by a factor of -3, then `a` moves `L` by (-2) · 1 · (-3) = 6.
#
# So we go from the result backward. `L` with respect to itself is 1. Each number then hands its gradient
# to its operands, multiplied by the slope. This is *backpropagation*.

# %%
L.grad = 1.0
d.grad = g.data * L.grad  # a product: the other factor
g.grad = d.data * L.grad
e.grad = 1.0 * d.grad  # a sum hands the gradient on as it is
c.grad = 1.0 * d.grad
a.grad = b.data * e.grad
b.grad = a.data * e.grad
for name, number in {"L": L, "d": d, "g": g, "e": e, "c": c, "a": a, "b": b}.items():
    print(f"{name}: data {number.data:5.1f}   grad {number.grad:5.1f}")

# %% [markdown] name="chain-rule-check"
# Is that true? We ask the definition, with a small `h`:


# %%
def result(a, b, c, g):
    return (a * b + c) * g


numerical = (result(2.0 + h, -3.0, 10.0, -2.0) - result(2.0, -3.0, 10.0, -2.0)) / h
print("with respect to a:", round(numerical, 4), "and by the chain rule:", a.grad)
assert abs(numerical - a.grad) < 1e-4

# %% [markdown] name="graph-picture"
# hornbook has such a class, `Value`, and draws its graphs: the data and gradient of each number, with the
# operations between them. Blue boxes are inputs, the yellow one is the result.

# %%
va, vb, vc, vg = (
    autograd.Value(number, label=name)
    for number, name in ((2.0, "a"), (-3.0, "b"), (10.0, "c"), (-2.0, "g"))
)
vL = (va * vb + vc) * vg
vL.backward()
assert [v.grad for v in (va, vb, vc, vg)] == [a.grad, b.grad, c.grad, g.grad]
autograd.draw(vL)

# %% [markdown] name="backward"
# ## Backward by itself
#
# Every step was the same: *operand.grad = slope × my grad*. A loop can do it. Two things need care.
#
# **Add, do not overwrite.** A number that is used twice gets a gradient from each use, and the total is
# their sum. Look at `b = a + a`, whose derivative is 2:

# %%
a = Number(3.0)
b = a + a
b.grad = 1.0
for operand, slope in zip(b.operands, b.slopes, strict=True):
    operand.grad = slope * b.grad  # the mistake: overwrites
print("overwritten:", a.grad)

a.grad = 0.0
for operand, slope in zip(b.operands, b.slopes, strict=True):
    operand.grad += slope * b.grad  # right: adds
print("added:      ", a.grad)

# %% [markdown] name="order"
# **Wait until a gradient is complete.** A number may hand on its gradient only when everybody who uses it
# has added their share. So we put all numbers in an order in which operands come before results (a
# *topological order*), and go through it from the end. To build the order: before a number is appended,
# append its operands, and skip those that are there already.


# %%
def in_order(root):
    ordered, seen = [], set()

    def visit(number):
        if number not in seen:
            seen.add(number)
            for operand in number.operands:
                visit(operand)
            ordered.append(number)

    visit(root)
    return ordered


def backward(root):
    root.grad = 1.0
    for number in reversed(in_order(root)):
        for operand, slope in zip(number.operands, number.slopes, strict=True):
            operand.grad += slope * number.grad


a, b = Number(-2.0), Number(3.0)
d = a * b
e = a + b
L = d * e  # a and b are used twice each
backward(L)
names = {a: "a", b: "b", d: "d", e: "e", L: "L"}
print("order:", [names[number] for number in in_order(L)])
print("gradients of a and b:", a.grad, b.grad)
assert (a.grad, b.grad) == (
    -3.0,
    -8.0,
)  # L = a² b + a b²; by the rules of school 2 a b + b² and a² + 2 a b

# %% [markdown] name="neuron"
# ## A neuron
#
# A *neuron* takes some numbers `x`, multiplies each by a *weight* `w`, adds them up with a *bias* `b`, and
# squashes the sum into the range from -1 to 1 by the function *tanh* (the hyperbolic tangent, which
# Python has as `math.tanh`):
#
# output = tanh(w1 x1 + w2 x2 + b), for short tanh(w · x + b)
#
# The weights say how much the neuron listens to each input, and with which sign; the bias says how easily
# it becomes positive. Weights and biases are the *parameters*: what learning changes.

# %%
sums = [i / 50 - 4 for i in range(401)]
plt.figure(figsize=(6, 3), layout="constrained")
plt.plot(sums, [math.tanh(s) for s in sums])
plt.xlabel("w · x + b")
plt.ylabel("output")
plt.title("tanh squashes a sum into -1 ... 1")
plt.show()

# %% [markdown] name="tanh"
# Our class needs tanh. Any function will do as one step, as long as we know its slope. That of tanh is
# 1 - tanh². It is 1 in the middle, where the curve is steep, and almost 0 at both ends, where it is flat.
# (The odd bias below makes the slope of tanh exactly 0.5 here, so that the gradients are round numbers.)


# %%
def tanh(number):
    t = math.tanh(number.data)
    return Number(t, (number,), (1 - t**2,))


x1, x2 = Number(2.0), Number(0.0)
w1, w2 = Number(-3.0), Number(1.0)
bias = Number(6.8813735870195432)
output = tanh(x1 * w1 + x2 * w2 + bias)
backward(output)
print("output:", output.data)
print("gradients of w1, w2:", w1.grad, w2.grad)
print("gradients of x1, x2:", x1.grad, x2.grad)

# %% [markdown] name="neuron-read"
# Read them: if `w1` grew by a little, the output would grow by as much. `w2` has gradient 0: its input `x2`
# is 0, so nothing that `w2` does can be seen in the output, and from these inputs it can learn nothing.

# %% [markdown] name="hornbook"
# ## The same with hornbook, and with PyTorch
#
# `hornbook.autograd.Value` is our class with all operations, and with clear errors; `backward` is a method.

# %%
x1, x2 = autograd.Value(2.0, label="x1"), autograd.Value(0.0, label="x2")
v1, v2 = autograd.Value(-3.0, label="w1"), autograd.Value(1.0, label="w2")
vb = autograd.Value(6.8813735870195432, label="b")
vo = (x1 * v1 + x2 * v2 + vb).tanh()
vo.label = "output"
vo.backward()
assert math.isclose(vo.data, output.data)
assert math.isclose(v1.grad, w1.grad)
assert v2.grad == w2.grad == 0.0
autograd.draw(vo)

# %% [markdown] name="torch"
# **PyTorch** does the same for whole arrays of numbers, called *tensors*; a single number is a tensor with
# no dimension, and `.item()` makes a Python number of it. `requires_grad=True` says that we want the
# gradient. `float64` is the precision of Python's numbers; without it PyTorch takes `float32`, which has
# about seven digits. From lesson 3 on we use PyTorch.

# %%
t1 = torch.tensor(-3.0, dtype=torch.float64, requires_grad=True)
t2 = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
tb = torch.tensor(6.8813735870195432, dtype=torch.float64)
to = torch.tanh(2.0 * t1 + 0.0 * t2 + tb)
to.backward()
print("output:", to.item(), "  gradients:", t1.grad.item(), t2.grad.item())
assert math.isclose(to.item(), output.data)
assert math.isclose(t1.grad.item(), w1.grad)

# %% [markdown] name="pieces"
# **How large a step is, is up to us.** tanh can be one step, or be made of smaller ones:
# tanh(s) = (e²ˢ - 1) / (e²ˢ + 1). The chain rule gives the same gradients. `2 * s` is an int times a
# `Value`; the class tests with `isinstance` what stands beside it, and takes a plain number for a constant.

# %%
w = autograd.Value(-3.0)
s = 2.0 * w + 6.8813735870195432  # the sum of our neuron, where x2 = 0
power = (2 * s).exp()
pieces = (power - 1) / (power + 1)
pieces.backward()
print("one step:", v1.grad, "  in pieces:", w.grad)
assert math.isclose(w.grad, v1.grad)

# %% [markdown] name="check-gradients"
# Gradients are easily wrong. So compare them with the definition, as we did with `h`; hornbook's
# `autograd.check` does that for any function of Values, and raises an error where they disagree.

# %%
autograd.check(lambda a, b: (a * b + a).tanh(), 0.5, -0.3)
print("the gradients agree with the definition")

# %% [markdown] name="step"
# ## What gradients are for
#
# The gradient points in the direction in which the result *grows*. So, to make a result smaller, change
# each parameter a little *against* its gradient: here by 0.1 times the gradient. We do this with our
# neuron, ten times. Between two backward passes the gradients are set to 0, because `backward` adds.

# %%
w1, w2, bias = Number(-3.0), Number(1.0), Number(6.8813735870195432)
outputs = []
for _ in range(10):
    output = tanh(Number(2.0) * w1 + Number(0.0) * w2 + bias)
    outputs.append(output.data)
    for parameter in (w1, w2, bias):
        parameter.grad = 0.0
    backward(output)
    for parameter in (w1, w2, bias):
        parameter.data -= 0.1 * parameter.grad
print([round(value, 2) for value in outputs])
assert outputs == sorted(outputs, reverse=True)

plt.figure(figsize=(6, 3), layout="constrained")
plt.plot(outputs, "o-")
plt.xlabel("step")
plt.ylabel("output")
plt.title("Each step against the gradient lowers the output")
plt.show()

# %% [markdown] name="exercises"
# ## Exercises
#
# Replace the line `raise NotImplementedError` by your code, and run the cell. In a terminal,
# `hornbook check 1.1 my_file.py` does the same with a function in a file of yours, which imports what it
# needs (`check` it does not need). If you are stuck, run `hint("1.1")` in a cell of its own;
# `solution("1.1")` shows one way to do it.

# %% [markdown] name="exercise-1-1"
# ### Exercise 1.1: The gradient, numerically
#
# `f` is a function of a list of numbers, and `xs` is such a list: `f(xs)` is a number. Return the gradient
# of `f` at `xs` as a list: the derivative with respect to each number of `xs`, which alone is changed while
# the others stay. Use the difference on both sides,
# (f(x + h) - f(x - h)) / 2h, which is much more precise than the one-sided one above.


# %%
def numerical_gradient(f, xs, h=1e-4):
    raise NotImplementedError  # your code


check("1.1", numerical_gradient)

# %% [markdown] name="exercise-1-2"
# ### Exercise 1.2: The gradient, by hand
#
# Let f(a, b, c) = -a³ + sin(3b) - 1/c + b^2.5 - √a. Return its three derivatives, written out with the
# rules of school, for three numbers. (The derivative of sin is cos; that of xⁿ is n xⁿ⁻¹; 1/c is c⁻¹, and √a is
# a^0.5.)


# %%
def gradient_by_hand(a, b, c):
    raise NotImplementedError  # your code: return df/da, df/db, df/dc


check("1.2", gradient_by_hand)

# %% [markdown] name="exercise-1-3"
# ### Exercise 1.3: A topological order
#
# `operands` is a dictionary: for each name the list of names it is computed from (empty for an input).
# Return the list of all names that `root` needs, itself last, so that each stands after its operands, and
# each is there once. For d = (a + b) · a, where e is the sum:
# `topological_order("d", {"d": ["e", "a"], "e": ["a", "b"], "a": [], "b": []})` may be
# `["a", "b", "e", "d"]`.


# %%
def topological_order(root, operands):
    raise NotImplementedError  # your code


check("1.3", topological_order)

# %% [markdown] name="exercise-1-4"
# ### Exercise 1.4: Backpropagation
#
# `operands` is as in 1.3, and `slopes` has for each name the derivatives with respect to its operands, in
# the same order. Return a dictionary: for each name that `root` needs, and `root` itself, the derivative
# of `root` with respect to it. A name may be an operand twice, as in b = a + a:
# `gradients("b", {"b": ["a", "a"], "a": []}, {"b": [1.0, 1.0], "a": []})` is `{"b": 1.0, "a": 2.0}`.


# %%
def gradients(root, operands, slopes):
    raise NotImplementedError  # your code


check("1.4", gradients)

# %% [markdown] name="exercise-1-5"
# ### Exercise 1.5: Softmax and a loss
#
# `logits` is a list of Values of any size and sign (lesson 4 says what they are for), and `target` is a
# position in it. *Softmax* turns the logits into numbers above 0 that add up to 1, that is, into
# probabilities: pᵢ = exp(logitᵢ) / (sum of all exp(logitⱼ)). Return the *loss* -log(p of the target), with
# the natural logarithm, as a Value, built from `Value` operations, `.exp()` and `.log()` among them, so that `backward` works. It must
# also work for logits such as 1000, whose exp is too large for a float.


# %%
def softmax_loss(logits, target):
    raise NotImplementedError  # your code


check("1.5", softmax_loss)

# %% [markdown] name="explain"
# ## You can now explain
#
# - what a derivative and a gradient are, and how to estimate one with a small `h`;
# - why a product hands on the other factor, and a sum hands the gradient on unchanged;
# - the chain rule, and why backpropagation goes from the result backward, in topological order;
# - why gradients are added up, and why they are set to 0 before the next backward pass;
# - what a neuron computes, and why tanh passes almost no gradient on at its flat ends;
# - why one goes against the gradient to make a number smaller;
# - when Python calls `__repr__`, and when `__str__`.
#
# **Next:** lesson 2 connects neurons to a network, and trains it.
