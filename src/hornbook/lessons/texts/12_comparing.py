# %% [markdown] name="title" needs="3, 5, 11" reading="60" running="1"
# # Lesson 12: Comparing honestly
#
# **New in this lesson:** how to know that one model is better than another. You have built a number
# of models by now. Which one would you use? "The one with the lower loss" leaves some questions
# open. Lower on which text? By how much? By chance, or not? And is it lower than that of a
# baseline, something simple that costs nothing? This lesson answers them with counts of letters,
# which take a second to make; all of it holds for a GPT.

# %%
import math
import random
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

import hornbook
from hornbook.data.corpora import CORPORA
from hornbook.lessons import check, fast, hint, solution

# %% [markdown] name="split"
# ## Three parts
#
# A model is judged by text that it was **not trained on**. We shuffle the names and cut them into
# three parts: 80% for training, 10% for validation, on which we compare and choose, and 10% for the
# test, which we look at once, at the very end.

# %%
names = CORPORA["names"].path().read_text(encoding="utf-8").split()
random.seed(42)
random.shuffle(names)
n1, n2 = int(0.8 * len(names)), int(0.9 * len(names))
train, validation, test = names[:n1], names[n1:n2], names[n2:]
print(f"{len(train):,} + {len(validation):,} + {len(test):,} names;", train[:5])
assert not set(train) & set(
    validation
)  # no name is in two parts, else copying would look like skill

# %% [markdown] name="counts"
# ## Counts of n letters
#
# An **n-gram** model predicts a letter from the n - 1 letters before it, by counting what came
# after them in the training part. Lesson 3 did it for n = 2 and n = 3. Here it is for any n. `k` is
# added to each count, so that no probability is 0.


# %%
def count(names, n):
    counts = defaultdict(Counter)  # the n - 1 letters before -> how often each letter came next
    for name in names:
        padded = "." * (n - 1) + name + "."
        for i in range(len(name) + 1):
            counts[padded[i : i + n - 1]][padded[i + n - 1]] += 1
    return counts


def nats_of_names(counts, n, names, k):
    """For each name the sum of -log p over its letters and its end."""
    found = []
    for name in names:
        padded = "." * (n - 1) + name + "."
        total = 0.0
        for i in range(len(name) + 1):
            row = counts.get(padded[i : i + n - 1], Counter())
            p = (row[padded[i + n - 1]] + k) / (row.total() + 27 * k)
            total -= math.log(p)
        found.append(total)
    return found


def predictions(names):
    return [len(name) + 1 for name in names]  # letters and the end


bigram = count(train, 2)
nats = nats_of_names(bigram, 2, validation, k=1.0)
print(f"{validation[0]}: {nats[0]:.2f} nats for {predictions(validation)[0]} predictions")
print(f"all: {sum(nats) / sum(predictions(validation)):.4f} nats per letter")

# %% [markdown] name="overfitting"
# ## Why the training loss says nothing
#
# More context means a better guess. Or does it? Let us look at both parts.

# %%
orders = list(range(1, 8))
losses = {"training": [], "validation": []}
for n in orders:
    counts = count(train, n)
    # 5,000 names are enough to measure the loss on the training part
    for name, part in (("training", train[:5000]), ("validation", validation)):
        total = sum(nats_of_names(counts, n, part, k=0.01))
        losses[name].append(total / sum(predictions(part)))

plt.figure(figsize=(5.5, 3.2), layout="constrained")
for name, values in losses.items():
    plt.plot(orders, values, "o-", label=f"{name} part")
plt.xlabel("letters counted together (n)")
plt.ylabel("loss (nats per letter)")
plt.legend()
plt.show()
best = orders[losses["validation"].index(min(losses["validation"]))]
print(f"lowest on the validation part: n = {best}")
print({name: [round(loss, 3) for loss in values] for name, values in losses.items()})
assert losses["training"] == sorted(losses["training"], reverse=True)  # always falling
assert best < orders[-1]  # but on new names it rises again

# %% [markdown] name="overfitting-reason"
# On the training part the loss falls and falls: with seven letters, the model has simply stored the
# names. On new names it rises again, since most contexts of six letters were never seen, or once.
# That is **overfitting**. The distance between the curves shows how much of the low loss is memory.

