# %% [markdown] name="title" needs="6" reading="70" running="2"
# # Lesson 8: Layers from scratch, and a tree of them
#
# The MLP reads 3 characters. More would help: in `christopher` the end depends on the beginning. But the
# MLP puts all characters into one layer at once. It does not know which of them are neighbors.
#
# **New in this lesson:** layers become objects that you stack like bricks, as in PyTorch. With them you
# build a network that joins neighbors two by two, level by level, like a tree. This is the idea of
# WaveNet (van den Oord et al. 2016). And you find out that a *convolution* is such a tree, computed for
# all positions at once.
#
# You need lesson 6: BatchNorm, and how first weights are scaled.

# %%
import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.examples import build_dataset
from hornbook.data.split import split_corpus
from hornbook.errors import ConfigError
from hornbook.layers import basic
from hornbook.lessons import check, fast, hint, solution
from hornbook.metrics.loss import evaluate
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers.registry import build_tokenizer

steps = 150 if fast() else 10_000

corpus = load_corpus(DataConfig(corpus="names"))
tokenizer = build_tokenizer("char", corpus.alphabet, documents=True)
symbols = [tokenizer.symbol(i) for i in range(tokenizer.vocab_size)]
split = split_corpus(corpus, DataConfig(corpus="names"), tokenizer)
validation = split.part("validation", tokenizer)
Xtr, Ytr = build_dataset(split.part("train", tokenizer), 8)  # the context is 8 characters now
Xval, Yval = build_dataset(validation, 8)
print("train", tuple(Xtr.shape), " validation", tuple(Xval.shape))

# %% [markdown] name="layers"
# ## 1. Layers as objects
#
# In lesson 6 the forward pass was a few lines with `C`, `W1` and so on. With twenty layers that becomes
# unreadable. So each kind of layer becomes a class. An object of it holds its own parameters and can be
# called like a function. `Sequential` holds a list of layers and calls one after the other.
#
# PyTorch's `torch.nn.Linear`, `Embedding`, `Tanh` and `Sequential` have the same names and do the same.
#
# The numbers that a layer holds for one position are called its *channels*: an embedding of 10 numbers has
# 10 channels. In comments and exercises C is the number of channels, not the table `C` of lesson 5. So
# (B, T, C) is B examples of T positions with C numbers each.


# %%
class Linear:
    def __init__(self, fan_in, fan_out, bias=True):
        self.weight = torch.randn((fan_in, fan_out)) / fan_in**0.5  # lesson 6
        self.bias = torch.zeros(fan_out) if bias else None

    def __call__(self, x):
        out = x @ self.weight
        return out if self.bias is None else out + self.bias

    def parameters(self):
        return [self.weight] + ([] if self.bias is None else [self.bias])


class Embedding:
    def __init__(self, n, channels):
        self.weight = torch.randn((n, channels))

    def __call__(self, ids):
        return self.weight[ids]

    def parameters(self):
        return [self.weight]


class Tanh:
    def __call__(self, x):
        return torch.tanh(x)

    def parameters(self):
        return []


class Flatten:
    def __call__(self, x):
        return x.view(x.shape[0], -1)  # (B, T, C) -> (B, T C)

    def parameters(self):
        return []


class Sequential:
    def __init__(self, layers):
        self.layers = layers

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]


torch.manual_seed(42)
model = Sequential([Embedding(27, 10), Flatten(), Linear(80, 200), Tanh(), Linear(200, 27)])
print("ids", tuple(Xtr[:4].shape), "-> logits", tuple(model(Xtr[:4]).shape))
print("parameters:", sum(p.nelement() for p in model.parameters()))

# %% [markdown] name="layers-of-hornbook"
# hornbook's `layers.basic` has the same classes. They are also modules of torch, so that they can be
# saved and moved. `hornbook.notes` has them once more, with an attribute `.out` that keeps the last
# output. With the same weights they give the same numbers. `FlattenConsecutive(8)` puts 8 characters side
# by side, which is all of them here.

# %%
theirs = basic.Sequential([
    basic.Embedding(27, 10), basic.FlattenConsecutive(8), basic.Linear(80, 200), basic.Tanh(),
    basic.Linear(200, 27),
])  # fmt: skip
with torch.no_grad():
    for p, ours in zip(theirs.parameters(), model.parameters(), strict=True):
        p.copy_(ours)
