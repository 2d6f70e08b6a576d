// Text whose tokens are colored by surprisal; each opens a list of what was likelier there.

import { bar, element, percent } from "./dom.js";
import { shown } from "./tokenizer.js";

const BITS = 8; // of the darkest shade
const LATER = 250; // milliseconds before the list closes when the pointer has left

/** A text of tokens in an element of the page, `root`.
 *
 * Arrow keys go from token to token, Enter goes to its list, Escape back. onChoose(index,
 * alternative): it was chosen in place of token `index`. announce(text): for screen readers. */
export class TokenText {
  constructor(root, { popup, onChoose, announce }) {
    Object.assign(this, { root, popup, onChoose, announce });
    this.clear();
    root.classList.add("tokens");
    root.dir = "auto";
    root.tabIndex = 0;
    root.addEventListener("pointerover", (event) => this.open(this.groupOf(event.target)));
    root.addEventListener("pointerleave", () => popup.closeLater());
    root.addEventListener("click", (event) => this.open(this.groupOf(event.target)));
    root.addEventListener("keydown", (event) => this.pressed(event));
    root.addEventListener(
      "blur",
      ({ relatedTarget }) => popup.root.contains(relatedTarget) || this.mark(null),
    );
  }

  clear() {
    this.root.replaceChildren();
    this.groups = []; // {index, tokens, span}: a group is one character or more
    this.current = null;
    this.length = 0;
  }

  /** Appends tokens. Those in the midst of a character are joined with the one that completes it. */
  add(tokens) {
    for (const token of tokens) {
      let group = this.groups.at(-1);
      if (!group || group.text || token.end) {
        group = {
          index: this.length,
          tokens: [],
          text: "",
          bits: 0,
          span: element("span", { className: "token" }),
        };
        this.groups.push(group);
        this.root.append(group.span);
      }
      group.tokens.push(token);
      group.text += token.text;
      group.bits += token.bits;
      group.span.textContent = group.text;
      group.span.classList.toggle("line", group.text === "\n");
      group.span.classList.toggle("end", token.end);
      group.span.style.setProperty("--share", Math.min(1, group.bits / BITS).toFixed(3));
      this.length += 1;
    }
  }

  groupOf(target) {
    return this.groups.find((group) => group.span === target) ?? null;
  }

  open(group) {
    if (!group) return;
    const choose = (alternative) => this.onChoose(group.index, alternative);
    this.popup.open(group, choose, () => this.root.focus());
  }

  mark(group) {
    this.current?.span.classList.remove("current");
    group?.span.classList.add("current");
    this.current = group;
  }

  pressed(event) {
    const backwards = getComputedStyle(this.root).direction === "rtl";
    const steps = {
      ArrowRight: backwards ? -1 : 1,
      ArrowLeft: backwards ? 1 : -1,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key in steps && this.groups.length) {
      event.preventDefault();
      const at = this.current ? this.groups.indexOf(this.current) + steps[event.key] : 0;
      const group = this.groups[Math.min(Math.max(at, 0), this.groups.length - 1)];
      this.mark(group);
      this.open(group);
      this.announce(`${describe(group)}, ${group.bits.toFixed(1)} bits`);
    } else if (event.key === "Enter" && this.current) {
      event.preventDefault();
      this.open(this.current);
      this.popup.focus();
    } else if (event.key === "Escape") this.popup.close();
  }
}

function describe(group) {
  return group.text ? shown(group.text) : group.tokens.map((token) => token.label).join(" ");
}

/** The list beside a token: its surprisal, and the likeliest tokens in its place. */
export class Popup {
  constructor() {
    this.root = element("div", {
      className: "popup",
      hidden: true,
      role: "group",
      "aria-label": "Likeliest tokens here",
    });
    this.root.addEventListener("pointerenter", () => clearTimeout(this.timer));
    this.root.addEventListener("pointerleave", () => this.closeLater());
    this.root.addEventListener("keydown", (event) => this.pressed(event));
    document.addEventListener("pointerdown", ({ target }) => {
      if (!this.root.contains(target)) this.close(); // a finger has no other way to close it
    });
  }

  /** choose(alternative): one of the list was taken. back(): where the focus was before. */
  open(group, choose, back) {
    clearTimeout(this.timer);
    this.back = back;
    const [first] = group.tokens;
    const together = group.tokens.length > 1 ? `, ${group.tokens.length} tokens` : "";
    const line = element(
      "p",
      {},
      element("bdi", {}, element("b", {}, describe(group))),
      ` ${group.bits.toFixed(2)} bits (${percent(2 ** -group.bits)})${together}`,
    );
    const items = first.alternatives.map((alternative) => {
      const { id, label, p } = alternative;
      const take = () => {
        this.close();
        choose(alternative);
      };
      const words = {
        "aria-label": `${label}, ${percent(p)}: go on from there`,
        type: "button",
        "on:click": take,
      };
      const sign = element("bdi", {}, id === first.id ? `${label} ✓` : label);
      return element(
        "li",
        {},
        element("button", words, sign, bar(p), element("span", {}, percent(p))),
      );
    });
    this.root.replaceChildren(line, element("ol", {}, ...items));
    this.root.hidden = false;
    this.place(group.span);
  }

  /** Below the token, and inside the page. */
  place(span) {
    const box = span.getClientRects()[0] ?? span.getBoundingClientRect();
    const most = document.documentElement.clientWidth - this.root.offsetWidth - 8;
    this.root.style.left = `${Math.max(8, Math.min(box.left, most)) + scrollX}px`;
    this.root.style.top = `${box.bottom + scrollY}px`;
  }

  pressed(event) {
    const buttons = [...this.root.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      buttons[(at + step + buttons.length) % buttons.length].focus();
    } else if (event.key === "Escape") {
      this.close();
      this.back?.();
    }
  }

  focus() {
    this.root.querySelector("button")?.focus();
  }

  closeLater() {
    clearTimeout(this.timer);
    if (!this.root.contains(document.activeElement))
      this.timer = setTimeout(() => this.close(), LATER);
  }

  close() {
    clearTimeout(this.timer);
    this.root.hidden = true;
  }
}

/** What the shades mean. */
export function scale() {
  const shades = [0, 2, 4, 6, 8].map((bits) => {
    const shade = element("span", { className: "token" });
    shade.style.setProperty("--share", bits / BITS);
    return element("span", {}, shade, ` ${bits}${bits === BITS ? " and more" : ""}`);
  });
  return element("p", { className: "scale" }, "Surprisal in bits:", ...shades);
}
