// What is asked of the server: pods, containers, streams, patterns.
import { sources } from "./client.js";
import { h } from "./dom.js";
import { button, dialog } from "./toolbar.js";
import { count, counted } from "./words.js";

/** @typedef {import("./page.js").Viewer} Viewer */

// So many names can be asked for in one go.
const MAX_NAMES = 100;

export class Panel {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    /** @type {{kind: "pod"|"container", name: string, box: HTMLInputElement, label: HTMLElement}[]} */
    this.boxes = [];
    this.message = h("p", { className: "facts", role: "status" });
    this.narrow = h("input", { type: "search", ariaLabel: "Find a pod", placeholder: "Find a pod", oninput: () => this.#narrowed() });
    this.pods = h("div", { className: "choices", tabIndex: 0, role: "group", ariaLabel: "Pods" });
    this.containers = h("div", { className: "choices", role: "group", ariaLabel: "Containers" });
    this.stream = h("select", {}, ...[["", "both"], ["stdout", "stdout"], ["stderr", "stderr"]].map(([value, text]) => h("option", { value }, text)));
    this.tail = h("select", {}, ...["1000", "10000", "100000", "all"].map((value) => h("option", { value }, value === "all" ? "all it holds" : `the last ${count(+value)}`)));
    this.include = h("input", { placeholder: "RE2, such as 5\\d\\d", spellcheck: false });
    this.exclude = h("input", { placeholder: "RE2, such as /healthz", spellcheck: false });
    const form = h("form", { method: "dialog", onsubmit: () => this.#apply() },
      h("fieldset", { className: "pods" }, h("legend", {}, "Pods (none chosen: all)"), this.narrow, this.pods),
      h("fieldset", { className: "containers" }, h("legend", {}, "Containers (none chosen: all)"), this.containers),
      h("fieldset", { className: "server" }, h("legend", {}, "On the server"), h("label", {}, "Stream", this.stream), h("label", {}, "Lines to begin with", this.tail),
        h("label", {}, "Only lines that match", this.include), h("label", {}, "No lines that match", this.exclude)),
      this.message,
      h("p", { className: "actions" }, h("button", { type: "submit", className: "main" }, "Show these"), button("Show all", () => this.#clear())));
    this.node = dialog("Sources", form);
  }

  async open() {
    const { viewer } = this;
    this.stream.value = viewer.stream.asked.get("stream") ?? "";
    this.tail.value = viewer.stream.asked.get("tail") ?? "1000";
    this.include.value = viewer.stream.asked.get("include") ?? "";
    this.exclude.value = viewer.stream.asked.get("exclude") ?? "";
    this.message.textContent = "Asking the server\u2026";
    this.node.showModal();
    /** @type {Map<string, number>} */
    let pods = viewer.sources.counts();
    /** @type {Map<string, number>} */
    let containers = new Map();
    for (const { container, lines } of viewer.sources.all) add(containers, container, lines);
    try {
      const held = await sources(viewer.stream.url, { token: viewer.stream.token });
      [pods, containers] = [new Map(), new Map()];
      for (const { pod, container, lines } of held) {
        add(pods, pod, lines);
        add(containers, container, lines);
      }
      this.message.textContent = `The server holds ${counted(held.reduce((sum, { lines }) => sum + lines, 0), "line")} of ${counted(pods.size, "pod")}.`;
    } catch (error) {
      this.message.textContent = `The server does not say what it holds: ${error instanceof Error ? error.message : error}`;
    }
    this.boxes = [];
    this.#choices("pod", this.pods, pods);
    this.#choices("container", this.containers, containers);
    this.#narrowed();
  }

  /** @param {"pod"|"container"} kind @param {HTMLElement} into @param {Map<string, number>} counts */
  #choices(kind, into, counts) {
    const chosen = new Set(this.viewer.stream.asked.getAll(kind).flatMap((names) => names.split(",")));
    for (const name of chosen) if (!counts.has(name)) counts.set(name, 0);
    const names = [...counts].filter(([name]) => name).sort(([one], [other]) => (one < other ? -1 : 1));
    into.replaceChildren(...names.map(([name, lines]) => {
      const box = h("input", { type: "checkbox", checked: chosen.has(name) });
      const label = h("label", {}, box, h("span", {}, name), h("span", { className: "number" }, count(lines)));
      this.boxes.push({ kind, name, box, label });
      return label;
    }));
  }

  #narrowed() {
    const words = this.narrow.value.toLowerCase();
    for (const { kind, name, label } of this.boxes) label.hidden = kind === "pod" && !name.toLowerCase().includes(words);
  }

  #apply() {
    const query = new URLSearchParams(this.viewer.stream.asked);
    for (const kind of ["pod", "container"]) {
      query.delete(kind);
      const names = this.boxes.filter((one) => one.kind === kind && one.box.checked).slice(0, MAX_NAMES);
      for (const { name } of names) query.append(kind, name);
    }
    for (const [name, input] of /** @type {[string, HTMLInputElement|HTMLSelectElement][]} */ ([["stream", this.stream], ["tail", this.tail], ["include", this.include], ["exclude", this.exclude]])) {
      query.delete(name);
      if (input.value) query.set(name, input.value);
    }
    this.viewer.stream.ask(query);
  }

  #clear() {
    const query = new URLSearchParams(this.viewer.stream.asked);
    for (const name of ["pod", "container", "stream", "include", "exclude"]) query.delete(name);
    this.node.close();
    this.viewer.stream.ask(query);
  }
}

/** @param {Map<string, number>} counts @param {string} name @param {number} lines */
const add = (counts, name, lines) => counts.set(name, (counts.get(name) ?? 0) + lines);
