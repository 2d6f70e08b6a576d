# %% [markdown] name="title" needs="4, 5, 6, 8" reading="60" running="1"
# # Lesson 9: Attention
#
# **New in this lesson:** positions of a text that exchange information. We begin with a plain
# average of everything that came before, write it as a matrix product, let the data choose the
# weights of the average, and arrive at multi-head attention, the part that gave the transformer its
# name ("Attention is all you need", Vaswani et al. 2017).
#
# All tensors have the same three dimensions, which we call
#
# - **B**, the batch: independent texts side by side,
# - **T**, time: the positions of a text,
# - **C**, channels: the numbers that describe one position.
#
# Layers come from `torch.nn` from now on. They are those that we wrote in lesson 8; only the weight
# lies the other way round. `nn.Linear(5, 3)` turns 5 numbers into 3: it has a weight of shape (3,
# 5), which it uses as `x @ weight.T`, and a bias.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from hornbook.layers import aggregation
from hornbook.layers.attention import CausalAttention, merge_heads, split_heads
from hornbook.lessons import check, fast, hint, solution

# %% [markdown] name="problem"
# ## The problem
#
# In lesson 5 a network read three characters, which were glued together into one long row. That
# works for three; for three hundred the first layer would have weights for each of three hundred
# places, and what it learns about a letter at place 7 would say nothing about the same letter at
# place 8.
#
# We want something else: every position holds a vector, and may **gather information from the
# positions before it**, however many there are. It must not look at later ones: they are what it
# has to predict.
#
# The simplest way to gather is to average.

# %%
torch.manual_seed(1337)
B, T, C = 4, 8, 2
x = torch.randn(B, T, C)
print("x", tuple(x.shape))

# %% [markdown] name="average-loop"
# ## An average, in a loop
#
# Position `t` becomes the mean of positions 0 to `t`. Slow, but plain.

# %%
averaged = torch.zeros(B, T, C)
for b in range(B):
    for t in range(T):
        before = x[b, : t + 1]  # (t + 1, C)
        averaged[b, t] = before.mean(0)

print(x[0, :3])
print(averaged[0, :3])  # the second row is the mean of the first two rows of x, and so on

# %% [markdown] name="average-matrix"
# ## The same as a matrix product
#
# Multiplying by a matrix from the left makes weighted sums of rows. A row of weights
# `1/3 1/3 1/3 0 0` sums the first three rows, a third of each: their mean. So a lower triangle
# whose rows sum to 1 computes all the averages at once. A small example first, with numbers one can
# check by hand:

# %%
weights = torch.tril(torch.ones(3, 3))
weights = weights / weights.sum(1, keepdim=True)
values = torch.tensor([[2.0, 7.0], [6.0, 4.0], [6.0, 5.0]])
print(weights)
print(weights @ values)

# %% [markdown] name="average-matrix-batch"
# For a batch nothing changes: `@` multiplies the last two dimensions, and repeats the weights for
# each text of the batch.

# %%
weights = torch.tril(torch.ones(T, T))
weights = weights / weights.sum(1, keepdim=True)
averaged2 = weights @ x  # (T, T) @ (B, T, C) -> (B, T, C)
print("weights", tuple(weights.shape), " result", tuple(averaged2.shape))
assert torch.allclose(averaged, averaged2, atol=1e-6)

# %% [markdown] name="average-softmax"
# ## The same as a softmax
#
# Softmax (lesson 4) turns any scores into weights that are positive and sum to 1. Equal scores give
# equal weights, and a score of minus infinity gives the weight 0, since `exp(-inf)` is 0. So we
# begin with scores of 0, set those of later positions to minus infinity, and get the same averages
# a third time. `masked_fill(mask, value)` writes the value wherever the mask is True, and
# `softmax(-1)` works along the last dimension: on each row.

# %%
future = torch.tril(torch.ones(T, T)) == 0  # True above the diagonal
scores = torch.zeros(T, T).masked_fill(future, -math.inf)
weights = scores.softmax(-1)
print(scores[:3, :4])
print(weights[:3, :4])
averaged3 = weights @ x
assert torch.allclose(averaged, averaged3, atol=1e-6)

