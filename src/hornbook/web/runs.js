// All runs of the server: a table, loss curves, one run followed, several compared.

import { COLUMNS, count, lossOf, newest, stateOf, stepsOf } from "./columns.js";
import { STYLES, curves, short, swatch, values } from "./curves.js";
import { element } from "./dom.js";
import { Followed } from "./followed.js";

const EVERY = 4000; // milliseconds between two looks at the runs
const FIRST = 4; // runs drawn at first
const LATER = 150; // milliseconds in which changes of the picture are gathered
const NARROW = 320; // pixels of the picture, at least

export class Runs {
  constructor(client) {
    this.client = client;
    this.runs = [];
    this.drawn = new Map(); // name -> {index, followed}
    this.sorted = { column: COLUMNS.length - 1, down: true };
    this.table = element("div", { className: "scroll", tabIndex: 0, role: "group", "aria-label": "Runs" });
    this.note = element("p", { className: "soft" });
    this.error = element("p", { className: "bad", role: "status" });
    this.picture = element("div", { className: "picture" });
    this.legend = element("ul", { className: "legend" });
    this.baselines = element("p", { className: "soft" });
    this.numbers = element("div", { className: "scroll", tabIndex: 0, role: "group", "aria-label": "Newest values" });
    this.compared = element("div", { role: "status" });
    this.compare = element("button", { type: "button", "on:click": () => this.compareNow() }, "Compare");
    this.detail = element("section", { "aria-label": "Run", hidden: true });
    this.spoken = element("p", { className: "hidden", role: "status" });
    this.root = element(
      "div",
      {},
      element(
        "section",
        { "aria-label": "Runs" },
        element("h2", {}, "Runs"),
        this.error,
        this.note,
        this.table,
        element("div", { className: "buttons" }, this.compare),
        this.compared,
      ),
      element(
        "section",
        { "aria-label": "Loss curves" },
        element("h2", {}, "Loss curves"),
        this.controls(),
        this.picture,
        this.legend,
        this.baselines,
        element("details", {}, element("summary", {}, "Newest values"), this.numbers),
      ),
      this.detail,
      this.spoken,
    );
    new ResizeObserver(() => this.drawSoon()).observe(this.picture);
  }

  /** Over what the curves are drawn. */
  controls() {
    this.axis = "steps";
    const change = (set) => (event) => {
      set(event.target);
      this.draw();
    };
    const choice = (axis) =>
      element(
        "label",
        {},
        element("input", {
          type: "radio",
          name: "axis",
          value: axis,
          checked: axis === this.axis,
          "on:change": change(({ value }) => (this.axis = value)),
        }),
        ` ${axis}`,
      );
    const box = (title, name, checked) => {
      this[name] = checked;
      const set = change((input) => (this[name] = input.checked));
      const input = element("input", { type: "checkbox", checked, "on:change": set });
      return element("label", {}, input, ` ${title}`);
    };
    return element(
      "fieldset",
      { className: "controls" },
      element("legend", {}, "Over"),
      ...["steps", "seconds", "tokens"].map(choice),
      box("logarithmic", "log", false),
      box("training loss", "training", true),
      box("baselines", "levels", true),
    );
  }

  // following

  /** The panel is shown. */
  async start() {
    if (this.timer) return;
    this.timer = setInterval(() => document.hidden || this.refresh(), EVERY);
    await this.refresh();
    for (const { followed } of this.drawn.values()) followed.start();
    this.drawSoon();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    for (const { followed } of this.drawn.values()) followed.stop();
  }

  async refresh() {
    try {
      const { runs } = await this.client.json("/hornbook/runs");
      this.error.textContent = "";
      if (this.listed && JSON.stringify(runs) === JSON.stringify(this.runs)) return;
      this.listed = true;
      const began = new Set(runs.filter(({ held }) => held).map(({ name }) => name));
      const before = new Set(this.runs.filter(({ held }) => held).map(({ name }) => name));
      const first = !this.runs.length;
      this.runs = runs;
      if (first && runs.length) this.choose();
      for (const [name, { followed }] of this.drawn)
        if (began.has(name) && !before.has(name) && !first) followed.start();
      for (const name of this.drawn.keys()) if (!this.named(name)) this.toggle(name, false);
      this.list();
      this.drawSoon();
      this.describe();
    } catch (error) {
      this.error.textContent = String(error.message ?? error);
    }
  }

