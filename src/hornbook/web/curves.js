// Loss curves of several runs in one picture, over steps, seconds or tokens.

import { drawn, element } from "./dom.js";

const HEIGHT = 360; // pixels
const EDGE = { left: 52, right: 12, top: 14, bottom: 42 };
const MOST = 250; // points of a training curve: more are averaged
const LETTER = 7.2; // pixels, about
export const STYLES = 8; // colors, each with its own dashes

/** A sample of the line of curve `index`, beside its name. */
export function swatch(index) {
  const line = drawn("line", { x1: 1, x2: 35, y1: 6, y2: 6, class: `curve curve-${index % STYLES}` });
  return drawn("svg", { viewBox: "0 0 36 12", class: "swatch", "aria-hidden": "true" }, line);
}

/** The picture, an element of SVG.
 *
 * curves: [{name, index, records, nats}]; of a run without steps nats is a level line. axis: steps,
 * seconds or tokens. levels: [{label, nats}], lines to compare with. log: of the axis. */
export function curves({ curves: all, axis, levels, log, training, width }) {
  const field = { steps: "step", seconds: "seconds", tokens: "tokens" }[axis];
  const given = all.map((curve) => ({
    ...curve,
    val: points(curve.records, field, "val_loss", log),
    train: training ? averaged(points(curve.records, field, "loss", log)) : [],
  }));
  const every = given.flatMap(({ val, train }) => [...val, ...train]);
  const heights = [
    ...every.map(([, y]) => y),
    ...levels.map(({ nats }) => nats),
    ...given.map(({ nats }) => nats).filter(Number.isFinite),
  ];
  if (!heights.length) return null;
  const xs = every.map(([x]) => x);
  const [low, high] = nice(Math.min(...heights), Math.max(...heights));
  const [left, right] = xs.length ? [log ? Math.min(...xs) : 0, Math.max(...xs)] : [0, 1];
  const span = (v) => (log ? Math.log(v / left) / Math.log(right / left || 2) : v / (right || 1));
  const inner = { width: width - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom };
  const x = (v) => EDGE.left + (right > left ? span(v) : 0) * inner.width;
  const y = (v) => EDGE.top + ((high - v) / (high - low)) * inner.height;
  const path = (list) => list.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
  const text = (words, a, b, anchor, more = "") =>
    drawn("text", { x: a, y: b, "text-anchor": anchor, class: `axis ${more}` }, words);
  const marks = [];
  for (const value of ticks(low, high)) {
    marks.push(drawn("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value), class: "grid" }));
    marks.push(text(short(value), EDGE.left - 6, y(value) + 4, "end"));
  }
  for (const value of xs.length ? (log ? powers(left, right) : ticks(0, right)) : [])
    marks.push(text(short(value), x(value), HEIGHT - EDGE.bottom + 18, "middle"));
  marks.push(text(AXES[axis], EDGE.left + inner.width / 2, HEIGHT - 6, "middle"));
  const end = width - EDGE.right;
  const lines = [];
  const labels = []; // over the curves
  for (const { label, nats } of levels) {
    lines.push(drawn("line", { x1: EDGE.left, x2: end, y1: y(nats), y2: y(nats), class: "level" }));
    const fits = label.length * LETTER < inner.width ? label : label.slice(0, inner.width / LETTER - 2) + "…";
    const near = (middle) => // points of curves where the label would stand
      every.filter(([a, b]) => x(a) > end - fits.length * LETTER && Math.abs(y(b) - middle) < 9).length;
    const below = y(nats) < EDGE.top + 16 || near(y(nats) + 9) < near(y(nats) - 9);
    labels.push(text(fits, end, y(nats) + (below ? 14 : -5), "end", "level-name"));
  }
  for (const { name, index, val, train, nats } of given) {
    const style = `curve curve-${index % STYLES}`;
    if (train.length > 1) lines.push(drawn("path", { d: path(train), class: `${style} faint` }));
    if (val.length > 1) lines.push(drawn("path", { d: path(val), class: style }));
    else if (Number.isFinite(nats) && (val.length || !train.length))
      lines.push(drawn("line", { x1: EDGE.left, x2: end, y1: y(nats), y2: y(nats), class: style }));
    for (const [a, b] of val.length > 1 ? val : [])
      lines.push(
        drawn(
          "circle",
          { cx: x(a), cy: y(b), r: 3, class: `dot dot-${index % STYLES}` },
          drawn("title", {}, `${name}: ${b.toFixed(4)} at ${short(a)} ${axis}`),
        ),
      );
  }
  const words = given.map(({ name, val, nats }) => {
    const last = val.at(-1);
    if (last) return `${name} from ${val[0][1].toFixed(3)} to ${last[1].toFixed(3)} at ${short(last[0])} ${axis}`;
    return Number.isFinite(nats) ? `${name} ${nats.toFixed(3)}` : `${name} without a loss yet`;
  });
  const compared = levels.map(({ label, nats }) => `${label} ${nats.toFixed(3)}`);
  const label = `Validation loss in nats per token over ${axis}: ${[...words, ...compared].join("; ")}.`;
  return drawn(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label, class: "curves" },
    ...marks,
    ...lines,
    ...labels,
  );
}

const AXES = { steps: "steps", seconds: "seconds of training", tokens: "tokens trained on" };

/** The last values of all curves as a table, for those who do not see the picture. */
export function values(all) {
  const cell = (value, digits) =>
    element("td", { className: "number" }, value == null ? "" : digits ? value.toFixed(digits) : short(value));
  const rows = all.map(({ name, records, nats }) => {
    const last = records.at(-1) ?? {};
    const evaluated = records.findLast((record) => record.val_loss != null);
    const trained = records.findLast((record) => record.loss != null);
    return element(
      "tr",
      {},
      element("th", { scope: "row", dir: "auto" }, name),
      cell(last.step),
      cell(last.seconds),
      cell(last.tokens),
      cell(trained?.loss, 4),
      cell(evaluated?.val_loss ?? nats, 4),
    );
  });
  const titles = ["Run", "Steps", "Seconds", "Tokens", "Training loss", "Validation loss"];
  const head = element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

function points(records, field, loss, log) {
  return records
    .filter((r) => Number.isFinite(r[field]) && Number.isFinite(r[loss]) && !(log && r[field] <= 0))
    .map((r) => [r[field], r[loss]]);
}

function averaged(list) {
  const size = Math.ceil(list.length / MOST);
  if (size < 2) return list;
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => {
    const some = list.slice(i * size, (i + 1) * size);
    return [0, 1].map((axis) => some.reduce((sum, point) => sum + point[axis], 0) / some.length);
  });
}

/** Round numbers between two. */
function ticks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return found;
}

function powers(low, high) {
  const found = [];
  for (let p = Math.floor(Math.log10(low)); 10 ** p <= high; p++)
    for (const m of [1, 3]) if (m * 10 ** p >= low && m * 10 ** p <= high) found.push(m * 10 ** p);
  return found;
}

function nice(low, high) {
  const spare = (high - low || 0.1) * 0.06;
  return [low - spare, high + spare];
}

export function short(value) {
  if (Math.abs(value) >= 1e9) return `${Number((value / 1e9).toPrecision(3))}G`;
  if (Math.abs(value) >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (Math.abs(value) >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(4)));
}
