# %% [markdown] name="title" needs="1, 6" reading="90" running="1"
# # Lesson 7: Backpropagation by hand
#
# In lesson 1 you computed gradients of single numbers, node by node. Since then `loss.backward()` has done
# it for whole tensors, and you had to believe it.
#
# **New in this lesson:** you compute the gradients of whole tensors yourself: of the cross-entropy, of
# BatchNorm, of a linear layer, of the embedding, and in the end of the complete MLP. Then you train it
# without `backward()`. First every small step is differentiated by itself (the *atomic* backward pass).
# Then the mathematics is simplified on paper, and ten steps become one line (the *fused* one).
#
# Why do by hand what a library does? Because the library does not protect you from everything. Gradients
# that vanish or explode, units that die, a bias that is never trained: to find such errors you must know
# what flows backward.
#
# You need lesson 1 (the chain rule) and lesson 6 (BatchNorm). The exercises are the lesson here. Try
# each before you read on, as the text after it gives the answer away.

# %%
import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.examples import build_dataset
from hornbook.data.split import split_corpus
from hornbook.kernels.batch_norm import CpuBatchNorm1d
from hornbook.layers.basic import BatchNorm1d
from hornbook.lessons import check, fast, hint, solution
from hornbook.lessons.comparison import compare
from hornbook.lessons.exercises.lesson07 import mlp_backward as solution_of_7_6
from hornbook.metrics.loss import evaluate
from hornbook.models.registry import build_model, model_config
from hornbook.optim.descent import GradientDescent
from hornbook.tokenizers.registry import build_tokenizer

steps = 200 if fast() else 5_000

corpus = load_corpus(DataConfig(corpus="names"))
tokenizer = build_tokenizer("char", corpus.alphabet, documents=True)
symbols = [tokenizer.symbol(i) for i in range(tokenizer.vocab_size)]
split = split_corpus(corpus, DataConfig(corpus="names"), tokenizer)
Xtr, Ytr = build_dataset(split.part("train", tokenizer), 3)

# %% [markdown] name="gradient-of-a-tensor"
# ## 1. The gradient of a tensor
#
# We write `dW` for the gradient of the loss with respect to `W`. It has one number for each number of `W`:
# how fast the loss rises when this one is raised a little. **So `dW` has the shape of `W`, always.** This
# small fact will settle most questions of where a transpose belongs.
#
# The cell checks one entry as in lesson 1: raise it by a little and look at the loss.

# %%
g = torch.Generator().manual_seed(1)
x, W = torch.randn((4, 3), generator=g), torch.randn((3, 2), generator=g, requires_grad=True)
loss = (x @ W).square().mean()
loss.backward()
print("W", tuple(W.shape), " W.grad", tuple(W.grad.shape))

little = 1e-3
nudged = W.detach().clone()
nudged[1, 0] += little
rise = ((x @ nudged).square().mean() - loss.item()) / little
print(f"by nudging {rise:.4f}, by torch {W.grad[1, 0]:.4f}")
assert torch.isclose(rise, W.grad[1, 0], rtol=1e-2)

# %% [markdown] name="forward"
# ## 2. The forward pass in pieces
#
# Here is the MLP of lesson 6 with BatchNorm, taken apart until each line is one operation. The batch has
# 32 examples, the context 3 characters. The first weights are scaled as in lesson 6, but the biases and
# gains get random values instead of 0 and 1, since 0 and 1 can hide errors.

# %%
n, n_embd, n_hidden, V = 32, 10, 64, 27


def first_weights():
    g = torch.Generator().manual_seed(2147483647)
    C = torch.randn((V, n_embd), generator=g)
    W1 = torch.randn((3 * n_embd, n_hidden), generator=g) * (5 / 3) / (3 * n_embd) ** 0.5
    gamma = torch.randn(n_hidden, generator=g) * 0.1 + 1
    beta = torch.randn(n_hidden, generator=g) * 0.1
    W2 = torch.randn((n_hidden, V), generator=g) * 0.1
    b2 = torch.randn(V, generator=g) * 0.1
    return [C, W1, gamma, beta, W2, b2]


