# %% [markdown] name="title" needs="3, 10" reading="60" running="1"
# # Lesson 11: Tokenization
#
# **New in this lesson:** where tokens come from. So far a token was a character. Large language
# models read pieces of words instead, and learn from a text which pieces: by **byte pair
# encoding**, BPE (Gage 1994; for language models Sennrich et al. 2016). We build it by hand: train,
# encode, decode. Then we see that hornbook's own tokenizer learns the same tokens from the same
# text, and what tokens do to a model.

# %%
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from pydoc_data.topics import topics

import matplotlib.pyplot as plt

import hornbook
from hornbook.data.corpora import CORPORA
from hornbook.lessons import check, fast, hint, solution
from hornbook.tokenizers.bpe import LETTERS, train_bpe
from hornbook.tokenizers.words import OWN

# %% [markdown] name="bytes"
# ## A text is bytes
#
# A computer stores a text as **bytes**, numbers from 0 to 255. The standard way is UTF-8: an
# English letter is one byte, other characters are two to four. `text.encode()` gives the bytes of a
# text, and `list` of it their numbers. Python writes bytes as `b'ab'`.

# %%
for sample in ("hornbook", "über", "语言模型", "🙂"):
    print(f"{sample}: {len(sample)} characters, {len(sample.encode())} bytes", end=" ")
    print(list(sample.encode())[:8])

# %% [markdown] name="trade"
# So bytes could be our tokens: 256 of them are enough for every language and every emoji, and
# nothing is ever unknown. The price is length. A model with a context of 256 tokens would see a
# quarter of a page, and attention compares every position with every other, so twice the length is
# four times the work.
#
# Whole words would be short sequences, but there is no end of words: names, typing errors, other
# languages. BPE is in between: frequent pieces get a token of their own, and everything else is
# spelled in smaller ones, down to bytes.
#
# Our text is the beginning of tiny Shakespeare where your computer has it, and otherwise the manual
# that comes with Python (see lesson 10).

# %%
path = CORPORA["shakespeare"].path()
text = path.read_text(encoding="utf-8") if path else "\n".join(topics.values())
text = text[: 20_000 if fast() else 100_000]
ids = list(text.encode())
print(f"{len(text):,} characters, {len(ids):,} bytes")
print(text[:60])
print(ids[:60])

# %% [markdown] name="pairs"
# ## The most frequent pair
#
# Which two bytes follow each other most often? Counting pairs is what we did for the bigram in
# lesson 3. `pairwise(ids)` goes through all pairs of neighbors.

# %%
pairs = Counter(pairwise(ids))
for (a, b), n in pairs.most_common(5):
    print(f"{bytes([a, b])!r} occurs {n} times")

# %% [markdown] name="exercise-11-1"
# ### Exercise 11.1: Count pairs
#
# Write `count_pairs(ids)`: ids is a list of numbers; the result is a dict (or Counter) from each
# pair of neighbors, a tuple, to how often it occurs. Of `[1, 1, 1, 2]` it is
# `{(1, 1): 2, (1, 2): 1}`.
#
# `hint("11.1")` helps, `solution("11.1")` shows one way; for a file of your own there is
# `hornbook check 11.1 my_file.py`.


# %%
def count_pairs(ids):
    raise NotImplementedError  # your code


check("11.1", count_pairs)

# %% [markdown] name="merge"
# ## Merge it
#
# The most frequent pair becomes a new token, number 256, and replaces the pair wherever it occurs.
# The text gets shorter, the vocabulary larger by one.


# %%
def merge(ids, pair, new):
    merged, i = [], 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


first = pairs.most_common(1)[0][0]
shorter = merge(ids, first, 256)
print(f"{bytes(first)!r} becomes token 256: {len(ids):,} -> {len(shorter):,} tokens")
assert len(shorter) == len(ids) - shorter.count(256)

# %% [markdown] name="repeat"
# ## And again
#
# That is the whole algorithm: count, merge, repeat. From the second time on a pair may contain
# tokens that were merged before, so tokens grow: `t` + `h`, then `th` + `e`. The list of merges, in
# their order, is the trained tokenizer.

# %%
merges, lengths = [], [len(ids)]
tokens = [bytes([i]) for i in range(256)]  # what each token stands for
sequence = ids
for new in range(256, 256 + 60):
    pair = Counter(pairwise(sequence)).most_common(1)[0][0]
    sequence = merge(sequence, pair, new)
    merges.append(pair)
    tokens.append(tokens[pair[0]] + tokens[pair[1]])
    lengths.append(len(sequence))

print("the first:", tokens[256:266])
print("the last: ", tokens[-10:])
assert b"".join(tokens[i] for i in sequence) == text.encode()  # nothing is lost

plt.figure(figsize=(5.5, 3.2), layout="constrained")
plt.plot(range(256, 256 + len(lengths)), [len(ids) / n for n in lengths])
plt.xlabel("vocabulary size")
plt.ylabel("bytes per token")
plt.title("Each merge makes the text shorter, less and less so")
plt.show()