# %% [markdown] name="why-softmax"
# Why take the detour? Because now there is a number for each pair of positions, **the score**, and
# it need not be 0. A large score between position 6 and position 2 means: position 6 finds position
# 2 interesting. If the scores come from the data, each position chooses what it averages. That is
# attention.

# %% [markdown] name="exercise-9-1"
# ### Exercise 9.1: A running mean without a loop
#
# Write `running_mean(x)`: x has shape (B, T, C), and position t of the result is the mean of
# positions 0 to t. No loop over positions, and any B, T and C.
#
# If you are stuck, `hint("9.1")` helps, and `solution("9.1")` shows one way. If you work in a file
# of your own: `hornbook check 9.1 my_file.py`.


# %%
def running_mean(x):
    raise NotImplementedError  # your code


check("9.1", running_mean)

# %% [markdown] name="query-key-value"
# ## Queries, keys and values
#
# Where do the scores come from? Each position emits three vectors, each by a linear layer of its
# own:
#
# - a **query**: what am I looking for?
# - a **key**: what do I contain?
# - a **value**: what do I pass on to those who are interested?
#
# The score of position t for position s is the dot product of t's query and s's key. The dot
# product is large where two vectors point the same way, so a query finds the keys that resemble it.
# One product of matrices computes all of them: `k.transpose(-2, -1)` exchanges the last two
# dimensions of the keys, so that each query (a row) meets each key (now a column).

# %%
torch.manual_seed(1337)
B, T, C = 4, 8, 32
head_size = 16
x = torch.randn(B, T, C)

key = nn.Linear(C, head_size, bias=False)
query = nn.Linear(C, head_size, bias=False)
value = nn.Linear(C, head_size, bias=False)

k = key(x)  # (B, T, 16)
q = query(x)  # (B, T, 16)
v = value(x)  # (B, T, 16)
scores = q @ k.transpose(-2, -1)  # (B, T, 16) @ (B, 16, T) -> (B, T, T)
print("scores", tuple(scores.shape), ": one for each pair of positions, in each text")

# %% [markdown] name="one-head"
# The rest is as before: mask the future, softmax, weighted average. But the average is of the
# values, not of x itself.

# %%
future = torch.tril(torch.ones(T, T)) == 0
weights = scores.masked_fill(future, -math.inf).softmax(-1)
out = weights @ v  # (B, T, T) @ (B, T, 16) -> (B, T, 16)
print("out", tuple(out.shape))

# %% [markdown] name="picture-weights"
# A row of this picture is one position, and its cells are what it attends to. On the left the even
# average of the beginning, on the right the weights that this data chose, in the first text of the
# batch. Other texts have other weights.

# %%
even = torch.tril(torch.ones(T, T)) / torch.arange(1, T + 1)[:, None]
figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
for axis, shown in zip(axes, (even, weights[0].detach()), strict=True):
    image = axis.imshow(shown.numpy(), cmap="Blues", vmin=0, vmax=1)
    axis.set(xlabel="attended position", ylabel="attending position")
axes[0].set_title("an even average")
axes[1].set_title("attention")
figure.colorbar(image, ax=axes, label="weight")
plt.show()

# %% [markdown] name="no-future"
# ## Nothing leaks from the future, or from other texts
#
# Two properties can be tested directly. If we change the last position of a text, only the last
# position of its result may change. And if we change one text of the batch, the others must stay as
# they are: the dimension B is only there to compute many texts at once.


# %%
def head(x):
    q, k, v = query(x), key(x), value(x)
    future = torch.tril(torch.ones(x.shape[1], x.shape[1])) == 0
    scores = (q @ k.transpose(-2, -1)).masked_fill(future, -math.inf)
    return scores.softmax(-1) @ v


