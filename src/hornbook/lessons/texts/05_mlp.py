# %% [markdown] name="title" needs="4" reading="60" running="1"
# # Lesson 5: A network that reads several characters
#
# The bigram of lessons 3 and 4 guesses the next character from one character. It cannot know that `q` may
# well follow `ja`, as in `jaquan`, and hardly ever `ma`: both times it sees only the `a`.
#
# Why not count longer contexts? A table for one character has 27 rows. For three it has
# 27 x 27 x 27 = 19,683 rows, for ten more than 200 trillion. Most rows would never be seen in training,
# so nothing could be said about them.
#
# **New in this lesson:** every character becomes a point in a small space, its *embedding*. A network
# reads the points of several characters side by side. Characters that behave alike get points that lie
# close together, so what is learned about one carries over to the other. This is the model of Bengio,
# Ducharme, Vincent and Jauvin (2003).
#
# You need lesson 4: logits, softmax, the cross-entropy loss, gradient descent.

# %%
import tempfile

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

import hornbook
from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.examples import build_dataset
from hornbook.data.split import split_corpus
from hornbook.lessons import check, fast, hint, solution
from hornbook.metrics.loss import evaluate
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers.registry import build_tokenizer

steps, sweep_steps = (400, 200) if fast() else (20_000, 1000)

# %% [markdown] name="examples"
# ## 1. Contexts and targets
#
# An example is a **context**, the last few characters, and a **target**, the character after them. How
# many characters the network sees is its *context length*. We take 3.
#
# Before a name begins there is nothing to see. We fill the context with the character `.`, which also
# ends every name. So `emma` gives five examples, one for each of `e`, `m`, `m`, `a` and the end.
#
# hornbook's `tokenizer` knows the id of each character. What has an id is called a *token*: here a
# character, from lesson 11 on also a piece of a word.

# %%
context_length = 3
corpus = load_corpus(DataConfig(corpus="names"))
tokenizer = build_tokenizer("char", corpus.alphabet, documents=True)
symbols = [tokenizer.symbol(i) for i in range(tokenizer.vocab_size)]  # ".", "a", ..., "z"
ids = {symbol: i for i, symbol in enumerate(symbols)}


def examples(words):
    X, Y = [], []
    for word in words:
        context = [0] * context_length  # 0 is the id of "."
        for character in word + ".":
            X.append(context)
            Y.append(ids[character])
            context = context[1:] + [ids[character]]  # drop the first, append the newest
    return torch.tensor(X), torch.tensor(Y)


X, Y = examples(["emma"])
for context, target in zip(X.tolist(), Y.tolist(), strict=True):
    print("".join(symbols[i] for i in context), "-->", symbols[target])
print("X", tuple(X.shape), " Y", tuple(Y.shape))

# %% [markdown] name="exercise-5-1"
# ### Exercise 5.1: Contexts of any length
#
# Write `contexts(words, context_length)`. `words` is a list of lists of ids, without the end: `emma` is
# `[5, 13, 13, 1]`. Return two tensors of int64: the contexts `(N, context_length)` and the targets `(N,)`,
# for N examples. Id 0 ends every word and fills the context before it.
#
# The next cell checks your function each time you run it. `hint("5.1")` gives a hint and
# `solution("5.1")` the answer; in a terminal, `hornbook check 5.1 my_file.py` checks a file.


# %%
def contexts(words, context_length):
    raise NotImplementedError  # your code


check("5.1", contexts)

# %% [markdown] name="three-parts"
# ## 2. Three parts: train, validation, test
#
# A large enough network can memorize its examples. Its loss on them then says nothing about new names.
# So we split the names at random into three parts:
#
# - **train** (80%): the gradients come from here;
# - **validation** (10%), also called dev: here we compare settings, such as the number of hidden units;
# - **test** (10%): looked at once, at the very end. Each look at it and each choice made after it would
#   turn it into a second validation part.
#
# hornbook makes this split. Its `build_dataset` makes the examples of a part, and they are the same
# as those of our loop.

# %%
split = split_corpus(corpus, DataConfig(corpus="names"), tokenizer)
parts = {name: split.part(name, tokenizer) for name in ("train", "validation", "test")}
Xtr, Ytr = build_dataset(parts["train"], context_length)
Xval, Yval = build_dataset(parts["validation"], context_length)
print("train", tuple(Xtr.shape), " validation", tuple(Xval.shape))

