// Recurrent networks: RNN, LSTM and GRU, gates in the order of torch's cells.

import { sigmoid } from "../layers.js";

export class Recurrent {
  constructor(config, weights) {
    this.contextLength = config.context_length;
    this.hidden = config.n_hidden;
    this.embedding = weights.table("embedding.weight");
    this.cell = CELLS[config.name];
    this.layers = Array.from({ length: config.n_layer }, (_, i) => {
      const layer = weights.at(`layers.${i}`);
      const bias = layer.has("candidate_bias") ? layer.vector("candidate_bias") : null;
      return { input: layer.linear("input"), state: layer.linear("state"), bias };
    });
    this.output = weights.linear("head");
  }

  /** Reads all ids from a state of zeros: no context bounds it. */
  start(ids) {
    const zeros = () => new Float32Array(this.hidden);
    const state = { layers: this.layers.map(() => ({ h: zeros(), c: zeros() })) };
    let logits = null;
    for (const id of ids) logits = this.step(id, state);
    return { logits, state };
  }

  step(id, state) {
    let x = this.embedding.row(id);
    this.layers.forEach((layer, i) => {
      const { h, c } = state.layers[i];
      state.layers[i] = this.cell(layer.input.apply(x), layer.state.apply(h), h, c, layer.bias);
      x = state.layers[i].h;
    });
    return this.output.apply(x).slice();
  }
}

/** The next h and c, new arrays, from the products of the input, x, and of the state, u. */
const CELLS = {
  rnn: (x, u, h, c) => ({ h: h.map((_, i) => Math.tanh(x[i] + u[i])), c }),

  lstm(x, u, h, c) {
    const n = h.length;
    const gate = (k, i) => x[k * n + i] + u[k * n + i]; // 0 input, 1 forget, 2 candidate, 3 output
    const memory = c.map(
      (old, i) => sigmoid(gate(1, i)) * old + sigmoid(gate(0, i)) * Math.tanh(gate(2, i)),
    );
    return { h: memory.map((m, i) => sigmoid(gate(3, i)) * Math.tanh(m)), c: memory };
  },

  gru(x, u, h, c, bias) {
    const n = h.length;
    const gate = (k, i) => sigmoid(x[k * n + i] + u[k * n + i]); // 0 reset, 1 update
    const next = h.map((old, i) => {
      const candidate = Math.tanh(x[2 * n + i] + gate(0, i) * (u[2 * n + i] + bias[i]));
      const z = gate(1, i);
      return (1 - z) * candidate + z * old;
    });
    return { h: next, c };
  },
};