changed = x.clone()
changed[0, -1] += 1.0  # the last position of the first text
difference = (head(changed) - head(x)).abs().amax(-1)  # (B, T)
print(difference.detach())
assert (difference[0, :-1] == 0).all()
assert (difference[0, -1] > 0).all()
assert (difference[1:] == 0).all()

# %% [markdown] name="exercise-9-2"
# ### Exercise 9.2: Weights that ignore the future
#
# Write `causal_weights(scores)`: scores has shape (B, T, T), where `scores[b, t, s]` is how
# interesting position t finds position s. The result has the same shape: the weights with which
# each position t averages positions 0 to t. Each row sums to 1, and later positions have exactly 0.


# %%
def causal_weights(scores):
    raise NotImplementedError  # your code


check("9.2", causal_weights)

# %% [markdown] name="scaling"
# ## Why the scores are scaled
#
# One thing is missing. A dot product is a sum of `head_size` products. If the numbers in queries
# and keys are independent, with mean 0 and variance 1, each product has variance 1, and so the sum
# has variance `head_size`. With 16 channels the standard deviation of a score is 4, with 256
# channels 16. Softmax takes such scores to extremes: nearly all of the weight goes to the largest.
#
# Divided by the square root of `head_size`, the scores have variance 1, however large the head.

# %%
generator = torch.Generator().manual_seed(0)
sizes = [4, 16, 64, 256]
largest = {"as they are": [], "divided by sqrt(head_size)": []}
for size in sizes:
    q1 = torch.randn(500, size, generator=generator)
    k1 = torch.randn(64, size, generator=generator)
    raw = q1 @ k1.T  # 500 queries for 64 keys
    for name, s in zip(largest, (raw, raw / math.sqrt(size)), strict=True):
        largest[name].append(s.softmax(-1).max(-1).values.median().item())
    scaled = raw / math.sqrt(size)
    print(f"head_size {size:3}: variance {raw.var():6.1f}, divided by the root {scaled.var():.2f}")

plt.figure(figsize=(5.5, 3.2), layout="constrained")
for name, values_of in largest.items():
    plt.plot(sizes, values_of, "o-", label=name)
plt.axhline(1 / 64, color="gray", ls=":", label="an even choice of 64")
plt.xscale("log", base=2)
plt.xlabel("head_size")
plt.ylabel("largest of 64 weights (median)")
plt.legend()
plt.show()
assert largest["as they are"][-1] > 0.9  # nearly all on one position
assert max(largest["divided by sqrt(head_size)"]) < 0.2  # diffuse, whatever the size

# %% [markdown] name="scaling-gradient"
# That matters when training begins. A softmax that puts everything on one position has next to no
# gradient (think of the flat ends of tanh in lesson 6), so the head cannot learn that another
# position would have been better. Diffuse weights leave every choice open.

# %%
for name, divisor in (("as they are", 1.0), ("divided by 16", 16.0)):
    s = (q1 @ k1.T / divisor).requires_grad_()  # head_size 256
    wish = torch.randn(64, generator=torch.Generator().manual_seed(1))  # how useful each key is
    (s.softmax(-1) @ wish).sum().backward()
    print(f"scores {name:14}: median size of a query's gradient {s.grad.norm(dim=-1).median():.4f}")

# %% [markdown] name="exercise-9-3"
# ### Exercise 9.3: Scaled attention
#
# Write `attention(q, k, v)`, all of shape (B, T, D): scaled scores, no look at the future, softmax,
# and the weighted average of the values, (B, T, D).


# %%
def attention(q, k, v):
    raise NotImplementedError  # your code


check("9.3", attention)

# %% [markdown] name="lookup"
# ## What a head can learn
#
# Let us train one head and watch what it does. The task is to look something up: six items, each
# with a name (a number from 0 to 5, in random order) and a content (a number from 0 to 9). A
# question gives a name, the answer is the content of the item with that name. The position of the
# right item differs each time, so no fixed weights can solve it: an even average knows what
# contents there are but not which one is asked for.


