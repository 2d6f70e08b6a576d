// Looking inside: attention, the tree of continuations, embeddings.

import { Opening, bar, drawn, element, percent, quoted } from "./dom.js";

const TOKENS = 24; // of the text whose attention is drawn
const NARROW = 500; // pixels below which they are half as many
const CELL = 24; // pixels of a cell of the large map
const MAP_WIDTH = 640; // pixels of the map of embeddings, at most
const TAIL = 12; // tokens of the text that are named
const TREE = { leaves: 16, depth: 6 };

/** What each token attends to, by layer and head. tokens(): those of the text at hand. */
export function attention(backend, tokens) {
  let chosen = { layer: 0, head: 0 };
  return new Opening("Attention", async (body, signal) => {
    const most = body.clientWidth < NARROW ? TOKENS / 2 : TOKENS;
    const ids = tokens()
      .slice(-most)
      .map((token) => token.id);
    const { labels, layers } = await backend.attention(ids);
    if (signal.aborted) return;
    if (!layers[chosen.layer]?.[chosen.head]) chosen = { layer: 0, head: 0 };
    const large = element("div", { className: "large" });
    const buttons = layers.flatMap((heads, layer) =>
      heads.map((rows, head) => {
        const name = `Layer ${layer + 1}, head ${head + 1}`;
        const show = () => {
          chosen = { layer, head };
          for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
          large.replaceChildren(...map(name, labels, rows));
        };
        const pressed = layer === chosen.layer && head === chosen.head;
        const button = element(
          "button",
          { type: "button", "aria-pressed": String(pressed), "on:click": show },
          thumbnail(rows),
          name,
        );
        if (pressed) queueMicrotask(show);
        return button;
      }),
    );
    const words =
      `The last ${labels.length} tokens of the text, read alone. Each row is a token; its cells ` +
      `are the tokens it attends to, dark for much.`;
    body.replaceChildren(
      element("p", { className: "soft" }, words),
      element("div", { className: "maps" }, ...buttons),
      large,
    );
  });
}

/** A small map: a dot for each weight. */
function thumbnail(rows) {
  const canvas = element("canvas", {
    width: rows.length,
    height: rows.length,
    "aria-hidden": "true",
  });
  const context = canvas.getContext("2d");
  rows.forEach((row, t) =>
    row.forEach((weight, s) => {
      context.fillStyle = shade(weight);
      context.fillRect(s, t, 1, 1);
    }),
  );
  return canvas;
}

/** From white over sky and blue to dark blue, as in `hornbook inspect`. */
function shade(weight) {
  const stops = [
    [255, 255, 255],
    [86, 180, 233],
    [0, 114, 178],
    [0, 50, 79],
  ];
  const at = Math.min(weight, 0.9999) * 3;
  const [a, b] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
  return `rgb(${a.map((x, i) => Math.round(x + (b[i] - x) * (at % 1))).join(" ")})`;
}

