// Several models as one: the log of the weighted mean of their probabilities.

import { logSoftmax } from "../layers.js";

export class Mixture {
  constructor(config, models) {
    this.models = models;
    this.weights = config.weights;
    this.contextLength = Math.max(...models.map((model) => model.contextLength));
    this.attentionLayers = models.reduce((n, model) => n + (model.attentionLayers ?? 0), 0);
    this.embedding = models.map((model) => model.embedding).find(Boolean);
  }

  start(ids, window, seen) {
    const started = this.models.map((model) => model.start(ids, window, seen));
    return {
      logits: this.mean(started.map((s) => s.logits)),
      state: { states: started.map((s) => s.state) },
    };
  }

  step(id, { states }) {
    return this.mean(this.models.map((model, i) => model.step(id, states[i])));
  }

  mean(logits) {
    const logP = logits.map(logSoftmax);
    return Float32Array.from(logP[0], (_, token) => {
      const terms = logP.map((own, i) => own[token] + Math.log(this.weights[i]));
      const largest = Math.max(...terms);
      if (largest === -Infinity) return largest;
      return largest + Math.log(terms.reduce((sum, x) => sum + Math.exp(x - largest), 0));
    });
  }
}