# %%
def draw(n):
    names = torch.stack([torch.randperm(6) for _ in range(n)])  # (n, 6)
    contents = torch.randint(10, (n, 6))
    right = torch.randint(6, (n,))  # the position of the item that is asked for
    return names, contents, right


torch.manual_seed(0)
names, contents, right = draw(1)
print("names   ", names[0].tolist())
print("contents", contents[0].tolist())
print(f"question {names[0, right[0]]}, answer {contents[0, right[0]]}")

# %% [markdown] name="lookup-head"
# Here the query comes from the question, and keys and values from the items. The head has no future
# to hide. An item is the sum of two embeddings, one for its name and one for its content.
#
# `tensor.gather(1, index)` picks, from each row, the entry that the index names: here the name of
# the right item.

# %%
name_embedding, content_embedding = nn.Embedding(6, 16), nn.Embedding(10, 16)
ask, find, tell = (nn.Linear(16, 16, bias=False) for _ in range(3))  # query, key, value
answer = nn.Linear(16, 10)  # logits of the ten contents


def look_up(names, contents, right, even=False):
    items = name_embedding(names) + content_embedding(contents)  # (n, 6, 16)
    question = name_embedding(names.gather(1, right[:, None]))  # (n, 1, 16)
    scores = ask(question) @ find(items).transpose(-2, -1) / math.sqrt(16)  # (n, 1, 6)
    weights = torch.zeros_like(scores).softmax(-1) if even else scores.softmax(-1)
    found = weights @ tell(items)  # (n, 1, 16)
    return answer(found[:, 0]), weights[:, 0]  # (n, 10) and (n, 6)


logits, weights = look_up(names, contents, right)
print("logits", tuple(logits.shape), " weights", [round(w, 2) for w in weights[0].tolist()])

# %% [markdown] name="lookup-training"
# The training loop is that of lesson 5, but for the update. `torch.optim.AdamW` makes it for us:
# `optimizer.zero_grad()` clears the gradients, and `optimizer.step()` changes each parameter
# against its gradient, with a step size that it adapts to each of them (Adam: Kingma and Ba 2015).
# `nn.ModuleList` is a list of layers, whose `parameters()` are those of all its layers.

# %%
parts = nn.ModuleList([name_embedding, content_embedding, ask, find, tell, answer])
optimizer = torch.optim.AdamW(parts.parameters(), lr=1e-2)
for _ in range(200 if fast() else 500):
    names, contents, right = draw(64)
    logits, _ = look_up(names, contents, right)
    loss = F.cross_entropy(logits, contents.gather(1, right[:, None])[:, 0])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

names, contents, right = draw(1000)
expected = contents.gather(1, right[:, None])[:, 0]
logits, weights = look_up(names, contents, right)
attended = weights.argmax(-1) == right
print(f"right answers {(logits.argmax(-1) == expected).float().mean():.0%}")
print(f"attends most to the item that was asked for: {attended.float().mean():.0%}")
logits, _ = look_up(names, contents, right, even=True)
print(f"with even weights instead: {(logits.argmax(-1) == expected).float().mean():.0%} right")
assert attended.float().mean() > 0.9

# %% [markdown] name="picture-lookup"
# One question a row. The ring marks the item whose name was asked for; the head found it by its
# name, wherever it stood.

# %%
plt.figure(figsize=(4.2, 3.2), layout="constrained")
plt.imshow(weights[:8].detach().numpy(), cmap="Blues", vmin=0, vmax=1)
plt.colorbar(label="weight")
plt.scatter(right[:8], range(8), s=150, facecolors="none", edgecolors="tab:orange")
plt.xlabel("item")
plt.ylabel("question")
plt.show()

# %% [markdown] name="no-order"
# ## Attention knows no order
#
# A head without a mask treats its positions as a set: shuffle the input, and the output is shuffled
# in the same way, nothing else. "dog bites man" and "man bites dog" are alike to it. So a model has
# to say where each position is: it adds a vector to each, learned for each position. We do that in
# lesson 10.