X, Y = examples(split.validation)
assert torch.equal(X, Xval)
assert torch.equal(Y, Yval)

# %% [markdown] name="embedding"
# ## 3. The embedding
#
# The table `C` has one row for each of the 27 characters: 10 numbers that we do not choose, but learn.
# To look up a character is to take its row. `C[X]` does this for a whole tensor of ids at once: every id
# is replaced by its row, so a shape `(B, 3)` becomes `(B, 3, 10)`. We write **B** for the number of
# examples in a batch.
#
# In lesson 4 a character was a one-hot vector. One-hot times `C` gives the same row. The lookup is this
# product without the multiplications by 0.

# %%
g = torch.Generator().manual_seed(2147483647)
n_embd = 10
C = torch.randn((27, n_embd), generator=g)

X, Y = Xtr[:4], Ytr[:4]
emb = C[X]
print("X", tuple(X.shape), "-> C[X]", tuple(emb.shape))
assert torch.equal(emb, F.one_hot(X, 27).float() @ C)

# %% [markdown] name="side-by-side"
# ## 4. Side by side
#
# The next layer multiplies with a matrix, so each example must be one vector. We put the three
# embeddings side by side: 3 x 10 = 30 numbers. Concatenating does it, but `view` does it without copying
# anything: the 30 numbers already lie one after the other in memory, and `view` only says that they
# are to be read as one row.

# %%
joined = torch.cat([emb[:, 0], emb[:, 1], emb[:, 2]], dim=1)
flat = emb.view(-1, context_length * n_embd)  # -1: as many rows as it takes
print("emb", tuple(emb.shape), "-> view", tuple(flat.shape))
assert torch.equal(joined, flat)
assert flat.data_ptr() == emb.data_ptr()  # the same memory

# %% [markdown] name="exercise-5-2"
# ### Exercise 5.2: Embed and join
#
# From here on we name sizes by letters: B examples in a batch, T characters in a context, V characters in
# the alphabet (the *vocabulary*), E numbers in an embedding.
#
# Write `embed_and_join(X, C)`: ids `(B, T)` and a table `(V, E)` in, one row for each example out,
# `(B, T * E)`. It must work for all sizes.


# %%
def embed_and_join(X, C):
    raise NotImplementedError  # your code


check("5.2", embed_and_join)

# %% [markdown] name="hidden-layer"
# ## 5. The hidden layer and the logits
#
# A layer of 200 neurons is what you built in lesson 2: weights times inputs, plus a bias, through tanh.
# Here all neurons and all examples are computed in one matrix product. `b1` has shape `(200,)` and is
# added to every row by broadcasting (lesson 3).
#
# A neuron of a hidden layer is also called a *hidden unit*. Each unit computes one property of the context
# (a *feature*) that the last layer can use, so more units than inputs are useful. tanh is needed for that:
# without it, two matrices in a row could do no more than a single one.
#
# The last layer makes 27 **logits** of the 200 outputs, one for each character that may come next.

# %%
n_hidden = 200
W1 = torch.randn((context_length * n_embd, n_hidden), generator=g)
b1 = torch.randn(n_hidden, generator=g)
W2 = torch.randn((n_hidden, 27), generator=g)
b2 = torch.randn(27, generator=g)
parameters = [C, W1, b1, W2, b2]


def forward(X):
    emb = C[X]  # (B, 3, 10)
    h = torch.tanh(emb.view(-1, context_length * n_embd) @ W1 + b1)  # (B, 200)
    return h @ W2 + b2  # (B, 27)


logits = forward(X)
print("logits", tuple(logits.shape))
print("parameters:", sum(p.nelement() for p in parameters))

# %% [markdown] name="cross-entropy"
# ## 6. The loss, and why to let torch compute it
#
# In lesson 4 the loss was: exponentiate the logits, divide by the sum, take the probability of the right
# character, then the mean of `-log`. `F.cross_entropy` gives the same number, faster, and it is safe, like
# yours of exercise 4.3.
#
# The danger is that `exp(100)` is too large for a 32-bit number. Softmax does not change when the same
# number is subtracted from all logits of a row. Subtracting the largest makes every exponent 0 or negative.

