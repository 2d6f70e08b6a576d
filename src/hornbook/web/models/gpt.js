// A modern GPT: RMSNorm, rotary positions, QK-norm, SwiGLU, grouped queries (as Qwen3; Llama without
// QK-norm), and hornbook's pair embedding and short convolution.

import { Rotation, add, attend, emptyCache, rmsNorm, silu } from "../layers.js";
import { CachedModel } from "./cached.js";

export class GPT extends CachedModel {
  constructor(config, weights, vocabSize, endId) {
    super(config.context_length);
    this.vocabSize = vocabSize;
    this.endId = endId;
    this.eps = config.norm_eps;
    this.embedding = weights.table("token_embedding.weight");
    this.pairs = config.pair_embedding ? weights.table("pair_embedding.weight") : null;
    this.blocks = Array.from(
      { length: config.n_layer },
      (_, i) => new Block(config, weights.at(`blocks.${i}`)),
    );
    this.norm = weights.vector("norm.weight");
    this.output = weights.linear(config.tie_embeddings ? "token_embedding" : "head");
    this.attentionLayers = config.n_layer;
  }

  emptyCache() {
    return this.blocks.map(() => ({ attention: emptyCache(), inputs: [] }));
  }

  /** added: put to the embedding, or nothing. */
  read(id, state, position, added = null) {
    const x = this.embedding.row(id).slice();
    if (this.pairs) {
      const first = position === 0 || id === this.endId;
      const before = first ? this.vocabSize : state.ids[position - 1];
      add(x, this.pairs.row(before * this.vocabSize + id));
    }
    if (added) add(x, added);
    this.blocks.forEach((block, i) => block.apply(x, position, state.cache[i], state.seen));
    return x;
  }

  head(x) {
    return this.output.apply(rmsNorm(x, this.norm, this.eps)).slice();
  }
}

class Block {
  constructor(config, weights) {
    const D = config.head_dim ?? config.n_embd / config.n_head;
    this.heads = config.n_head;
    this.eps = config.norm_eps;
    this.rotation = new Rotation(D, config.rope_base);
    const attention = weights.at("attention");
    for (const name of ["q", "k", "v", "o"]) this[name] = attention.linear(`${name}_proj`);
    this.normed = config.qk_norm; // not so in Llama
    if (this.normed) {
      this.qNorm = attention.vector("q_norm.weight");
      this.kNorm = attention.vector("k_norm.weight");
    }
    this.inputNorm = weights.vector("input_norm.weight");
    this.hiddenNorm = weights.vector("hidden_norm.weight");
    this.convolution =
      config.conv_kernel > 1 ? new Convolution(weights.tensor("convolution.weight")) : null;
    const mlp = weights.at("mlp");
    for (const name of ["gate", "up", "down"]) this[name] = mlp.linear(`${name}_proj`);
  }

  /** Adds attention, then SwiGLU, to x, in place. */
  apply(x, position, cache, seen) {
    const input = rmsNorm(x, this.inputNorm, this.eps);
    const v = this.v.apply(input);
    let [q, k] = [this.q.apply(input), this.k.apply(input)];
    if (this.normed) {
      q = rmsNorm(q, this.qNorm, this.eps);
      k = rmsNorm(k, this.kNorm, this.eps);
    }
    this.rotation.apply(q, position);
    this.rotation.apply(k, position);
    add(x, this.o.apply(attend(q, k, v, cache.attention, position, this.heads, seen)));
    let y = rmsNorm(x, this.hiddenNorm, this.eps);
    if (this.convolution) y = this.convolution.apply(y, cache.inputs);
    const gate = this.gate.apply(y);
    const up = this.up.apply(y);
    for (let i = 0; i < gate.length; i++) gate[i] = silu(gate[i]) * up[i];
    add(x, this.down.apply(gate));
  }
}

/** x + the sum of weight[-i] * the input i positions before, channel by channel. */
class Convolution {
  constructor({ shape, data }) {
    this.reach = shape[0]; // positions before x
    this.width = shape[2];
    this.weight = data;
  }

  /** inputs: those before x, newest last; x is appended. */
  apply(x, inputs) {
    const out = x.slice();
    for (let i = 1; i <= Math.min(this.reach, inputs.length); i++) {
      const earlier = inputs[inputs.length - i];
      const start = (this.reach - i) * this.width;
      for (let c = 0; c < out.length; c++) out[c] += this.weight[start + c] * earlier[c];
    }
    inputs.push(x);
    if (inputs.length > this.reach) inputs.shift();
    return out;
  }
}
