// A trained model in a page: its text, its tokens, its inside. No page is needed: it runs in Node, too.

import { fromBase64, unzipped } from "./bytes.js";
import { logSoftmax } from "./layers.js";
import { buildModel } from "./models/registry.js";
import { Draws, pick } from "./sampling.js";
import { Weights, readTensors } from "./tensors.js";
import { buildTokenizer } from "./tokenizer.js";

const ALTERNATIVES = 5;
const BEAM = 4; // times as many beginnings are continued as the tree has leaves

/** The engine of the data of a page (see `export/html.py`). weights: safetensors, or
 * gzip of them, in base64. */
export async function loadEngine(data, weights) {
  return new Engine(data, readTensors(await unzipped(fromBase64(weights))));
}

export class Engine {
  constructor({ model, tokenizer, window, whole_prompt: whole = false }, tensors) {
    this.tokenizer = buildTokenizer(tokenizer);
    this.weights = new Weights(tensors);
    this.model = buildModel(model, this.weights, this.tokenizer.vocabSize, this.tokenizer.endId);
    this.window = window;
    this.whole = whole; // a prompt ends where a token does, as that of a template
  }

  /** The logits after each of these ids, the first of which starts a document or stream. */
  logits(ids) {
    const { logits, state } = this.model.start(ids.slice(0, 1), this.window);
    return [logits, ...ids.slice(1).map((id) => this.model.step(id, state))];
  }

  /** Continues ids: yields {sample, token} for each token of n samples, side by side.
   *
   * Of a sample that ends by itself the last token is the end id. A token is as in `token`. typed: a
   * longer token may take the place of the last ids (`Tokenizer.split`); then the first token of each
   * sample does, whose `replaces` is their number. */
  *generate(ids, { n = 1, maxTokens = 500, seed, typed = false, ...sampling }) {
    const draws = new Draws(seed);
    const { read, held } = typed && !this.whole
      ? this.tokenizer.split(ids)
      : { read: this.tokenizer.promptIds(ids), held: [] };
    const start = this.model.start(read, this.window);
    const length = maxTokens + (held.length ? 1 : 0);
    const first = held.length ? only(start.logits, this.tokenizer.beginning(held)) : start.logits;
    let samples = Array.from({ length: n }, (_, i) => ({
      number: i,
      logits: first,
      state: i ? structuredClone(start.state) : start.state,
      pieces: this.tokenizer.pieces(),
    }));
    if (held.length) // whose first token may end a character that the prompt begins
      for (const { pieces } of samples) for (const id of read) pieces.push(id);
    for (let position = 0; position < length && samples.length; position++) {
      for (const sample of samples) {
        const id = pick(sample.logits, sampling, draws.uniform(sample.number, position));
        const token = this.token(id, sample.logits, sample.pieces);
        if (held.length && position === 0)
          token.replaces = this.tokenizer.promptIds(ids).length - read.length;
        yield { sample: sample.number, token };
        sample.ended = id === this.tokenizer.endId;
        if (!sample.ended && position + 1 < length)
          sample.logits = this.model.step(id, sample.state);
      }
      samples = samples.filter((sample) => !sample.ended);
    }
  }

  /** One token as pages show it (`backend.js` says of what it consists). */
  token(id, logits, pieces) {
    const logP = logSoftmax(logits);
    const { tokenizer } = this;
    const choice = (other) => ({
      id: other,
      label: tokenizer.label(other),
      end: other === tokenizer.endId,
      p: Math.exp(logP[other]),
    });
    return {
      id,
      text: pieces.push(id),
      label: tokenizer.label(id),
      end: id === tokenizer.endId,
      bits: Math.max(0, -logP[id] / Math.LN2),
      alternatives: largest(logP, ALTERNATIVES).map(choice),
    };
  }

  /** The tokens of a text, given as ids, each with its surprisal after those before it. */
  *score(ids) {
    const pieces = this.tokenizer.pieces();
    let { logits, state } = this.model.start([this.tokenizer.startId], this.window);
    for (const id of ids) {
      yield this.token(id, logits, pieces);
      logits = this.model.step(id, state);
    }
  }

  /** The weights of attention of each layer: one Float32Array for each head and position, which has a
   * weight for each position up to it. Only the newest ids that fit into the context are read. */
  attention(ids) {
    const read = this.tokenizer.promptIds(ids).slice(0, this.model.contextLength);
    const seen = [];
    this.model.start(read, this.window, seen);
    const layers = this.model.attentionLayers ?? 0;
    const heads = layers ? seen.length / layers / read.length : 0;
    const at = (t, layer, head) => seen[(t * layers + layer) * heads + head];
    return {
      labels: read.map((id) => this.tokenizer.label(id)),
      layers: Array.from({ length: layers }, (_, layer) =>
        Array.from({ length: heads }, (_, head) => read.map((_, t) => at(t, layer, head))),
      ),
    };
  }

  /** The most probable continuations as a tree, by beam search: {id, label, p, ended, children}, p of
   * the whole way. Yields now and then, so that a page stays alive; returns the root. */
  *tree(ids, { leaves = 16, depth = 6 } = {}) {
    const root = { id: null, label: "", p: 1, ended: false, children: [], parent: null };
    root.at = this.model.start(this.tokenizer.promptIds(ids), this.window);
    let beam = [root];
    for (let level = 0; level < depth; level++) {
      const found = beam.filter((node) => node.ended);
      for (const node of beam) {
        if (node.ended) continue;
        if (!node.at) {
          const state = structuredClone(node.parent.at.state);
          node.at = { logits: this.model.step(node.id, state), state };
        }
        const logP = logSoftmax(node.at.logits);
        for (const id of largest(logP, BEAM * leaves)) {
          const label = this.tokenizer.label(id);
          const p = node.p * Math.exp(logP[id]);
          found.push({
            id,
            label,
            p,
            ended: id === this.tokenizer.endId,
            children: [],
            parent: node,
          });
        }
        yield;
      }
      beam = found.sort((a, b) => b.p - a.p).slice(0, BEAM * leaves);
    }
    for (let node of beam.slice(0, leaves)) {
      for (; node.parent && !node.parent.children.includes(node); node = node.parent)
        node.parent.children.push(node);
    }
    return bare(root);
  }

  /** One vector for each of these ids, and what it is: the embedding, or log p of what follows. */
  vectors(ids) {
    const table = this.model.embedding;
    if (table) return { what: "embedding", vectors: ids.map((id) => table.row(id)) };
    const after = (id) =>
      logSoftmax(this.model.start([id], this.window).logits).map((x) =>
        Math.max(x, Math.log(1e-9)),
      );
    return { what: "log probabilities of what follows", vectors: ids.map(after) };
  }
}

/** A tree without what was needed to grow it. */
function bare({ id, label, p, ended, children }) {
  return { id, label, p, ended, children: children.map(bare).sort((a, b) => b.p - a.p) };
}

/** The logits of some tokens, and -Infinity for the others. */
function only(logits, tokens) {
  const found = logits.map(() => -Infinity);
  for (const token of tokens) found[token] = logits[token];
  return found;
}

/** The places of the k largest values, largest first. */
function largest(values, k) {
  const best = [];
  for (let i = 0; i < values.length; i++) {
    if (best.length === k && !(values[i] > values[best[k - 1]])) continue;
    let at = best.length;
    while (at > 0 && values[best[at - 1]] < values[i]) at--;
    best.splice(at, 0, i);
    if (best.length > k) best.pop();
  }
  return best;
}
