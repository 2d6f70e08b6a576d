// The notebook page: a text that the model goes on with, in one or several continuations side by side.

import { element } from "./dom.js";
import { Settings } from "./settings.js";
import { Popup, TokenText, scale } from "./tokens.js";

const PAUSE = 200; // milliseconds after the last key before a text is read
const FIRST = { documents: 6, length: 200 }; // samples on opening; tokens of a stream
const SEED = 0; // of the first samples, which are those of `hornbook sample --seed 0`

const HELP =
  "Point at a character, or go to the text and use the arrow keys, to see what the model held " +
  "likeliest there. Choose one to go on from it.";

/** The section. state: text (tokens, with their surprisal) and branches (lists of tokens that continue
 * it). onChange(): the text at hand has changed. */
export class Write {
  constructor(backend, info, onChange) {
    Object.assign(this, { backend, info, onChange });
    this.history = [];
    this.running = null; // stops what is being written
    this.acts = 0; // under way
    this.state = { text: [], branches: [] };
    this.popup = new Popup();
    this.settings = new Settings(info.documents ? FIRST.documents : 1);
    this.build();
  }

  build() {
    const button = (name, press, more = {}) =>
      element("button", { type: "button", "on:click": press, ...more }, name);
    this.editor = element("textarea", {
      id: "beginning",
      dir: "auto",
      rows: 2,
      spellcheck: false,
      "aria-describedby": "unknown",
      "on:input": () => this.edited(),
    });
    this.buttons = {
      go: button("Continue", () => this.act(() => this.go()), { className: "main" }),
      stop: button("Stop", () => this.running?.abort(), { disabled: true }),
      again: button("Regenerate", () => this.act(() => this.again())),
      undo: button("Undo", () => this.undo()),
      clear: button("Clear", () => this.change({ text: [], branches: [] })),
    };
    this.unknown = element("p", { id: "unknown", className: "bad", role: "status" });
    this.progress = element("p", { className: "soft", id: "progress" });
    this.spoken = element("p", { className: "hidden", role: "status" });
    this.before = element("div", { id: "before", role: "group", "aria-label": "The text so far" });
    this.outputs = element("div", { className: "branches" });
    this.root = element(
      "section",
      { "aria-label": "Write" },
      element("label", { htmlFor: "beginning" }, "Text so far"),
      this.editor,
      this.unknown,
      element("div", { className: "buttons" }, ...Object.values(this.buttons)),
      this.settings.root,
      this.progress,
      this.spoken,
      this.before,
      this.outputs,
      scale(),
      element("p", { className: "soft" }, HELP),
      this.popup.root,
    );
    this.editor.placeholder = "Type how it begins, or leave it to the model";
    this.view(this.before, (index, other) => this.act(() => this.choose([], index, other)));
    this.show();
  }

  /** An element as colored text. */
  view(root, onChoose) {
    const announce = (text) => (this.spoken.textContent = text);
    root.view = new TokenText(root, { popup: this.popup, onChoose, announce });
    return root.view;
  }

  /** The tokens at hand: the text and its first continuation, without the end. */
  get tokens() {
    return [...this.kept, ...(this.state.branches[0] ?? [])].filter((token) => !token.end);
  }

  /** The text, but for the last tokens whose place the first of the continuations takes. */
  get kept() {
    const { text, branches } = this.state;
    const replaced = branches.find((branch) => branch[0]?.replaces)?.[0].replaces ?? 0;
    return text.slice(0, text.length - replaced);
  }

  /** Writes the first samples. */
  async first() {
    const { documents } = this.info;
    await this.act(() =>
      this.write({ seed: SEED, ...(documents ? {} : { maxTokens: FIRST.length }) }),
    );
    this.spoken.textContent = "";
  }

  /** Does something that takes a while; what goes wrong is said. */
  async act(work) {
    this.acts += 1;
    this.enable();
    try {
      await work();
    } catch (error) {
      this.progress.textContent = String(error.message ?? error);
    }
    this.acts -= 1;
    this.enable();
  }

  // what the buttons do

  async go() {
    const { branches, typed } = this.state;
    this.change({
      text: [...this.kept, ...(branches[0] ?? [])],
      typed: typed && !branches.length,
      branches: [],
    });
    await this.write();
  }

  async again() {
    this.remember();
    await this.write();
  }

  undo() {
    this.running?.abort();
    const before = this.history.pop();
    if (before) this.state = before;
    this.show();
    this.onChange();
  }

  /** Goes on from one of several continuations. */
  async take(branch) {
    this.change({
      text: [...this.kept, ...branch.filter((token) => !token.end)],
      branches: [],
    });
    await this.write();
  }