C, W1, gamma, beta, W2, b2 = (p.requires_grad_() for p in first_weights())
rows = torch.randint(0, len(Xtr), (n,), generator=torch.Generator().manual_seed(1))
X, Y = Xtr[rows], Ytr[rows]

# embedding and linear layer
emb = C[X]  # (32, 3, 10)
flat = emb.view(n, -1)  # (32, 30)
z = flat @ W1  # (32, 64)
# BatchNorm
mean = z.sum(0, keepdim=True) / n  # (1, 64)
diff = z - mean  # (32, 64)
diff2 = diff**2  # (32, 64)
var = diff2.sum(0, keepdim=True) / (n - 1)  # (1, 64)
inv = (var + 1e-5) ** -0.5  # (1, 64)
normal = diff * inv  # (32, 64)
y = gamma * normal + beta  # (32, 64)
# tanh and linear layer
h = torch.tanh(y)  # (32, 64)
logits = h @ W2 + b2  # (32, 27)
# cross-entropy
maxes = logits.max(1, keepdim=True).values  # (32, 1)
shifted = logits - maxes  # (32, 27)
counts = shifted.exp()  # (32, 27)
counts_sum = counts.sum(1, keepdim=True)  # (32, 1)
counts_sum_inv = counts_sum**-1  # (32, 1)
probs = counts * counts_sum_inv  # (32, 27)
logprobs = probs.log()  # (32, 27)
loss = -logprobs[range(n), Y].mean()

for t in (emb, flat, z, mean, diff, diff2, var, inv, normal, y, h, logits, maxes, shifted, counts,
          counts_sum, counts_sum_inv, probs, logprobs):  # fmt: skip
    t.retain_grad()  # torch keeps these gradients too, for comparison
loss.backward()
print(f"loss {loss.item():.4f}; of F.cross_entropy {F.cross_entropy(logits, Y).item():.4f}")


def same(name, ours):
    theirs = globals()[name].grad  # of the variable with this name
    found = compare(name, ours, theirs)
    print(f"d{name:15} {tuple(ours.shape)!s:12} {found.words}")
    assert found.right


# %% [markdown] name="rules"
# ## 3. Four rules
#
# Backward we go from the last line to the first. For each operation we know `dout`, the gradient of its
# result, and want those of its inputs. Four rules are enough.
#
# **Rule 1: element by element.** Where each number of the result comes from one number of the input,
# multiply by the local slope, as in lesson 1. For `out = a.log()` the slope is `1 / a`; for
# `out = tanh(a)` it is `1 - out**2`; for `out = a * b` it is `b` for the input `a`, and `a` for `b`.
#
# In the cells below `torch.autograd.grad(out, a, dout)` is torch's answer: the gradient of `a`, given
# `dout`.

# %%
a = torch.rand((2, 3), generator=g, requires_grad=True)
dout = torch.randn((2, 3), generator=g)  # any numbers; in a network they come from behind
(da,) = torch.autograd.grad(a.log(), a, dout)
assert torch.allclose(dout / a, da)

# %% [markdown] name="rule-sum"
# **Rule 2: a sum forward is a broadcast backward, and a broadcast forward is a sum backward.**
#
# In `out = a.sum(1)` each number of a row has slope 1, so each gets the gradient of its row's sum.
#
# In `out = a * b`, with `a` of shape (2, 3) and `b` of (2, 1), every number of `b` is used three times. In
# lesson 1 a variable that is used several times adds up its gradients. So here: take the product as in
# rule 1, then sum over the dimension along which `b` was repeated.

# %%
b = torch.randn((2, 1), generator=g, requires_grad=True)
da, db = torch.autograd.grad(a * b, (a, b), dout)
assert torch.allclose(dout * b, da)
assert torch.allclose((dout * a).sum(1, keepdim=True), db)

row = torch.randn((2, 1), generator=g)
(da,) = torch.autograd.grad(a.sum(1, keepdim=True), a, row)
assert torch.allclose(row * torch.ones_like(a), da)