assert torch.allclose(theirs(Xtr[:100]), model(Xtr[:100]), atol=1e-5)

# %% [markdown] name="training"
# ## 2. Training, and a curve one can read
#
# The loop is the one of lesson 6. It takes any model that has `parameters()` and can be called, so it
# need not be written again.


# %%
def train(model, steps):
    g = torch.Generator().manual_seed(1)
    losses = []
    for p in model.parameters():
        p.requires_grad_()
    for i in range(steps):
        rows = torch.randint(0, len(Xtr), (32,), generator=g)
        loss = F.cross_entropy(model(Xtr[rows]), Ytr[rows])
        for p in model.parameters():
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= (0.1 if i < 2 * steps // 3 else 0.01) * p.grad
        losses.append(loss.item())
    return losses


losses = train(model, steps)

# %% [markdown] name="exercise-8-1"
# ### Exercise 8.1: Smooth a curve
#
# The losses of single minibatches jump up and down. Write `smooth(losses, n)`: `losses` is a list of
# numbers. Return a tensor with the mean of each n in a row: of the first n, of the next n, and so on. What
# is left at the end and does not fill a group is dropped.
#
# `hint("8.1")` gives a hint, `solution("8.1")` the answer; `hornbook check 8.1 my_file.py` checks a file.


# %%
def smooth(losses, n):
    raise NotImplementedError  # your code


check("8.1", smooth)

# %%
n = steps // 50
plt.figure()
plt.plot(losses, lw=0.3, alpha=0.6, label="each minibatch")
plt.plot(range(n // 2, steps, n), torch.tensor(losses).view(-1, n).mean(1), label=f"means of {n}")
plt.xlabel("steps")
plt.ylabel("loss")
plt.legend()
plt.show()

# %% [markdown] name="tree"
# ## 3. Two by two
#
# Our first layer sees 8 characters at once. It must do everything in a single step: find out that `ch`
# is one sound, that `rist` follows, and so on. Instead, let us join neighbors little by little:
#
#     . . c h r i s t        8 characters
#      \/  \/  \/  \/
#      ..  ch  ri  st        4 pairs
#        \/      \/
#       ..ch    rist         2 groups of four
#          \    /
#         ..christ           all eight
#
# Each joining is a small layer: two vectors side by side, a matrix, tanh. All pairs of a level use the same
# matrix, because what makes a pair is the same everywhere.
#
# Putting neighbors side by side is again a `view`. (B, 8, 10) becomes (B, 4, 20): the numbers of two
# neighbors lie next to each other in memory anyway. The same with slices: `x[:, ::2]` has the characters
# 0, 2, 4, 6 and `x[:, 1::2]` the characters 1, 3, 5, 7; concatenated along the last dimension they are
# the pairs.

# %%
x = torch.randn((4, 8, 10))
pairs = x.view(4, 4, 20)
sliced = torch.cat([x[:, ::2, :], x[:, 1::2, :]], dim=2)
print("x", tuple(x.shape), "-> even", tuple(x[:, ::2].shape), "-> pairs", tuple(pairs.shape))
assert torch.equal(pairs, sliced)

# %% [markdown] name="matrix-product"
# And the matrix? `x @ W` works on the **last** dimension and leaves all others as they are. So one matrix
# of shape (20, 68) turns 4 x 4 pairs into 4 x 4 vectors, without a loop.

# %%
W = torch.randn((20, 68))
print("pairs", tuple(pairs.shape), "@ W", tuple(W.shape), "->", tuple((pairs @ W).shape))
assert torch.allclose((pairs @ W)[2, 3], pairs[2, 3] @ W, atol=1e-5)

# %% [markdown] name="exercise-8-2"
# ### Exercise 8.2: Flatten n neighbors
#
# Write `flatten_consecutive(x, n)`: `x` is (B, T, C) and n divides T. Put each n neighbors side by side, and
# return (B, T // n, C * n). If only one position is left, drop its dimension: return (B, C * n).


# %%
def flatten_consecutive(x, n):
    raise NotImplementedError  # your code


check("8.2", flatten_consecutive)

# %% [markdown] name="wavenet"
# ## 4. The tree
#
# Three levels join 8 characters. `FlattenConsecutive(2)` of hornbook is your function of exercise 8.2. Before
# each tanh stands a BatchNorm, so the linear layers need no bias (lesson 6). With 24 channels for a
# character and 128 for a group, this is the network of the lectures, with its 76,579 parameters.

# %%
torch.manual_seed(42)


def level(channels, hidden):
    return [
        basic.FlattenConsecutive(2),
        Linear(2 * channels, hidden, bias=False),
        basic.BatchNorm1d(hidden),
        Tanh(),
    ]


tree = Sequential([
    Embedding(27, 24), *level(24, 128), *level(128, 128), *level(128, 128), Linear(128, 27),
])  # fmt: skip
tree.layers[-1].weight *= 0.1  # a small last layer (lesson 6)

x = Xtr[:32]
print(f"{'ids':20}", tuple(x.shape))
for layer in tree.layers:
    x = layer(x)
    print(f"{type(layer).__name__:20}", tuple(x.shape))
print("parameters:", sum(p.nelement() for p in tree.parameters()))
assert sum(p.nelement() for p in tree.parameters()) == 76_579

# %% [markdown] name="exercise-8-3"
# ### Exercise 8.3: Count the parameters
#
# Write `count_parameters(vocab_size, n_embd, n_hidden, context_length)` for such a tree. `n_embd` is the
# number of channels of a character (24 above), `n_hidden` that of a group (128). `context_length` is a power
# of 2. A BatchNorm has two parameters for each unit; only the last layer has a bias.


# %%
def count_parameters(vocab_size, n_embd, n_hidden, context_length):
    raise NotImplementedError  # your code


check("8.3", count_parameters)

# %% [markdown] name="batchnorm-bug"
# ## 5. A mistake that no error message shows
#
# The BatchNorm of lesson 6 took the mean over dimension 0, the examples. Now its input has three
# dimensions, (B, T, C). `x.mean(0)` still works, thanks to broadcasting, but it does something else: a
# separate mean for each of the 4 positions, from only 32 numbers each. All positions of a level share
# their matrix, so they should share their statistics too: one mean for each channel, over examples and
# positions, from 128 numbers.
#
# Such errors are the nasty ones. Nothing fails; the network is just a little worse. Printing shapes finds
# them.

# %%
x = torch.randn((32, 4, 128))
print("mean(0)     ", tuple(x.mean(0, keepdim=True).shape), "from 32 numbers each")
print("mean((0, 1))", tuple(x.mean((0, 1), keepdim=True).shape), "from 128 numbers each")
layer = basic.BatchNorm1d(128)
expected = (x - x.mean((0, 1))) / (x.var((0, 1)) + layer.eps).sqrt()
assert torch.allclose(layer(x), expected, atol=1e-5)
assert layer.running_mean.shape == (128,)

# %% [markdown] name="exercise-8-4"
# ### Exercise 8.4: BatchNorm for two and three dimensions
#
# Write `batchnorm(x, gamma, beta)` for training. `x` is (B, C) or (B, T, C), gamma and beta are (C,).
# Normalize each channel over all examples and positions; variance over n - 1, eps 1e-5. Return a tensor of
# the shape of x.


# %%
def batchnorm(x, gamma, beta):
    raise NotImplementedError  # your code


check("8.4", batchnorm)

# %% [markdown] name="flat-against-tree"
# ## 6. Is the tree better?
#
# A fair comparison needs equal terms. So the other network has as many parameters, 76,478: a flat one, with
# one layer of 343 units. Both see 8 characters, the same steps and the same minibatches.
#
# After a full run the tree has a validation loss of 2.10 and the flat network one of 2.12. That is a small
# difference, and one run of each proves little. Lesson 12 says what a difference is worth.

# %%
torch.manual_seed(42)
flat = Sequential([
    Embedding(27, 24), basic.FlattenConsecutive(8), Linear(192, 343, bias=False),
    basic.BatchNorm1d(343), Tanh(), Linear(343, 27),
])  # fmt: skip
flat.layers[-1].weight *= 0.1

curves = {"flat": train(flat, steps), "tree": train(tree, steps)}
for layer in [*flat.layers, *tree.layers]:
    if isinstance(layer, basic.BatchNorm1d):
        layer.eval()  # from now on by the running statistics
with torch.no_grad():
    for name, network in (("flat", flat), ("tree", tree)):
        n = sum(p.nelement() for p in network.parameters())
        loss = F.cross_entropy(network(Xval), Yval)
        print(f"{name}: {n:,} parameters, validation loss {loss:.3f}")

plt.figure()
n = steps // 50
for name, losses in curves.items():
    plt.plot(range(n // 2, steps, n), torch.tensor(losses).view(-1, n).mean(1), label=name)
plt.xlabel("steps")
plt.ylabel(f"loss, means of {n} steps")
plt.legend()
plt.show()

# %% [markdown] name="the-real-one"
# ## 7. The same with hornbook's model
#
# hornbook's `wavenet` with these sizes is this tree. We give it our weights and running statistics. Its
# logits are ours, and so is its loss.

# %%
config = model_config({"name": "wavenet", "context_length": 8, "n_embd": 24, "n_hidden": 128})
wavenet = build_model(config, 27, tokenizer.end_id)
norms = [layer for layer in tree.layers if isinstance(layer, basic.BatchNorm1d)]
with torch.no_grad():
    for p, ours in zip(wavenet.parameters(), tree.parameters(), strict=True):
        p.copy_(ours)
    own = [m for m in wavenet.modules() if isinstance(m, basic.BatchNorm1d)]
    for norm, ours in zip(own, norms, strict=True):
        norm.running_mean.copy_(ours.running_mean)
        norm.running_var.copy_(ours.running_var)
    wavenet.eval()
    assert torch.allclose(wavenet.next_logits(Xval[:1000]), tree(Xval[:1000]), atol=1e-4)
    by_hand = F.cross_entropy(tree(Xval), Yval).item()
result = evaluate(wavenet, validation)
print(f"hornbook {result.nats:.6f}, by hand {by_hand:.6f}")
assert abs(result.nats - by_hand) < 1e-4

# %% [markdown] name="forgotten-eval"
# ## 8. A single example
#
# In training mode a single example has no variance over n - 1: 0 divided by 0. The output would be NaN
# (not a number), and so would the running statistics from then on. hornbook's BatchNorm refuses it.

# %%
wavenet.train()
one = torch.randn((1, 128))
try:
    own[-1](one)
except ConfigError as error:
    print(error)
wavenet.eval()
print("in evaluation:", tuple(own[-1](one).shape))

# %% [markdown] name="sampling"
# In evaluation mode the tree writes names, one character at a time.

# %%
g = torch.Generator().manual_seed(1)
with torch.no_grad():
    for _ in range(8):
        context, name = [0] * 8, ""
        while True:
            probabilities = tree(torch.tensor([context])).softmax(1)
            i = int(torch.multinomial(probabilities, 1, generator=g))
            context = context[1:] + [i]
            if i == 0:
                break
            name += symbols[i]
        print(name)

# %% [markdown] name="convolution"
# ## 9. From a tree to a convolution
#
# To predict every character of `christ`, we slide the window (the 8 characters that the tree sees) along,
# and compute a whole tree for each position. That is wasteful: the pair `ri` is computed in one window, and
# again in the window two characters further on.
#
# Instead, compute each level **for all positions at once**. On the first level, each position is joined with
# the one before it. On the second level, each result is joined with the one 2 before it, which covers
# the two characters before. On the third, with the one 4 before. The distance is called *dilation*. A
# layer that does the same at every position is a **convolution**; one that looks only backward is
# *causal*.
#
#     position      0 1 2 3 4 5 6 7
#     dilation 1                6 7     joins 7 with 6
#     dilation 2            5   7       joins (6, 7) with (4, 5)
#     dilation 4    3       7           joins (4 ... 7) with (0 ... 3)

# %% [markdown] name="exercise-8-5"
# ### Exercise 8.5: A dilated causal layer
#
# Write `dilated(x, W, dilation)`: `x` is (B, T, C) and `W` is (2 C, H). For every position t return
# `[x[t - dilation], x[t]] @ W`, the earlier one first, (B, T, H). Where t - dilation is before the
# beginning, take zeros.


# %%
def dilated(x, W, dilation):
    raise NotImplementedError  # your code


check("8.5", dilated)

# %% [markdown] name="receptive-field"
# Which inputs can an output depend on? These are its **receptive field**. The cell stacks convolutions of
# torch with dilations 1, 2 and 4, and takes the gradient of the last output with respect to every input.
# Where it is not 0, the input matters. Each level doubles the field: 2, 4, 8. With ten levels it would be
# 1,024 characters, for ten matrices.
#
# `F.conv1d` wants its weights as (H, C, width); a layer that joins two positions has width 2. As in lesson
# 6, we divide them by the root of the fan-in, here 6 channels of 2 positions: 12.

# %%
torch.manual_seed(1)
fields = []
for depth in (1, 2, 3):
    x = torch.randn((1, 6, 12), requires_grad=True)  # torch's convolutions want (B, C, T)
    out = x
    for dilation in (1, 2, 4)[:depth]:
        padded = F.pad(out, (dilation, 0))  # zeros on the left: nothing is seen of the future
        weight = torch.randn((6, 6, 2)) / 12**0.5
        out = torch.tanh(F.conv1d(padded, weight, dilation=dilation))
    (gradient,) = torch.autograd.grad(out[0, :, -1].sum(), x)
    fields.append(gradient[0].norm(dim=0))  # (12,), one for each input position
    print(f"levels {depth}: depends on {int((fields[-1] > 0).sum())} of 12 positions")

figure, axes = plt.subplots(3, 1, figsize=(7, 4), sharex=True, layout="constrained")
for depth, (panel, field) in enumerate(zip(axes, fields, strict=True), start=1):
    panel.bar(range(12), field.numpy())
    panel.set_title(f"levels: {depth}", fontsize=9)
axes[1].set_ylabel("size of the gradient")
axes[-1].set_xlabel("input position (11: the last)")
plt.show()

# %% [markdown] name="exercise-8-6"
# ### Exercise 8.6: The receptive field
#
# So far each layer joined two positions. A convolution of *width* w joins w of them, d apart where its
# dilation is d. Write `receptive_field(layers)`:
# `layers` is a list of pairs (width, dilation), one for each layer. Return how many positions the last
# output depends on, from the earliest to itself.


# %%
def receptive_field(layers):
    raise NotImplementedError  # your code


check("8.6", receptive_field)

# %% [markdown] name="both-ways"
# ## 10. Both ways give the same
#
# hornbook's `wavenet` has both: windows joined two by two (`next_logits`), and dilated convolutions for all
# positions at once (`forward`). On a name, the second gives in one call what the first gives in one call
# for each position, with less than half of the work here. Before the beginning hornbook repeats the start
# `.` instead of taking zeros, as the windows do.
#
# `hornbook train names --model wavenet` trains one with further refinements, and the figure
# `receptive_field` of `hornbook inspect` shows its receptive field.

# %%
name = "christopher"
ids = torch.tensor([[0] + [symbols.index(character) for character in name]])
with torch.no_grad():
    at_once = wavenet(ids)[0]  # (12, 27)
    one_by_one = torch.cat([wavenet.next_logits(ids[:, : t + 1]) for t in range(ids.shape[1])])
print("logits", tuple(at_once.shape), "of", len(name) + 1, "positions")
assert torch.allclose(at_once, one_by_one, atol=1e-4)
T = len(name) + 1
print(f"joinings: windows {T * (4 + 2 + 1)}, convolutions {T * 3}")

# %% [markdown] name="explain"
# ## You can now explain
#
# - what a layer object holds, and how `Sequential` makes a network of them;
# - why `view` can put neighbors side by side, and on which dimension `@` works;
# - why BatchNorm must average over examples and positions, and why the mistake goes unnoticed;
# - what has to be equal before two networks are compared;
# - what a causal convolution with dilation is, and why it gives the same as sliding the tree along;
# - how the receptive field grows with the levels.
#
# Next: in lesson 9 a position chooses itself which earlier ones it looks at: attention.