  /** Draws the runs in training and the newest ones of the same text. */
  choose() {
    const newest = [...this.runs].sort(
      (a, b) => b.held - a.held || b.created.localeCompare(a.created),
    );
    const same = newest.filter(({ sha256 }) => sha256 === newest[0].sha256).slice(0, FIRST);
    for (const { name } of same) this.toggle(name, true);
  }

  named(name) {
    return this.runs.find((run) => run.name === name);
  }

  toggle(name, on) {
    const { followed } = this.drawn.get(name) ?? {};
    if (!on) {
      followed?.stop();
      this.drawn.delete(name);
    } else if (!followed) {
      const taken = new Set([...this.drawn.values()].map(({ index }) => index));
      const free = [...Array(STYLES).keys()].find((i) => !taken.has(i)) ?? this.drawn.size;
      const made = new Followed(this.client, name, (record) => this.changed(made, record));
      this.drawn.set(name, { index: free, followed: made });
      if (this.timer) made.start();
    }
    this.compare.disabled = this.drawn.size < 2;
    this.compared.replaceChildren();
  }

  changed(followed, record) {
    this.drawSoon();
    if (this.open !== followed.name) return;
    this.describeSoon();
    if (record?.val_loss != null && this.named(this.open)?.held)
      this.spoken.textContent = `Step ${record.step}: validation loss ${record.val_loss.toFixed(3)}`;
  }

  // the table