# %% [markdown] name="rule-matrix"
# **Rule 3: a matrix product gives two matrix products.** For `out = a @ W`, with `a` (B, I) and `W` (I, O),
# the entry `out[i, j]` is the sum over k of `a[i, k] * W[k, j]`. By rules 1 and 2, `a[i, k]` gets the sum
# over j of `dout[i, j] * W[k, j]`. That is again a matrix product: `dout @ W.T`.
#
# You need not remember this. `da` must have the shape (B, I), and it is made of `dout` (B, O) and `W`
# (I, O). Only `dout @ W.T` fits. In the same way `dW` must be `a.T @ dout`.
#
# **Rule 4: taking entries out forward is adding them in backward.** For `out = table[ids]` a row of the
# table that was taken three times gets three gradients, which add up. Rows that were not taken get 0.

# %%
table = torch.randn((5, 2), generator=g, requires_grad=True)
ids = torch.tensor([3, 0, 3])
dout = torch.tensor([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])
(dtable,) = torch.autograd.grad(table[ids], table, dout)
print(dtable)  # row 3 has two of them added up

# %% [markdown] name="exercise-7-1"
# ### Exercise 7.1: A linear layer backward
#
# The layer is `out = x @ W + b`, with `x` (B, I), `W` (I, O) and `b` (O,). Write
# `linear_backward(dout, x, W)`. Return three gradients: `dx`, `dW` and `db`, each with the shape of what
# it belongs to.
#
# `hint("7.1")` gives a hint, `solution("7.1")` the answer; `hornbook check 7.1 my_file.py` checks a file.


# %%
def linear_backward(dout, x, W):
    raise NotImplementedError  # your code


check("7.1", linear_backward)

# %% [markdown] name="exercise-7-2"
# ### Exercise 7.2: An embedding backward
#
# The embedding is `emb = C[X]`, with `C` (V, E) and ids `X` (B, T), so `emb` is (B, T, E). Write
# `embedding_backward(demb, X, vocab_size)`, where `vocab_size` is V, and return `dC`, (V, E). Characters
# occur several times in a batch.


# %%
def embedding_backward(demb, X, vocab_size):
    raise NotImplementedError  # your code


check("7.2", embedding_backward)

# %% [markdown] name="exercise-7-3"
# ### Exercise 7.3: The cross-entropy backward, step by step
#
# Now the last part of the forward pass, from `logits` to `loss`, one operation at a time. Write
# `cross_entropy_steps(logits, Y)` for logits (B, V) and targets (B,): do the forward pass again, then
# return eight gradients in the order in which you find them: `dlogprobs`, `dprobs`, `dcounts_sum_inv`,
# `dcounts_sum`, `dcounts`, `dshifted`, `dmaxes`, `dlogits`.
#
# Beware of tensors that are used twice: `counts` in the sum and in the product, `logits` in the
# difference and in the maximum. The two gradients add up. Each result has the shape of its tensor, so
# `dcounts_sum_inv`, `dcounts_sum` and `dmaxes` are (B, 1). The check compares in this order and stops at the
# first that is wrong.


# %%
def cross_entropy_steps(logits, Y):
    raise NotImplementedError  # your code


check("7.3", cross_entropy_steps)

# %% [markdown] name="first-steps"
# The first three steps, for comparison. Only the log-probability of the right character enters the
# loss, with the factor -1/32; all others get 0 (rule 4). Then the slope of the logarithm (rule 1). Then a
# number per row that was broadcast over 27 columns: a sum (rule 2).
#
# Did your `dmaxes` come out as nearly 0? It should: the loss does not change when the same number is
# subtracted from all logits of a row, whichever number it is. What is left is rounding.

# %%
dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), Y] = -1 / n
same("logprobs", dlogprobs)
dprobs = dlogprobs / probs
same("probs", dprobs)
dcounts_sum_inv = (dprobs * counts).sum(1, keepdim=True)
same("counts_sum_inv", dcounts_sum_inv)

