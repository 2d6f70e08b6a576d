// Counts and a GPT as one: logits = f(ids, log p) + a * log p, with p of Kneser-Ney counts.

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
    const features = seen.map((n) => Math.log1p(n) / 4);
    for (const logQ of [logP, logSoftmax(logits)]) {
      const q = logQ.map(Math.exp);
      features.push(-q.reduce((sum, x, i) => sum + (x > 0 ? x * logQ[i] : 0), 0), Math.max(...q));
    }
    const [first, last] = this.gate;
    const a = 1 + last.apply(mapped(first.apply(features), Math.tanh))[0];
    return logits.map((x, i) => x + a * logP[i]);
  }
}
