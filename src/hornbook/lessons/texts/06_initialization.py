# %% [markdown] name="title" needs="5" reading="75" running="1"
# # Lesson 6: Initialization, BatchNorm and diagnostics
#
# The network of lesson 5 learned, but badly: its loss began at 26, and simple counts were still better
# after 20,000 steps. Nothing in its structure was wrong. Its first weights were.
#
# **New in this lesson:** you look at the numbers inside a network. How large should weights be at the
# start? What happens to a tanh that receives large inputs? How does *batch normalization* make all this
# less delicate? And which few pictures tell you that a network is in good health?
#
# You need lesson 5: the MLP, its parameters `C`, `W1`, `b1`, `W2`, `b2`, and minibatches.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.examples import build_dataset
from hornbook.data.split import split_corpus
from hornbook.figures.activations import flow
from hornbook.layers.activations import GAINS
from hornbook.layers.basic import BatchNorm1d, calibrate_batchnorm
from hornbook.lessons import check, fast, hint, solution
from hornbook.metrics.probes import Probe
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers.registry import build_tokenizer

steps = 300 if fast() else 10_000

corpus = load_corpus(DataConfig(corpus="names"))
tokenizer = build_tokenizer("char", corpus.alphabet, documents=True)
split = split_corpus(corpus, DataConfig(corpus="names"), tokenizer)
Xtr, Ytr = build_dataset(split.part("train", tokenizer), 3)
Xval, Yval = build_dataset(split.part("validation", tokenizer), 3)
print("train", tuple(Xtr.shape), " validation", tuple(Xval.shape))

# %% [markdown] name="the-network"
# ## 1. The network again, with two dials
#
# This is the MLP of lesson 5. Two factors are new: `hidden` scales the first weights of the hidden layer,
# `last` those of the last layer. With 1 and 1 it is the network of lesson 5. With other values the
# biases begin small too.

# %%
n_embd, n_hidden = 10, 200


def first_weights(hidden, last):
    g = torch.Generator().manual_seed(2147483647)
    C = torch.randn((27, n_embd), generator=g)
    W1 = torch.randn((3 * n_embd, n_hidden), generator=g) * hidden
    b1 = torch.randn(n_hidden, generator=g) * (1 if hidden == 1 else 0.01)
    W2 = torch.randn((n_hidden, 27), generator=g) * last
    b2 = torch.randn(27, generator=g) * (1 if last == 1 else 0)
    parameters = [C, W1, b1, W2, b2]
    for p in parameters:
        p.requires_grad = True
    return parameters


def forward(parameters, X):
    C, W1, b1, W2, b2 = parameters
    h = torch.tanh(C[X].view(-1, 3 * n_embd) @ W1 + b1)  # (B, 200)
    return h, h @ W2 + b2  # (B, 27)


