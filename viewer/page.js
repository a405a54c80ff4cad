// The viewer: what comes from the server is kept, searched and shown, in frames that leave time for the reader.
import { act } from "./actions.js";
import { Columns } from "./columns.js";
import { breathe, h, SLICE } from "./dom.js";
import { meets } from "./fields.js";
import { Frames } from "./frames.js";
import { Histogram } from "./histogram.js";
import { pressed } from "./keys.js";
import { claims } from "./link.js";
import { List } from "./list.js";
import { Panel } from "./panel.js";
import { listen } from "./pointer.js";
import { recall, remember } from "./prefs.js";
import { grow, INSIDE, NAME, row } from "./row.js";
import { Rows } from "./rows.js";
import { Ruler } from "./ruler.js";
import { matcher } from "./search.js";
import { Sources } from "./sources.js";
import { Stream } from "./stream.js";
import { button, Toolbar } from "./toolbar.js";
import { Voice } from "./voice.js";
import { counted, relative } from "./words.js";

/**
 * @typedef {object} Options
 * @property {string} url of the server
 * @property {string} token
 * @property {URLSearchParams} [query] what is asked for, and how it is shown
 * @property {boolean} [embed] without the toolbar
 * @property {() => Promise<string|null|undefined>} [renew] gets another token before this one expires
 * @property {(token: string) => void} [keep] is given a token that the reader has pasted
 * @typedef {"local"|"utc"|"relative"|"off"} Time
 */

const PROGRESS = 120;
const TICK = 250;
// What the server is not asked for.
const ON_PAGE = new Set(["q", "only", "hide", "at", "embed", "keep"]);
const MAX_LINES = 200_000;
const MAX_BYTES = 64 << 20;
// What lines may have in the mean where a link asks to keep more of them.
const LINE_BYTES = 320;
/** @type {Time[]} */
const TIMES = ["local", "utc", "relative", "off"];

/** Build the viewer in an element or a shadow root. @param {HTMLElement|ShadowRoot} root @param {Options} options */
export function mount(root, options) {
  return new Viewer(root, options);
}

export class Viewer {
  /** @param {HTMLElement|ShadowRoot} root @param {Options} options */
  constructor(root, options) {
    const { query = new URLSearchParams(), embed = false } = options;
    this.time = /** @type {Time} */ (recall("time", "local"));
    this.wrap = recall("wrap", "") !== "";
    this.theme = recall("theme", "system");
    this.keys = recall("keys", "on") === "on";
    /** Levels that are not shown. */
    this.hidden = new Set(query.getAll("hide").map(Number));
    /** @type {import("./fields.js").Condition[]} */
    this.conditions = [];
    /** Lines whose details are shown. @type {Set<number>} */
    this.opened = new Set();
    /** @type {Set<number>} */
    this.marks = new Set();
    /** The line that keys act on. @type {number|undefined} */
    this.current = undefined;
    /** What is wrong with the search. */
    this.mistake = "";
    this.sources = new Sources();
    const keep = Number(query.get("keep")) || MAX_LINES;
    this.columns = new Columns(this.sources, keep, Math.max(MAX_BYTES, keep * LINE_BYTES));
    this.rows = new Rows(this.columns);
    this.voice = new Voice();
    this.frames = new Frames(() => this.#draw());
    this.stream = new Stream(this, options, new URLSearchParams([...query].filter(([name]) => !ON_PAGE.has(name))));
    this.stream.at = query.get("at");
    this.list = new List(this.rows, (id) => row(this, id), () => this.#hold(), () => this.#moved());
    this.ruler = new Ruler(this.rows, this.marks);
    this.histogram = new Histogram();
    this.toolbar = new Toolbar(this, String(claims(options.token).namespace ?? ""));
    this.panel = new Panel(this);
    this.pill = button("", () => this.list.toEnd(), { className: "pill", hidden: true });
    this.node = h("div", { className: `viewer${embed ? " embed" : ""}` },
      !embed && h("header", {}, this.toolbar.node, this.histogram.canvas), this.stream.ended,
      h("main", { className: "body" }, this.list.node, this.ruler.canvas, this.pill, embed && h("div", { className: "corner" }, this.toolbar.state)),
      this.voice.node, this.toolbar.options, this.toolbar.help, this.panel.node);
    this.closing = new AbortController();
    this.#listen(root);
    this.#dress();
    if (root instanceof ShadowRoot) root.append(h("link", { rel: "stylesheet", href: new URL("view.css", import.meta.url).href }));
    root.append(this.node);
    this.toolbar.search.value = query.get("q") ?? "";
    // An expression that came with a link may take for ever: it runs once it is asked for.
    if (!this.toolbar.search.value.startsWith("/")) this.search(this.toolbar.search.value);
    this.rows.show(this.#filter(), query.has("only"));
    this.timer = setInterval(() => this.#tick(), TICK);
    this.stream.run();
  }
  /** The end when the list was paused: what is after it is new. */
  pausedAt = 0;

  /** @param {HTMLElement|ShadowRoot} root */
  #listen(root) {
    const { signal } = this.closing;
    const keys = root instanceof ShadowRoot ? this.node : document;
    keys.addEventListener("keydown", (event) => pressed(this, /** @type {KeyboardEvent} */ (event)), { signal });
    document.addEventListener("visibilitychange", () => this.schedule(), { signal });
    listen(this, signal);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#dress(), { signal });
  }

  close() {
    this.stream.abort.abort();
    this.closing.abort();
    clearInterval(this.timer);
    this.list.close();
    this.node.remove();
  }

  /** Forget all lines, for others are to come. */
  clear() {
    this.sources = this.columns.sources = new Sources();
    this.columns.clear();
    this.opened.clear();
    this.marks.clear();
    this.histogram.clear();
    this.current = undefined;
    this.list.follow = true;
    this.rows.count();
    this.list.refresh();
  }

  // What is drawn

  /** Draw soon what is new. */
  schedule() {
    this.frames.schedule();
  }

  #draw() {
    if (this.#work()) this.#workOn();
    this.list.draw();
  }

  #work() {
    return this.rows.work(SLICE, this.list.follow ? undefined : this.list.anchor.id);
  }

  /** Rows in sight stay, also after they have left; what they need is kept for as long. */
  #hold() {
    const { rows, columns, list } = this;
    const seen = list.follow ? [] : list.drawn.filter((id) => id >= 0);
    columns.pin(seen.length ? [seen[0], seen[seen.length - 1]] : null);
    rows.head = seen.filter((id) => id < columns.first);
    rows.hole = seen.length > 0 && rows.head.length === seen.length;
    rows.count();
    for (const node of list.nodes.values()) grow(this, node, !list.follow);
  }

  /** Search and filter in slices until all is done. */
  async #workOn() {
    if (this.working) return;
    this.working = true;
    let shown = performance.now();
    do {
      await breathe();
      if (performance.now() - shown < PROGRESS) continue;
      shown = performance.now();
      this.schedule();
    } while (this.#work() && !this.closing.signal.aborted);
    this.working = false;
    this.schedule();
    this.toolbar.update();
  }
  working = false;

  /** Show what depends on where the list is. */
  #moved() {
    const { list, columns, sources, pill } = this;
    if (list.follow) this.pausedAt = columns.end;
    const fresh = columns.end - this.pausedAt;
    pill.hidden = list.follow || (list.atEnd && !fresh);
    const text = `${fresh ? counted(fresh, "new line") : "To the end"} \u2193`;
    if (pill.textContent !== text) pill.textContent = text;
    if (sources.all.length !== this.known) {
      this.known = sources.all.length;
      this.node.style.setProperty("--source", `${sources.width(NAME, INSIDE)}ch`);
    }
    if (list.follow !== this.wasFollowing) this.toolbar.update();
    this.wasFollowing = list.follow;
  }
  wasFollowing = true;
  known = 0;