  /** Goes on from another token in place of `index` of the text and a continuation. */
  async choose(branch, index, { id, end }) {
    const kept = [...this.kept, ...branch].slice(0, index).map((token) => token.id);
    this.running?.abort();
    const text = await this.backend.score(end ? kept : [...kept, id]);
    this.change({ text, branches: [] });
    if (!end) await this.write();
    this.editor.focus({ preventScroll: true });
  }

  edited() {
    clearTimeout(this.timer);
    this.running?.abort();
    this.root.setAttribute("aria-busy", "true");
    this.timer = setTimeout(() => this.act(() => this.read()), PAUSE);
  }

  /** Reads what was typed. */
  async read() {
    const typed = this.editor.value;
    const { ids, unknown } = await this.backend.encode(typed);
    const text = await this.backend.score(ids);
    if (typed !== this.editor.value) return; // typed on meanwhile
    const strange = unknown
      .slice(0, 8)
      .map((c) => JSON.stringify(c))
      .join(" ");
    this.unknown.textContent = strange && `Left out, as the model does not know them: ${strange}`;
    this.remember();
    this.state = { text, typed: true, branches: [] };
    this.show({ editor: false });
    this.onChange();
  }

  // states

  remember() {
    this.running?.abort();
    this.history.push(this.state);
  }

  change(state) {
    this.remember();
    this.state = state;
    this.show();
    this.onChange();
  }

  /** Continues the text in new branches. */
  async write(overrides = {}) {
    clearTimeout(this.timer);
    const request = {
      ids: this.state.text.map((token) => token.id),
      typed: this.state.typed,
      ...this.settings.values(),
      ...overrides,
    };
    const stop = (this.running = new AbortController());
    this.state = { ...this.state, branches: Array.from({ length: request.n }, () => []) };
    const { branches } = this.state;
    this.show();
    const began = performance.now();
    let count = 0;
    const onTokens = (found) => {
      if (stop.signal.aborted) return;
      const replaced = found.some((item) => item.token.replaces);
      branches.forEach((branch, sample) => {
        const own = found.filter((item) => item.sample === sample).map((item) => item.token);
        branch.push(...own);
        if (!replaced) this.views[sample].add(own);
      });
      if (replaced) this.show({ editor: false });
      count += found.length;
      const speed = Math.round(count / Math.max(1e-3, (performance.now() - began) / 1000));
      const [tokens, perSecond] = [count, speed].map((n) => n.toLocaleString("en"));
      this.progress.textContent = `${tokens} tokens, ${perSecond} per second, seed ${request.seed}`;
    };
    try {
      await this.backend.generate(request, onTokens, stop.signal);
    } finally {
      if (this.running === stop) this.running = null; // else another has begun
    }
    if (this.running) return;
    this.spoken.textContent = `${stop.signal.aborted ? "Stopped" : "Done"}: ${count} tokens`;
    this.enable();
    this.onChange();
  }

  // what is shown

  show({ editor = true } = {}) {
    const { branches } = this.state;
    const text = this.kept;
    this.popup.close();
    if (editor)
      this.backend.decode(text.map((token) => token.id)).then((all) => (this.editor.value = all));
    const joined = branches.length < 2; // one continuation stands in one piece with its text
    this.before.hidden = joined || !text.length;
    this.before.view.clear();
    if (!joined) this.before.view.add(text);
    this.views = [];
    const shown = joined ? [branches[0] ?? []] : branches;
    this.outputs.replaceChildren(
      ...shown.map((branch, i) => this.output(branch, i, joined ? text : [])),
    );
    this.enable();
  }

  /** A continuation, after the text where that stands in front of it. */
  output(branch, i, text) {
    const many = this.state.branches.length > 1;
    const root = element("output", {
      "aria-live": "off",
      "aria-label": many ? `Continuation ${i + 1}` : "Text",
    });
    if (i === 0) root.id = "text";
    const own = text.length ? [] : this.kept; // tokens before the first of this element
    const choose = (index, other) =>
      this.choose(this.state.branches[i] ?? [], index + own.length, other);
    const view = this.view(root, (index, other) => this.act(() => choose(index, other)));
    view.add([...text, ...branch]);
    this.views.push(view);
    if (!many) return element("article", {}, root);
    const take = () => this.act(() => this.take(this.state.branches[i]));
    return element(
      "article",
      {},
      root,
      element(
        "button",
        { type: "button", "on:click": take, "aria-label": `Go on with continuation ${i + 1}` },
        "Go on with this",
      ),
    );
  }

  enable() {
    const { go, stop, again, undo } = this.buttons;
    const { branches } = this.state;
    const busy = this.acts > 0;
    if (busy) this.root.setAttribute("aria-busy", "true");
    else this.root.removeAttribute("aria-busy");
    stop.disabled = !this.running;
    undo.disabled = this.history.length === 0;
    again.disabled = branches.length === 0;
    // one of several has to be chosen first, and nothing follows the end of a document
    go.disabled = busy || branches.length > 1 || Boolean(branches[0]?.at(-1)?.end);
  }
}
