// The notes' networks over a window of the last few tokens: the MLP and the WaveNet.

import { ACTIVATIONS, layerNorm, mapped } from "../layers.js";

/** The notes' MLP: embeddings side by side, hidden layers, logits. */
export class MLP {
  constructor(config, weights) {
    this.contextLength = config.context_length;
    const layers = weights.at("net.layers");
    this.embedding = layers.table("0.weight");
    this.layers = []; // functions of a vector
    let at = 2; // 1 puts the embeddings side by side
    for (let i = 0; i < config.n_layer; i++) {
      this.layers.push(linear(layers, at++));
      if (config.norm !== "none") this.layers.push(norm(layers, at++, config.norm));
      const activation = ACTIVATIONS[config.activation];
      this.layers.push((x) => mapped(x, activation));
      at += config.dropout ? 2 : 1;
    }
    this.layers.push(linear(layers, at++));
    if (config.norm_logits) this.layers.push(norm(layers, at, config.norm));
  }

  start(ids) {
    const state = { ids: ids.slice(-this.contextLength) };
    return { logits: this.logits(state.ids), state };
  }

  step(id, state) {
    state.ids = [...state.ids, id].slice(-this.contextLength);
    return this.logits(state.ids);
  }

  /** ids: the last tokens; before the first of them it is repeated (the notes' `...`). */
  logits(ids) {
    const width = this.embedding.width;
    let x = new Float32Array(this.contextLength * width);
    const missing = this.contextLength - ids.length;
    for (let i = 0; i < this.contextLength; i++)
      x.set(this.embedding.row(ids[Math.max(0, i - missing)]), i * width);
    for (const layer of this.layers) x = layer(x);
    return Float32Array.from(x);
  }
}

/** The notes' WaveNet: each level joins a position with the one 2^level before it. */
export class WaveNet {
  constructor(config, weights) {
    this.contextLength = config.context_length;
    this.residual = config.residual;
    this.embedding = weights.table("embedding.weight");
    this.levels = [];
    for (let level = 0; 2 ** level < config.context_length; level++) {
      const layers = weights.at(`levels.${level}.layers`);
      this.levels.push([
        linear(layers, 0),
        config.norm === "none" ? (x) => x : norm(layers, 1, config.norm),
      ]);
    }
    this.output = weights.notesLinear("head");
  }

  start(ids) {
    const state = { rings: [], length: 0 };
    let logits = null;
    for (const id of ids.slice(-this.contextLength)) logits = this.step(id, state);
    return { logits, state };
  }

  /** state.rings: the last 2^level inputs of each level; before the start the first is repeated. */
  step(id, state) {
    let x = this.embedding.row(id).slice();
    this.levels.forEach(([linear, norm], level) => {
      const size = 2 ** level;
      if (state.length === 0) state.rings.push(Array.from({ length: size }, () => x));
      const slot = state.length % size;
      const earlier = state.rings[level][slot];
      state.rings[level][slot] = x;
      const joined = new Float32Array(2 * x.length);
      joined.set(earlier);
      joined.set(x, x.length);
      const y = Float32Array.from(mapped(norm(linear(joined)), Math.tanh));
      if (this.residual && level > 0) for (let i = 0; i < y.length; i++) y[i] += x[i];
      x = y;
    });
    state.length += 1;
    return this.output.apply(x).slice();
  }
}

function linear(weights, at) {
  const layer = weights.notesLinear(`${at}`);
  return (x) => layer.apply(x);
}

/** A norm as a function; batchnorm by its running statistics. */
function norm(weights, at, kind) {
  const vector = (name) => weights.vector(`${at}.${name}`);
  if (kind === "layernorm") {
    const [weight, bias] = [vector("weight"), vector("bias")];
    return (x) => layerNorm(x, weight, bias);
  }
  const [gamma, beta, mean] = [vector("gamma"), vector("beta"), vector("running_mean")];
  const scale = vector("running_var").map((variance, i) => gamma[i] / Math.sqrt(variance + 1e-5));
  return (x) => {
    for (let i = 0; i < x.length; i++) x[i] = (x[i] - mean[i]) * scale[i] + beta[i];
    return x;
  };
}