# %%
counts = logits.exp()
probabilities = counts / counts.sum(1, keepdim=True)
by_hand = -probabilities[torch.arange(len(Y)), Y].log().mean()
print("by hand", by_hand.item(), " torch", F.cross_entropy(logits, Y).item())
assert torch.isclose(by_hand, F.cross_entropy(logits, Y))

large = torch.tensor([-100.0, 0.0, 100.0])
print("naive:", (large.exp() / large.exp().sum()).tolist())
safe = (large - large.max()).exp()
print("safe: ", (safe / safe.sum()).tolist())

# %% [markdown] name="exercise-5-3"
# ### Exercise 5.3: The mean loss, in pieces
#
# All examples at once need much memory: 200 hidden units and 27 logits for each. A large model can only
# take some of them at a time. Write `mean_loss(logits_of, X, Y, size)`: `X` are contexts `(N, T)`, `Y`
# targets `(N,)`. `logits_of` is a function such as `forward`: contexts `(B, T)` in, logits `(B, V)` out.
# Call it with at most `size` examples at a time, and with each example once. Return the mean loss over all
# N examples, a number. `F.cross_entropy` is allowed.


# %%
def mean_loss(logits_of, X, Y, size):
    raise NotImplementedError  # your code


check("5.3", mean_loss)

# %% [markdown] name="loss-before-training"
# ## 7. The loss before training
#
# Look at the loss above before you train. A model that knows nothing should give every one of 27
# characters the same probability. What is its loss? Do the next exercise, then compare with the cell
# below: our network is far worse than ignorance. It is confident and wrong: its logits are random numbers
# with a *standard deviation* (how far numbers typically lie from their mean) of about 12. So one character
# is nearly certain, and mostly a wrong one.

# %% [markdown] name="exercise-5-4"
# ### Exercise 5.4: The loss before training
#
# Write `uniform_loss(vocab_size)`: the cross-entropy in nats of a model that gives all `vocab_size`
# tokens the same probability.


# %%
def uniform_loss(vocab_size):
    raise NotImplementedError  # your code


check("5.4", uniform_loss)

# %%
with torch.no_grad():
    first = F.cross_entropy(forward(Xtr[:10_000]), Ytr[:10_000])
    spread = forward(Xtr[:10_000]).std()
print(f"loss before training {first:.2f}; standard deviation of the logits {spread:.1f}")
print(
    f"loss of 27 equal probabilities {F.cross_entropy(torch.zeros(1, 27), torch.tensor([0])):.2f}"
)

# %% [markdown] name="minibatches"
# ## 8. Minibatches
#
# One gradient from all 170,000 examples takes long, and it is only good for one small step. A
# **minibatch** is a random sample of examples, here 32. Its gradient is an estimate of the true one. The
# cell measures how good it is: the cosine of the angle between both, which is 1 for the same direction and
# 0 for directions that have nothing in common. It is better to take many steps in about the right
# direction than a few in the exact one.
#
# | examples a step | name | gradient | cost of a step |
# | --- | --- | --- | --- |
# | 1 | stochastic gradient descent | very noisy | least |
# | 32, say | minibatch | noisy | little; the hardware computes them together |
# | all | batch | exact | most |

# %%
for p in parameters:
    p.requires_grad = True


def gradient(rows):  # of the loss on some examples, for all parameters in one vector
    loss = F.cross_entropy(forward(Xtr[rows]), Ytr[rows])
    gradients = torch.autograd.grad(loss, parameters)  # as backward(), but returns them
    return torch.cat([p.flatten() for p in gradients])


exact = gradient(torch.arange(len(Xtr)))
for size in (1, 32, 1024):
    cosines = [
        F.cosine_similarity(
            gradient(torch.randint(0, len(Xtr), (size,), generator=g)), exact, dim=0
        )
        for _ in range(10)
    ]
    print(f"{size:5d} examples: cosine with the exact gradient {sum(cosines) / 10:.2f}")

# %% [markdown] name="learning-rate"
# ## 9. Learning rates, evenly in the logarithm
#
# The learning rate says how far to step against the gradient. Too small, and nothing happens; too large,
# and the loss explodes. To find a good one, try a thousand between 0.001 and 1, one at each step.
#
# Evenly spaced values would be a poor choice: 900 of 1,000 lie between 0.1 and 1, and only 9 below 0.01.
# What matters is the *factor* between two learning rates, so we space the exponents evenly: from 10^-3
# to 10^0. Now each power of ten gets a third of the values.