# %% [markdown] name="baseline"
# ## A baseline that costs nothing
#
# Before praising a network, ask what counting achieves. hornbook does so after each training: it
# looks for the best n-grams, with a better way of smoothing than adding k (Kneser-Ney: what is
# rarely seen falls back on shorter contexts), and says whether the model is better than that.
# First, see that hornbook's counts are ours:

# %%
folder = tempfile.TemporaryDirectory()


def counted(n, **settings):
    return hornbook.train(
        "names",
        model="ngram",
        out=Path(folder.name) / f"counts-{n}",
        settings={"model.order": n, **settings},
        progress=False,
    )


three = counted(3, **{"model.smoothing": "add-k", "model.k": 1.0})
assert list(three.split().validation) == validation  # the same split
evaluation = three.evaluate("val")
nats3 = nats_of_names(count(train, 3), 3, validation, k=1.0)
tokens = predictions(validation)
loss3 = sum(nats3) / sum(tokens)
print(f"ours {loss3:.6f}, hornbook's {evaluation.nats:.6f}")
assert math.isclose(loss3, evaluation.nats, rel_tol=1e-6)

# %%
found = three.report["counts"]
print("the best n-grams, by n:", [round(loss, 3) for loss in found["losses"]])
print(f"best: n = {found['order']}, {found['loss']:.4f} nats per letter")
print(three.report["verdict"]["text"])

# %% [markdown] name="baseline-reading"
# The last line is hornbook's *verdict*. Its first part compares the two losses; what stands after ±
# and what it says about copies will be explained below.
#
# On names, a network has to get below the loss of the best n-grams to be worth its training. Small
# networks often do not: the MLP of lesson 5, with three letters of context, cannot. A loss alone
# does not show it; the baseline does.

# %% [markdown] name="standard-error"
# ## How sure are we? Standard errors
#
# The validation loss is an average over 2,991 names. Other names would have given another number.
# By how much? The **standard error** says it: suppose that we drew many such parts of 2,991 names
# and took the average of each. The standard deviation of these averages is the standard error.
#
# There is no need to draw them. For a mean of N independent numbers the standard error is the
# standard deviation of these numbers, divided by the square root of N: four times as many names
# halve it.

# %% [markdown] name="exercise-12-1"
# ### Exercise 12.1: The standard error of a mean
#
# Write `standard_error(losses)`: losses is a tensor (N,) of independent losses, one for each
# document. The result is a number, the standard error of their mean. The variance divides by N - 1,
# as in lesson 6.
#
# `hint("12.1")` helps, `solution("12.1")` shows one way; for a file of your own there is
# `hornbook check 12.1 my_file.py`.


# %%
def standard_error(losses):
    raise NotImplementedError  # your code


check("12.1", standard_error)

# %% [markdown] name="per-document"
# Our loss is an average per **letter**, and letters of one name are not independent: a strange name
# is strange from beginning to end. What is independent are the names. So we take the names as
# units: a name has `nats` and `tokens`, the loss is the sum of all nats divided by the sum of all
# tokens, and a name contributes to the error by how far its nats are from `loss * tokens`, what
# would be expected of it.
#
# So there are N differences `nats - loss * tokens`, whose mean is 0. Their variance is the sum of
# their squares, divided by N - 1. As in exercise 12.1, its root divided by the root of N is the
# standard error of their mean, in nats per name. Divided by the mean number of tokens of a name, it
# is in nats per letter. Put together: `sqrt(N / (N - 1) * squares) / sum(tokens)`.

# %%
N = len(nats3)
squares = sum((a - loss3 * t) ** 2 for a, t in zip(nats3, tokens, strict=True))
error = math.sqrt(squares / (N - 1)) / math.sqrt(N)  # in nats per name, as in exercise 12.1
error /= sum(tokens) / N  # in nats per letter
assert math.isclose(error, math.sqrt(N / (N - 1) * squares) / sum(tokens))  # in one formula
print(f"loss {loss3:.4f} ± {error:.4f}")
assert math.isclose(error, evaluation.standard_error, rel_tol=1e-5)  # hornbook's is the same

# %% [markdown] name="bootstrap"
# Is the formula right? The **bootstrap** checks it without any: draw 2,991 names with replacement
# from our names, compute the loss, and do so many times. The spread of the results is the standard
# error.

