// What is above the list: the state, the search, levels, and the way to everything else.
import { copyLink } from "./actions.js";
import { match } from "./current.js";
import { h } from "./dom.js";
import { download } from "./export.js";
import { KEYS } from "./keys.js";
import { expiry, status } from "./status.js";
import { count, short } from "./words.js";

/** @typedef {import("./page.js").Viewer} Viewer */

/** The chips, and which levels each stands for. @type {[string, number[]][]} */
const CHIPS = [["Error", [4, 5]], ["Warning", [3]], ["Info", [2]], ["Debug", [1]], ["Other", [0]]];

/** Set a text if it is another. @param {Node} node @param {string} text */
const put = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

/** @param {string} label @param {() => void} onclick @param {Record<string, any>} [more] */
export const button = (label, onclick, more) => h("button", { type: "button", onclick, ...more }, label);

/** A dialog that also closes by a click beside it. @param {string} title @param {(Node|string)[]} children */
export function dialog(title, ...children) {
  const node = h("dialog", { ariaLabel: title },
    h("header", {}, h("h2", {}, title), button("Close", () => node.close(), { className: "close" })), ...children);
  node.addEventListener("click", (event) => event.target === node && node.close());
  return node;
}

export class Toolbar {
  /** @param {Viewer} viewer @param {string} [namespace] */
  constructor(viewer, namespace) {
    this.viewer = viewer;
    this.state = h("span", { className: "state" });
    this.left = h("b");
    this.expiry = h("span", { className: "expiry", title: "until the token of this link expires", hidden: true }, this.left, h("span", {}, " left"));
    this.search = h("input", {
      type: "search", placeholder: "Search, or /regex/i", ariaLabel: "Search", spellcheck: false, autocomplete: "off", autocapitalize: "off",
      oninput: () => viewer.search(this.search.value),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter") match(viewer, event.shiftKey ? 1 : -1);
      },
    });
    this.found = h("output", { className: "found" });
    this.only = button("Only", () => viewer.toggleOnly(), { ariaLabel: "Only matches", title: "Only matches (f)", ariaPressed: "false", className: "only" });
    this.chips = CHIPS.map(([name, levels]) => {
      const number = h("span", { className: "number" });
      const chip = button(name, () => viewer.toggleLevels(levels), { className: `chip ${name.toLowerCase()}`, ariaPressed: "true" });
      chip.append(" ", number);
      return { chip, number, levels };
    });
    this.conditions = h("span", { className: "conditions" });
    this.sources = button("Sources", () => viewer.panel.open(), { className: "sources" });
    this.pods = h("span", { className: "number" });
    this.sources.append(" ", this.pods);
    this.rate = h("span", { className: "rate" });
    this.options = dialog("Options", ...this.#settings());
    this.help = dialog("Keys", h("table", { className: "keys" }, h("tbody", {},
      ...KEYS.map(([key, what]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, what))))));
    this.node = h("div", { className: "toolbar", role: "toolbar", ariaLabel: "Log viewer" },
      h("div", { className: "status" }, h("h1", { title: "namespace" }, namespace || "Logs"), this.state, this.expiry),
      h("div", { className: "find", role: "search" }, this.search, this.found,
        button("\u2191", () => match(viewer, -1), { ariaLabel: "Match before", title: "Match before (N)", className: "icon" }),
        button("\u2193", () => match(viewer, 1), { ariaLabel: "Next match", title: "Next match (n)", className: "icon" }), this.only),
      h("div", { className: "chips", role: "group", ariaLabel: "Levels" }, ...this.chips.map(({ chip }) => chip), this.conditions),
      h("div", { className: "ways" }, this.sources, button("Options", () => this.options.showModal()), button("?", () => this.help.showModal(), { ariaLabel: "Keys", title: "Keys (?)", className: "icon" })));
  }

  /** @returns {Node[]} */
  #settings() {
    const { viewer } = this;
    const choice = (/** @type {string} */ title, /** @type {string} */ name, /** @type {string[]} */ values, /** @type {string} */ now, /** @type {(value: any) => void} */ set) =>
      h("fieldset", {}, h("legend", {}, title), ...values.map((value) => h("label", {},
        h("input", { type: "radio", name, value, checked: value === now, onchange: () => set(value) }), value)));
    const check = (/** @type {string} */ label, /** @type {boolean} */ checked, /** @type {(value: boolean) => void} */ set) => {
      const box = h("input", { type: "checkbox", checked, onchange: () => set(box.checked) });
      return h("label", {}, box, label);
    };
    const wrap = check("Wrap long lines", viewer.wrap, (value) => viewer.choose("wrap", value));
    this.wrap = /** @type {HTMLInputElement} */ (wrap.firstChild);
    this.times = choice("Time", "time", ["local", "utc", "relative", "off"], viewer.time, (value) => viewer.choose("time", value));
    const save = (/** @type {string} */ label, /** @type {"text"|"ndjson"} */ format, /** @type {boolean} */ all) =>
      button(label, () => download(viewer, format, all));
    return [
      this.times,
      choice("Theme", "theme", ["system", "light", "dark"], viewer.theme, (value) => viewer.choose("theme", value)),
      h("fieldset", {}, h("legend", {}, "Lines"), wrap, check("Keys of one letter", viewer.keys, (value) => viewer.choose("keys", value))),
      h("fieldset", {}, h("legend", {}, "Download what is shown"), save("Text", "text", false), save("NDJSON", "ndjson", false)),
      h("fieldset", {}, h("legend", {}, "Download all"), save("Text", "text", true), save("NDJSON", "ndjson", true)),
      h("fieldset", {}, h("legend", {}, "Link"), button("Copy link", () => copyLink(viewer, true), { title: "It opens these logs to anybody who has it" }),
        button("Copy link without token", () => copyLink(viewer, false), { title: "For somebody who has a token" })),
    ];
  }

  /** Show how things are now. */
  update() {
    const { viewer } = this;
    const { columns, rows, list, sources } = viewer;
    const { connection } = viewer.stream;
    const now = Date.now();
    const { tone, text } = status(connection, list.follow, columns.end, now);
    put(this.state, text);
    this.state.dataset.tone = tone;
    this.state.title = connection.why ?? "";
    const left = connection.state === "ended" ? "" : expiry(connection.expiresAt, now);
    put(this.left, left);
    this.expiry.hidden = !left;
    this.expiry.classList.toggle("soon", (connection.expiresAt ?? Infinity) - now < 300_000);
    for (const { chip, number, levels } of this.chips) {
      const n = levels.reduce((sum, level) => sum + columns.levels[level], 0);
      put(number, short(n));
      chip.classList.toggle("none", n === 0);
      chip.ariaPressed = String(!viewer.hidden.has(levels[0]));
    }
    put(this.pods, count(sources.pods.size));
    this.only.ariaPressed = String(rows.onlyMatches);
    const { matcher, hits, pending } = rows;
    const rank = matcher && viewer.current !== undefined ? rows.rank(viewer.current) : 0;
    put(this.found, viewer.mistake || (matcher ? `${rank ? count(rank) + " of " : ""}${count(hits)}${pending ? "+" : ""}` : ""));
  }

  /** Show the conditions, each of which can be taken back. */
  showConditions() {
    const { viewer } = this;
    this.conditions.replaceChildren(...viewer.conditions.map((condition) =>
      button(`${condition.name}${condition.only ? "=" : "\u2260"}${condition.value.slice(0, 40)} \u00d7`, () => viewer.drop(condition), { className: "chip", title: "Take this back" })));
  }

  /** Show what was chosen by a key. */
  showSettings() {
    if (this.wrap) this.wrap.checked = this.viewer.wrap;
    for (const input of this.times?.querySelectorAll("input") ?? []) input.checked = input.value === this.viewer.time;
  }
}
