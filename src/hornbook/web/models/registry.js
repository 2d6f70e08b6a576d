// The models by name.
//
// A model has contextLength; start(ids, window, seen) -> {logits, state}, which reads ids, the first of
// which starts a document (or is any token of a stream); step(id, state) -> logits, which appends one
// token to the state. Logits, (V), are the caller's. A state is plain data: structuredClone copies it.
// With attention it has attentionLayers, and `seen` takes the weights of each layer and head.

import { Bow } from "./bow.js";
import { Bigram, NGram } from "./counts.js";
import { GPT } from "./gpt.js";
import { GPT2 } from "./gpt2.js";
import { Hybrid } from "./hybrid.js";
import { Mixture } from "./mixture.js";
import { Recurrent } from "./recurrent.js";
import { MLP, WaveNet } from "./windows.js";

const MODELS = {
  bigram: Bigram,
  bow: Bow,
  gpt: GPT,
  gpt2: GPT2,
  gru: Recurrent,
  lstm: Recurrent,
  mlp: MLP,
  ngram: NGram,
  rnn: Recurrent,
  wavenet: WaveNet,
};

/** The model of some settings. Of a hybrid they have `network_config`, of a mixture `components`. */
export function buildModel(config, weights, vocabSize, endId) {
  if (config.name === "mixture") {
    const build = (own, i) => buildModel(own, weights.at(`models.${i}`), vocabSize, endId);
    return new Mixture(config, config.components.map(build));
  }
  if (config.name === "hybrid") {
    const network = buildModel(config.network_config, weights.at("network"), vocabSize, endId);
    return new Hybrid(config, weights, vocabSize, network);
  }
  return new MODELS[config.name](config, weights, vocabSize, endId);
}
