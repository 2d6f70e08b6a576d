# %% [markdown] name="title" needs="1" reading="50" running="1"
# # Lesson 2: A multilayer perceptron, and how it learns
#
# **New in this lesson:** neurons connected in layers (a *multilayer perceptron*, MLP); a number that says
# how wrong the network is (the *loss*); and *gradient descent*, which makes that number small.

# %%
import math
import random

import matplotlib.pyplot as plt

from hornbook import autograd
from hornbook.autograd import SGD, Value, hinge, squared_error, two_moons
from hornbook.lessons import check, fast, hint, solution

# %% [markdown] name="neuron"
# ## From a neuron to a network
#
# In lesson 1 a neuron computed tanh(w · x + b). As a class, with weights and bias drawn at random: a
# network has to begin somewhere, and neurons that began alike would stay alike. `rng` is a source of
# random numbers with a fixed *seed*, so that everybody sees the same numbers here.


# %%
class Neuron:
    def __init__(self, n_in, rng):
        self.w = [Value(rng.uniform(-1, 1)) for _ in range(n_in)]
        self.b = Value(rng.uniform(-1, 1))

    def __call__(self, x):  # so that neuron(x) works
        total = self.b
        for wi, xi in zip(self.w, x, strict=True):
            total = total + wi * xi
        return total.tanh()

    def parameters(self):
        return [*self.w, self.b]


neuron = Neuron(3, random.Random(1))
print("output:", round(neuron([2.0, 3.0, -1.0]).data, 4))
print("parameters:", len(neuron.parameters()))

# %% [markdown] name="layer"
# A *layer* is several neurons side by side that see the same inputs. Each has weights of its own, so each
# can react to something else. A layer of 4 neurons turns 3 numbers into 4.


# %%
class Layer:
    def __init__(self, n_in, n_out, rng):
        self.neurons = [Neuron(n_in, rng) for _ in range(n_out)]

    def __call__(self, x):
        return [neuron(x) for neuron in self.neurons]

    def parameters(self):
        return [p for neuron in self.neurons for p in neuron.parameters()]


layer = Layer(3, 4, random.Random(1))
print([round(out.data, 4) for out in layer([2.0, 3.0, -1.0])])

# %% [markdown] name="mlp"
# A *multilayer perceptron* is layers one after the other: the outputs of one are the inputs of the next.
# The layers before the last are called *hidden*, because nobody outside sees what they compute. Ours has
# 3 inputs, two hidden layers of 4 neurons, and 1 output.


# %%
class MLP:
    def __init__(self, n_in, sizes, rng):
        widths = [n_in, *sizes]
        self.layers = [Layer(a, b, rng) for a, b in zip(widths[:-1], widths[1:], strict=True)]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x[0]  # our last layer has one neuron

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]


network = MLP(3, [4, 4, 1], random.Random(0))
x = [2.0, 3.0, -1.0]
print("input:", len(x), "numbers")
for layer in network.layers:
    x = layer(x)
    print("after a layer:", len(x), "numbers", [round(value.data, 2) for value in x])
print("parameters:", len(network.parameters()), "= 4 * (3 + 1) + 4 * (4 + 1) + 1 * (4 + 1)")

# %% [markdown] name="data"
# ## What it should learn
#
# Four *examples*: an input of three numbers each, and the output that we wish for, the *target*. At first
# the network's predictions have nothing to do with the targets.

# %%
xs = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
ys = [1.0, -1.0, -1.0, 1.0]
predictions = [network(x) for x in xs]
print("targets:    ", ys)
print("predictions:", [round(p.data, 2) for p in predictions])

# %% [markdown] name="loss"
# ## The loss
#
# One number for how wrong all predictions are together: the *loss*. Here it is the sum of the squared
# differences. It is 0 only if every prediction is right, and a large error costs much more than a small
# one. Learning now means: find parameters that make the loss small.