def train(parameters, n):
    g = torch.Generator().manual_seed(1)
    losses = []
    for i in range(n):
        rows = torch.randint(0, len(Xtr), (32,), generator=g)
        loss = F.cross_entropy(forward(parameters, Xtr[rows])[1], Ytr[rows])
        for p in parameters:
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in parameters:
                p -= (0.1 if i < 2 * n // 3 else 0.01) * p.grad
        losses.append(loss.item())
    return losses


# %% [markdown] name="confident-and-wrong"
# ## 2. Logits that are too large
#
# You know from lesson 5 that the loss of equal probabilities is log(27), about 3.3. Four logits show why
# it matters how large they are. If all are 0, all characters are equally likely. If they are random and
# large, the network is nearly certain of one, and the loss is large unless it is the right one.

# %%
target = torch.tensor([2])
for logits in ([0.0, 0.0, 0.0, 0.0], [0.3, -0.5, 0.0, 0.4], [7.0, -9.0, -6.0, 3.0]):
    logits = torch.tensor([logits])
    p = [f"{x:.3f}" for x in logits.softmax(1)[0].tolist()]
    print("probabilities", p, f"loss {F.cross_entropy(logits, target).item():.2f}")

# %% [markdown] name="hockey-stick"
# So we make the last weights small and its bias 0: `last=0.01`. Not 0: you will see in exercise 6.3 what
# becomes of weights that are all 0.
#
# In the picture the upper curve has the shape of a hockey stick. In its first steps the network only
# learns to make its logits smaller. That is easy, and the steps are wasted. The lower curve begins where
# the real work begins.

# %%
curves = {}
for last in (1, 0.01):
    parameters = first_weights(hidden=1, last=last)
    curves[last] = train(parameters, steps // 4)
    print(f"last={last}: loss of the first step {curves[last][0]:.2f}")

plt.figure()
for last, losses in curves.items():
    plt.plot(losses, lw=0.7, label=f"last = {last}")
plt.yscale("log")
plt.xlabel("steps")
plt.ylabel("loss of the minibatch (log)")
plt.legend()
plt.show()

# %% [markdown] name="saturated-tanh"
# ## 3. A tanh that is saturated
#
# The loss at the start is right now, but a second problem hides behind it. Look at the 200 outputs `h` of
# the hidden layer on 32 examples. tanh squeezes every number into the range from -1 to 1. When its inputs
# are large, most outputs are nearly -1 or 1: the units are *saturated*.
#
# On the right of the picture each column is a unit and each row an example; black means |h| > 0.97.

# %%
parameters = first_weights(hidden=1, last=0.01)
h, logits = forward(parameters, Xtr[:32])
print("h", tuple(h.shape), f" share beyond 0.97: {(h.abs() > 0.97).float().mean().item():.2f}")
print("units beyond 0.97 on every example:", int((h.abs() > 0.97).all(0).sum()))

figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 3), width_ratios=[1, 2], layout="constrained"
)
left.hist(h.flatten().tolist(), bins=50)
left.set_title("outputs of tanh")
right.imshow((h.abs() > 0.97).numpy(), cmap="gray_r", aspect="auto", interpolation="nearest")
right.set(title="saturated (black)", xlabel="unit", ylabel="example")
plt.show()

# %% [markdown] name="vanishing-gradient"
# Why is that bad? You know from lesson 1 that the backward pass multiplies by the local slope, and the
# slope of `h = tanh(z)` is `1 - h**2`. At h = 0 it is 1. At h = 0.99 it is 0.02: only a fiftieth of the
# gradient passes. A unit that is saturated on *every* example learns next to nothing. It is *dead*: a
# column that would be black from top to bottom. Ours has none yet, but two thirds of it are black.
#
# In a deep network the slopes of all layers are multiplied. The cell below chains one neuron per layer,
# `x -> tanh(w x) -> tanh(w tanh(w x)) -> ...`. With w = 4 every neuron is saturated and the gradient
# vanishes on its way to the first: three layers earlier it is less than a millionth of 1.
#
# The weights are multiplied as well. In wide layers with large weights the opposite can happen: a gradient
# that grows from layer to layer *explodes*.

# %%
z = torch.linspace(-3, 3, 7)
print("z     ", [f"{x:6.2f}" for x in z.tolist()])
print("slope ", [f"{x:6.4f}" for x in (1 - torch.tanh(z) ** 2).tolist()])

for w in (1.0, 4.0):
    x = torch.tensor(0.5, requires_grad=True)
    value, outputs = x, []
    for _ in range(10):
        value = torch.tanh(w * value)
        outputs.append(value)
    slopes = torch.autograd.grad(value, outputs)  # of the last output, for the output of each layer
    print(f"w={w}: gradient at layers 10, 7, 4, 1:", [f"{slopes[i]:.1e}" for i in (9, 6, 3, 0)])

# %% [markdown] name="other-activations"
# **Other activations.** ReLU, `max(0, x)`, does not saturate above 0: its slope there is 1. Below 0 it is 0,
# so a ReLU unit can be dead as well, if its input is negative on every example. Leaky ReLU and ELU keep a
# slope below 0. Deep networks mostly use ReLU or its relatives. Care for the first weights is needed with
# all of them.

# %%
for name in ("tanh", "relu", "leaky_relu", "elu"):
    z = torch.tensor([-5.0, -1.0, 1.0, 5.0], requires_grad=True)
    (slope,) = torch.autograd.grad(getattr(F, name)(z).sum(), z)
    print(f"{name:10} slopes at -5, -1, 1, 5:", [f"{x:.3f}" for x in slope.tolist()])