  list() {
    const { column, down } = this.sorted;
    const { key } = COLUMNS[column];
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x == null || y == null) return (x == null) - (y == null);
      const before = typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
      return down ? -before : before;
    };
    const head = COLUMNS.map(({ title }, i) => {
      const sort = () => {
        this.sorted = { column: i, down: i === this.sorted.column && !this.sorted.down };
        this.list();
        this.table.querySelectorAll("th button")[i].focus();
      };
      const sign = i === column ? (down ? " ▼" : " ▲") : "";
      return element(
        "th",
        { scope: "col", "aria-sort": i === column ? (down ? "descending" : "ascending") : "none" },
        element(
          "button",
          { type: "button", className: "sort", "on:click": sort },
          title,
          element("span", { "aria-hidden": "true" }, sign),
        ),
      );
    });
    const rows = [...this.runs].sort(order).map((run) => this.row(run));
    const held = document.activeElement?.dataset?.focus;
    this.table.replaceChildren(
      element(
        "table",
        { className: "runs" },
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Draw"), ...head)),
        element("tbody", {}, ...rows),
      ),
    );
    if (held)
      [...this.table.querySelectorAll("[data-focus]")].find((e) => e.dataset.focus === held)?.focus();
    const training = this.runs.filter((run) => run.held).length;
    const what = this.runs.length === 1 ? "run" : "runs";
    this.note.textContent = this.runs.length
      ? `${this.runs.length} ${what}, ${training} in training. Loss: nats per token of the validation ` +
        "part, with its standard error. Choose a name to see more of a run; draw several to " +
        "compare them."
      : "No runs yet. They appear here as soon as they begin.";
  }

  row(run) {
    const draw = element("input", {
      type: "checkbox",
      checked: this.drawn.has(run.name),
      "aria-label": `Draw ${run.name}`,
      "on:change": (event) => {
        this.toggle(run.name, event.target.checked);
        this.drawSoon();
      },
    });
    draw.dataset.focus = `draw ${run.name}`;
    const name = element(
      "button",
      { type: "button", className: "link", dir: "auto", "on:click": () => this.show(run.name) },
      run.name,
    );
    name.dataset.focus = `name ${run.name}`;
    const cells = COLUMNS.slice(1).map(({ key, number, show }) => {
      const value = key(run);
      const text = show ? show(run, value) : (value ?? "");
      return element("td", number ? { className: "number" } : { dir: "auto" }, text);
    });
    return element(
      "tr",
      {},
      element("td", {}, draw),
      element("th", { scope: "row" }, name),
      ...cells,
    );
  }

  async compareNow() {
    const runs = [...this.drawn.keys()];
    this.compared.replaceChildren(element("p", { className: "soft" }, "Comparing …"));
    this.compare.disabled = true;
    try {
      const { sentences } = await this.client.json("/hornbook/compare", { runs });
      const lines = sentences.map((text) => element("li", { dir: "auto" }, text));
      this.compared.replaceChildren(element("ul", { className: "sentences" }, ...lines));
    } catch (error) {
      this.compared.replaceChildren(
        element("p", { className: "bad" }, String(error.message ?? error)),
      );
    }
    this.compare.disabled = this.drawn.size < 2;
  }

  // the picture

  drawSoon() {
    this.drawing ??= setTimeout(() => {
      this.drawing = null;
      this.draw();
    }, LATER);
  }

  draw() {
    const width = Math.max(NARROW, this.picture.clientWidth);
    if (!this.picture.clientWidth) return; // hidden
    const all = [...this.drawn].flatMap(([name, { index, followed }]) => {
      const run = this.named(name);
      return run ? [{ name, index, run, records: followed.records, nats: run.nats, followed }] : [];
    });
    const levels = this.levels ? levelsOf(all) : [];
    const { axis, log, training } = this;
    const picture = curves({ curves: all, axis, levels, log, training, width });
    this.picture.replaceChildren(
      picture ?? element("p", { className: "soft" }, "Draw a run to see its loss."),
    );
    this.legend.replaceChildren(
      ...all.map(({ name, index }) => element("li", { dir: "auto" }, swatch(index), ` ${name}`)),
    );
    const texts = new Set(all.map(({ run }) => run.sha256)).size;
    this.baselines.textContent =
      texts > 1 ? "These runs have different texts: their losses cannot be compared." : "";
    this.numbers.replaceChildren(values(all));
  }

  // one run

  show(name) {
    this.open = name;
    if (!this.drawn.has(name)) {
      this.toggle(name, true);
      this.list();
      this.drawSoon();
    }
    this.drawn.get(name).followed.sample();
    this.describe();
    this.detail.scrollIntoView({ block: "nearest" });
    this.detail.querySelector("h2")?.focus();
  }

  describeSoon() {
    this.describing ??= setTimeout(() => {
      this.describing = null;
      this.describe();
    }, LATER);
  }

  describe() {
    const run = this.open && this.named(this.open);
    const { followed } = this.drawn.get(this.open) ?? {};
    this.detail.hidden = !run || !followed;
    if (this.detail.hidden) return;
    const last = followed.records.at(-1);
    const levels = followed.baselines;
    const facts = [
      ["State", stateOf(run)],
      ["Steps", last && run.held ? `${last.step} of ${count(run, run.total_steps)}` : stepsOf(run)],
      ["Loss", lossOf(run, run.nats) || newest(followed.records)],
      ["Uniform guess", levels ? `${levels.uniform_nats.toFixed(4)} nats per token` : "…"],
      [
        "Best n-grams",
        levels?.counts_nats == null
          ? levels ? "not counted" : "…"
          : `${levels.counts_nats.toFixed(4)} nats per token, order ${levels.counts_order}`,
      ],
    ];
    if (last?.tokens_per_second && run.held)
      facts.push(["Speed", `${short(last.tokens_per_second)} tokens per second`]);
    const title = this.detail.querySelector("h2") ?? element("h2", { tabIndex: -1, dir: "auto" });
    title.textContent = run.name;
    const list = facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
    const samples = followed.samples.flatMap(({ title, texts }) => [
      element("h3", {}, title),
      element("ul", { className: "samples" }, ...texts.slice(0, 10).map((text) => element("li", { dir: "auto" }, text))),
    ]);
    const parts = [element("dl", {}, ...list)];
    if (followed.drawing) parts.push(element("p", { className: "soft" }, "Drawing samples …"));
    parts.push(...samples);
    if (title.isConnected) {
      while (title.nextSibling) title.nextSibling.remove();
      title.after(...parts);
    } else this.detail.replaceChildren(title, ...parts);
  }
}

/** Lines to compare with; of several texts, their names beside them. */
function levelsOf(all) {
  const found = new Map();
  const many = new Set(all.map(({ run }) => run.sha256)).size > 1;
  for (const { run, followed } of all) {
    const { baselines } = followed;
    if (!baselines) continue;
    const add = (label, nats) => {
      if (nats != null) found.set(`${nats.toFixed(4)}`, { label: many ? `${label}, ${run.corpus}` : label, nats });
    };
    add("uniform guess", baselines.uniform_nats);
    add(`best n-grams (order ${baselines.counts_order})`, baselines.counts_nats);
  }
  return [...found.values()];
}