# %%
even = torch.linspace(0.001, 1, 1000)
log_even = 10 ** torch.linspace(-3, 0, 1000)
for low, high in ((0.001, 0.01), (0.01, 0.1), (0.1, 1.0)):
    a = int(((even >= low) & (even < high)).sum())
    b = int(((log_even >= low) & (log_even < high)).sum())
    print(f"between {low:5} and {high:4}: {a:3d} evenly spaced, {b:3d} evenly spaced exponents")

# %% [markdown] name="exercise-5-5"
# ### Exercise 5.5: Random learning rates
#
# A search that tries learning rates at random needs them uniform in the logarithm as well. Write
# `learning_rates(uniform, low, high)`: `uniform` is a tensor of numbers that are uniform between 0 and 1,
# and the result is a tensor of as many learning rates between `low` and `high`, uniform in the logarithm:
# 0 becomes `low` and 1 becomes `high`.


# %%
def learning_rates(uniform, low, high):
    raise NotImplementedError  # your code


check("5.5", learning_rates)

# %% [markdown] name="sweep"
# Now the sweep of our network. On the left the steps are too small to change much. The loss falls as they
# become larger, is lowest between 10^-1 and 10^-0.5, and rises again when they are too large. A good
# learning rate lies a little left of where the curve turns up: here 10^-1. `hornbook lr-find names --model
# mlp` does this, and then tries what it found.

# %%
saved = [p.detach().clone() for p in parameters]


def step(learning_rate):
    rows = torch.randint(0, len(Xtr), (32,), generator=g)
    loss = F.cross_entropy(forward(Xtr[rows]), Ytr[rows])
    for p in parameters:
        p.grad = None
    loss.backward()
    with torch.no_grad():
        for p in parameters:
            p -= learning_rate * p.grad
    return loss.item()


exponents = torch.linspace(-3, 0, sweep_steps)
sweep = [step(rate) for rate in (10**exponents).tolist()]
smooth = torch.tensor(sweep).unfold(0, 20, 1).mean(1)  # the mean of each 20 losses
plt.figure()
plt.plot(exponents, sweep, lw=0.5, alpha=0.5)
plt.plot(exponents[10:-9], smooth)
plt.xlabel("exponent of the learning rate: 10^x")
plt.ylabel("loss of the step")
plt.ylim(0, 30)
plt.title("A sweep of learning rates")
plt.show()

# %% [markdown] name="training"
# ## 10. Training
#
# We start again from the first weights, with a learning rate of 0.1. For the last third of the steps it
# is 0.01: *learning-rate decay*. Large steps get close quickly, but jump around the minimum; small
# ones settle.

# %%
with torch.no_grad():
    for p, start in zip(parameters, saved, strict=True):
        p.copy_(start)