# %%
def head_without_mask(x):
    scores = query(x) @ key(x).transpose(-2, -1) / math.sqrt(head_size)
    return scores.softmax(-1) @ value(x)


order = torch.randperm(T)
assert torch.allclose(head_without_mask(x)[:, order], head_without_mask(x[:, order]), atol=1e-6)

position = torch.randn(T, C)  # with positions, the order matters
with_position = head_without_mask(x + position)
shuffled = head_without_mask(x[:, order] + position)
assert not torch.allclose(with_position[:, order], shuffled, atol=1e-3)

# %% [markdown] name="multi-head"
# ## Several heads
#
# A head averages with one set of weights, so it answers one question. A letter may want to know
# several things: which vowel came last, where the word began, whether a quotation is open.
# **Multi-head attention** runs several small heads side by side and joins their results; a last
# linear layer mixes them. With 4 heads of 8 channels the result has 32 channels again, at the price
# of one head of 32.

# %%
n_head = 4
D = C // n_head
# query, key and value of each head
heads = [[nn.Linear(C, D, bias=False) for _ in range(3)] for _ in range(n_head)]
mix = nn.Linear(C, C)


def attend(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1) @ v


causal = torch.ones(T, T, dtype=torch.bool).tril()  # True: may be attended to
results = [attend(wq(x), wk(x), wv(x), causal) for wq, wk, wv in heads]
out = mix(torch.cat(results, dim=-1))
print(f"{n_head} results of", tuple(results[0].shape), "joined and mixed:", tuple(out.shape))

# %% [markdown] name="heads-as-batch"
# ## Heads as one more batch dimension
#
# The loop over heads is slow: many small products instead of one large one. But heads are
# independent of one another, just as texts of a batch are. So we compute the queries of all heads
# by **one** linear layer with C outputs, cut its C channels into `n_head` pieces of D, and move the
# heads beside the batch: (B, T, C) -> (B, T, H, D) -> (B, H, T, D). Attention then works on the
# last two dimensions as ever. The order matters: first `view`, which cuts the channels, then
# `transpose`. The way back is the same in reverse: `transpose`, then `reshape`. It does what `view`
# does, and copies the numbers where they no longer lie one after the other in memory, as after a
# `transpose`.

# %%
wq, wk, wv = (torch.cat([h[i].weight for h in heads]) for i in range(3))  # (C, C) each
q, k, v = ((x @ w.T).view(B, T, n_head, D).transpose(1, 2) for w in (wq, wk, wv))
print("q", tuple(q.shape))
together = attend(q, k, v, causal)  # (B, H, T, D)
together = together.transpose(1, 2).reshape(B, T, C)  # back to (B, T, H, D), then joined
assert torch.allclose(mix(together), out, atol=1e-5)

# %% [markdown] name="exercise-9-4"
# ### Exercise 9.4: Heads as one batch dimension
#
# Write `multi_head(x, wq, wk, wv, n_head)`: x has shape (B, T, C), and each of the three weights
# (C, C), used as `x @ w.T`; head h has the outputs `h * D` to `(h + 1) * D - 1` of each, with D = C
# / n_head. Causal (no look at the future), scaled by the root of D, without a last mixing layer.
# The result is (B, T, C): the heads side by side. No loop over heads.


# %%
def multi_head(x, wq, wk, wv, n_head):
    raise NotImplementedError  # your code


check("9.4", multi_head)

# %% [markdown] name="encoder-cross"
# ## Encoder, decoder, and attention between two texts
#
# What we have is called a **decoder**: it is masked, so it can be trained to predict the next token
# at all positions at once. If the whole text is known from the start, say to classify it, positions
# may look both ways. Such an **encoder** is the same code without the mask.
#
# **Self-attention** means that queries, keys and values come from the same text. In
# **cross-attention** the queries come from one text and the keys and values from another, as in our
# look-up: a translator that writes French attends to the English sentence. The two texts may differ
# in length.

