# %% [markdown] name="title" needs="" reading="60" running="1"
# # Lesson 3: A language model by counting
#
# **New in this lesson:** what a *language model* is; the simplest one, which counts pairs of characters
# (*bigrams*); how to draw new text from it (*sampling*); and how to measure how good it is (the *negative
# log-likelihood*). Also tensors, the arrays of PyTorch that all later lessons use.
#
# You need Python. Lessons 1 and 2 come back in lesson 4.

# %%
import random
from collections import Counter

import matplotlib.pyplot as plt
import torch

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.part import Part
from hornbook.lessons import check, hint, solution
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers.registry import build_tokenizer

# %% [markdown] name="text"
# ## The text
#
# hornbook brings a list of 29,910 first names. Our model shall learn from them what names look like, and
# then make up new ones. `load_corpus` reads them; the other imports from hornbook serve the last section,
# where we compare our model with hornbook's.

# %%
corpus = load_corpus(DataConfig(corpus="names"))
words = list(corpus.documents)
print(len(words), "names, the first are", words[:6])
print("shortest:", min(map(len, words)), "characters, longest:", max(map(len, words)))

# %% [markdown] name="language-model"
# A **language model** answers one question: given the beginning of a text, which character comes next, and
# how probable is each? Whoever can answer it can write: draw a character by these probabilities, append
# it, ask again.
#
# One name holds several examples. `emma` says: `e` is a likely beginning; after `e` an `m` may come; after
# `em` another `m`; after `emma` a name may end. To make beginning and end visible, we put a `.` on both
# sides. The simplest model looks at one character only, the last one. Its examples are the pairs of
# neighbors, the *bigrams*.


# %%
def bigrams(word):
    characters = ["."] + list(word) + ["."]
    return list(zip(characters, characters[1:], strict=False))


print(bigrams("emma"))

# %% [markdown] name="count"
# ## Counting
#
# To learn is, here, to count: how often does each pair occur in all names?

# %%
counts = Counter(pair for word in words for pair in bigrams(word))
print("different pairs:", len(counts))
print("the most frequent:", counts.most_common(4))

# %% [markdown] name="tensor"
# It is handier to have the counts in a table: one row for each first character, one column for each second.
# In PyTorch a table is a **tensor** with two dimensions. A tensor has a `shape` (how many entries along
# each dimension) and a `dtype` (the type of its entries; all have the same). `.item()` makes a Python number
# of a single entry, and `.tolist()` a list of several.
#
# Rows are numbered, so each character needs a number, its *id*: `.` gets 0, `a` gets 1, ..., `z` gets 26.

# %%
symbols = ["."] + sorted(set("".join(words)))
ids = {symbol: i for i, symbol in enumerate(symbols)}
print(ids)

N = torch.zeros((27, 27), dtype=torch.int64)
for (first, second), count in counts.items():
    N[ids[first], ids[second]] = count
print("shape:", tuple(N.shape), " dtype:", N.dtype)
print("names that begin with a:", N[ids["."], ids["a"]].item())
print("the row of q:", N[ids["q"]].tolist())

# %% [markdown] name="picture"
# The whole table is the whole model. Every row says what follows a character: the darker, the more often.

# %%
plt.figure(figsize=(10, 10), layout="constrained")
plt.imshow(N.sqrt(), cmap="Blues")  # the root, so that rare pairs can be seen
for i in range(27):
    for j in range(27):
        color = "white" if N[i, j] > 2000 else "black"
        plt.text(j, i, symbols[i] + symbols[j], ha="center", va="bottom", color=color, fontsize=6)
        plt.text(j, i, N[i, j].item(), ha="center", va="top", color=color, fontsize=6)
plt.axis("off")
plt.title("How often the second character follows the first")
plt.show()

# %% [markdown] name="probabilities"
# ## From counts to probabilities
#
# Divide a row by its sum, and its entries are probabilities: they add up to 1. For the first row, the
# beginnings of names. (PyTorch computes with about seven digits, so a sum may be off by one in the last.)

# %%
p = N[0] / N[0].sum()
print("shape:", tuple(p.shape), " sum:", p.sum().item())
print("a name begins with a:", round(p[ids["a"]].item(), 3))

# %% [markdown] name="broadcasting"
# For all rows at once: `N.sum(1, keepdim=True)` adds along dimension 1, that is along each row, and keeps
# the dimension: shape (27, 1), a column of 27 sums. Dividing (27, 27) by (27, 1), PyTorch repeats the
# column 27 times to the right, so that the shapes agree. This is called *broadcasting*.
#
# **A trap.** Without `keepdim=True` the sums have shape (27,). Broadcasting fills missing dimensions in
# *from the left*: (27,) becomes a row (1, 27), which is repeated downward. Then every column, not every
# row, is divided by its own number. No error is raised, and every result is wrong.

# %%
P = N / N.sum(1, keepdim=True)
wrong = N / N.sum(1)
print(
    "sums of shape",
    tuple(N.sum(1, keepdim=True).shape),
    "-> a row of P adds up to",
    P[1].sum().item(),
)
print(
    "sums of shape",
    tuple(N.sum(1).shape),
    "   -> a row adds up to",
    round(wrong[1].sum().item(), 3),
)
assert torch.allclose(P.sum(1), torch.ones(27))