# %%
errors = [(p - y) ** 2 for p, y in zip(predictions, ys, strict=True)]
print("squared errors:", [round(e.data, 3) for e in errors])
loss = errors[0] + errors[1] + errors[2] + errors[3]
print("loss:", round(loss.data, 4))

# %% [markdown] name="gradient"
# The loss is the result of one large calculation, of all inputs, all parameters and all targets. So
# `backward` from lesson 1 gives its derivative with respect to every parameter. Look at one:

# %%
loss.backward()
w = network.layers[0].neurons[0].w[0]
print("the first weight:", round(w.data, 4), "  its gradient:", round(w.grad, 4))
print("numbers in the calculation:", len(autograd.node.graph(loss)))

# %% [markdown] name="one-step"
# If the gradient is positive, a larger weight means a larger loss, so make the weight smaller; if it is
# negative, make it larger. In both cases: move *against* the gradient. How far, is the *learning rate*.

# %%
before = loss.data
for p in network.parameters():
    p.data -= 0.01 * p.grad
loss = squared_error([network(x) for x in xs], ys)  # the same sum, from hornbook
print("loss before:", round(before, 4), "  after one small step:", round(loss.data, 4))
assert loss.data < before

# %% [markdown] name="descent"
# ## Gradient descent
#
# Do that again and again. Each step has four parts:
#
# 1. **forward**: compute predictions and loss;
# 2. **zero the gradients**, because `backward` adds to them;
# 3. **backward**: compute the gradients;
# 4. **update**: move every parameter a little against its gradient.


# %%
def train(network, steps, learning_rate, zero=True):
    losses = []
    for _ in range(steps):
        loss = squared_error([network(x) for x in xs], ys)
        for p in network.parameters():
            if zero:
                p.grad = 0.0
        loss.backward()
        for p in network.parameters():
            p.data -= learning_rate * p.grad
        losses.append(loss.data)
    return losses


network = MLP(3, [4, 4, 1], random.Random(0))
losses = train(network, steps=50, learning_rate=0.1)
print("loss: first", round(losses[0], 3), "  last", round(losses[-1], 4))
print("targets:    ", ys)
print("predictions:", [round(network(x).data, 2) for x in xs])
assert losses[-1] < 0.1

plt.figure(figsize=(6, 3), layout="constrained")
plt.plot(losses)
plt.xlabel("step")
plt.ylabel("loss")
plt.title("Gradient descent")
plt.show()

# %% [markdown] name="zero-grad"
# **The famous mistake** is to forget part 2. The gradients of all earlier steps then stay in the sum. Each
# step follows the whole past, like a ball that rolls without friction: it gains speed, shoots past the
# lowest point, and comes back, again and again. We see it best with a single parameter and the loss x²,
# whose lowest point is 0.


# %%
def roll(zero):
    x, path = Value(1.0), []
    for _ in range(60):
        loss = x**2
        if zero:
            x.grad = 0.0
        loss.backward()
        x.data -= 0.05 * x.grad
        path.append(x.data)
    return path


plt.figure(figsize=(6, 3), layout="constrained")
plt.plot(roll(zero=True), label="gradient set to zero")
plt.plot(roll(zero=False), label="forgotten")
plt.xlabel("step")
plt.ylabel("x")
plt.legend()
plt.title("The loss is x², and x should come to rest at 0")
plt.show()

# %% [markdown] name="zero-grad-hidden"
# Worse, the mistake hides. Our four examples are so easy that rolling fast even helps: with a small learning
# rate, the loss falls sooner than without the mistake. Nothing warns you, and a harder problem may never
# settle, as x did not.

# %%
for zero in (True, False):
    curve = train(MLP(3, [4, 4, 1], random.Random(0)), 50, 0.01, zero=zero)
    print("set to zero:" if zero else "forgotten:  ", [round(loss, 2) for loss in curve[::10]])

# %% [markdown] name="learning-rate"
# ## The learning rate
#
# Too small, and learning takes forever. Too large, and a step jumps over the lowest point and lands
# higher: the loss jumps about, or the tanh neurons end up at their flat ends, where almost no gradient is
# left to bring them back.