# %% [markdown] name="exercise-6-1"
# ### Exercise 6.1: Saturated and dead
#
# Write `idle(h)` for the outputs `h` of a tanh layer, `(B, H)`. Return two numbers: the share of all
# outputs with `|h| > 0.97`, and how many of the H units are dead, that is, beyond 0.97 on every example.
#
# `hint("6.1")` gives a hint, `solution("6.1")` the answer; `hornbook check 6.1 my_file.py` checks a file.


# %%
def idle(h):
    raise NotImplementedError  # your code


check("6.1", idle)

# %% [markdown] name="fan-in"
# ## 4. How large should weights be?
#
# The inputs of tanh are too large because each is a sum of 30 products. A sum of n independent random
# numbers with standard deviation 1 has standard deviation sqrt(n). The number of inputs of a neuron is
# its *fan-in*. Dividing the weights by sqrt(fan-in) makes the output as large as the input.

# %%
g = torch.Generator().manual_seed(1)
x = torch.randn((1000, 30), generator=g)
W = torch.randn((30, 200), generator=g)
print(f"x {x.std():.2f}, x @ W {(x @ W).std():.2f}, sqrt(30) {math.sqrt(30):.2f}")
print(f"x @ (W / sqrt(30)) {(x @ (W / 30**0.5)).std():.2f}")

# %% [markdown] name="gain"
# ## 5. The gain
#
# tanh makes numbers smaller. In a deep network the outputs would shrink from layer to layer, and the
# gradients with them. A factor in front of the weights, the **gain**, makes up for that. For tanh it is
# 5/3. The cell sends numbers through six layers of tanh, with different gains:
#
# - 0.5: the outputs shrink toward 0, where tanh is a straight line;
# - 5/3: they keep their size;
# - 5: most are saturated.
#
# This is the initialization of Glorot and Bengio (2010) and of He et al. (2015), also called Xavier and
# Kaiming initialization. For ReLU, `max(0, x)`, the gain is sqrt(2). hornbook's table `GAINS` has one for
# each activation.


# %%
def six_layers(gain):
    g = torch.Generator().manual_seed(1)
    x = torch.randn((1000, 200), generator=g)
    outputs = []
    for _ in range(6):
        W = torch.randn((200, 200), generator=g) * gain / 200**0.5
        x = torch.tanh(x @ W)
        outputs.append(x)
    return outputs


for gain in (0.5, 1.0, 5 / 3, 5.0):
    layers = six_layers(gain)
    print(
        f"gain {gain:.2f}: standard deviation", [f"{x.std():.2f}" for x in layers],
        f"saturated in the last {(layers[-1].abs() > 0.97).float().mean():.0%}",
    )  # fmt: skip

figure, axes = plt.subplots(1, 3, figsize=(10, 2.5), sharey=True, layout="constrained")
for panel, gain in zip(axes, (0.5, 5 / 3, 5.0), strict=True):
    for i, x in enumerate(six_layers(gain), start=1):
        density, edges = torch.histogram(x, 50, range=(-1, 1), density=True)
        panel.plot((edges[1:] + edges[:-1]) / 2, density, label=f"layer {i}")
    panel.set(title=f"gain {gain:.2f}", xlabel="output", ylim=(0, 4))
axes[0].legend(fontsize=7)
plt.show()

assert GAINS["tanh"] == torch.nn.init.calculate_gain("tanh") == 5 / 3

# %% [markdown] name="exercise-6-2"
# ### Exercise 6.2: Weights of the right size
#
# Write `scale_weight(weight, gain)`. `weight` is `(fan_in, fan_out)`, with a standard deviation of 1.
# Return it scaled so that a layer with this gain keeps the size of its inputs.


# %%
def scale_weight(weight, gain):
    raise NotImplementedError  # your code


check("6.2", scale_weight)

# %% [markdown] name="three-starts"
# ## 6. What it is worth
#
# The same network, the same steps, the same minibatches; only the first weights differ. A full run
# gives 2.38, 2.24 and 2.21. The last is better than the trigram counts of lesson 3.