# %%
generator = torch.Generator().manual_seed(0)
a, t = torch.tensor(nats3), torch.tensor(tokens)
again = torch.randint(N, (200 if fast() else 1000, N), generator=generator)  # one sample a row
resampled = a[again].sum(1) / t[again].sum(1)
print(f"bootstrap {resampled.std():.4f}, formula {error:.4f}")
assert abs(resampled.std().item() / error - 1) < 0.25

plt.figure(figsize=(5.5, 2.8), layout="constrained")
plt.hist(resampled, 30)
plt.axvline(loss3 - error, color="gray", ls=":")
plt.axvline(loss3 + error, color="gray", ls=":", label="one standard error")
plt.xlabel("loss on resampled validation names (nats per letter)")
plt.legend()
plt.show()

# %% [markdown] name="exercise-12-2"
# ### Exercise 12.2: Loss and error by document
#
# Write `loss_and_error(nats, tokens)`: two tensors (N,), the summed nats and the number of tokens
# of each document. Return two numbers: the loss per token, and its standard error with documents as
# units, as above.


# %%
def loss_and_error(nats, tokens):
    raise NotImplementedError  # your code


check("12.2", loss_and_error)

# %% [markdown] name="paired"
# ## Two models on the same names
#
# Counts of four letters have a lower loss than counts of three. But the standard errors are large:
# are the intervals of the two losses apart? That is the wrong question. Both models read the
# **same** names, and a name that is hard for one is hard for the other. So we take the difference
# name by name; what they have in common cancels.

# %%
four = counted(4, **{"model.smoothing": "add-k", "model.k": 1.0})
nats4 = nats_of_names(count(train, 4), 4, validation, k=1.0)
a, b, t = (torch.tensor(x, dtype=torch.float64) for x in (nats3, nats4, tokens))
difference = a - b
mean = difference.sum() / t.sum()
paired_error = ((difference - mean * t).square().sum() * N / (N - 1)).sqrt() / t.sum()
own_errors = three.evaluate("val").standard_error, four.evaluate("val").standard_error
print(f"3 letters {a.sum() / t.sum():.4f} ± {own_errors[0]:.4f}")
print(f"4 letters {b.sum() / t.sum():.4f} ± {own_errors[1]:.4f}")
print(
    f"difference {mean:.4f} ± {paired_error:.4f} in pairs, ± {math.hypot(*own_errors):.4f} if not"
)

plt.figure(figsize=(4.2, 3.6), layout="constrained")
plt.scatter(a / t, b / t, s=3)
plt.axline((2, 2), slope=1, color="gray", ls=":")
plt.xlabel("nats per letter of a name, 3 letters")
plt.ylabel("4 letters")
plt.title("What is hard for one is hard for the other")
plt.show()

# %% [markdown] name="compare"
# `hornbook compare RUN RUN` does this, and says in a sentence whether chance alone could have made
# the difference. A rule of thumb: chance alone seldom makes a difference of more than two standard
# errors (1.96, to be exact: once in 20 times). A larger one is called **significant**.
#
# In the table, `unseen` is the loss on the validation names that are not in the training part as
# well (here all of them), and `new` says how much of what the model writes is not in the training
# part.

# %%
comparison = hornbook.compare([three, four])
print(comparison)
found = comparison.differences[0]
assert math.isclose(abs(found.mean), abs(mean.item()), rel_tol=1e-4)
assert math.isclose(found.standard_error, paired_error.item(), rel_tol=1e-4)

# %% [markdown] name="exercise-12-3"
# ### Exercise 12.3: A paired difference
#
# Write `paired_difference(nats_a, nats_b, tokens)`: three tensors (N,), the nats of model A and of
# model B for the same documents, and their tokens. Return two numbers: how much higher A's loss per
# token is than B's (negative where it is lower), and the standard error of this difference, in
# pairs.


# %%
def paired_difference(nats_a, nats_b, tokens):
    raise NotImplementedError  # your code


check("12.3", paired_difference)