# %% [markdown] name="exercise-7-4"
# ### Exercise 7.4: The cross-entropy backward, in one line
#
# Eight tensors for one simple function are too many. The loss of one example is
# `-log(exp(logits[y]) / sum(exp(logits)))`, where `y` is its target. On paper, take the derivative with
# respect to `logits[i]`, once for i = y and once for another i. Both cases have nearly the same result.
#
# Write `cross_entropy_backward(logits, Y)` for logits (B, V) and targets (B,), and return `dlogits` of the
# mean loss, (B, V).


# %%
def cross_entropy_backward(logits, Y):
    raise NotImplementedError  # your code


check("7.4", cross_entropy_backward)

# %% [markdown] name="fused-cross-entropy"
# ## 4. The gradient of the cross-entropy
#
# On paper, with `l` for the logits: `-log(exp(l[y]) / sum(exp(l)))` is `-l[y] + log(sum(exp(l)))`. The
# derivative of the second term with respect to `l[i]` is `exp(l[i]) / sum(exp(l))`, the probability of i.
# The first term adds -1 for i = y. So:
#
# **the gradient is the probabilities, minus 1 at the right character**, divided by the batch size.
#
# Think of it as forces on the logits. Gradient descent goes against the gradient: each wrong character is
# pushed down by its probability, and the right one is pulled up by what is missing to 1. Both forces are
# equal, so a row adds up to 0. Where the prediction is already right, nothing pulls.