# %%
for name, hidden, last in (
    ("lesson 5", 1, 1),
    ("small last layer", 1, 0.01),
    ("and scaled hidden layer", 5 / 3 / 30**0.5, 0.01),
):
    parameters = first_weights(hidden, last)
    train(parameters, steps)
    with torch.no_grad():
        loss = F.cross_entropy(forward(parameters, Xval)[1], Yval)
    print(f"{name:24} validation loss {loss:.3f}")

# %% [markdown] name="exercise-6-3"
# ### Exercise 6.3: What if all weights are 0?
#
# Zero seems the safest start of all: the first loss is exactly log(27). Try it. Set `C`, `W1`, `b1`, `W2`
# and `b2` to 0 and train. The loss does fall, but it stops far too high. Look at the gradients of all five:
# which are 0, and why do they stay so? What can the network still learn?
#
# Then write `zero_start(Y, vocab_size)`. `Y` are the targets of the training part, `(N,)`, and every
# token is among them. Return the probabilities `(vocab_size,)` that the network predicts after long
# training from zero, whatever the context is.


# %%
def zero_start(Y, vocab_size):
    raise NotImplementedError  # your code


check("6.3", zero_start)

# %% [markdown] name="batchnorm"
# ## 7. BatchNorm
#
# We want the inputs of tanh to have mean 0 and standard deviation 1, roughly. Ioffe and Szegedy (2015)
# said: then simply make them so. For each unit, take the mean and the standard deviation over the examples
# of the batch, subtract the one and divide by the other. All of this has derivatives, so it may stand in
# the middle of a network.
#
# The code computes the *variance* first, the square of the standard deviation: add up the squared distances
# from the mean, and divide by n - 1, for n examples. Dividing by n would give a little too small a variance,
# because the mean comes from the same examples.
#
# At the start that is what we want, but not for ever: the network should be able to move a unit to where
# it is useful. So each unit gets a trained **gain** (1 at first) and a trained **bias** (0 at first). They
# are called gamma and beta in the paper. This gain is a parameter, not the fixed factor of section 5.
#
# A small number, `eps`, keeps the division safe where a unit has no variance.


# %%
def batchnorm(x, gamma, beta, eps=1e-5):
    mean = x.mean(0, keepdim=True)  # (1, H)
    variance = x.var(0, keepdim=True)  # (1, H), over n - 1
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta


