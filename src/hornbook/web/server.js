// The page of `hornbook serve`: writing with a model, looking inside it, the runs of a directory.

import { about } from "./about.js";
import { Client } from "./client.js";
import { element } from "./dom.js";
import { embeddings } from "./look.js";
import { parts } from "./page.js";
import { RemoteBackend } from "./remote.js";
import { Runs } from "./runs.js";
import { Tabs } from "./tabs.js";

const place = (id) => document.getElementById(id);
const NO_MODEL = "No run here has weights yet. They are there after the first evaluation of a run.";

class Page {
  constructor() {
    this.client = new Client((wrong) => this.askKey(wrong));
    this.models = [];
    this.select = element("select", { id: "model", "on:change": () => this.choose() });
    this.choice = element(
      "p",
      { className: "choice", hidden: true },
      element("label", { htmlFor: "model" }, "Model"),
      this.select,
    );
    this.write = element("div", {}, element("p", {}, NO_MODEL));
    this.look = element("div", {}, element("p", {}, NO_MODEL));
    this.runs = new Runs(this.client);
    this.tabs = new Tabs("What to do", [
      { id: "write", title: "Write", root: this.write, onShow: () => this.leaveRuns() },
      { id: "look", title: "Look", root: this.look, onShow: () => this.lookAt() },
      { id: "runs", title: "Runs", root: this.runs.root, onShow: () => this.runs.start() },
    ]);
    place("page").append(this.tabs.root);
    place("summary").before(this.choice);
  }

  async start() {
    this.tabs.show(this.tabs.named() ?? 0);
    await this.listModels();
    if (this.models.length) await this.choose();
    else if (this.tabs.named() === null || location.hash === "#write") this.tabs.show(2);
  }

  /** The models that are served; new ones are added to the choice. */
  async listModels() {
    const { data } = await this.client.json("/v1/models");
    const names = data.map(({ id }) => id);
    if (String(names) === String(this.models)) return;
    this.models = names;
    const chosen = this.select.value;
    this.select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    if (names.includes(chosen)) this.select.value = chosen;
    this.choice.hidden = names.length < 2;
  }

  /** Shows the chosen model. */
  async choose() {
    this.model?.write.running?.abort();
    const name = this.select.value;
    place("error").hidden = true;
    try {
      const backend = await RemoteBackend.of(this.client, name);
      if (name === this.select.value) await this.build(backend, await backend.info());
    } catch (error) {
      fail(error);
    }
  }

  async build(backend, info) {
    document.title = `${info.name} – hornbook`;
    place("name").textContent = info.name;
    place("summary").textContent = info.summary;
    const { write, looks } = parts(backend, info, () => this.changed());
    const map = embeddings(backend);
    this.model = { write, looks, map, stale: true };
    this.text = element("bdi", { className: "at-hand" });
    this.write.replaceChildren(write.root);
    this.look.replaceChildren(
      element("p", { className: "soft" }, "The text at hand, from Write: ", this.text),
      ...[...looks, map].map(({ root }) => root),
      about(info),
    );
    if (this.tabs.shown === "look") this.lookAt();
    globalThis.hornbook = { backend }; // for the console
    await write.first();
    performance.mark("first sample");
  }

  /** The text at hand is another one. */
  changed() {
    this.model.stale = true;
    if (this.tabs.shown === "look") this.lookAt();
  }

  lookAt() {
    this.leaveRuns();
    if (!this.model?.stale) return;
    const { write, looks, map } = this.model;
    this.model.stale = false;
    const text = write.tokens.map((token) => (token.text === "\n" ? " ⏎ " : token.text)).join("");
    this.text.textContent = text ? `“${text.length > 200 ? `…${text.slice(-200)}` : text}”` : "none";
    const first = !this.model.opened;
    this.model.opened = true;
    for (const look of first ? [...looks, map] : looks) {
      if (first) look.root.open = true; // which computes it
      else look.refresh();
    }
  }

  leaveRuns() {
    this.runs.stop();
    if (this.model || this.models.length) this.listModels().catch(fail);
  }

  /** Asks for the key of the server, until it is given. */
  askKey(wrong) {
    return new Promise((resolve) => {
      const input = element("input", { type: "password", id: "key", autocomplete: "off" });
      const form = element(
        "form",
        {
          className: "key",
          "on:submit": (event) => {
            event.preventDefault();
            form.remove();
            resolve(input.value.trim());
          },
        },
        element("label", { htmlFor: "key" }, wrong ? "Another key" : "Key of this server"),
        input,
        element("button", { className: "main" }, "Go on"),
        element(
          "p",
          { className: wrong ? "bad" : "soft" },
          wrong ? "That key is not the server's." : "It was given to hornbook serve as --api-key.",
        ),
      );
      this.tabs.root.before(form);
      input.focus();
    });
  }
}

function fail(error) {
  place("error").textContent = String(error.message ?? error);
  place("error").hidden = false;
}

new Page().start().catch(fail);
