// The notes' GPT (the GPT-2 form): learned positions, LayerNorm, ReLU or GELU.

import { ACTIVATIONS, add, attend, emptyCache, layerNorm, mapped } from "../layers.js";
import { CachedModel } from "./cached.js";

export class GPT2 extends CachedModel {
  constructor(config, weights) {
    super(config.context_length);
    this.embedding = weights.table("token_embedding.weight");
    this.positions = weights.table("position_embedding.weight");
    this.blocks = Array.from(
      { length: config.n_layer },
      (_, i) => new Block(config, weights.at(`blocks.${i}`)),
    );
    this.norm = norm(weights, "ln_f", config.norm_eps);
    this.output = weights.linear(config.tie_embeddings ? "token_embedding" : "head");
    this.attentionLayers = config.n_layer;
  }

  emptyCache() {
    return this.blocks.map(emptyCache);
  }

  read(id, state, position, added = null) {
    const x = add(this.embedding.row(id).slice(), this.positions.row(position));
    if (added) add(x, added);
    this.blocks.forEach((block, i) => block.apply(x, position, state.cache[i], state.seen));
    return x;
  }

  head(x) {
    return this.output.apply(this.norm(x)).slice();
  }
}

class Block {
  constructor(config, weights) {
    this.heads = config.n_head;
    this.activation = ACTIVATIONS[config.activation];
    this.norm1 = norm(weights, "ln1", config.norm_eps);
    this.norm2 = norm(weights, "ln2", config.norm_eps);
    this.qkv = weights.linear("attn.qkv");
    this.proj = weights.linear("attn.proj");
    this.up = weights.linear("mlp.0");
    this.down = weights.linear("mlp.2");
  }

  apply(x, position, cache, seen) {
    const qkv = this.qkv.apply(this.norm1(x));
    const C = x.length;
    const [q, k, v] = [0, C, 2 * C].map((start) => qkv.subarray(start, start + C));
    add(x, this.proj.apply(attend(q, k, v, cache, position, this.heads, seen)));
    add(x, this.down.apply(mapped(this.up.apply(this.norm2(x)), this.activation)));
  }
}

function norm(weights, part, eps) {
  const [weight, bias] = [weights.vector(`${part}.weight`), weights.vector(`${part}.bias`)];
  return (x) => layerNorm(x, weight, bias, eps);
}