g = torch.Generator().manual_seed(1)
x = torch.randn((32, 200), generator=g) * 6 + 3  # much too large, and not around 0
gamma, beta = torch.ones(200), torch.zeros(200)
y = batchnorm(x, gamma, beta)
print("x", tuple(x.shape), f"mean {x.mean():.2f}, standard deviation {x.std():.2f}")
print("y", tuple(y.shape), f"mean {y.mean():.2f}, standard deviation {y.std():.2f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.5), sharey=True, layout="constrained")
left.hist(torch.tanh(x).flatten().tolist(), bins=40, range=(-1, 1))
left.set_title("tanh(x)")
right.hist(torch.tanh(y).flatten().tolist(), bins=40, range=(-1, 1))
right.set_title("tanh(batchnorm(x))")
plt.show()

# %% [markdown] name="coupled"
# ## 8. Two consequences
#
# **BatchNorm couples the examples of a batch.** So far, what a network computed for an example depended on
# this example alone. Now it depends on all others that happen to be in the same batch, since they change
# the mean and the variance. The cell puts one example into two batches and gets two results; and a
# gradient flows from the first example to the second one.
#
# Strange as it is, this even helps: the small random shifts act as a *regularizer*, as if the examples
# were varied a little. Still, it has caused many errors, and other norms are used today where possible.

# %%
others_a, others_b = torch.randn((2, 31, 200), generator=g)
a = batchnorm(torch.cat([x[:1], others_a]), gamma, beta)[0]
b = batchnorm(torch.cat([x[:1], others_b]), gamma, beta)[0]
print(f"the same example, other company: largest difference {(a - b).abs().max():.2f}")
assert not torch.allclose(a, b)

x.requires_grad = True
(gradient,) = torch.autograd.grad(batchnorm(x, gamma, beta)[0].square().sum(), x)
print(f"gradient of output 0 with respect to input 1: {gradient[1].abs().mean():.4f}, not 0")
assert (gradient[1] != 0).any()

# %% [markdown] name="useless-bias"
# **A bias in front of BatchNorm is useless.** It adds the same number to all examples of a unit, and
# BatchNorm subtracts it again with the mean. Its gradient is 0, so it does not even change in training.
# Layers before a BatchNorm are made without a bias; `beta` does its work.

# %%
bias = torch.randn(200, generator=g, requires_grad=True)
with_bias = batchnorm(x.detach() + bias, gamma, beta)
without = batchnorm(x.detach(), gamma, beta)
loss = with_bias.square().sum() + with_bias.exp().sum()  # any loss will do
(gradient,) = torch.autograd.grad(loss, bias)
print(f"with and without: largest difference {(with_bias - without).abs().max():.0e}")
print(f"largest gradient of the bias: {gradient.abs().max():.0e}")
assert torch.allclose(with_bias, without, atol=1e-4)
assert gradient.abs().max() < 1e-3

# %% [markdown] name="evaluation"
# ## 9. A single example
#
# When the network is used, there may be no batch: we want the prediction for one context. For that,
# BatchNorm keeps a **running mean** and a **running variance**. Every training step moves them a little
# toward those of its batch: `running = 0.9 * running + 0.1 * batch`. The 0.1 is called *momentum* (it is
# not that of exercise 2.4). In evaluation they take the place of the batch's own.
#
# This is why networks have two modes. In `model.train()` BatchNorm uses the batch, in `model.eval()` the
# running statistics. Forgetting `eval()` is a classic mistake.
#
# hornbook's `BatchNorm1d` does all this. The cell compares it with our function, and with torch's own
# layer, which divides by the variance over n instead of n - 1 (`biased=True`).

# %%
layer = BatchNorm1d(200, momentum=0.1)
running_mean, running_var = torch.zeros(200), torch.ones(200)
for _ in range(50):
    batch = torch.randn((32, 200), generator=g) * 2 + 1
    assert torch.allclose(layer(batch), batchnorm(batch, gamma, beta), atol=1e-5)
    running_mean = 0.9 * running_mean + 0.1 * batch.mean(0)
    running_var = 0.9 * running_var + 0.1 * batch.var(0)
assert torch.allclose(layer.running_mean, running_mean, atol=1e-5)
assert torch.allclose(layer.running_var, running_var, atol=1e-4)

layer.eval()
one = torch.randn((1, 200), generator=g)
expected = (one - running_mean) / torch.sqrt(running_var + 1e-5)
assert torch.allclose(layer(one), expected, atol=1e-5)
print("one example in evaluation:", tuple(layer(one).shape))

theirs, ours = torch.nn.BatchNorm1d(200), BatchNorm1d(200, biased=True)
assert torch.allclose(theirs(batch), ours(batch), atol=1e-5)

# %% [markdown] name="exercise-6-4"
# ### Exercise 6.4: BatchNorm with its running statistics
#
# Write `batchnorm_step(x, gamma, beta, running_mean, running_var, momentum)` for training. `x` is
# `(B, H)`, the others `(H,)`. Return three tensors: the output `(B, H)`, the new running mean and the new
# running variance, `(H,)` each. `momentum` is the weight of the batch; take variances over n - 1, and
# 1e-5 for eps. Do not change the arguments.


# %%
def batchnorm_step(x, gamma, beta, running_mean, running_var, momentum):
    raise NotImplementedError  # your code


check("6.4", batchnorm_step)

# %% [markdown] name="exercise-6-5"
# ### Exercise 6.5: Fold BatchNorm into the layer before it
#
# In evaluation BatchNorm only multiplies each unit by a number and adds another. A linear layer in front
# of it can do that itself, so that no BatchNorm is left and the network is faster. Write
# `fold_batchnorm(weight, gamma, beta, mean, variance, eps)`: `weight` is `(fan_in, H)`, without a bias,
# and the others but `eps` are `(H,)`. Return a new weight `(fan_in, H)` and a bias `(H,)`, such that
# `x @ new_weight + bias` is what `x @ weight` and BatchNorm in evaluation give together.


# %%
def fold_batchnorm(weight, gamma, beta, mean, variance, eps):
    raise NotImplementedError  # your code


check("6.5", fold_batchnorm)

# %% [markdown] name="calibration"
# ## 10. Running or exact statistics
#
# The running mean is an estimate on the way. After training one can also measure mean and variance once
# over the whole training part: *calibration*. Both should agree, and for a momentum that is not too large
# they do. hornbook has both (`--model.statistics calibrated`).

# %%
g = torch.Generator().manual_seed(1)
data = torch.randn((4096, 200), generator=g) * 3 + 2
layer = BatchNorm1d(200, momentum=0.1)
for _ in range(500):
    layer(data[torch.randint(0, len(data), (32,), generator=g)])
running = layer.running_mean.clone(), layer.running_var.clone()
calibrate_batchnorm(layer, layer, lambda: [data])
print(f"running mean {running[0].mean():.3f}, exact {layer.running_mean.mean():.3f}")
print(f"running variance {running[1].mean():.3f}, exact {layer.running_var.mean():.3f}")
assert torch.allclose(layer.running_mean, data.mean(0), atol=1e-4)
assert torch.allclose(layer.running_var, data.var(0), rtol=1e-4)

# %% [markdown] name="diagnostics"
# ## 11. Is a deep network in good health?
#
# Five hidden layers now. hornbook builds them: `mlp` with `n_layer=5`. Three sets of numbers tell whether
# it will train well:
#
# 1. **activations**: the outputs of each tanh. Good: about the same spread in every layer, few saturated;
# 2. **gradients** of the loss with respect to these outputs. Good: about the same size in every layer,
#    neither vanishing nor exploding toward the first;
# 3. **update : data** (read "update to data"), how far one step moves a weight matrix, compared with the
#    matrix itself: `(learning_rate * gradient).std() / weight.std()`. Good: about 0.001. Much less, and it
#    hardly learns; much more, and it jumps about.
#
# First by hand, the outputs and their gradients. Usually torch keeps the gradients of parameters only;
# `retain_grad()` asks it to keep that of a tensor in the middle.

# %%
X, Y = Xtr[:32], Ytr[:32]
learning_rate = 0.1


def five_layers(**settings):
    torch.manual_seed(1)
    config = model_config({"name": "mlp", "n_hidden": 100, "n_layer": 5, **settings})
    return build_model(config, 27, tokenizer.end_id)


model = five_layers()
outputs, x = [], X
for layer in model.net.layers:
    x = layer(x)
    if type(layer).__name__ == "Tanh":
        x.retain_grad()
        outputs.append(x)
F.cross_entropy(x, Y).backward()

by_hand = []
for i, h in enumerate(outputs, start=1):
    saturated = (h.abs() > 0.97).float().mean().item()
    by_hand.append((h.std().item(), saturated, h.grad.std().item()))
    print(
        f"layer {i}: h {tuple(h.shape)}, standard deviation {h.std():.2f}, "
        f"saturated {saturated:.1%}, gradient {h.grad.std():.1e}"
    )

# %% [markdown] name="update-by-hand"
# Then update : data. We do one step, and compare each weight matrix before and after it.


# %%
def descend(model):
    with torch.no_grad():
        for p in model.parameters():
            p -= learning_rate * p.grad


before = {name: p.detach().clone() for name, p in model.named_parameters() if p.ndim == 2}
descend(model)
ratios = {}
for name, old in before.items():
    new = model.get_parameter(name).detach()
    ratios[name] = ((new - old).std() / new.std()).item()
    print(f"{name:20} {tuple(new.shape)!s:10} update : data {ratios[name]:.1e}")

# %% [markdown] name="probe"
# hornbook's `Probe` watches one step of any model and measures the same. `hornbook train --probe-every
# 100` keeps these numbers during a run, and `hornbook inspect` draws them.
#
# The last matrix stands out with an update : data of 0.2. We made it small at the start, so its first
# steps are large beside it. The ratio falls as the matrix grows.

# %%
model = five_layers()
with Probe(model) as probe:
    F.cross_entropy(model.next_logits(X), Y).backward()
    descend(model)
for hand, (name, layer) in zip(by_hand, probe.activations.items(), strict=True):
    found = layer.outputs.std, layer.saturated, probe.gradients[name].std
    assert all(math.isclose(x, y, rel_tol=1e-3) for x, y in zip(hand, found, strict=True))
for name, ratio in ratios.items():
    assert math.isclose(ratio, probe.parameters[name].update_ratio, rel_tol=1e-3)

flow(probe.activations, probe.gradients)

# %% [markdown] name="reading-flow"
# Above are the activations, below the gradients; one line per layer. The five lines should lie on top of
# each other, and with the right gain they nearly do. The first layer is more saturated than the others,
# because its inputs, the embeddings, are larger than the outputs of a tanh.
#
# Now a network with a gain of 0.3. Its activations shrink to a needle at 0. On the way back each layer
# passes on only a third of the gradient, so that a hundredth of it arrives at the first.

# %%
model = five_layers(gain=0.3)
with Probe(model) as probe:
    F.cross_entropy(model.next_logits(X), Y).backward()
bad = flow(probe.activations, probe.gradients)
print(bad.finding.text)
bad

# %% [markdown] name="robust"
# With BatchNorm before each tanh, the same gain of 0.3 does no harm: whatever the size of the weights, the
# inputs of tanh are normalized. This is why BatchNorm made deep networks possible: it forgives.

# %%
model = five_layers(gain=0.3, norm="batchnorm")
with Probe(model) as probe:
    F.cross_entropy(model.next_logits(X), Y).backward()
good = flow(probe.activations, probe.gradients)
print(good.finding.text)
assert all(layer.outputs.std > 0.5 for layer in probe.activations.values())
good

# %% [markdown] name="update-ratio"
# ## 12. The learning rate, seen from inside
#
# update : data over the first steps, for three learning rates: one line for each weight matrix, that of the
# last layer on top. The dashed line is 0.001. A learning rate whose lines lie far below it wastes time; one
# whose lines lie far above it risks that the loss grows without end (it *diverges*).


# %%
def update_ratios(learning_rate, n):
    model = five_layers()
    weights = [p for p in model.parameters() if p.ndim == 2]
    found = []
    for _ in range(n):
        rows = torch.randint(0, len(Xtr), (32,))
        model.zero_grad()
        F.cross_entropy(model.next_logits(Xtr[rows]), Ytr[rows]).backward()
        with torch.no_grad():
            found.append([float((learning_rate * p.grad).std() / p.std()) for p in weights])
            for p in model.parameters():
                p -= learning_rate * p.grad
    return found


figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
for panel, rate in zip(axes, (0.001, 0.1, 1.0), strict=True):
    panel.plot(update_ratios(rate, 100 if fast() else 500), lw=0.6)
    panel.axhline(1e-3, color="black", ls="--")
    panel.set(yscale="log", title=f"learning rate {rate}", xlabel="steps")
axes[0].set_ylabel("update : data (log)")
plt.show()

# %% [markdown] name="exercise-6-6"
# ### Exercise 6.6: How far a step goes
#
# Write `update_ratio(parameter, gradient, learning_rate)`: the base-10 logarithm of update : data for one
# step of gradient descent, a number. For a good learning rate it is about -3.


# %%
def update_ratio(parameter, gradient, learning_rate):
    raise NotImplementedError  # your code


check("6.6", update_ratio)

# %% [markdown] name="explain"
# ## You can now explain
#
# - which loss a network should have before its first step, and what a hockey stick means;
# - why large inputs make tanh pass no gradient, and why that is worse in deep networks;
# - why weights are divided by the square root of the fan-in, and what the gain is for;
# - why a network whose weights are all 0 learns next to nothing;
# - what BatchNorm computes, in training and in evaluation, and why it couples the examples of a batch;
# - why a layer before a BatchNorm needs no bias, and how BatchNorm disappears into that layer;
# - which three measurements show whether a deep network is in good health.
#
# Next: in lesson 7 you compute all gradients yourself, without `backward()`.