# %%
plt.figure(figsize=(6, 3), layout="constrained")
for rate in (0.001, 0.1, 2.0):
    curve = train(MLP(3, [4, 4, 1], random.Random(0)), 50, rate)
    print(f"learning rate {rate}: last loss {curve[-1]:.4f}")
    plt.plot(curve, label=f"learning rate {rate}")
plt.xlabel("step")
plt.ylabel("loss")
plt.legend()
plt.title("Three learning rates")
plt.show()

# %% [markdown] name="decay"
# Often the rate is made smaller while training: large steps first, to get near, then small ones, to
# settle. For example `1.0 - 0.9 * k / 100` in step `k` of 100 falls from 1.0 to 0.1. We use this below.

# %% [markdown] name="hornbook"
# ## The same with hornbook
#
# `hornbook.autograd` has `MLP`, losses and optimizers. An *optimizer* does part 4; `SGD` (stochastic
# gradient descent) is the rule that we wrote. (*Stochastic* means random: on large data, each step looks at
# a few examples drawn at random.) Its MLP has no tanh at the output unless one asks for it, and biases of 0;
# so we ask for what we built. With the same seed the parameters begin alike, and every
# loss is the same as ours.

# %%
theirs = autograd.MLP(3, [4, 4, 1], activation="tanh", output="tanh", bias="uniform", seed=0)
optimizer = SGD(theirs.parameters(), lr=0.1)
their_losses = []
for _ in range(50):
    loss = squared_error([theirs(x) for x in xs], ys)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    their_losses.append(loss.data)
assert all(math.isclose(a, b) for a, b in zip(losses, their_losses, strict=True))
print("the last loss, ours and hornbook's:", losses[-1], their_losses[-1])
theirs

# %% [markdown] name="moons"
# ## A harder problem: two moons
#
# Points in two groups, and a network that should tell the group of a point: -1 or 1. No straight line
# separates the groups. The network's output is a *score*: above 0 means group 1. For this we take another
# loss, the *hinge*: max(0, 1 - label · score), averaged over the points. It is 0 for a point whose score
# is on the right side and at least 1 away from 0.
#
# Here the hidden neurons end not in tanh but in *ReLU*: max(0, w · x + b), which lets positive sums through
# and cuts off negative ones. The last neuron has neither: a score may be any number.
#
# `autograd.compile` writes a calculation down once as plain Python code, and runs that instead of
# building the graph in each step. The numbers are the same bit for bit, only sooner.

# %%
points, labels = two_moons(20 if fast() else 100, noise=0.1, seed=1)
steps = 100 if fast() else 300