# %%
encoded = attend(query(x), key(x), value(x))  # no mask: an encoder
source = torch.randn(B, 5, C)  # another text, of 5 positions
crossed = attend(query(x), key(source), value(source))  # scores are (B, 8, 5)
print("encoder", tuple(encoded.shape), " cross-attention", tuple(crossed.shape))

changed = x.clone()
changed[0, -1] += 1.0
moved = (attend(query(changed), key(changed), value(changed)) - encoded).abs().amax(-1)
assert (moved[0] > 0).all()  # in an encoder, the last position reaches the first one

# %% [markdown] name="exercise-9-5"
# ### Exercise 9.5: Cross-attention to texts of different lengths
#
# Write `cross_attention(q, k, v, lengths)`: q is (B, T, D), k and v are (B, S, D). The sources of a
# batch have different lengths: of source b only the first `lengths[b]` positions are real, and the
# rest is padding that must not be attended to. `lengths` is (B,) int64. Scaled; no mask but that of
# the padding, since the whole source is known; the result is (B, T, D).


# %%
def cross_attention(q, k, v, lengths):
    raise NotImplementedError  # your code


check("9.5", cross_attention)

# %% [markdown] name="exercise-9-6"
# ### Exercise 9.6: One more token
#
# While a model writes, it appends one token after the other. Keys and values of earlier positions
# do not change, so they are kept in a **cache**, and for a new token only its own are computed.
# Write `step(q, k, v, keys, values)`: q, k and v are those of the new position, (B, 1, D); keys and
# values are those of the T earlier ones, (B, T, D). Return three tensors: the result for the new
# position (B, 1, D), and the longer keys and values, (B, T + 1, D).


# %%
def step(q, k, v, keys, values):
    raise NotImplementedError  # your code


check("9.6", step)

# %% [markdown] name="hornbook"
# ## The same in hornbook
#
# `hornbook.layers.aggregation` has these steps as small functions and modules: the averages of the
# beginning, `attend`, `Head`, and `MultiHeadAttention` for decoder, encoder and cross-attention.
# With our weights it computes our numbers.

# %%
with torch.no_grad():
    z = torch.randn(2, 5, 3)
    first = aggregation.average_loop(z)
    assert torch.allclose(aggregation.average_matrix(z), first, atol=1e-6)
    assert torch.allclose(aggregation.average_softmax(z), first, atol=1e-6)

    module = aggregation.MultiHeadAttention(C, n_head)
    for theirs, (our_query, our_key, our_value) in zip(module.heads, heads, strict=True):
        theirs.query.weight.copy_(our_query.weight)
        theirs.key.weight.copy_(our_key.weight)
        theirs.value.weight.copy_(our_value.weight)
    module.proj.load_state_dict(mix.state_dict())  # all its parameters, by name
    assert torch.allclose(module(x), out, atol=1e-5)
    print("multi-head attention: the same", tuple(out.shape))

# %% [markdown] name="fused"
# The models that hornbook trains, `gpt2` and `gpt`, use `CausalAttention` with heads as a batch
# dimension. It calls PyTorch's **fused kernel**, one routine for all steps from the scores to the
# result. It never stores the (T, T) weights, and so it saves memory and time on long texts. The
# function is the same.

# %%
fused = CausalAttention()
q, k, v = (split_heads(x @ w.T, n_head) for w in (wq, wk, wv))  # (B, H, T, D)
assert torch.allclose(mix(merge_heads(fused(q, k, v))), out, atol=1e-5)
print("the fused kernel gives the same numbers")

# %% [markdown] name="explain"
# ## You can now explain
#
# - how a lower triangular matrix averages everything that came before;
# - why the mask is minus infinity before the softmax, and not 0 after it;
# - what queries, keys and values are, and why their dot products are divided by the root of the
#   head size;
# - why attention needs positions, and why texts of a batch never see one another;
# - what several heads are for, and how they become one batch dimension;
# - what distinguishes decoder, encoder, self-attention and cross-attention.
#
# In lesson 10 this becomes a GPT.
