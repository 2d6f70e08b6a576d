// Text <-> ids, from a tokenizer.json: one id a character (WordLevel), a byte (BPE without merges), or a
// frequent sequence of bytes (BPE).

import { byteLetters, merger, wordCutter } from "./bpe.js";

const SIGNS = { " ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍" };

/** The tokenizer of a tokenizer.json. It has vocabSize, endId (null for a stream), and startId, which
 * generation starts from. */
export function buildTokenizer(json) {
  if (json.model.merges?.length) return new BPETokenizer(json);
  return json.model.type === "WordLevel" ? new CharTokenizer(json) : new ByteTokenizer(json);
}

class Tokenizer {
  constructor(json) {
    this.vocabSize = Object.keys(json.model.vocab).length;
    this.endId = json.added_tokens.length ? json.added_tokens[0].id : null;
  }

  get startId() {
    return this.endId ?? this.encode("\n").ids[0] ?? 0;
  }

  /** What the model reads before it goes on: the end id before a document; in a stream the text, or
   * its start where there is none. */
  promptIds(ids) {
    return this.endId !== null || ids.length === 0 ? [this.startId, ...ids] : [...ids];
  }

  /** The ids of a prompt that are read before the first is drawn, and the bytes that one begins with: a
   * longer token may take the place of the last ones. */
  split(ids) {
    const all = this.promptIds(ids);
    let split = { read: all, held: [] };
    let held = [];
    for (let last = all.length - 1; last > 0; last--) {
      const bytes = this.bytes(all[last]);
      held = [...bytes, ...held];
      if (!bytes.length || held.length > this.longest) break;
      if (this.beginning(held).some((id) => this.bytes(id).length > held.length))
        split = { read: all.slice(0, last), held };
    }
    return split;
  }

  /** The bytes of an id; of those that begin no other, none. */
  bytes() {
    return [];
  }

  decode(ids) {
    const pieces = this.pieces();
    return ids.map((id) => pieces.push(id)).join("") + pieces.finish();
  }

  /** One token as a list shows it: signs for blanks, code points for what is invisible. */
  label(id) {
    return id === this.endId ? "end" : shown(this.symbol(id));
  }
}

class CharTokenizer extends Tokenizer {
  constructor(json) {
    super(json);
    this.ids = new Map(Object.entries(json.model.vocab));
    if (this.endId !== null) this.ids.delete(json.added_tokens[0].content);
    this.characters = [];
    for (const [character, id] of this.ids) this.characters[id] = character;
  }

  /** The ids of a text, and the characters that the model does not know, which are left out. */
  encode(text) {
    const ids = [];
    const unknown = new Set();
    for (const character of text) {
      const id = this.ids.get(character);
      if (id === undefined) unknown.add(character);
      else ids.push(id);
    }
    return { ids, unknown: [...unknown] };
  }

  /** Turns ids into text as they come: `push(id)` -> what is certain after it, `finish()` -> the rest. */
  pieces() {
    return { push: (id) => this.characters[id] ?? "", finish: () => "" };
  }

  symbol(id) {
    return this.characters[id];
  }
}

class ByteTokenizer extends Tokenizer {
  encode(text) {
    return { ids: [...new TextEncoder().encode(text)], unknown: [] };
  }

  pieces() {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => (id < 256 ? decoder.decode(Uint8Array.of(id), { stream: true }) : ""),
      finish: () => decoder.decode(),
    };
  }

  symbol(id) {
    return id < 128 ? String.fromCharCode(id) : `<${id.toString(16)}>`;
  }
}

class BPETokenizer extends Tokenizer {
  constructor(json) {
    super(json);
    this.ids = new Map(Object.entries(json.model.vocab));
    if (this.endId !== null) this.ids.delete(json.added_tokens[0].content);
    this.letters = byteLetters();
    const byteOf = new Map(this.letters.map((letter, byte) => [letter, byte]));
    this.table = Array(this.vocabSize).fill([]);
    for (const [token, id] of this.ids)
      this.table[id] = Array.from(token, (letter) => byteOf.get(letter));
    this.special = new Set(json.added_tokens.map(({ id }) => id)); // which no text becomes
    this.longest = this.table.reduce((most, bytes) => Math.max(most, bytes.length), 0);
    this.cut = wordCutter(json.pre_tokenizer);
    this.merge = merger(json.model.merges);
    this.composed = json.normalizer?.type === "NFC";
    this.wholeWords = Boolean(json.model.ignore_merges);
    this.lacking = new Set([...byteOf.keys()].filter((letter) => !this.ids.has(letter)));
  }

  /** The ids of a text, and the characters of which a byte has no id, which are left out. */
  encode(given) {
    const encoder = new TextEncoder();
    const unknown = new Set();
    let text = this.composed ? given.normalize("NFC") : given;
    if (this.lacking.size) {
      for (const character of text)
        if (encoder.encode(character).some((byte) => this.lacking.has(this.letters[byte])))
          unknown.add(character);
      if (unknown.size) text = Array.from(text).filter((c) => !unknown.has(c)).join("");
    }
    const ids = this.cut(text).flatMap((word) => {
      const letters = Array.from(encoder.encode(word), (byte) => this.letters[byte]).join("");
      if (this.wholeWords && this.ids.has(letters)) return [this.ids.get(letters)];
      return this.merge(letters).map((token) => this.ids.get(token));
    });
    return { ids, unknown: [...unknown] };
  }

  bytes(id) {
    return this.table[id];
  }

  /** The ids whose bytes begin with these; of special tokens none. */
  beginning(bytes) {
    const ids = [...this.table.keys()].filter((id) => !this.special.has(id));
    return ids.filter((id) => bytes.every((byte, i) => this.table[id][i] === byte));
  }

  pieces() {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => decoder.decode(Uint8Array.from(this.table[id]), { stream: true }),
      finish: () => decoder.decode(),
    };
  }

  symbol(id) {
    const bytes = Uint8Array.from(this.table[id]);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return `<${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}>`;
    }
  }
}

/** A text with its blanks and invisible characters written out. */
export function shown(text) {
  return Array.from(text, (c) => {
    if (SIGNS[c]) return SIGNS[c];
    const visible = /[\p{L}\p{N}\p{P}\p{S}]/u.test(c);
    return visible || /\p{M}/u.test(c)
      ? c
      : `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  }).join("");
}
