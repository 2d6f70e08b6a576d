// Models of counts: the bigram's table, n-grams, and the Kneser-Ney counts of a hybrid.
//
// A context of length k is known by (context of length k - 1) * V + (the token before it), so a chain
// of binary searches finds the longest that was counted. V: size of the vocabulary.

/** The notes' neural bigram: a row of logits for each token. */
export class Bigram {
  constructor(config, weights) {
    this.contextLength = 1;
    this.table = weights.table("weight");
  }

  start(ids) {
    return { logits: this.step(ids.at(-1)), state: {} };
  }

  step(id) {
    return this.table.row(id).slice();
  }
}

/** Smoothed counts of the last few tokens: p = backoff[context] * p + value[context, next]. */
export class NGram {
  constructor(config, weights, vocabSize) {
    this.contextLength = Math.max(1, config.order - 1);
    this.vocabSize = vocabSize;
    const names = ["keys", "backoff", "offsets", "next", "value"];
    this.lengths = Array.from({ length: config.order }, (_, length) =>
      Object.fromEntries(names.map((name) => [name, weights.vector(`${name}_${length}`)])),
    );
  }

  start(ids) {
    const state = { ids: ids.slice(-this.contextLength) };
    return { logits: this.logits(state.ids), state };
  }

  step(id, state) {
    state.ids = [...state.ids, id].slice(-this.contextLength);
    return this.logits(state.ids);
  }

  logits(ids) {
    const p = new Float32Array(this.vocabSize).fill(1 / this.vocabSize);
    const contexts = findContexts(ids, this.lengths, this.vocabSize);
    contexts.forEach((context, length) => {
      if (context < 0) return;
      const { backoff, offsets, next, value } = this.lengths[length];
      for (let i = 0; i < p.length; i++) p[i] *= backoff[context];
      for (let e = offsets[context]; e < offsets[context + 1]; e++) p[next[e]] += value[e];
    });
    return p.map(Math.log);
  }
}

/** Kneser-Ney counts as a hybrid stores them: keys, pairs and how often each pair occurs. */
export class KneserNey {
  constructor(order, weights, vocabSize) {
    this.vocabSize = vocabSize;
    const stored = Array.from({ length: order }, (_, length) =>
      Object.fromEntries(
        ["keys", "pairs", "raw"].map((name) => [name, weights.vector(`${name}_${length}`)]),
      ),
    );
    this.lengths = stored.map((level, length) => ({
      keys: level.keys,
      ...tables(level, stored[length + 1], vocabSize),
    }));
  }

  /** log p of every token after these ids, and how often the context of each length was seen. */
  logProbabilities(ids) {
    const p = new Float64Array(this.vocabSize).fill(1 / this.vocabSize);
    const seen = findContexts(ids, this.lengths, this.vocabSize).map((context, length) => {
      if (context < 0) return 0;
      const { offsets, next, left, total, freed } = this.lengths[length];
      const n = total[context];
      if (n > 0) {
        for (let i = 0; i < p.length; i++) p[i] *= freed[context] / n;
        for (let e = offsets[context]; e < offsets[context + 1]; e++) p[next[e]] += left[e] / n;
      }
      return n;
    });
    return { logP: p.map((q) => Math.log(Math.max(q, 1e-10))), seen };
  }
}

/** What follows from the counts of one length; longer: those of the next, if there is one. */
function tables({ keys, pairs, raw }, longer, vocabSize) {
  const contexts = Math.max(1, keys.length);
  const count = Float64Array.from(raw);
  if (longer) {
    const distinct = new Float64Array(pairs.length); // in how many longer contexts a pair occurs
    for (const pair of longer.pairs) {
      const context = Math.floor(pair / vocabSize);
      const shorter = Math.floor(longer.keys[context] / vocabSize) * vocabSize + (pair % vocabSize);
      distinct[find(pairs, shorter)] += 1;
    }
    distinct.forEach((n, i) => n > 0 && (count[i] = n));
  }
  const discount = discounts(count);
  const made = { offsets: new Float64Array(contexts + 1), next: new Float64Array(pairs.length) };
  const [left, total, freed] = [pairs.length, contexts, contexts].map((n) => new Float64Array(n));
  pairs.forEach((pair, i) => {
    const context = Math.floor(pair / vocabSize);
    const taken = discount[Math.min(count[i], 3)];
    made.next[i] = pair % vocabSize;
    made.offsets[context + 1] += 1;
    left[i] = count[i] - taken;
    total[context] += count[i];
    freed[context] += taken;
  });
  for (let i = 0; i < contexts; i++) made.offsets[i + 1] += made.offsets[i];
  return { ...made, left, total, freed };
}

/** The discounts of counts of 0, 1, 2 and 3 or more (Chen and Goodman 1999, equation 26). */
function discounts(count) {
  const [n1, n2, n3, n4] = [1, 2, 3, 4].map((k) => count.reduce((n, c) => n + (c === k), 0));
  if (n1 * n2 === 0) return [0, 0.5, 0.75, 0.9];
  const y = n1 / (n1 + 2 * n2);
  const d = [1 - (2 * y * n2) / n1, 2 - (3 * y * n3) / n2, n3 ? 3 - (4 * y * n4) / n3 : 1.5];
  return [0, ...d.map((x, i) => Math.min(Math.max(x, 0.05), i + 0.95))];
}

/** The context of each length after these ids: its rank among those that were counted, or -1. */
function findContexts(ids, lengths, vocabSize) {
  const contexts = [0];
  for (let length = 1; length < lengths.length; length++) {
    const older = ids.length - length;
    const shorter = contexts[length - 1];
    const known = shorter >= 0 && older >= 0;
    contexts.push(known ? find(lengths[length].keys, shorter * vocabSize + ids[older]) : -1);
  }
  return contexts;
}

/** Where a number is among sorted numbers, -1 where it is not there. */
function find(sorted, wanted) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === wanted ? low : -1;
}