# %% [markdown] name="seeds"
# ## The seed is luck, too
#
# Counts are always the same, but a network begins with random weights and sees its batches in
# random order. Another seed gives another model. If two settings differ by less than their seeds
# do, the comparison has measured luck. Here are two small MLPs as in lesson 5, which differ in the
# size of their hidden layer, with four seeds each. *Spread* is the standard deviation over the
# seeds.


# %%
def windows(names):
    xs, ys = [], []
    for name in names:
        ids = [0, 0, 0, *(ord(letter) - 96 for letter in name), 0]
        for i in range(len(ids) - 3):
            xs.append(ids[i : i + 3])
            ys.append(ids[i + 3])
    return torch.tensor(xs), torch.tensor(ys)


x_train, y_train = windows(train)
x_val, y_val = windows(validation)


def mlp_loss(hidden, seed, steps):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Embedding(27, 10), nn.Flatten(), nn.Linear(30, hidden), nn.Tanh(), nn.Linear(hidden, 27)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        chosen = torch.randint(len(x_train), (128,))
        loss = F.cross_entropy(model(x_train[chosen]), y_train[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return F.cross_entropy(model(x_val), y_val).item()


steps = 60 if fast() else 1500
results = {}
for hidden in (32, 40):
    found = results[hidden] = [mlp_loss(hidden, seed, steps) for seed in range(4)]
    spread = torch.tensor(found).std().item()
    print(f"{hidden} neurons: {[round(loss, 4) for loss in found]}, spread {spread:.4f}")
means = [sum(found) / 4 for found in results.values()]
print(f"difference of the means {means[0] - means[1]:.4f}")

plt.figure(figsize=(5.5, 2.2), layout="constrained")
for hidden, found in results.items():
    plt.plot(found, [f"{hidden} neurons"] * 4, "o", alpha=0.7)
plt.xlabel("validation loss, a point for each seed")
plt.margins(y=0.5)
plt.show()

# %% [markdown] name="seeds-hornbook"
# In a full run the seeds of a setting spread by 0.006 and 0.010, and the two means differ by 0.007.
# With one seed each, either of them could have won. `hornbook train names --seeds 1,2,3` trains one
# run for each seed, and `hornbook compare` takes runs that differ only in their seed as one group,
# and includes this spread in the standard error.

# %% [markdown] name="winner"
# ## The best of many was lucky
#
# Suppose 50 models that are **equally good**, measured with a standard error of 0.006. We choose
# the one with the lowest validation loss, and report that loss. It will be too low: it was chosen
# because it was lucky. On the test part, which played no role in choosing, the luck is gone.

# %%
generator = torch.Generator().manual_seed(1)
true_loss, spread = 2.2, 0.006
on_validation = true_loss + spread * torch.randn(1000, 50, generator=generator)
on_test = true_loss + spread * torch.randn(1000, 50, generator=generator)
chosen = on_validation.argmin(1, keepdim=True)
promised = on_validation.gather(1, chosen).mean().item()
kept = on_test.gather(1, chosen).mean().item()
print(f"the best of 50: {promised:.4f} on validation, {kept:.4f} on test; the truth is {true_loss}")
assert promised < true_loss - spread
assert abs(kept - true_loss) < spread / 5

# %% [markdown] name="several-tests"
# The same happens with tests of significance. A test asks: if both models were equally good, how
# probable would a difference at least as large as the one that was found be? This probability is
# its **p-value**. Two standard errors give a p-value of about 0.05. If the p-value is below a
# *level*, mostly 0.05, the difference is called significant. So if nothing is there, a single test
# errs once in 20 times. Of 20 tests one will probably err, and that one gets published.
#
# **Holm's correction** (1979) keeps the risk of any error at 1 in 20. Of m tests the smallest
# p-value has to be below 0.05 / m, the next one below 0.05 / (m - 1), and so on; at the first that
# is not, stop: it and all larger ones are not significant. `hornbook compare` and `hornbook ladder`
# apply it.

# %% [markdown] name="exercise-12-4"
# ### Exercise 12.4: Holm's correction
#
# Write `holm(p_values, level)`: p_values is a list of m numbers in any order, and level a number
# such as 0.05, which stands in the place of 0.05 above. Return a list of m booleans in the order of
# `p_values`: True for those that are significant.


# %%
def holm(p_values, level):
    raise NotImplementedError  # your code


check("12.4", holm)

# %% [markdown] name="exercise-12-5"
# ### Exercise 12.5: Bits per byte
#
# Models with different tokens are compared in bits per byte (lesson 11). Write
# `bits_per_byte(nats, text)`: nats is the sum of -log p over all tokens of the text, a number; text
# is a string, which may contain any characters; its bytes are those of UTF-8. Return a number.


# %%
def bits_per_byte(nats, text):
    raise NotImplementedError  # your code


check("12.5", bits_per_byte)

# %% [markdown] name="memorization"
# ## Does it create, or copy?
#
# A low validation loss shows that a model knows the language of names. It does not show that what
# it writes is new. Let counts of more and more letters write names, and look for these in the
# training part.


# %%
def write(counts, n, chance):
    name = ""
    while True:
        row = counts[("." * (n - 1) + name)[len(name) :]]
        letter = chance.choices(list(row), list(row.values()))[0]
        if letter == ".":
            return name
        name += letter


known, held_out = set(train), set(validation) | set(test)
chance = random.Random(0)
shares = {"copies of the training part": [], "expected by chance": []}
orders = [2, 3, 4, 5, 6, 8]
for n in orders:
    counts = count(train, n)
    written = [write(counts, n, chance) for _ in range(300 if fast() else 1000)]
    copied = sum(name in known for name in written) / len(written)
    matching = sum(name in held_out for name in written) / len(written)
    shares["copies of the training part"].append(copied)
    shares["expected by chance"].append(matching * len(known) / len(held_out))
    print(f"n = {n}: {copied:.0%} are copies, e.g. {written[:4]}")

plt.figure(figsize=(5.5, 3.2), layout="constrained")
for name, values in shares.items():
    plt.plot(orders, values, "o-", label=name)
plt.xlabel("letters counted together (n)")
plt.ylabel("share of what it writes")
plt.legend()
plt.show()
assert shares["copies of the training part"][-1] > 0.9

# %% [markdown] name="memorization-reading"
# But some copies are no copying. A model that has really learned how names sound will hit upon
# `anna` by itself. How often? Held-out names tell: the model has never seen them, so if it writes
# one of them, that is chance. The held-out parts are a quarter the size of the training part, so
# four times as many hits are to be expected in the training part. Only what goes beyond that is
# **memorization**. In the picture that is the distance between the curves: there is none up to
# three letters, and at eight letters nearly everything is a copy, and hardly a held-out name is hit
# upon.
#
# hornbook measures this after each training; the verdict says what it found. Whether a single text
# is a copy, `mark_copies` says.

# %%
print(three.report["verdict"]["text"])
written = [sample.text for sample in three.sample(200, seed=0)]
assert three.mark_copies(written) == [name in known for name in written]
print(f"{sum(three.mark_copies(written))} of 200 names are in the training part")

# %% [markdown] name="exercise-12-6"
# ### Exercise 12.6: Copies beyond chance
#
# Write `copies(samples, train, held_out)`: three lists of strings. Return two shares of the
# samples, numbers such as 0.25: that of the samples that appear in the training part, and that of
# the samples that are expected to appear there by chance, estimated from the held-out part as
# above. The same text may occur several times in a list. Each sample counts; but the size of a part
# is the number of its *different* texts.


# %%
def copies(samples, train, held_out):
    raise NotImplementedError  # your code


check("12.6", copies)

# %% [markdown] name="test"
# ## And at the very end, the test
#
# We chose by the validation part; now we look at the test part, once, and report that number, with
# its standard error and the baseline beside it.

# %%
final = four.evaluate("test")
print(f"counts of 4 letters: {final.nats:.4f} ± {final.standard_error:.4f} nats per letter")
folder.cleanup()

# %% [markdown] name="explain"
# ## You can now explain
#
# - what training, validation and test parts are each for, and why the last is used once;
# - what overfitting looks like, and why counts are the baseline that any network has to beat;
# - what a standard error is, why documents are its units, and how the bootstrap checks it;
# - why models are compared in pairs, why seeds matter, and why the best of many is worse than it
#   looks;
# - how to compare models with different tokens;
# - how to tell memorization from chance.
#
# This was the last lesson. `hornbook ladder names` trains all the models of these lessons on the
# same names and compares them in just this way. You can explain every line of what it prints.
