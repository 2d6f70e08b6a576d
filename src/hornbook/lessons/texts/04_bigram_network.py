# %% [markdown] name="title" needs="1, 2, 3" reading="60" running="1"
# # Lesson 4: The bigram as a neural network
#
# **New in this lesson:** the model of lesson 3 once more, but found by gradient descent instead of
# counting. On the way: *one-hot* vectors, *logits*, *softmax*, the *cross-entropy* loss, batches, and
# *regularization*. All of them stay, up to the GPT.
#
# Why, if counting does the job? Counting works for pairs, but not for long contexts: nobody has enough text
# to count them all. Gradient descent works for any model whose loss we can compute.

# %%
import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.lessons import check, fast, hint, solution
from hornbook.models.registry import build_model, model_config

words = list(load_corpus(DataConfig(corpus="names")).documents)
symbols = ["."] + sorted(set("".join(words)))
ids = {symbol: i for i, symbol in enumerate(symbols)}

# %% [markdown] name="examples"
# ## The examples
#
# As in lesson 3, every pair of neighbors is an example. This time as two lists of ids: `xs` has the first
# character of each pair, the *input*; `ys` has the second, the *target*.


# %%
def examples(words):
    xs, ys = [], []
    for word in words:
        characters = ["."] + list(word) + ["."]
        for first, second in zip(characters, characters[1:], strict=False):
            xs.append(ids[first])
            ys.append(ids[second])
    return torch.tensor(xs), torch.tensor(ys)


xs, ys = examples(["emma"])
print("inputs: ", xs.tolist(), [symbols[i] for i in xs])
print("targets:", ys.tolist(), [symbols[i] for i in ys])

# %% [markdown] name="one-hot"
# ## One-hot
#
# An id is a name, not a quantity: `z` (26) is not 26 times as much as `a` (1). A network multiplies its
# inputs, so we must not feed it ids. Instead, each character becomes a vector of 27 numbers, all 0 except
# for a 1 at the place of its id.

# %%
xenc = F.one_hot(xs, num_classes=27).float()
print("shape:", tuple(xenc.shape), " dtype:", xenc.dtype)

plt.figure(figsize=(7, 2), layout="constrained")
plt.imshow(xenc.numpy(), cmap="Blues")
plt.yticks(range(5), [symbols[i] for i in xs])
plt.xticks(range(27), symbols)
plt.title("Five inputs, one-hot")
plt.show()

# %% [markdown] name="neurons"
# ## 27 neurons, five examples, one multiplication
#
# The network is a single layer of 27 neurons, one for each possible next character, without bias and
# without tanh. Neuron j computes x · w: the sum of products of the 27 inputs with its 27 weights. We put
# the weights of all neurons into one matrix `W`, a column for each neuron.
#
# A *matrix product* `xenc @ W` then computes all neurons for all examples at once: row i, column j of the
# result is example i times neuron j. Such a group of examples is a **batch**; processors are fast on
# batches, because everything in them can be computed side by side.

# %%
generator = torch.Generator().manual_seed(2147483647)
W = torch.randn((27, 27), generator=generator)
logits = xenc @ W
print("(5, 27) @ (27, 27) ->", tuple(logits.shape))
print("example 3, neuron 13:", logits[3, 13].item(), "=", (xenc[3] * W[:, 13]).sum().item())

# %% [markdown] name="lookup"
# A vector with a single 1 picks one row: `xenc[i] @ W` *is* the row of `W` with the number of the
# character. So row `a` of `W` says what the network thinks after an `a`, as in the table of counts. The
# lookup `W[xs]` gives the same, without multiplying by all those zeros.

# %%
assert torch.equal(xenc @ W, W[xs])
print("one-hot times W is a lookup of rows")

# %% [markdown] name="softmax"
# ## Softmax: from any numbers to probabilities
#
# We want 27 probabilities for each example: not a single guess, because names go on in several ways, and
# only a distribution can say how likely each is. The network returns any numbers, negative ones too. We
# read them as *logarithms of counts*, and call them **logits**. Then `exp` makes positive "counts" of
# them, and dividing by the sum makes probabilities. The two steps together are **softmax**.

