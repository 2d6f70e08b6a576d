// Elements of a page. Texts become text nodes: nothing that a model or a run holds is read as markup.

/** An element with properties and children (elements or texts). Properties that begin with a small
 * letter and a colon, `on:click`, are listeners; those with a dash are attributes; others are set. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on:")) made.addEventListener(name.slice(3), value);
    else if (name.includes("-") || name === "role" || name === "for")
      made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** An element of SVG with attributes. */
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A bar as long as a share of 1. */
export function bar(share) {
  const filled = element("span");
  filled.style.setProperty("--share", Math.min(1, Math.max(0, share)).toFixed(4));
  return element("span", { className: "bar" }, filled);
}

/** A token in the midst of a sentence, in quotes; one from right to left does not turn what is around. */
export function quoted(label) {
  return `\u2068“${label}”\u2069`;
}

/** A probability in two digits; tiny ones as such. */
export function percent(p) {
  const share = 100 * p;
  if (share >= 9.5) return `${share.toFixed(0)}%`;
  return share >= 0.01 ? `${share.toPrecision(2)}%` : "<0.01%";
}

/** A section that is computed when it is first opened, and again when `refresh` is called while open. */
export class Opening {
  /** compute(body, signal): fills the body; may be stopped. */
  constructor(title, compute) {
    this.compute = compute;
    this.body = element("div");
    this.root = element(
      "details",
      { "on:toggle": () => this.refresh() },
      element("summary", {}, title),
      this.body,
    );
  }

  async refresh() {
    this.stop?.abort();
    if (!this.root.open) return;
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.body.setAttribute("aria-busy", "true");
    try {
      await this.compute(this.body, signal);
    } catch (error) {
      if (!signal.aborted)
        this.body.replaceChildren(
          element("p", { className: "bad" }, String(error.message ?? error)),
        );
    }
    if (!signal.aborted) this.body.removeAttribute("aria-busy");
  }
}
