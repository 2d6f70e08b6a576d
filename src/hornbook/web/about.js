// The card of a model: figures, where its text comes from, whether it copies, sizes.

import { element } from "./dom.js";

/** card: {facts, verdict, good, advice, novelty, text}; see `backend.js`. */
export function about({ card, sizes, vocabSize, contextLength }) {
  const parts = [
    element("h2", {}, "About this model"),
    ...(card.verdict
      ? [element("p", { className: card.good ? "good" : "bad" }, card.verdict)]
      : []),
    ...card.advice.map((line) => element("p", { className: "soft" }, line)),
    rows([
      ...card.facts,
      ["Vocabulary", `${vocabSize.toLocaleString("en")} tokens`],
      ["Context", `${contextLength.toLocaleString("en")} tokens`],
    ]),
    ...(card.novelty
      ? [element("h3", {}, "Does it copy its text?"), element("p", {}, card.novelty)]
      : []),
  ];
  if (card.text.length) {
    const only = "It knows only the characters of that text, and nothing of the world.";
    parts.push(element("h3", {}, "Where its text comes from"), rows(card.text));
    parts.push(element("p", { className: "soft" }, only));
  }
  if (sizes.length) {
    const cells = sizes.map(([name, shape, n]) =>
      element(
        "tr",
        {},
        element("td", {}, name),
        element("td", {}, shape),
        element("td", { className: "number" }, n),
      ),
    );
    const head = element(
      "tr",
      {},
      ...["Tensor", "Shape", "Values"].map((name) => element("th", { scope: "col" }, name)),
    );
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...cells));
    parts.push(
      element(
        "details",
        {},
        element("summary", {}, "Sizes"),
        element(
          "div",
          { className: "scroll", tabIndex: 0, role: "group", "aria-label": "Sizes" },
          table,
        ),
      ),
    );
  }
  return element("section", { "aria-label": "About this model" }, ...parts);
}

function rows(pairs) {
  return element(
    "dl",
    {},
    ...pairs.flatMap(([name, value]) => [
      element("dt", {}, name),
      element("dd", { dir: "auto" }, value),
    ]),
  );
}