losses = [step(0.1 if i < 2 * steps // 3 else 0.01) for i in range(steps)]

with torch.no_grad():
    train_loss = F.cross_entropy(forward(Xtr), Ytr).item()
    val_loss = F.cross_entropy(forward(Xval), Yval).item()
print(f"after {steps:,} steps: train {train_loss:.3f}, validation {val_loss:.3f}")

plt.figure()
plt.plot(losses, lw=0.3, alpha=0.6)
plt.axhline(val_loss, color="black", ls="--", label="validation, at the end")
plt.yscale("log")
plt.xlabel("steps")
plt.ylabel("loss of the minibatch (log)")
plt.legend()
plt.show()

# %% [markdown] name="reading-losses"
# The curve is a thick band, since each minibatch is another one. The two numbers above are over whole
# parts. Read them together:
#
# - both high and close together: the model is too small or trained too little (*underfitting*);
# - train much lower than validation: it memorizes (*overfitting*).
#
# After a full run both are near 2.3, below the 2.46 of bigram counts: three characters help. But the
# trigram counts of exercise 3.5 reach 2.24 with less. Our network began with bad weights, as section 7
# showed, and took only 20,000 small steps. Lesson 6 mends the weights.

# %% [markdown] name="sampling"
# ## 11. New names
#
# Sampling works as with the bigram, only the context moves on: drop its first character, append the
# one that was drawn.

# %%
g = torch.Generator().manual_seed(2147483647 + 10)
for _ in range(10):
    context, name = [0] * context_length, ""
    while True:
        probabilities = forward(torch.tensor([context])).softmax(1)  # (1, 27)
        i = int(torch.multinomial(probabilities, 1, generator=g))
        context = context[1:] + [i]
        if i == 0:
            break
        name += symbols[i]
    print(name)

# %% [markdown] name="exercise-5-6"
# ### Exercise 5.6: The whole forward pass
#
# Write `mlp_logits(X, C, W1, b1, W2, b2)` from memory, for any context length, embedding size and number
# of hidden units. `X` is `(B, T)`; return the logits `(B, V)`.


# %%
def mlp_logits(X, C, W1, b1, W2, b2):
    raise NotImplementedError  # your code


check("5.6", mlp_logits)

# %% [markdown] name="the-real-one"
# ## 12. The same with hornbook's model
#
# hornbook's `mlp` with these sizes is this network. We give it our weights. Its logits are ours, and so
# is its loss over the validation part, which `evaluate` measures for every model.
#
# The printed layers are the steps of `forward`: `FlattenConsecutive` is the `view`. `next_logits` returns the
# logits of the character after each context.

# %%
config = model_config({"name": "mlp", "context_length": 3, "n_embd": 10, "n_hidden": 200})
model = build_model(config, 27, tokenizer.end_id)
print(model)
with torch.no_grad():
    for own, ours in zip(model.parameters(), parameters, strict=True):
        own.copy_(ours)
    assert torch.allclose(model.next_logits(Xval), forward(Xval), atol=1e-4)

result = evaluate(model, parts["validation"])
print(f"hornbook {result.nats:.6f}, by hand {val_loss:.6f}")
assert abs(result.nats - val_loss) < 1e-4

# %% [markdown] name="training-with-hornbook"
# `hornbook.train` trains the same network from better first weights (lesson 6), on larger minibatches
# and with an optimizer that adapts the step of each parameter. On the command line this is
# `hornbook train names --model mlp`; then `hornbook sample` draws names and `hornbook inspect` draws
# pictures. We ask for embeddings of only 2 numbers, so that they can be drawn as they are. The
# validation loss is still 2.25 after a full run; with 10 numbers it is 2.12. (`evaluate` prints it as
# nats/token; lesson 12 explains what stands beside it.)

# %%
with tempfile.TemporaryDirectory() as folder:
    run = hornbook.train(
        "names",
        model="mlp",
        steps=20 if fast() else 1500,
        settings={
            "model.context_length": 3,
            "model.n_embd": 2,
            "model.dropout": 0.0,  # a regularizer, which we do without
            "training.batch_size": 1024,
        },
        seed=1,
        out=f"{folder}/run",
        progress=False,
    )
    print(run.evaluate("val"))
    print(run.sample(5))
    table = run.model.net.layers[0].weight.detach()

plt.figure(figsize=(5, 5))
colors = ["tab:red" if s in "aeiou" else "tab:blue" for s in symbols]
plt.scatter(table[:, 0], table[:, 1], s=180, c=colors)
for (x, y), symbol in zip(table.tolist(), symbols, strict=True):
    plt.text(x, y, symbol, ha="center", va="center", color="white")
plt.title("The embedding of each character (red: vowels)")
plt.show()

# %% [markdown] name="embedding-picture"
# After full training the vowels lie near each other, and `.` lies by itself, as do a few letters. Nobody
# told the network what a vowel is. Vowels can often replace each other in a name, so training moved their
# points together: what is learned about a context with one of them then holds for the others too.

# %% [markdown] name="explain"
# ## You can now explain
#
# - why a table of counts cannot grow with the context, and what an embedding does instead;
# - why `C[X]` is a matrix product with one-hot vectors, and what `view` does to the shape;
# - what train, validation and test are each for;
# - why a loss of 26 before training is a sign of bad first weights;
# - why a step on 32 examples is worth more than one on all of them;
# - why learning rates are tried evenly in the logarithm.
#
# Next: lesson 6 looks at the numbers inside the network, and mends the first weights.