# %%
counts = logits.exp()  # positive, like the table N of lesson 3
probs = counts / counts.sum(1, keepdim=True)
print("probabilities:", tuple(probs.shape), " sums:", probs.sum(1))
assert torch.allclose(probs, logits.softmax(1))

# %% [markdown] name="loss"
# ## The loss
#
# The average negative log-likelihood of lesson 3: take the probability that each example gives to its
# target, and average the -log. `probs[torch.arange(5), ys]` takes entry `ys[i]` of row `i`. At this moment
# `W` is random, so the loss is bad.

# %%
for i in range(5):
    p = probs[i, ys[i]].item()
    print(
        f"{symbols[xs[i]]} -> {symbols[ys[i]]}: probability {p:.4f}, -log {-torch.tensor(p).log():.4f}"
    )
loss = -probs[torch.arange(5), ys].log().mean()
print("loss:", round(loss.item(), 4))

# %% [markdown] name="cross-entropy"
# Softmax and this loss together are called **cross-entropy**. PyTorch has it as one function, which is
# faster, and also safe for large logits, whose `exp` would overflow.

# %%
print("cross-entropy:", round(F.cross_entropy(logits, ys).item(), 4))
assert torch.allclose(F.cross_entropy(logits, ys), loss)

# %% [markdown] name="gradient"
# ## The gradient
#
# Every step from `W` to the loss has a derivative, so `backward` works as in lesson 1, now for all 729
# weights at once. `W.grad` has the shape of `W`.

# %%
W.requires_grad_()
loss = F.cross_entropy(W[xs], ys)
loss.backward()
print("W.grad:", tuple(W.grad.shape))
row = W.grad[ids["e"]]
print(
    "the row of e, at m:", round(row[ids["m"]].item(), 4), "  at a:", round(row[ids["a"]].item(), 4)
)

# %% [markdown] name="gradient-read"
# It is negative where the weight should grow: after `e` came an `m`. It is positive everywhere else in that
# row. In fact the gradient of an example's logits is simple: *its probabilities, with 1 subtracted at the
# target*, divided by the number of examples. Each example adds its row to the row of `W` that it looked up;
# rows of characters that did not occur have gradient 0.

# %%
expected = (W[xs].softmax(1) - F.one_hot(ys, 27)) / len(xs)
assert torch.allclose(W.grad[ids["e"]], expected[1], atol=1e-6)  # e occurs once, in example 1
assert W.grad[ids["z"]].abs().sum() == 0

# %% [markdown] name="training"
# ## Training on all names
#
# All 214,764 examples are one batch. The learning rate is unusually large, 50: the gradient is an average
# over all examples, and each weight is concerned by few of them, so gradients are tiny.

# %%
xs, ys = examples(words)
print("examples:", len(xs))
steps = 20 if fast() else 200
W = torch.randn((27, 27), generator=torch.Generator().manual_seed(2147483647), requires_grad=True)
losses = []
for _ in range(steps):
    loss = F.cross_entropy(W[xs], ys)  # forward
    W.grad = None  # the gradient is set to zero
    loss.backward()  # backward
    with torch.no_grad():  # the update is not part of the calculation to be differentiated
        W -= 50 * W.grad
    losses.append(loss.item())
print("first loss:", round(losses[0], 4), "  last:", round(losses[-1], 4))

# %% [markdown] name="same-as-counts"
# What could it reach at best? The counts of lesson 3 are the best possible table for these names. The loss
# comes down toward theirs (a full run gets within 0.01), and not below.

# %%
N = torch.zeros((27, 27), dtype=torch.int64)
N.index_put_((xs, ys), torch.ones_like(xs), accumulate=True)  # += 1 for each pair
P = N / N.sum(1, keepdim=True)
best = -P[xs, ys].log().mean().item()
print("by counting:", round(best, 4), "  by gradient descent:", round(losses[-1], 4))
assert best < losses[-1] < best + (0.4 if fast() else 0.02)

plt.figure(figsize=(6, 3), layout="constrained")
plt.plot(losses, label="gradient descent")
plt.axhline(best, ls="--", color="gray", label="counts")
plt.xlabel("step")
plt.ylabel("loss (nats per character)")
plt.legend()
plt.title("Gradient descent finds the counts")
plt.show()

