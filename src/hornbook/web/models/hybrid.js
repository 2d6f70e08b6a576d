// Counts and a GPT as one: logits = f(ids, log p) + a * log p, with p of Kneser-Ney counts; their
// softmax is mixed with p once more, by a weight that was fitted to held-out text.

import { logSoftmax, mapped } from "../layers.js";
import { CachedModel } from "./cached.js";
import { KneserNey } from "./counts.js";

export class Hybrid extends CachedModel {
  /** network: the GPT, built from weights.at("network"). */
  constructor(config, weights, vocabSize, network) {
    super(config.context_length);
    this.network = network;
    this.counts = new KneserNey(config.order, weights.at("counts"), vocabSize);
    this.countEmbedding = weights.transposed("count_embedding.weight");
    this.gate = [weights.linear("gate.0"), weights.linear("gate.2")];
    this.trust = config.held_back ? weights.vector("trust") : null;
    this.attentionLayers = network.attentionLayers;
    this.embedding = network.embedding;
  }

  emptyCache() {
    return this.network.emptyCache();
  }

  read(id, state, position) {
    const { logP, seen } = this.counts.logProbabilities(state.ids);
    const mean = logP.reduce((sum, x) => sum + x, 0) / logP.length;
    const centered = Float32Array.from(logP, (x) => (x - mean) / 3);
    const added = this.countEmbedding.multiply(centered);
    return { hidden: this.network.read(id, state, position, added), logP, seen };
  }

  head({ hidden, logP, seen }) {
    const logits = this.network.head(hidden);
    const [first, last] = this.gate;
    const known = features(logSoftmax(logits), logP, seen);
    const a = 1 + last.apply(mapped(first.apply(known), Math.tanh))[0];
    const joined = logits.map((x, i) => x + a * logP[i]);
    if (!this.trust) return joined;
    const logQ = logSoftmax(joined);
    let odds = this.trust.at(-1);
    features(logQ, logP, seen).forEach((x, i) => (odds += x * this.trust[i]));
    const network = -logAddExp(0, -odds);
    const counts = -logAddExp(0, odds);
    return logQ.map((x, i) => logAddExp(x + network, logP[i] + counts));
  }
}

/** What a context shows: how often each length of it was seen, and the entropy and the largest
 * probability of two predictions. */
function features(logQ, logP, seen) {
  const found = seen.map((n) => Math.log1p(n) / 4);
  for (const log of [logP, logQ]) {
    const p = log.map(Math.exp);
    found.push(-p.reduce((sum, x, i) => sum + (x > 0 ? x * log[i] : 0), 0), Math.max(...p));
  }
  return found;
}

/** log(exp(a) + exp(b)). */
function logAddExp(a, b) {
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}