# %% [markdown] name="exercise-11-2"
# ### Exercise 11.2: Merge one pair
#
# Write your own `merge_pair(ids, pair, new)`: a list in which each occurrence of the pair is
# replaced by the number `new`, from left to right. Of `[1, 1, 1]` with the pair (1, 1) and 9 it is
# `[9, 1]`: what has been merged is not used twice. The given list must stay as it is.


# %%
def merge_pair(ids, pair, new):
    raise NotImplementedError  # your code


check("11.2", merge_pair)

# %% [markdown] name="decode"
# ## Decode
#
# The way back is easy: join the bytes of the tokens, and read them as UTF-8. One thing can go
# wrong. A model may produce any sequence of tokens, and not every sequence of bytes is UTF-8: byte
# 128, for example, may only continue a character, never begin one. Python then raises an error,
# unless told to put the sign � in its place.

# %%
print(b"".join(tokens[i] for i in sequence[:30]).decode())
print(bytes([104, 105, 128]).decode("utf-8", errors="replace"))

# %% [markdown] name="exercise-11-3"
# ### Exercise 11.3: Decode
#
# Write `decode(ids, merges)`: the text of a list of ids. The tokens 0 to 255 are bytes, and
# `merges[i]`, a pair of ids, is what token 256 + i was made of. Bytes that are no UTF-8 become �.


# %%
def decode(ids, merges):
    raise NotImplementedError  # your code


check("11.3", decode)

# %% [markdown] name="encode"
# ## Encode
#
# A new text is encoded by the merges that were learned. **In which order?** In that in which they
# were learned: an early merge made the pieces that later ones are made of. So, as long as there is
# a pair in the sequence that is in the list of merges, the one that comes **first in the list** is
# merged. It does not matter how often a pair occurs in the new text; nothing is learned any more.


# %%
def encode(data, merges):
    rank = {pair: i for i, pair in enumerate(merges)}
    ids = list(data)
    while len(ids) > 1:
        found = set(pairwise(ids))
        pair = min(found, key=lambda pair: rank.get(pair, len(merges)))
        if pair not in rank:
            break  # nothing left to merge
        ids = merge(ids, pair, 256 + rank[pair])
    return ids


assert encode(text.encode(), merges) == sequence  # the text that was learned from
for new_text in ("the other day", "zebra", "语"):
    found = encode(new_text.encode(), merges)
    print(f"{new_text!r} is", [tokens[i] for i in found])

# %% [markdown] name="exercise-11-4"
# ### Exercise 11.4: Encode
#
# Write `encode_text(text, merges)`: the ids of a text (a string) by a list of merges, as above:
# `merges[i]` makes the token 256 + i. The text may be empty. It is a good exercise to write it
# without looking.


# %%
def encode_text(text, merges):
    raise NotImplementedError  # your code


check("11.4", encode_text)

# %% [markdown] name="words"
# ## Words first
#
# Left alone, BPE makes strange tokens: `e t` across the border of two words, or `day.`, `day,` and
# `day!`, three tokens that a model has to learn one by one. So since GPT-2, a text is first cut
# into words by a pattern (a regular expression), and pairs are counted and merged **within words**
# only. A word takes the space before it along. `OWN.cut` is hornbook's pattern at work:

# %%
sentence = "The dog's 2 friends ran, and ran! Où ça?"
print(OWN.cut(sentence))
assert "".join(OWN.cut(sentence)) == sentence  # cut, nothing removed

# %% [markdown] name="exercise-11-5"
# ### Exercise 11.5: Learn merges
#
# Write `learn_merges(words, n)`: words is a list of strings, in which a word appears as often as in
# the text. Return the list of n merges (pairs of ids): a word begins as its bytes, and the first
# merge makes the token 256, the next one 257, as above. Pairs are counted within words only, and
# again after each merge. If several pairs are the most frequent, any of them will do. Stop early if
# no pair occurs twice.


# %%
def learn_merges(words, n):
    raise NotImplementedError  # your code


check("11.5", learn_merges)

# %% [markdown] name="special"
# ## Special tokens
#
# Some tokens stand for no text at all: the end of a document, or the beginning of a user's turn in
# a chat. They are written as `<|endoftext|>` or similar, and must never come out of ordinary
# encoding, or a user could end the document by typing it. So they have ids of their own beyond all
# merges, and an encoder treats that spelling as text, unless it is told otherwise.

# %% [markdown] name="exercise-11-6"
# ### Exercise 11.6: Special tokens
#
# Write `encode_special(text, special, encode)`: `special` is a dict from spellings to ids, and
# `encode(text)` returns the ids of ordinary text. Wherever one of the spellings occurs, its id is
# used; the text before, between and after them is encoded, each piece by one call of `encode`.
# Empty pieces need not be encoded. `re.split` of Python's module `re` is useful here.


# %%
def encode_special(text, special, encode):
    raise NotImplementedError  # your code


check("11.6", encode_special)