# %% [markdown] name="same-picture"
# And the tables are nearly the same: softmax of `W` beside the probabilities from counting.

# %%
figure, panels = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for axes, table, title in (
    (panels[0], P, "counted"),
    (panels[1], W.detach().softmax(1), "softmax of W, trained"),
):
    axes.imshow(table.numpy(), cmap="Blues", vmin=0, vmax=0.4)
    axes.set_xticks(range(27), symbols, fontsize=7)
    axes.set_yticks(range(27), symbols, fontsize=7)
    axes.set_title(title)
plt.show()

# %% [markdown] name="regularization"
# ## Regularization is smoothing
#
# If all weights are 0, all logits are equal, and so are all probabilities: that is as smooth as can be. So
# we can smooth by pulling the weights toward 0. Add the mean of the squared weights to the loss, times a
# *strength*: **L2 regularization**, or *weight decay*. The data pull the weights away from 0; the strength
# says how much the other side pulls. It acts like adding to all counts: compare the row of `q`.
#
# (For many steps we compute the loss from the table of counts, as in lesson 3: equal pairs have equal
# logs. It is the same number as before, and 27 · 27 entries are quicker than 214,764 examples.
# `log_softmax` is the log of softmax, also for large logits.)


# %%
def loss_by_table(W):
    return -(N * W.log_softmax(1)).sum() / N.sum()


assert torch.allclose(loss_by_table(W), F.cross_entropy(W[xs], ys), atol=1e-4)


def trained(strength):
    W = torch.zeros((27, 27), requires_grad=True)
    for _ in range(500 if fast() else 4000):
        loss = loss_by_table(W) + strength * (W**2).mean()
        W.grad = None
        loss.backward()
        with torch.no_grad():
            W -= 50 * W.grad
    return W.detach()


q = ids["q"]
weights = {f"L2, strength {s}": trained(s) for s in (0.001, 0.1, 1.0)}
for name, table in weights.items():
    print(f"{name:18}: the largest weight is {table.abs().max():.2f}")
tables = {name: table.softmax(1) for name, table in weights.items()}
tables |= {f"counts + {k}": (N + k) / (N + k).sum(1, keepdim=True) for k in (1, 100, 1000)}
figure, panels = plt.subplots(2, 3, figsize=(10, 4), layout="constrained", sharex=True, sharey=True)
entropies = {}
for axes, (name, table) in zip(panels.flat, tables.items(), strict=True):
    entropies[name] = -(table[q] * table[q].log()).sum().item()
    print(
        f"{name:18}: after q comes u with {table[q, ids['u']]:.3f}, entropy {entropies[name]:.3f} nats"
    )
    axes.bar(symbols, table[q].tolist())
    axes.set_title(name, fontsize=9)
    axes.tick_params(labelsize=6)
plt.show()

# %% [markdown] name="regularization-read"
# *Entropy* says how undecided a distribution is: 0 if one character is certain, 3.296 = log(27) if all are
# equal. The stronger the L2, the closer to 3.296, just as with larger additions to the counts. Rare
# characters are smoothed most, because few examples pull the other way. So a rare pair, which may be an
# accident, cannot make the model very sure.

# %%
assert list(entropies.values())[:3] == sorted(list(entropies.values())[:3])
assert list(entropies.values())[3:] == sorted(list(entropies.values())[3:])

# %% [markdown] name="sampling"
# ## New names
#
# Drawing works as in lesson 3; only the row comes from the network: one-hot, times `W`, softmax.

# %%
generator = torch.Generator().manual_seed(2147483647)
names = []
for _ in range(6):
    name, last = [], 0
    while True:
        probs = W[last].softmax(0)
        last = torch.multinomial(probs, 1, generator=generator).item()
        if last == 0:
            break
        name.append(symbols[last])
    names.append("".join(name))
print(names)

# %% [markdown] name="hornbook"
# ## The same with hornbook
#
# hornbook's model `bigram` is this network. Given our weights, it returns the same logits, has the same loss
# and the same gradient. (Its inputs have shape (B, T): here one text, of as many characters as there are
# examples. `x[None]` adds the dimension of size 1 in front, and `flatten(0, 1)` makes (B · T, V) of the
# logits, as `F.cross_entropy` wants them.)