  /** Show what changes by itself. */
  #tick() {
    if (document.hidden) return;
    this.toolbar.update();
    this.histogram.draw();
    this.ruler.draw();
    this.voice.tick();
    if (this.time !== "relative") return;
    const now = Date.now();
    for (const [id, node] of this.list.nodes) {
      const line = this.columns.get(id);
      const cell = node.querySelector(".time");
      if (line && cell) cell.textContent = relative(line.ms, now);
    }
  }

  #dress() {
    const dark = this.theme === "dark" || (this.theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
    this.background = dark ? "#10151c" : "#ffffff";
    this.node.dataset.theme = this.theme;
    this.node.classList.toggle("wrap", this.wrap);
    this.node.dataset.time = this.time;
    this.histogram.changed = true;
    this.list.refresh();
  }
  background = "#ffffff";

  // What is searched and filtered

  /** @param {string} query */
  search(query) {
    this.mistake = "";
    try {
      this.rows.search(matcher(query));
    } catch {
      this.rows.search(null);
      this.mistake = "not an expression";
    }
    this.toolbar.search.ariaInvalid = String(this.mistake !== "");
    this.#work();
    this.list.refresh();
    this.toolbar.update();
    this.#workOn();
  }

  toggleOnly() {
    this.rows.onlyMatches = !this.rows.onlyMatches;
    this.#refilter();
  }

  /** @param {number[]} levels */
  toggleLevels(levels) {
    const hide = !this.hidden.has(levels[0]);
    for (const level of levels) hide ? this.hidden.add(level) : this.hidden.delete(level);
    this.#refilter();
  }

  /** @param {import("./fields.js").Condition} condition that lines must meet */
  require(condition) {
    this.conditions.push(condition);
    this.#refilter();
  }

  /** @param {import("./fields.js").Condition} condition */
  drop(condition) {
    this.conditions = this.conditions.filter((other) => other !== condition);
    this.#refilter();
  }

  #refilter() {
    this.rows.show(this.#filter(), this.rows.onlyMatches);
    this.toolbar.showConditions();
    this.#work();
    this.list.draw();
    this.toolbar.update();
    this.#workOn();
  }

  /** @returns {import("./rows.js").Filter|null} */
  #filter() {
    const { hidden, conditions } = this;
    if (!hidden.size && !conditions.length) return null;
    const test = meets([...conditions]);
    return (block, at) => !hidden.has(block.level(at)) && (!conditions.length || test(block.plain(at)));
  }

  /** @param {string} what @param {number} [field] */
  act(what, field) {
    act(this, what, field);
  }

  // What the reader chooses

  nextTime() {
    this.choose("time", TIMES[(TIMES.indexOf(this.time) + 1) % TIMES.length]);
  }

  /** @template {"time"|"theme"|"wrap"|"keys"} Name @param {Name} name @param {this[Name]} value */
  choose(name, value) {
    Object.assign(this, { [name]: value });
    remember(name, typeof value === "boolean" ? (value ? "on" : "") : value);
    this.toolbar.showSettings();
    this.#dress();
  }
}
