// What the page asks for a model: a backend, an object with these methods. All return promises.
//
//   info()            {name, summary, documents, vocabSize, contextLength, attention, card, sizes}: what
//                     it is. documents: whether texts end by themselves. card: {facts, verdict, good,
//                     advice, novelty}, texts; facts and sizes are rows of texts.
//   encode(text)      {ids, unknown}: its tokens, and the characters that the model does not know
//   decode(ids)       the text
//   score(ids)        the tokens of a text, each with its surprisal
//   generate(request, onTokens, signal)
//                     continues {ids, typed, n, maxTokens, temperature, topK, topP, minP, seed}; calls
//                     onTokens with lists of {sample, token} as they come. Filters that are null are off.
//                     typed: ids are of a text that may end inside of a token; then the first token of
//                     a sample may take the place of the last ids; `replaces` is their number.
//   attention(ids)    {labels, layers}: layers[l][h][t] are the weights, from 0 to t, of head h
//   tree(ids, {leaves, depth}, signal)
//                     {label, p, ended, children}: the most probable continuations; p of the whole way
//   embeddings()      {what, share, points}: where tokens stand, [{label, x, y}]
//
// A token is {id, text, label, end, bits, alternatives}: text is what is certain after it, nothing in
// the midst of a character; label is how a list shows it; end whether it ends a document; bits its
// surprisal; alternatives the likeliest tokens in its place, [{id, label, end, p}]. signal: an
// AbortSignal; a request that is aborted returns early. The message of an Error is for the reader.
//
// LocalBackend computes all of it in the page. A page with a model behind it needs another object with
// these methods, and a file like `file.js` that starts the page with it.

import { loadEngine } from "./engine.js";
import { principal, spreadApart } from "./layout.js";

const SLICE = 40; // milliseconds of work before the page may draw and react
const FAREST = 0.045; // labels of embeddings are this far apart, of the picture's width

export class LocalBackend {
  /** The model that is in the page: see `export/html.py`. */
  static async ofPage() {
    const read = (id) => document.getElementById(id).textContent;
    const data = JSON.parse(read("data"));
    return new LocalBackend(data, await loadEngine(data, read("weights")));
  }

  constructor(data, engine) {
    this.data = data;
    this.engine = engine;
  }

  async info() {
    const { name, summary, documents, card } = this.data;
    const { vocabSize } = this.engine.tokenizer;
    const { contextLength, attentionLayers = 0 } = this.engine.model;
    const sizes = [...this.engine.weights.tensors].map(([part, { shape, data }]) => [
      part,
      shape.join(" × "),
      data.length.toLocaleString("en"),
    ]);
    return {
      name,
      summary,
      documents,
      card,
      sizes,
      vocabSize,
      contextLength,
      attention: attentionLayers > 0,
    };
  }

  async encode(text) {
    return this.engine.tokenizer.encode(text);
  }

  async decode(ids) {
    return this.engine.tokenizer.decode(ids);
  }

  async score(ids) {
    const tokens = [];
    await inSlices(this.engine.score(ids), (found) => tokens.push(...found));
    return tokens;
  }

  async generate({ ids, ...settings }, onTokens, signal) {
    await inSlices(this.engine.generate(ids, settings), onTokens, signal);
  }

  async attention(ids) {
    return this.engine.attention(ids);
  }

  async tree(ids, options, signal) {
    return inSlices(this.engine.tree(ids, options), () => {}, signal);
  }

  async embeddings() {
    const ids = this.data.frequent;
    const { what, vectors } = this.engine.vectors(ids);
    if (ids.length < 3) throw new Error("Fewer than three tokens: there is nothing to lay out.");
    const { points, share } = principal(vectors);
    const labels = ids.map((id) => this.engine.tokenizer.label(id));
    const places = spreadApart(points, FAREST);
    return { what, share, points: places.map(([x, y], i) => ({ label: labels[i], x, y })) };
  }
}

/** Runs a generator, a slice of work at a time; what it yields is passed on, slice by slice. */
async function inSlices(generator, take, signal) {
  for (;;) {
    const found = [];
    const began = performance.now();
    while (performance.now() - began < SLICE) {
      if (signal?.aborted) return undefined;
      const { value, done } = generator.next();
      if (done) {
        take(found);
        return value;
      }
      if (value !== undefined) found.push(value);
    }
    take(found);
    await breath();
  }
}

/** Lets the page draw; sooner than a timer, which browsers delay. */
function breath() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