# %%
model = build_model(model_config({"name": "bigram"}), vocab_size=27, end_id=0)
with torch.no_grad():
    model.weight.copy_(W)

x, y = xs[:2000], ys[:2000]
logits = model(x[None])  # (1, 2000) -> (1, 2000, 27)
their_loss = F.cross_entropy(logits.flatten(0, 1), y)
their_loss.backward()

W.grad = None
our_loss = F.cross_entropy(W[x], y)
our_loss.backward()
print("ids:", tuple(x[None].shape), " logits:", tuple(logits.shape))
print("loss:", our_loss.item(), their_loss.item())
assert torch.equal(logits[0], W[x])
assert torch.allclose(our_loss, their_loss)
assert torch.allclose(W.grad, model.weight.grad, atol=1e-7)

# %% [markdown] name="hornbook-train"
# `hornbook train names --model bigram` trains it with a validation part, saves it, and says at the end how
# it compares with counts. The preset `notes-bigram` does what this lesson did, on the names of the lectures.

# %% [markdown] name="exercises"
# ## Exercises
#
# Write these without the ready functions: no `F.one_hot`, `softmax`, `log_softmax` or `cross_entropy`. `V` is
# the number of characters and `N` the number of examples. `hint("4.1")` and `solution("4.1")` help,
# and `hornbook check 4.1 my_file.py` checks a file.

# %% [markdown] name="exercise-4-1"
# ### Exercise 4.1: One-hot
#
# `xs` are ids from 0 to n - 1, int64 of shape (N,). Return the one-hot vectors as a tensor of shape (N, n)
# and dtype float32, PyTorch's default.


# %%
def one_hot(xs, n):
    raise NotImplementedError  # your code


check("4.1", one_hot)

# %% [markdown] name="exercise-4-2"
# ### Exercise 4.2: Softmax
#
# Turn logits (N, V) into probabilities (N, V), a distribution in each row. It must also work for logits such
# as 1000, also where only some rows have them. (A constant that is subtracted from a whole row changes nothing: why?)


# %%
def softmax(logits):
    raise NotImplementedError  # your code


check("4.2", softmax)

# %% [markdown] name="exercise-4-3"
# ### Exercise 4.3: Cross-entropy
#
# Return the mean of -log(probability of the target) over the examples, for logits (N, V) and targets `ys`
# (N,), as a tensor from which `backward` works. It must also work for logits that differ by 1000: there the
# probability of a target may be 0 as a float, but its log is a plain number.


# %%
def cross_entropy(logits, ys):
    raise NotImplementedError  # your code


check("4.3", cross_entropy)

# %% [markdown] name="exercise-4-4"
# ### Exercise 4.4: The gradient, by hand
#
# Return the gradient of the loss of 4.3 with respect to `W`, a tensor (V, V) like `W`, where the logits are `W[xs]`, without
# `backward`. The section "The gradient" has the formula for one example. Mind that a character may occur
# many times in `xs`.


# %%
def bigram_gradient(W, xs, ys):
    raise NotImplementedError  # your code


check("4.4", bigram_gradient)

# %% [markdown] name="exercise-4-5"
# ### Exercise 4.5: A step with regularization
#
# Do one step of gradient descent on cross-entropy + strength · (mean of the squared weights), and return the
# new weights as a tensor that requires no gradient. Leave `W` as it is. `F.cross_entropy` and `backward` are
# allowed here. (`W` as it comes requires no gradient: make a copy that does.)


# %%
def training_step(W, xs, ys, learning_rate, strength):
    raise NotImplementedError  # your code


check("4.5", training_step)

# %% [markdown] name="explain"
# ## You can now explain
#
# - why ids become one-hot vectors, and why one-hot times a matrix is a lookup of a row;
# - what a batch is, and what a matrix product computes;
# - what logits are, and how softmax turns them into probabilities;
# - what cross-entropy is, and its gradient: probability minus 1 at the target;
# - why gradient descent ends at the loss of the counts;
# - why L2 regularization smooths, as adding to all counts does.
#
# **Next:** lesson 5 lets the network see more than one character.
