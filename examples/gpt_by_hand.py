"""A whole GPT by hand: every number in it is a `Value` of hornbook's scalar engine. It learns names.

    python examples/gpt_by_hand.py                         trains, and writes new names
    python examples/gpt_by_hand.py --steps 50 --compare    times 50 steps, eager and compiled

Standard library only. It is the GPT of microgpt (Karpathy 2026), with 4,192 parameters. A matrix is a
list of rows; a row holds the weights of one output. `compile` turns the loss of a block of text and
all its gradients into one Python function.
"""

import argparse
import random
import time
from functools import reduce
from importlib import resources
from operator import add, mul
from statistics import mean, median

from hornbook.autograd import Adam, Value, compile

CONTEXT, CHANNELS, HEADS, LAYERS = 16, 16, 4, 1
SIZE = CHANNELS // HEADS  # channels of a head
ALPHABET = ".abcdefghijklmnopqrstuvwxyz"  # "." ends each name and so starts the next one
ONE_HOT = [[float(i == j) for j in range(len(ALPHABET))] for i in range(len(ALPHABET))]

Row, Matrix = list[Value], list[list[Value]]


def dot(a, b) -> Value:
    return reduce(add, map(mul, a, b))


def linear(x: Row, weights: Matrix) -> Row:
    return [dot(row, x) for row in weights]


def softmax(scores: Row) -> Row:
    powers = [score.exp() for score in scores]
    share = 1 / reduce(add, powers)
    return [power * share for power in powers]


def rms_norm(x: Row) -> Row:
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5
    return [value * scale for value in x]


def attend(query: Row, keys: Matrix, values: Matrix) -> Row:
    """The mean of the values, weighted by how well each key fits the query."""
    weights = softmax([dot(query, key) * SIZE**-0.5 for key in keys])
    return [dot(weights, channel) for channel in zip(*values, strict=True)]


class GPT:
    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)

        def matrix(rows: int, columns: int) -> Matrix:
            return [[Value(rng.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]

        self.tokens, self.head = (matrix(len(ALPHABET), CHANNELS) for _ in range(2))
        self.positions = matrix(CONTEXT, CHANNELS)
        shapes = dict.fromkeys(("query", "key", "value", "mix"), (CHANNELS, CHANNELS))
        shapes |= {"up": (4 * CHANNELS, CHANNELS), "down": (CHANNELS, 4 * CHANNELS)}
        self.blocks = [{n: matrix(*s) for n, s in shapes.items()} for _ in range(LAYERS)]
        matrices = [self.tokens, self.head, self.positions]
        matrices += [weights for block in self.blocks for weights in block.values()]
        self.parameters = [value for weights in matrices for row in weights for value in row]

    def embed(self, ids: list[int]) -> list[Row]:
        """What the network reads: token plus position, (T, CHANNELS)."""
        return [list(map(add, self.tokens[i], self.positions[t])) for t, i in enumerate(ids)]

    def logits(self, xs: list[Row]) -> list[Row]:
        """Embedded tokens, (T, CHANNELS) -> scores of the token after each, (T, len(ALPHABET))."""
        xs = [rms_norm(x) for x in xs]
        for block in self.blocks:
            normed = [rms_norm(x) for x in xs]
            q, k, v = ([linear(x, block[n]) for x in normed] for n in ("query", "key", "value"))
            for t in range(len(xs)):  # position t attends to itself and to the earlier ones
                heads: Row = []
                for head in (slice(c, c + SIZE) for c in range(0, CHANNELS, SIZE)):
                    keys, values = ([row[head] for row in rows[: t + 1]] for rows in (k, v))
                    heads += attend(q[t][head], keys, values)
                xs[t] = list(map(add, xs[t], linear(heads, block["mix"])))
            for t, x in enumerate(xs):
                hidden = [value.relu() for value in linear(rms_norm(x), block["up"])]
                xs[t] = list(map(add, x, linear(hidden, block["down"])))
        return [linear(x, self.head) for x in xs]

    def loss(self, xs: list[Row], targets: list[list[float]]) -> Value:
        """Mean cross-entropy in nats. Targets are one-hot, as compiled code cannot use an index."""
        right = [dot(t, softmax(x)) for t, x in zip(targets, self.logits(xs), strict=True)]
        return -reduce(add, [p.log() for p in right]) / len(xs)

    def sample(self, rng: random.Random) -> str:
        ids = [0]
        while len(ids) == 1 or (ids[-1] and len(ids) < CONTEXT):
            weights = [p.data for p in softmax(self.logits(self.embed(ids))[-1])]
            ids += rng.choices(range(len(ALPHABET)), weights)
        return "".join(ALPHABET[i] for i in ids).strip(".")


def blocks(seed: int):
    """Endless blocks of CONTEXT + 1 ids; each begins at a name and runs on through the next ones."""
    names = (resources.files("hornbook") / "data/names.txt").read_text("utf-8").split()
    rng = random.Random(seed)
    while True:
        letters = "." + ".".join(rng.choices(names, k=CONTEXT))
        yield [ALPHABET.index(letter) for letter in letters[: CONTEXT + 1]]


def train(steps: int, seed: int = 0, *, compiled: bool = True):
    """The trained GPT, and of each step its loss and its seconds of processor time."""
    gpt, data, losses, seconds = GPT(seed), blocks(seed), [], []
    loss_of = compile(gpt.loss) if compiled else gpt.loss
    optimizer = Adam(gpt.parameters, betas=(0.85, 0.99))
    for step in range(steps):
        start, ids = time.process_time(), next(data)
        loss = loss_of(gpt.embed(ids[:-1]), [ONE_HOT[i] for i in ids[1:]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.lr = 0.01 * (1 - step / steps)
        optimizer.step()
        losses.append(loss.data)
        seconds.append(time.process_time() - start)
        if (step + 1) % 50 == 0:
            print(f"step {step + 1:5}  loss {mean(losses[-50:]):.3f}  {sum(seconds):5.1f} s")
    return gpt, losses, seconds


def compare(steps: int) -> None:
    (_, slow, a), (_, fast, b) = (train(steps, compiled=compiled) for compiled in (False, True))
    print(f"the same loss in every step, to the last bit: {slow == fast}")
    eager, quick, once = median(a), median(b), b[0] - median(b)
    print(f"a step: {eager:.3f} s eager, {quick:.4f} s compiled, {eager / quick:.0f} times as fast")
    print(f"compiling: {once:.1f} s once, paid back after {once / (eager - quick):.0f} steps")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Trains a GPT of single numbers on names.")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--compare", action="store_true", help="time the steps, eager and compiled")
    args = parser.parse_args()
    if args.compare:
        compare(args.steps)
    else:
        gpt, *_ = train(args.steps)
        print(*[gpt.sample(random.Random(i)) for i in range(10)], sep="\n")