function map(name, labels, rows) {
  const n = labels.length;
  const side = (n + 3) * CELL;
  const cells = rows.flatMap((row, t) =>
    Array.from(row, (weight, s) =>
      drawn(
        "rect",
        {
          x: (s + 3) * CELL,
          y: (t + 1) * CELL,
          width: CELL - 1,
          height: CELL - 1,
          fill: shade(weight),
        },
        drawn(
          "title",
          {},
          `${quoted(labels[t])} attends to ${quoted(labels[s])}: ${percent(weight)}`,
        ),
      ),
    ),
  );
  const label = (text, x, y, anchor) =>
    drawn("text", { x, y, "text-anchor": anchor, "dominant-baseline": "central" }, text);
  const texts = labels.flatMap((text, i) => [
    label(text, 2.7 * CELL, (i + 1.5) * CELL, "end"),
    label([...text].length > 3 ? "…" : text, (i + 3.5) * CELL, CELL / 2, "middle"),
  ]);
  const last = Array.from(rows.at(-1), (weight, s) => ({ weight, s }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, 3);
  const most = last.map(
    ({ weight, s }) => `${quoted(labels[s])} (position ${s + 1}) ${percent(weight)}`,
  );
  const words = `${name}: the last token, ${quoted(labels.at(-1))}, attends to ${most.join(", ")}.`;
  const picture = drawn(
    "svg",
    { viewBox: `0 0 ${side} ${(n + 1) * CELL}`, role: "img", "aria-label": words },
    ...cells,
    ...texts,
  );
  picture.style.maxWidth = `${side}px`;
  return [element("h3", {}, name), element("p", {}, words), picture];
}

/** The most probable continuations of the text at hand, as a tree. */
export function tree(backend, tokens) {
  return new Opening("Likely continuations", async (body, signal) => {
    body.replaceChildren(element("p", { className: "soft" }, "Searching …"));
    const text = tokens();
    const root = await backend.tree(
      text.map((token) => token.id),
      TREE,
      signal,
    );
    if (!root || signal.aborted) return;
    const sum = ends(root).reduce((total, node) => total + node.p, 0);
    const before = text.length
      ? `after ${quoted(
          `…${text
            .slice(-TAIL)
            .map((token) => token.label)
            .join("")}`,
        )}`
      : "from the start";
    const words =
      `The ${ends(root).length} most probable ways to go on ${before} for ${TREE.depth} tokens, ` +
      `by beam search; they hold ${percent(sum)} of the probability. Each number is the ` +
      `probability of the whole way.`;
    const list = element("ul", { className: "tree" }, ...root.children.map(node));
    body.replaceChildren(
      element("p", { className: "soft" }, words),
      element(
        "div",
        { className: "scroll", tabIndex: 0, role: "group", "aria-label": "Tree of continuations" },
        list,
      ),
    );
  });
}

function node({ label, p, children }) {
  const line = element(
    "span",
    { className: "branch" },
    element("b", { dir: "auto" }, label),
    bar(p),
    percent(p),
  );
  return element(
    "li",
    {},
    line,
    ...(children.length ? [element("ul", {}, ...children.map(node))] : []),
  );
}

function ends(node) {
  return node.children.length ? node.children.flatMap(ends) : [node];
}

/** Where tokens stand, in two dimensions. */
export function embeddings(backend) {
  return new Opening("Embeddings", async (body, signal) => {
    const { what, share, points } = await backend.embeddings();
    if (signal.aborted) return;
    const [xs, ys] = [points.map((p) => p.x), points.map((p) => p.y)];
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
    const wide = Math.min(MAP_WIDTH, Math.max(280, body.clientWidth));
    const size = {
      width: wide,
      height: Math.round((wide * Math.max(height, 0.3)) / Math.max(width, 0.3)),
      edge: 24,
    };
    const x = (value) => size.edge + ((value - left) / (width || 1)) * (size.width - 2 * size.edge);
    const y = (value) =>
      size.edge + ((value - top) / (height || 1)) * (size.height - 2 * size.edge);
    const texts = points.map((p) =>
      drawn(
        "text",
        { x: x(p.x), y: y(p.y), "text-anchor": "middle", "dominant-baseline": "central" },
        p.label,
      ),
    );
    const names = points.map((p) => p.label).join(" ");
    const picture = drawn(
      "svg",
      {
        viewBox: `0 0 ${size.width} ${size.height}`,
        role: "img",
        "aria-label": `Map of the tokens ${names}`,
      },
      ...texts,
    );
    picture.style.maxWidth = `${wide}px`;
    const words =
      `Tokens by their ${what}, in its first two principal components (${percent(share[0])} and ` +
      `${percent(share[1])} of the variance), pushed apart where they would hide each other. ` +
      `Near ones behave alike.`;
    body.replaceChildren(element("p", { className: "soft" }, words), picture);
  });
}
