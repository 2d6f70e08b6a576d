// Tabs, one panel of which is shown; the address names it after a #.

import { element } from "./dom.js";

export class Tabs {
  /** panels: [{id, title, root, onShow}]. Arrow keys go from tab to tab. */
  constructor(label, panels) {
    this.panels = panels;
    this.tabs = panels.map(({ id, title, root }, i) => {
      Object.assign(root, { id: `panel-${id}`, tabIndex: -1 });
      root.setAttribute("role", "tabpanel");
      root.setAttribute("aria-labelledby", `tab-${id}`);
      root.classList.add("panel");
      return element(
        "button",
        {
          type: "button",
          role: "tab",
          id: `tab-${id}`,
          "aria-controls": `panel-${id}`,
          "on:click": () => this.show(i),
          "on:keydown": (event) => this.pressed(event, i),
        },
        title,
      );
    });
    const list = element("div", { role: "tablist", "aria-label": label }, ...this.tabs);
    this.root = element("div", {}, list, ...panels.map(({ root }) => root));
    addEventListener("hashchange", () => this.show(this.named() ?? 0));
  }

  named() {
    const at = this.panels.findIndex(({ id }) => `#${id}` === location.hash);
    return at < 0 ? null : at;
  }

  get shown() {
    return this.panels[this.at]?.id;
  }

  show(at) {
    if (at === this.at) return;
    this.at = at;
    this.tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === at));
      tab.tabIndex = i === at ? 0 : -1;
      this.panels[i].root.hidden = i !== at;
    });
    history.replaceState(null, "", `#${this.shown}`);
    this.panels[at].onShow?.();
  }

  pressed(event, at) {
    const n = this.tabs.length;
    const to = { ArrowRight: at + 1, ArrowLeft: at + n - 1, Home: 0, End: n - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.show(to % n);
    this.tabs[to % n].focus();
  }
}