# %% [markdown] name="sampling"
# ## Drawing new names
#
# Begin with `.`; look up its row; draw a character by these probabilities; look up the row of that
# character; and so on, until a `.` is drawn. `torch.multinomial` draws ids by probabilities. A *generator*
# with a seed makes the draws repeatable.


# %%
def sample(P, generator):
    name, last = [], 0
    while True:
        last = torch.multinomial(P[last], 1, generator=generator).item()
        if last == 0:
            return "".join(name)
        name.append(symbols[last])


generator = torch.Generator().manual_seed(2147483647)
print("by bigrams:       ", [sample(P, generator) for _ in range(6)])
uniform = torch.full((27, 27), 1 / 27)
print("all equally likely:", [sample(uniform, generator)[:20] for _ in range(4)])

# %% [markdown] name="sampling-read"
# Poor names, but far better than chance. The model does not know where in a name it is, or what came
# before the last character, so some names are very short or go on and on.

# %% [markdown] name="likelihood"
# ## How good is it?
#
# Take a real name. The model gave a probability to each of its bigrams. The better the model, the higher
# they are; a model that knows nothing gives 1/27 = 0.037 to each. The natural logarithm beside each
# probability is what we need next.


# %%
def show(word):
    for first, second in bigrams(word):
        probability = P[ids[first], ids[second]]
        print(f"  {first}{second}: probability {probability:.4f}  log {probability.log():8.4f}")


show("emma")

# %% [markdown] name="nll"
# The probability of the whole name is the product of these numbers, the *likelihood*. For many names the
# product is so small that a computer takes it for 0. So we use logarithms: the log of a product is the sum
# of the logs. Logs of probabilities are negative, and closer to 0 is better; a loss should be positive, and
# smaller be better. So we turn the sign. And we divide by the number of bigrams, so that texts of different
# lengths can be compared. That is
#
# **the loss: the average negative log-likelihood** (NLL), in *nats*, which is what natural logs count in.
#
# To maximize the likelihood, to maximize the log-likelihood, and to minimize the average NLL are all the
# same. For a model that knows nothing, the loss is -log(1/27) = 3.296.


# %%
def average_nll(words, P):
    total, n = 0.0, 0
    for word in words:
        for first, second in bigrams(word):
            total -= P[ids[first], ids[second]].log().item()
            n += 1
    return total / n


print("the first 200 names:  ", round(average_nll(words[:200], P), 4))
print("the same, by chance:  ", round(average_nll(words[:200], uniform), 4))

# %% [markdown] name="nll-table"
# All 29,910 names would take a while like this. But equal bigrams have equal logs, so we multiply each log
# by how often it occurs: one calculation on the table. (`N > 0` is a table of True and False, and `N[seen]`
# takes the entries where it is True.)


# %%
def loss_of(N, P):
    seen = N > 0  # left out: 0 times log(0), which is no number
    return -(N[seen] * P[seen].log()).sum().item() / N.sum().item()


loss = loss_of(N, P)
print("all names:", round(loss, 5))

# %% [markdown] name="infinite"
# ## Smoothing
#
# A name that no model should find impossible:

# %%
show("fjodor")
print("the loss of fjodor:", average_nll(["fjodor"], P))

# %% [markdown] name="smoothing"
# `fj` never occurs in our names, so its probability is 0, its log is minus infinity, and the loss of the
# whole name is infinite. But "never seen in 30,000 names" is not "impossible".
#
# **Smoothing**: add 1 to every count, as if every pair had been seen once more. Then nothing is 0. Add more,
# and the rows become more and more alike (*uniform*), because what we saw counts less and less.

# %%
for k in (0.1, 1, 100, 10_000):
    smooth = (N + k) / (N + k).sum(1, keepdim=True)
    print(
        f"k = {k:7}: loss {loss_of(N, smooth):.5f}   fjodor {average_nll(['fjodor'], smooth):.4f}"
    )

smoothed = (N + 1) / (N + 1).sum(1, keepdim=True)

# %% [markdown] name="held-out"
# On the names that we counted, every smoothing makes the loss worse: the counts themselves fit them best.
# That is no proof against smoothing. A model should be good on names that it has *not* seen. So we hold some
# names back: count on one part (*train*), and measure on the other (*dev*, or *validation*). With counts of
# only 300 names, we see that some smoothing is better than almost none, and that too much is bad as well.

# %%
shuffled = random.Random(42).sample(words, len(words))


def count_bigrams_of(words):
    table = torch.zeros((27, 27), dtype=torch.int64)
    for (first, second), count in Counter(p for word in words for p in bigrams(word)).items():
        table[ids[first], ids[second]] = count
    return table


N_train, N_dev = count_bigrams_of(shuffled[:300]), count_bigrams_of(shuffled[300:3300])
ks = [10 ** (e / 4) for e in range(-12, 9)]
curves = {"train": [], "dev": []}
for k in ks:
    smooth = (N_train + k) / (N_train + k).sum(1, keepdim=True)
    curves["train"].append(loss_of(N_train, smooth))
    curves["dev"].append(loss_of(N_dev, smooth))
