// A bag of words: the plain average of the embeddings so far, then a small MLP.

import { add, mapped } from "../layers.js";
import { CachedModel } from "./cached.js";

export class Bow extends CachedModel {
  constructor(config, weights) {
    super(config.context_length);
    this.embedding = weights.table("token_embedding.weight");
    this.positions = weights.table("position_embedding.weight");
    this.up = weights.linear("mlp.0");
    this.down = weights.linear("mlp.2");
    this.output = weights.linear("head");
  }

  emptyCache() {
    return new Float32Array(this.embedding.width); // the sum so far
  }

  read(id, state, position) {
    const x = add(this.embedding.row(id).slice(), this.positions.row(position));
    const sum = add(state.cache, x);
    for (let i = 0; i < x.length; i++) x[i] += sum[i] / (position + 1);
    return add(x, this.down.apply(mapped(this.up.apply(x), Math.tanh)));
  }

  head(x) {
    return this.output.apply(x).slice();
  }
}