# %% [markdown] name="hornbook"
# ## The same in hornbook
#
# `train_bpe` has the library `tokenizers` do the counting, in Rust. Let us train ours within words,
# for as many merges, and compare. Where several pairs are equally frequent, the library takes the
# one that comes first in its alphabet, which writes each byte as a printable letter (a space is
# `Ġ`); we do the same.

# %%
size = 256 + (40 if fast() else 200)
words = Counter(OWN.cut(text))  # each different word once, and how often it occurs
spelled = {word: list(word.encode()) for word in words}
# the place of each byte in the library's alphabet: LETTERS[byte] is the letter it writes for it
place = {byte: i for i, byte in enumerate(sorted(range(256), key=lambda byte: LETTERS[byte]))}
own_merges = []
for new in range(256, size):
    counts = Counter()
    for word, n in words.items():
        for pair in pairwise(spelled[word]):
            counts[pair] += n
    # the most frequent pair, and of several the first in the alphabet; tokens come after all bytes
    best = min(counts, key=lambda p: (-counts[p], *(place.get(i, i) for i in p)))
    own_merges.append(best)
    spelled = {word: merge(found, best, new) for word, found in spelled.items()}

tokenizer = train_bpe([text], size, documents=False)  # one long text
letters = {letter: i for i, letter in enumerate(LETTERS)}  # their spelling -> our number
for left, right in tokenizer.merges:
    letters[left + right] = len(letters)
their_merges = [(letters[left], letters[right]) for left, right in tokenizer.merges]
assert their_merges == own_merges
print(f"{len(own_merges)} merges, all the same; the last:", tokenizer.symbol(size - 1).strip())

# %%
new_text = "Good morrow, friend! Is it 12 o'clock? 语言"
ours = [i for word in OWN.cut(new_text) for i in encode(word.encode(), own_merges)]
assert ours == tokenizer.encode(new_text).tolist()
assert tokenizer.decode(ours) == new_text
print([tokenizer.symbol(i) for i in ours])

# %% [markdown] name="oddities"
# ## What tokens do to a model
#
# Many oddities of language models are oddities of their tokens.
#
# - **Spelling.** A token is one number. A model that reads `strawberry` as one or two tokens does
#   not see its letters, and cannot simply count the r's.
# - **Arithmetic.** If `127` is one token and `677` two, digits do not line up. So newer tokenizers,
#   and hornbook's, cut digits apart.
# - **Spaces.** `"the"` and `" the"` are different tokens. A prompt that ends in a space asks for
#   something rare.
# - **Other languages.** A tokenizer trained on English spells Chinese in single bytes: the same
#   sentence takes more tokens, so the context holds less of it and each answer costs more.

# %%
for sample in ("the king", " the king", "strawberry", "127 + 677", "你好，世界"):
    print(f"{sample!r:14}", [tokenizer.symbol(i) for i in tokenizer.encode(sample)])

# %% [markdown] name="vocabulary"
# ## How many tokens?
#
# A larger vocabulary makes texts shorter, but each token rarer, and its row in the embedding has
# fewer examples to learn from. The right size grows with the text: GPT-2 has 50,257 tokens for 40
# GB; for a megabyte a few hundred to a thousand are enough, or plain characters.
#
# Losses per token cannot be compared between tokenizers, as a token that covers more text is harder
# to predict. What can be compared is **bits per byte**: the loss of the whole text, divided by its
# bytes, in bits (nats divided by log 2). The cell counts, as in lesson 3, for three tokenizers
# (`ngram` with `order` 4 predicts a token from the three before it). With more tokens the nats per
# token grow steeply, but the bits per byte hardly change: the models are about equally good.

# %%
with tempfile.TemporaryDirectory() as folder:
    book = Path(folder) / "book.txt"
    book.write_text(text, encoding="utf-8")
    results = {}
    for kind, vocab_size in (("char", None), ("bpe", 300), ("bpe", 500)):
        settings = {"tokenizer.kind": kind, "model.order": 4}
        if vocab_size:
            settings["tokenizer.vocab_size"] = vocab_size
        run = hornbook.train(
            book,
            model="ngram",
            out=Path(folder) / f"{kind}-{vocab_size}",
            settings=settings,
            progress=False,
        )
        found = run.evaluate("val")
        name = f"{kind}, {run.model.vocab_size} tokens"
        results[name] = found
        print(f"{name:17} {found.nats:.3f} nats per token, {found.bits_per_byte:.3f} bits per byte")

plt.figure(figsize=(5.5, 2.6), layout="constrained")
plt.barh(list(results), [found.bits_per_byte for found in results.values()])
plt.xlabel("bits per byte of counts of 4 tokens (lower is better)")
plt.show()

# %% [markdown] name="explain"
# ## You can now explain
#
# - what bytes, characters and tokens are, and why most models read neither single bytes nor whole
#   words;
# - how BPE learns its tokens, and why the order of the merges is the tokenizer;
# - why a text is cut into words first, and what special tokens are for;
# - why decoding can fail on what a model produced;
# - why language models find it hard to spell and to calculate;
# - why losses of different tokenizers are compared in bits per byte.
#
# Lesson 12 compares models: honestly.
