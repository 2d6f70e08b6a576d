// How the next token is chosen: the settings of `hornbook sample`, each with what it does.

import { element } from "./dom.js";

const MOST = { n: 8, maxTokens: 100000 };

const FIELDS = [
  ["n", "Continuations", { min: 1, max: MOST.n, step: 1 }, "Written side by side."],
  [
    "maxTokens",
    "Length",
    { min: 1, max: MOST.maxTokens, step: 1, value: 500 },
    "In tokens, at most. A document may end before.",
  ],
  [
    "temperature",
    "Temperature",
    { min: 0, max: 5, step: 0.05, value: 1 },
    "1 is the model as it was trained. Less is surer, more is wilder; 0 always takes the likeliest token.",
  ],
  ["topK", "Top-k", { min: 1, step: 1 }, "Only the k likeliest tokens. Empty: all of them."],
  [
    "topP",
    "Top-p",
    { min: 0.01, max: 1, step: 0.01 },
    "Only the fewest tokens whose probabilities add up to p. Empty: all of them.",
  ],
  [
    "minP",
    "Min-p",
    { min: 0, max: 1, step: 0.01 },
    "Only tokens at least this many times as likely as the likeliest. Empty: all of them.",
  ],
  [
    "seed",
    "Seed",
    { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
    "The same number writes the same text, in hornbook sample as well. Empty: another each time.",
  ],
];

/** The form. n: continuations at first. */
export class Settings {
  constructor(n) {
    this.inputs = {};
    const fields = FIELDS.map(([name, title, options, words]) => {
      const id = `setting-${name}`;
      const input = element("input", {
        type: "number",
        id,
        "aria-describedby": `${id}-words`,
        ...options,
      });
      this.inputs[name] = input;
      return element(
        "div",
        {},
        element("label", { htmlFor: id }, title),
        input,
        element("small", { id: `${id}-words` }, words),
      );
    });
    this.inputs.n.value = n;
    this.root = element(
      "details",
      {},
      element("summary", {}, "Settings"),
      element("div", { className: "settings" }, ...fields),
    );
  }

  /** The settings of a request; what is empty or out of range is as if it were not given. */
  values() {
    const found = {};
    for (const [name, , options] of FIELDS) {
      const { value, validity } = this.inputs[name];
      found[name] = value !== "" && validity.valid ? Number(value) : (options.value ?? null);
    }
    found.n ??= 1;
    found.seed ??= crypto.getRandomValues(new Uint32Array(1))[0];
    return found;
  }
}