def fit(model):
    @autograd.compile
    def loss_of(points, labels):
        return hinge([model(point) for point in points], labels)

    optimizer = SGD(model.parameters(), lr=0.5)
    for k in range(steps):
        optimizer.lr = 0.5 * (1.0 - 0.9 * k / steps)
        loss = loss_of(points, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = [(model(p).data > 0) == (label > 0) for p, label in zip(points, labels, strict=True)]
    return sum(right) / len(right)


one_neuron = autograd.MLP(2, [1], seed=3)
mlp = autograd.MLP(2, [8, 8, 1], seed=3)  # ReLU is the default
for name, model in {"one neuron": one_neuron, "two hidden layers of 8": mlp}.items():
    print(f"{name}: {fit(model):.0%} of the points are on the right side")

# %% [markdown] name="moons-picture"
# The picture shows why. The background is blue where the score is above 0. One neuron can only draw a straight line. With hidden layers, each neuron of the
# first draws a line of its own, and the later ones put the pieces together into a curve.

# %%
width = 20 if fast() else 60
grid_x = [-1.5 + 4.0 * i / (width - 1) for i in range(width)]
grid_y = [-1.2 + 2.9 * i / (width - 1) for i in range(width)]
figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for axes, (name, model) in zip(
    panels, {"one neuron": one_neuron, "an MLP": mlp}.items(), strict=True
):
    score = autograd.compile(lambda x, y, model=model: model([x, y]))
    scores = [[score(x, y).data for x in grid_x] for y in grid_y]
    axes.contourf(grid_x, grid_y, scores, levels=[-1e9, 0, 1e9], colors=["#f4c7b0", "#b0cbe4"])
    colors = ["#0072B2" if label > 0 else "#D55E00" for label in labels]
    axes.scatter([p[0] for p in points], [p[1] for p in points], c=colors, s=14)
    axes.set_title(name)
plt.show()

# %% [markdown] name="exercises"
# ## Exercises
#
# As in lesson 1: complete the function, run the cell. `hint("2.1")` and `solution("2.1")` help, and
# `hornbook check 2.1 my_file.py` checks a file.

# %% [markdown] name="exercise-2-1"
# ### Exercise 2.1: How many parameters
#
# Return the number of parameters of an MLP with `n_in` inputs and layers of `sizes` neurons, biases
# included, without building it. `sizes` is a list, the last entry of which is the output layer.
# `count_parameters(3, [4, 4, 1])` is 41.


# %%
def count_parameters(n_in, sizes):
    raise NotImplementedError  # your code


check("2.1", count_parameters)

# %% [markdown] name="exercise-2-2"
# ### Exercise 2.2: The hinge loss
#
# `scores` is a list of Values, `labels` a list of as many numbers, each -1.0 or 1.0. Return the mean of max(0, 1 - label · score) as a Value.
# `value.relu()` is max(0, value).


# %%
def hinge_loss(scores, labels):
    raise NotImplementedError  # your code


check("2.2", hinge_loss)

# %% [markdown] name="exercise-2-3"
# ### Exercise 2.3: Gradient descent
#
# `f` takes the list `xs` of Values and returns a Value. Do `steps` steps of gradient descent, which change
# the `data` of the Values in `xs`, and return the list of losses: the value of `f` *before* each step.


# %%
def gradient_descent(f, xs, learning_rate, steps):
    raise NotImplementedError  # your code


check("2.3", gradient_descent)

# %% [markdown] name="exercise-2-4"
# ### Exercise 2.4: Momentum
#
# A ball that rolls downhill keeps its speed. For each parameter p there is a velocity v, at first 0. A
# step of gradient descent *with momentum* does v = momentum · v + gradient, then p = p - learning rate · v.
# Do one such step: change the `data` of each of the `parameters` (a list of Values whose `grad` is computed
# already) and the list `velocities` (a number for each of them) in place; return nothing.


# %%
def momentum_step(parameters, velocities, learning_rate, momentum):
    raise NotImplementedError  # your code


check("2.4", momentum_step)

# %% [markdown] name="exercise-2-5"
# ### Exercise 2.5: XOR
#
# Four points and their labels: (0, 0) and (1, 1) have -1; (0, 1) and (1, 0) have 1. No line separates them.
# Return a trained `hornbook.autograd.MLP(2, ...)` with one output, whose score is at least 0.5 for the two
# points of label 1 and at most -0.5 for the others. The section on hornbook's MLP shows how one is built and
# trained. `seed` is the seed to build it with; it must work for
# any seed, in a few seconds.


# %%
def train_xor(seed):
    raise NotImplementedError  # your code


check("2.5", train_xor)

# %% [markdown] name="explain"
# ## You can now explain
#
# - what a layer and a multilayer perceptron are, and how to count their parameters;
# - what a loss is, and why it has to be one number;
# - the four parts of a step of gradient descent, and what happens if the gradients are not set to zero;
# - what the learning rate does when it is too small or too large, and why it is often lowered in the end;
# - why one neuron can only separate by a straight line, and what a hidden layer adds.
#
# **Next:** lesson 3 leaves networks for a moment, and builds the simplest language model by counting.