# %%
dlogits = logits.softmax(1)
dlogits[range(n), Y] -= 1
dlogits /= n
same("logits", dlogits.detach())
dlogits = dlogits.detach()
print("sums of the rows, at most", f"{dlogits.sum(1).abs().max():.0e}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.imshow((-n * dlogits).numpy(), cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
left.set_xticks(range(V), symbols, fontsize=7)
left.set(title="forces on the logits: blue up, red down", ylabel="example")
colors = ["tab:blue" if i == int(Y[0]) else "tab:red" for i in range(V)]
right.bar(symbols, (-n * dlogits[0]).numpy(), color=colors)
right.tick_params(axis="x", labelsize=7)
right.set_title(f"the first example: {symbols[int(Y[0])]} is right")
plt.show()

# %% [markdown] name="second-layer"
# ## 5. Back through the last layer and tanh
#
# Rule 3 and rule 2 for the linear layer, rule 1 for tanh. From here on all gradients are ours: each line
# uses only what was computed by hand before it.

# %%
with torch.no_grad():
    dh = dlogits @ W2.T  # (32, 27) @ (27, 64) -> (32, 64)
    same("h", dh)
    same("W2", h.T @ dlogits)  # (64, 32) @ (32, 27) -> (64, 27)
    same("b2", dlogits.sum(0))  # b2 was broadcast over the batch
    dy = (1 - h**2) * dh
    same("y", dy)

# %% [markdown] name="batchnorm-steps"
# ## 6. Back through BatchNorm, step by step
#
# `z` reaches the output along three paths: directly through `diff`, through the mean, and through the
# variance. All examples share the last two. Read the forward pass of section 2 from below, one line at a
# time:
#
# - `y = gamma * normal + beta`: gamma and beta were broadcast over the examples, so sum over them;
# - `normal = diff * inv`: `inv` has one number per unit, so sum; `diff` gets its first gradient;
# - `inv = (var + eps) ** -0.5`: the slope is `-0.5 * (var + eps) ** -1.5`;
# - `var = diff2.sum(0) / (n - 1)`: a sum, so broadcast;
# - `diff2 = diff ** 2`: `diff` gets its second gradient, which is added;
# - `diff = z - mean`: the mean was broadcast with a minus sign, so sum, with a minus;
# - `mean = z.sum(0) / n`: `z` gets its second gradient, which is added.

# %%
with torch.no_grad():
    same("gamma", (dy * normal).sum(0))
    same("beta", dy.sum(0))
    dnormal = gamma * dy
    same("normal", dnormal)
    dinv = (diff * dnormal).sum(0, keepdim=True)
    same("inv", dinv)
    ddiff = inv * dnormal  # the first part
    dvar = -0.5 * (var + 1e-5) ** -1.5 * dinv
    same("var", dvar)
    ddiff2 = torch.ones_like(diff2) / (n - 1) * dvar
    same("diff2", ddiff2)
    ddiff += 2 * diff * ddiff2  # the second part
    same("diff", ddiff)
    dmean = -ddiff.sum(0, keepdim=True)
    same("mean", dmean)
    dz = ddiff + torch.ones_like(z) / n * dmean
    same("z", dz)

# %% [markdown] name="exercise-7-5"
# ### Exercise 7.5: BatchNorm backward, in one formula
#
# Put the steps above into one another on paper and simplify. Two things help: `diff` adds up to 0 over the
# examples, and so does `normal`. (If the algebra is too long for you, put the steps of section 6 into a
# function: that passes as well.) Write `batchnorm_backward(dy, z, gamma, eps)`. Everything is (B, H) but
# `gamma`, (H,); the variance is over n - 1. Return `dz`, `dgamma`, `dbeta`.


# %%
def batchnorm_backward(dy, z, gamma, eps):
    raise NotImplementedError  # your code


check("7.5", batchnorm_backward)

# %% [markdown] name="fused-batchnorm"
# ## 7. What BatchNorm takes out of a gradient
#
# The result of the algebra is
#
# `dz = gamma * inv * (dy - dy.mean(0) - normal * (dy * normal).sum(0) / (n - 1))`
#
# It reads: scale the gradient, and take two parts out of it. The first is its mean over the examples:
# shifting all examples of a unit together has no effect, because BatchNorm subtracts their mean. The
# second is its part along `normal`, the multiple of `normal` that it contains: stretching all of them has
# no effect either, because BatchNorm divides by their standard deviation. A gradient should not ask for
# what cannot be had. The cell shows that nothing is left of either part.

# %%
with torch.no_grad():
    along = (dy * normal).sum(0) / (n - 1)
    fused = gamma * inv * (dy - dy.mean(0) - normal * along)
    same("z", fused)
    print(f"before: mean {dy.mean(0).abs().max():.1e}, along normal {along.abs().max():.1e}")
    after = (fused * normal).sum(0) / (n - 1)
    print(f"after:  mean {fused.mean(0).abs().max():.1e}, along normal {after.abs().max():.1e}")
    dz = fused

# %% [markdown] name="kernel"
# hornbook has BatchNorm twice. `BatchNorm1d` is the textbook's, differentiated by torch. `CpuBatchNorm1d`
# has this formula as its backward pass, and training uses it: it is the same mathematics in a third of the
# operations. Both give what we have.

# %%
for kind in (BatchNorm1d, CpuBatchNorm1d):
    layer = kind(n_hidden)
    with torch.no_grad():
        layer.gamma.copy_(gamma)
        layer.beta.copy_(beta)
    given = z.detach().clone().requires_grad_()
    layer(given).backward(dy)  # from the gradient of its result
    assert torch.allclose(given.grad, dz, atol=1e-6)
    assert torch.allclose(layer.gamma.grad, (dy * normal.detach()).sum(0), atol=1e-6)
    print(kind.__name__, compare("dz", dz, given.grad).words)

# %% [markdown] name="first-layer"
# ## 8. Back to the beginning
#
# The first layer is rule 3 again. `view` only changed the shape, so `view` changes it back. The last
# step is rule 4: every character of every context adds its gradient to its row of `C`.

# %%
with torch.no_grad():
    dflat = dz @ W1.T
    same("flat", dflat)
    same("W1", flat.T @ dz)
    demb = dflat.view(n, 3, n_embd)
    same("emb", demb)
    dC = torch.zeros_like(C)
    dC.index_add_(0, X.flatten(), demb.view(-1, n_embd))
    same("C", dC)

# %% [markdown] name="exercise-7-6"
# ### Exercise 7.6: The whole network backward
#
# Put everything together. Write `mlp_backward(X, Y, C, W1, gamma, beta, W2, b2)`: the forward pass, then
# the backward pass with the fused formulas, without `backward()`. Contexts `X` are (B, T) and targets `Y`
# (B,); the variance is over n - 1, with an eps of 1e-5. Return six gradients: `dC`, `dW1`, `dgamma`,
# `dbeta`, `dW2`, `db2`.


# %%
def mlp_backward(X, Y, C, W1, gamma, beta, W2, b2):
    raise NotImplementedError  # your code


check("7.6", mlp_backward)

# %% [markdown] name="training"
# ## 9. Training without backward()
#
# Now train the network with gradients by hand. The cell takes the solution of exercise 7.6; once yours
# passes its check, put `mlp_backward` in its place. Nothing asks torch for a gradient: no parameter has
# `requires_grad`.

# %%
backward = solution_of_7_6


def minibatches():
    g = torch.Generator().manual_seed(2)
    for i in range(steps):
        rows = torch.randint(0, len(Xtr), (n,), generator=g)
        yield Xtr[rows], Ytr[rows], 0.1 if i < 2 * steps // 3 else 0.01


by_hand = first_weights()
for x, y, rate in minibatches():
    for p, gradient in zip(by_hand, backward(x, y, *by_hand), strict=True):
        p -= rate * gradient
assert not any(p.requires_grad for p in by_hand)

# %% [markdown] name="the-real-one"
# ## 10. The same with hornbook
#
# The same first weights in hornbook's `mlp`, the same minibatches, `loss.backward()`, and hornbook's
# `GradientDescent`. We compare the weights along the way. They agree to the rounding of 32-bit numbers,
# which grows a little with every step.

# %%
config = model_config({"name": "mlp", "n_embd": n_embd, "n_hidden": n_hidden, "norm": "batchnorm"})
model = build_model(config, V, tokenizer.end_id)
with torch.no_grad():
    for p, start in zip(model.parameters(), first_weights(), strict=True):
        p.copy_(start)
optimizer = GradientDescent(model.parameters(), lr=0.1)
hand = first_weights()
for i, (x, y, rate) in enumerate(minibatches()):
    optimizer.param_groups[0]["lr"] = rate
    optimizer.zero_grad()
    F.cross_entropy(model.next_logits(x), y).backward()
    optimizer.step()
    if i < 100:
        for p, gradient in zip(hand, backward(x, y, *hand), strict=True):
            p -= rate * gradient
    if i == 99:
        off = [(a - b).abs().max().item() for a, b in zip(model.parameters(), hand, strict=True)]
        print(f"after 100 steps: largest difference of a weight {max(off):.0e}")
        assert max(off) < 1e-4

# %% [markdown] name="final-loss"
# The losses over the validation part, at the end of training. Our weights go into another model of
# hornbook's, which measures its BatchNorm statistics over the training part (lesson 6, section 10).

# %%
ours = build_model(config, V, tokenizer.end_id)
with torch.no_grad():
    for p, trained in zip(ours.parameters(), by_hand, strict=True):
        p.copy_(trained)
losses = {}
for name, network in (("by hand", ours), ("by hornbook", model)):
    network.statistics = "calibrated"
    network.calibrate(lambda: [Xtr])
    losses[name] = evaluate(network, split.part("validation", tokenizer)).nats
    print(f"trained {name:12} validation loss {losses[name]:.4f}")
assert abs(losses["by hand"] - losses["by hornbook"]) < 0.01

# %% [markdown] name="explain"
# ## You can now explain
#
# - why a gradient has the shape of its tensor, and how that tells where a transpose belongs;
# - why a broadcast forward is a sum backward, and the reverse;
# - why the gradient of the cross-entropy is the probabilities minus the one-hot target;
# - along which three paths an example reaches the output of BatchNorm, and what BatchNorm takes out of
#   a gradient;
# - why an embedding adds up the gradients of all places where a character occurs;
# - what `loss.backward()` does, line by line, for a whole network.
#
# Next: in lesson 8 layers become objects, and the network becomes deep.
