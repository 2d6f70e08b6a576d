// The model behind a server: what `backend.js` lists, by requests.

import { spreadApart } from "./layout.js";
import { shown } from "./tokenizer.js";

const ALTERNATIVES = 5;
const EMBEDDED = 80; // tokens on the map
const FAREST = 0.045; // labels of embeddings are this far apart, of the picture's width

export class RemoteBackend {
  /** A model by its name, through a `Client`. */
  static async of(client, model) {
    const path = model.split("/").map(encodeURIComponent).join("/");
    return new RemoteBackend(client, model, await client.json(`/hornbook/models/${path}`));
  }

  constructor(client, model, about) {
    Object.assign(this, { client, model, about });
    this.vocabulary = new Vocabulary(about);
  }

  post(path, body, signal) {
    return this.client.json(path, { model: this.model, ...body }, signal);
  }

  async info() {
    const { summary, documents, card, sizes, attention } = this.about;
    return {
      name: this.model,
      summary,
      documents,
      card,
      sizes,
      attention,
      vocabSize: this.about.tokens.length,
      contextLength: this.about.context_length,
    };
  }

  async encode(text) {
    return this.post("/hornbook/encode", { text });
  }

  async decode(ids) {
    const pieces = this.vocabulary.pieces();
    return ids.map((id) => pieces.push(id)).join("") + pieces.finish();
  }

  async score(ids) {
    if (!ids.length) return [];
    const { choices } = await this.post("/v1/completions", {
      prompt: [this.about.start_id, ...ids],
      max_tokens: 0,
      echo: true,
      ...SHOWN,
    });
    return this.vocabulary.read(choices[0].logprobs, this.vocabulary.pieces()).slice(1);
  }

  async generate(request, onTokens, signal) {
    const { ids, typed, n, maxTokens, temperature, topK, topP, minP, seed } = request;
    const body = {
      model: this.model,
      prompt: this.promptIds(ids),
      typed: Boolean(typed),
      stream: true,
      n,
      temperature,
      seed,
      max_tokens: maxTokens,
      top_k: topK,
      top_p: topP,
      min_p: minP,
      ...SHOWN,
    };
    const pieces = Array.from({ length: n }, () => this.vocabulary.pieces());
    try {
      for await (const { data } of this.client.events("/v1/completions", { body, signal })) {
        if (data === "[DONE]") return;
        const { choices, error } = JSON.parse(data);
        if (error) throw new Error(error.message);
        const found = choices.flatMap(({ index, logprobs, replaces_last: replaces }) => {
          if (replaces) for (const id of ids.slice(0, -replaces)) pieces[index].push(id);
          const tokens = this.vocabulary.read(logprobs, pieces[index]);
          if (replaces) tokens[0].replaces = replaces;
          return tokens.map((token) => ({ sample: index, token }));
        });
        if (found.length) onTokens(found);
      }
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
  }

  async attention(ids) {
    const { ids: read, layers } = await this.post("/hornbook/attention", {
      text: this.promptIds(ids),
    });
    return {
      labels: read.map((id) => this.vocabulary.label(id)),
      layers: layers.map(({ heads }) => heads.map((rows) => rows.map((r, t) => r.slice(0, t + 1)))),
    };
  }

  async tree(ids, { leaves, depth }, signal) {
    const named = ({ id, p, ended, children }) => ({
      label: this.vocabulary.label(id),
      p,
      ended,
      children: children.map(named),
    });
    const body = { prompt: this.promptIds(ids), leaves, depth };
    return named((await this.post("/hornbook/tree", body, signal)).root);
  }

  async embeddings() {
    const { tokens, variance, what } = await this.post("/hornbook/embeddings", { most: EMBEDDED });
    if (tokens.length < 3) throw new Error("Fewer than three tokens: there is nothing to lay out.");
    const places = spreadApart(
      tokens.map(({ x, y }) => [x, y]),
      FAREST,
    );
    const points = places.map(([x, y], i) => ({ label: this.vocabulary.label(tokens[i].id), x, y }));
    const words = what.startsWith("Embedding") ? "embedding" : "log probabilities of what follows";
    return { what: words, share: variance, points };
  }

  /** What the model reads before it goes on, as in `tokenizer.js`. */
  promptIds(ids) {
    const { start_id: start, end_id: end } = this.about;
    return end !== null || !ids.length ? [start, ...ids] : ids;
  }
}

const SHOWN = { logprobs: ALTERNATIVES, return_tokens_as_token_ids: true };

/** Tokens by their ids. */
class Vocabulary {
  constructor({ tokens, end_id: end }) {
    this.end = end;
    this.bytes = tokens.map((text) => Uint8Array.from(text, (c) => c.charCodeAt(0)));
  }

  /** Turns ids into text as they come: `push(id)` -> what is certain after it, `finish()` -> the rest. */
  pieces() {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => (id === this.end ? "" : decoder.decode(this.bytes[id], { stream: true })),
      finish: () => decoder.decode(),
    };
  }

  label(id) {
    if (id === this.end) return "end";
    try {
      const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
      return shown(strict.decode(this.bytes[id]));
    } catch {
      return `<${Array.from(this.bytes[id], (b) => b.toString(16).padStart(2, "0")).join(" ")}>`;
    }
  }

  /** The tokens of log probabilities as a completion has them. */
  read(logprobs, pieces) {
    return (logprobs?.tokens ?? []).map((name, i) => {
      const id = idOf(name);
      const alternatives = Object.entries(logprobs.top_logprobs[i] ?? {})
        .map(([other, nats]) => ({ id: idOf(other), p: Math.exp(nats) }))
        .sort((a, b) => b.p - a.p)
        .slice(0, ALTERNATIVES)
        .map((other) => ({ ...other, label: this.label(other.id), end: other.id === this.end }));
      return {
        id,
        text: pieces.push(id),
        label: this.label(id),
        end: id === this.end,
        bits: Math.max(0, -(logprobs.token_logprobs[i] ?? 0) / Math.LN2),
        alternatives,
      };
    });
  }
}

function idOf(name) {
  return Number(name.slice("token_id:".length));
}
