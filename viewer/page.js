// The viewer: what comes from the server is kept, searched and shown, in frames that leave time for the reader.
import { act } from "./actions.js";
import { Columns } from "./columns.js";
import { breathe, h, selectionAt, SLICE } from "./dom.js";
import { copySelection } from "./export.js";
import { meets } from "./fields.js";
import { Histogram } from "./histogram.js";
import { pressed } from "./keys.js";
import { claims } from "./link.js";
import { List } from "./list.js";
import { Panel } from "./panel.js";
import { recall, remember } from "./prefs.js";
import { grow, INSIDE, NAME, row } from "./row.js";
import { Rows } from "./rows.js";
import { Ruler } from "./ruler.js";
import { matcher } from "./search.js";
import { Sources } from "./sources.js";
import { Stream } from "./stream.js";
import { button, Toolbar } from "./toolbar.js";
import { Voice } from "./voice.js";
import { count, counted, moment, relative } from "./words.js";

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

// Nobody can read what is there for less, in ms.
const MIN_FRAME = 40;
// How much longer than it took to draw nothing is drawn again: the rest is for what comes in, and for the reader.
const REST = 4;
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
    document.addEventListener("selectionchange", () => this.#selected(), { signal });
    document.addEventListener("visibilitychange", () => this.schedule(), { signal });
    this.list.table.addEventListener("click", (event) => this.#clicked(event));
    this.list.table.addEventListener("pointerover", (event) => this.#hovered(event));
    this.node.addEventListener("copy", (event) => copySelection(this, event));
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

  /** Draw in the next frame, or in one of the next. */
  schedule() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame((now) => this.#frame(now));
  }
  waiting = false;
  drawnAt = 0;
  took = 0;

  /** @param {number} now */
  #frame(now) {
    if (now - this.drawnAt < Math.max(MIN_FRAME, this.took * REST)) return requestAnimationFrame((later) => this.#frame(later));
    this.waiting = false;
    const started = performance.now();
    if (this.#work()) this.#workOn();
    this.list.draw();
    this.drawnAt = now;
    this.took = performance.now() - started;
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

  /** Go to another match. @param {1|-1} step */
  match(step) {
    const { rows, list, toolbar } = this;
    if (!rows.matcher && toolbar.search.value) this.search(toolbar.search.value);
    // Without a current line, what is in sight is gone through, beginning at its own ends.
    const beyond = step > 0 ? list.anchor.id - 1 : (list.drawn[list.drawn.length - 1] ?? 0) + 1;
    const id = rows.next(this.current ?? beyond, step);
    if (id === undefined) return;
    this.select(id, false);
    this.voice.say(`Match ${count(rows.rank(id))} of ${count(rows.hits)}`);
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

  // Where the reader is

  /** Make a line the current one, in sight. @param {number} id @param {boolean} [focus] */
  select(id, focus = true) {
    const { list } = this;
    this.#unselect();
    this.current = id;
    list.reveal(id);
    list.nodes.get(id)?.classList.add("current");
    if (focus) list.nodes.get(id)?.focus({ preventScroll: true });
    this.toolbar.update();
  }

  #unselect() {
    if (this.current !== undefined) this.list.nodes.get(this.current)?.classList.remove("current");
    this.current = undefined;
  }

  /** Go to the line before or after. @param {1|-1} by */
  step(by) {
    const { rows, list, current } = this;
    this.#hold();
    if (!rows.length) return;
    const seen = list.follow ? list.drawn[list.drawn.length - 1] : list.anchor.id;
    const index = current === undefined ? rows.find(seen) : rows.find(current) + by;
    this.select(rows.at(Math.max(0, Math.min(rows.length - 1, index))));
  }

  nextMark() {
    const ids = [...this.marks].filter((id) => id >= this.columns.first).sort((a, b) => a - b);
    const id = ids.find((id) => id > (this.current ?? -1)) ?? ids[0];
    if (id !== undefined) this.select(id);
  }

  /** Leave the innermost of what one can be in: the search, the details, the line. */
  leave() {
    const { toolbar, list, current } = this;
    if (/** @type {Document|ShadowRoot} */ (this.node.getRootNode()).activeElement === toolbar.search) {
      if (toolbar.search.value) this.search((toolbar.search.value = ""));
    } else if (current !== undefined && this.opened.has(current)) return this.act("open");
    else this.#unselect();
    list.node.focus({ preventScroll: true });
  }

  /** @param {string} what @param {number} [field] */
  act(what, field) {
    act(this, what, field);
  }

  #selected() {
    const selection = selectionAt(this.list.node);
    if (selection && !selection.isCollapsed && this.list.table.contains(selection.anchorNode)) this.list.pause();
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const near = (/** @type {string} */ what) => /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest(what));
    const node = near("[data-id]");
    const what = near("[data-do]")?.dataset.do;
    if (!node || near("a") || !(what || selectionAt(node)?.isCollapsed) || (!what && near(".detail"))) return;
    this.select(Number(node.dataset.id), !what);
    if (what) this.act(what, Number(near("[data-field]")?.dataset.field));
  }

  /** @param {PointerEvent} event */
  #hovered(event) {
    const cell = /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest(".time"));
    const node = /** @type {HTMLElement|null|undefined} */ (cell?.closest("[data-id]"));
    const line = node && this.columns.get(Number(node.dataset.id));
    if (cell && line) cell.title = moment(line.ms, line.nanos, Date.now());
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