best = ks[curves["dev"].index(min(curves["dev"]))]
print(f"best on dev: k = {best:.2f}, loss {min(curves['dev']):.4f}")

plt.figure(figsize=(6, 3.5), layout="constrained")
for part, losses in curves.items():
    plt.plot(ks, losses, label=part)
plt.xscale("log")
plt.xlabel("k, added to every count")
plt.ylabel("loss (nats per character)")
plt.legend()
plt.title("Smoothing helps on names that were not counted")
plt.show()

# %% [markdown] name="hornbook"
# ## The same with hornbook
#
# hornbook's model `ngram` counts the last few characters; with `order=2`, a character and the next, it is
# our bigram. Every model of hornbook turns ids of shape (B, T), B texts of T characters, into a *logit* for
# each possible next character, shape (B, T, V). For counts, logits are the logs of the probabilities. So we
# ask it for all 27 characters at once, and compare with our table. The tokenizer turns characters into ids,
# a `Part` is the text as ids, and `fit` counts them.

# %%
tokenizer = build_tokenizer("char", corpus.alphabet, documents=True)
assert [tokenizer.symbol(i) for i in range(27)] == symbols
part = Part.of_documents(words, tokenizer)
config = model_config({"name": "ngram", "order": 2, "smoothing": "add-k", "k": 1.0})
model = build_model(config, vocab_size=27, end_id=0)
model.fit(torch.tensor(part.tokens, dtype=torch.int64), torch.tensor(part.starts))

every_character = torch.arange(27)[:, None]  # (27, 1): 27 texts of one character
logits = model(every_character)
print("ids:", tuple(every_character.shape), " logits:", tuple(logits.shape))
theirs = logits[:, 0].exp()
assert torch.allclose(theirs, smoothed, rtol=1e-4)
print("the largest difference of a probability:", (theirs - smoothed).abs().max().item())

# %% [markdown] name="ladder"
# On a command line, `hornbook train names --model ngram --model.order 2` counts the same, and `hornbook
# inspect` draws the table. Longer contexts are better, up to a point: exercise 3.4 counts three characters.

# %% [markdown] name="exercises"
# ## Exercises
#
# In all of them `words` is a list of strings and `ids` a dictionary from character to id, in which `.` is 0.
# `hint("3.1")` and `solution("3.1")` help, and `hornbook check 3.1 my_file.py` checks a file.

# %% [markdown] name="exercise-3-1"
# ### Exercise 3.1: Count bigrams
#
# Return the counts as an int64 tensor of shape (V, V), where V is `len(ids)`: entry [i, j] says how often
# id j follows id i, with a `.` before and after each word.


# %%
def count_bigrams(words, ids):
    raise NotImplementedError  # your code


check("3.1", count_bigrams)

# %% [markdown] name="exercise-3-2"
# ### Exercise 3.2: Smoothed probabilities
#
# Add `k` to each entry of the counts `N`, shape (V, V), and return the probabilities as a tensor of the same
# shape: each row adds up to 1. `k` is a number above 0, not always an integer. Do not change `N`.


# %%
def probabilities(N, k):
    raise NotImplementedError  # your code


check("3.2", probabilities)

# %% [markdown] name="exercise-3-3"
# ### Exercise 3.3: The loss
#
# Return the average negative log-likelihood of the words, in nats per character (the `.` at the end counts
# as one), under the probabilities `P` of shape (V, V).


# %%
def loss_of_words(words, P, ids):
    raise NotImplementedError  # your code


check("3.3", loss_of_words)

# %% [markdown] name="exercise-3-4"
# ### Exercise 3.4: A trigram
#
# Look at two characters to predict the third. Return counts of shape (V, V, V): entry [i, j, k] says how
# often id k follows id i and id j. Put *two* `.` before each word, so that its first character is predicted
# as well, and one after it.


# %%
def count_trigrams(words, ids):
    raise NotImplementedError  # your code


check("3.4", count_trigrams)

# %% [markdown] name="exercise-3-5"
# ### Exercise 3.5: Smoothing by the dev set
#
# `train` and `dev` are counts of shape (V, V, V), as in 3.4, of two parts of a text. Return the `k` of the
# list `ks` (numbers above 0) for which the smoothed probabilities of `train` have the lowest average NLL on `dev`. Then try it
# on the names: is a trigram better than a bigram, and how much smoothing does it need?


# %%
def best_smoothing(train, dev, ks):
    raise NotImplementedError  # your code


check("3.5", best_smoothing)

# %% [markdown] name="explain"
# ## You can now explain
#
# - what a language model computes, and how text is drawn from it;
# - how counts become probabilities, and why `keepdim=True` matters;
# - what the average negative log-likelihood is, why logs and why the minus; what 3.296 nats mean for 27
#   characters;
# - why a probability of 0 is a disaster, and what adding to the counts does;
# - why the amount of smoothing is chosen on names that were not counted.
#
# **Next:** lesson 4 finds the same probabilities in a completely different way: by gradient descent.
