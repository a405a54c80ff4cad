// The viewer: lines come in from the client, and everything on the page shows them.
import { LogurtError, logurt } from "./client.js";
import { Address } from "./client/address.js";
import { Columns } from "./columns.js";
import { breathe, h, selectionAt } from "./dom.js";
import { copySelection, download, json, timestamp } from "./export.js";
import { fields, meets } from "./fields.js";
import { Histogram } from "./histogram.js";
import { pressed } from "./keys.js";
import { List } from "./list.js";
import { Panel } from "./panel.js";
import { plain } from "./ansi.js";
import { INSIDE, NAME, row } from "./row.js";
import { Rows } from "./rows.js";
import { Ruler } from "./ruler.js";
import { matcher } from "./search.js";
import { Sources } from "./sources.js";
import { reasonOf, status } from "./status.js";
import { button, Toolbar } from "./toolbar.js";
import { clock, count, gapText, relative } from "./words.js";

/** @typedef {import("./fields.js").Condition} Condition @typedef {import("./columns.js").Wire} Wire */
/** @typedef {"local"|"utc"|"relative"|"off"} Time */

const SLICE = 8;
// Nobody can read what is there for less; and what is left of a frame belongs to the reader's own doings.
const MIN_FRAME = 40;
const SAY_EVERY = 2000;
const TAIL = "1000";
const ON_PAGE = new Set(["q", "only", "hide", "at", "embed", "keep"]);
/** @type {Time[]} */
const TIMES = ["local", "utc", "relative", "off"];

/**
 * Build the viewer in an element or a shadow root.
 * @param {HTMLElement|ShadowRoot} root
 * @param {{url: string, token: string, query?: URLSearchParams, embed?: boolean}} options the server, and what is shown of it
 */
export function mount(root, options) {
  return new Viewer(root, options);
}

export class Viewer {
  /** @param {HTMLElement|ShadowRoot} root @param {{url: string, token: string, query?: URLSearchParams, embed?: boolean}} options */
  constructor(root, { url, token, query = new URLSearchParams(), embed = false }) {
    this.url = url;
    this.token = token;
    this.at = query.get("at");
    /** What the server is asked for. */
    this.asked = new URLSearchParams([...query].filter(([name]) => !ON_PAGE.has(name)));
    this.time = /** @type {Time} */ (recall("time", "local"));
    this.wrap = recall("wrap", "") !== "";
    this.theme = recall("theme", "system");
    this.keys = recall("keys", "on") === "on";
    /** Levels that are not shown. */
    this.hidden = new Set(query.getAll("hide").map(Number));
    /** @type {Condition[]} */
    this.conditions = [];
    /** @type {Set<number>} */
    this.opened = new Set();
    /** @type {Set<number>} */
    this.marks = new Set();
    /** @type {number|undefined} */
    this.current = undefined;
    this.mistake = "";
    this.maxLines = Number(query.get("keep")) || 200_000;
    this.sources = new Sources();
    this.columns = new Columns(this.sources, this.maxLines);
    this.rows = new Rows(this.columns);
    /** @type {import("./status.js").Connection} */
    this.connection = { state: "connecting", live: false };
    this.abort = new AbortController();
    this.list = new List(this.rows, (id) => row(this, id), () => this.#moved());
    this.ruler = new Ruler(this.rows, this.marks);
    this.histogram = new Histogram();
    this.toolbar = new Toolbar(this);
    this.panel = new Panel(this);
    this.pill = button("", () => this.list.toEnd(), { className: "pill", hidden: true });
    this.said = h("p", { className: "said", role: "status" });
    this.ended = h("div", { className: "ended", hidden: true });
    this.node = h("div", { className: `viewer${embed ? " embed" : ""}` }, !embed && this.toolbar.node, !embed && this.histogram.canvas, this.ended,
      h("main", { className: "body" }, this.list.node, this.ruler.canvas, this.pill), this.said, this.toolbar.options, this.toolbar.help, this.panel.node);
    this.#listen(root);
    this.#dress();
    if (root instanceof ShadowRoot) root.append(h("link", { rel: "stylesheet", href: new URL("view.css", import.meta.url).href }));
    root.append(this.node);
    this.toolbar.search.value = query.get("q") ?? "";
    // An expression that came with a link may take for ever: it runs once it is asked for.
    if (!this.toolbar.search.value.startsWith("/")) this.search(this.toolbar.search.value);
    this.rows.show(this.#filter(), query.has("only"));
    this.pausedAt = 0;
    this.drawnAt = 0;
    this.lastSaid = "";
    this.saidAt = 0;
    this.timer = setInterval(() => this.#tick(), 250);
    this.run();
  }

  /** @param {HTMLElement|ShadowRoot} root */
  #listen(root) {
    const { signal } = (this.closing = new AbortController());
    const keys = root instanceof ShadowRoot ? this.node : document;
    keys.addEventListener("keydown", (event) => pressed(this, /** @type {KeyboardEvent} */ (event)), { signal });
    document.addEventListener("selectionchange", () => {
      const selection = selectionAt(this.list.node);
      if (selection && !selection.isCollapsed && this.list.table.contains(selection.anchorNode)) this.list.pause();
    }, { signal });
    this.list.table.addEventListener("click", (event) => this.#clicked(event));
    this.list.table.addEventListener("pointerover", (event) => this.#hovered(event));
    this.node.addEventListener("copy", (event) => copySelection(this, event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#dress(), { signal });
  }

  close() {
    this.abort.abort();
    this.closing?.abort();
    clearInterval(this.timer);
    this.list.close();
    this.node.remove();
  }

  // Lines

  /** Read until it ends. @param {string} [cursor] where to go on */
  async run(cursor) {
    this.abort.abort();
    const { signal } = (this.abort = new AbortController());
    this.connection = { state: "connecting", live: false };
    this.ended.hidden = true;
    /** @type {Record<string, any>} */
    const options = { token: this.token, batches: true, signal, cursor };
    for (const name of new Set(this.asked.keys())) {
      const values = this.asked.getAll(name);
      options[name] = values.length > 1 ? values : values[0];
    }
    if (!cursor && !options.since) options.tail ??= TAIL;
    if (options.follow) options.follow = options.follow !== "false";
    try {
      for await (const event of logurt(this.url, /** @type {any} */ (options))) {
        if (event.type === "lines") await this.#take(event.lines, signal);
        else if (event.type === "gap") this.#gap(event);
        else if (event.type === "live") this.#isLive();
        else if (event.type === "state") this.#connected(event);
        if (signal.aborted) return;
        this.schedule();
      }
      this.#end("all lines have been sent");
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof LogurtError)) throw error;
      this.#end(reasonOf(error), error.status === 401 || error.status === 403 || !this.token);
    }
  }

  /** Keep lines, in slices. @param {Wire[]} lines @param {AbortSignal} signal */
  async #take(lines, signal) {
    let until = performance.now() + SLICE;
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i];
      const level = this.columns.add(line);
      if (line.cursor === this.at) this.#found(this.columns.end - 1);
      const block = this.columns.blocks[this.columns.blocks.length - 1];
      this.histogram.add(block.times[block.length - 1], level);
      if (i % 64 === 63 && performance.now() > until) {
        this.schedule();
        await breathe();
        if (signal.aborted) return;
        until = performance.now() + SLICE;
      }
    }
    this.last = lines.length ? lines[lines.length - 1].cursor : this.last;
  }
  /** @type {string|undefined} */
  last;

  /** @param {number} id */
  #found(id) {
    this.at = null;
    this.current = id;
    requestAnimationFrame(() => {
      this.rows.count();
      this.list.reveal(id, true);
    });
  }

  /** @param {{lost: number|null, reason: string}} gap */
  #gap(gap) {
    this.columns.note("gap", gapText(gap), Date.now());
    this.say(gapText(gap));
  }

  #isLive() {
    this.connection = { ...this.connection, state: "open", live: true };
    if (this.at) {
      this.say("The line of this link is not held any more");
      this.at = null;
    }
  }

  /** @param {{state: "connecting"|"open"|"waiting"|"stopping", retryIn?: number, why?: string, expiresAt?: number}} event */
  #connected({ state, retryIn, why, expiresAt }) {
    const { live, since } = this.connection;
    const now = Date.now();
    if (state === "waiting" || state === "stopping") {
      this.connection = { state, live, why, retryAt: now + (retryIn ?? 0), expiresAt: this.connection.expiresAt, since: since ?? now };
    } else if (state === "open") {
      if (since && this.columns.end) this.columns.note("rule", `Connected again after ${Math.ceil((now - since) / 1000)} s`, now);
      this.connection = { state, live, expiresAt: expiresAt ?? this.connection.expiresAt };
    } else if (!since) this.connection.state = "connecting";
    this.say(status(this.connection, true, 0, now).text);
  }

  /** @param {string} why @param {boolean} [refused] */
  #end(why, refused = false) {
    this.connection = { state: "ended", live: false, why, refused };
    this.say(`Ended: ${why}`);
    this.schedule();
    if (!refused) return;
    const input = h("input", { ariaLabel: "New link or token", placeholder: "Paste a new link here", autocomplete: "off" });
    const form = h("form", { onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      this.token = new Address(input.value).token || input.value.trim();
      if (this.token) this.run(this.last);
    } }, h("p", {}, `${why[0].toUpperCase()}${why.slice(1)}. Ask for a new link where you got this one; what is here stays until you close the page.`), input, h("button", { type: "submit" }, "Go on"));
    this.ended.replaceChildren(form);
    this.ended.hidden = false;
  }

  /** Ask the server for something else. @param {URLSearchParams} query */
  ask(query) {
    for (const name of ["since", "cursor"]) if (this.connection.live) query.delete(name);
    this.asked = query;
    this.sources = new Sources();
    this.columns.sources = this.sources;
    this.columns.clear();
    this.opened.clear();
    this.marks.clear();
    this.histogram.clear();
    this.current = undefined;
    this.list.follow = true;
    this.list.refresh();
    this.run();
  }

  // What is drawn

  /** Draw in the next frame. */
  schedule() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame((now) => this.#frame(now));
  }
  waiting = false;

  /** @param {number} now */
  #frame(now) {
    if (now - this.drawnAt < MIN_FRAME) return requestAnimationFrame((later) => this.#frame(later));
    this.waiting = false;
    this.drawnAt = now;
    this.#hold();
    const more = this.rows.work(SLICE, this.list.follow ? undefined : this.list.anchor.id);
    this.list.draw();
    if (more) this.#workOn();
  }

  /** Rows in sight stay, also after they have left; what they need is kept for as long. */
  #hold() {
    const { rows, columns, list } = this;
    const seen = list.follow ? [] : list.drawn.filter((id) => id >= 0);
    columns.pin(seen.length ? [seen[0], seen[seen.length - 1]] : null);
    rows.head = seen.filter((id) => id < columns.first);
    rows.hole = seen.length > 0 && rows.head.length === seen.length;
    rows.count();
  }

  /** Search and filter in slices until all is done. */
  async #workOn() {
    if (this.working) return;
    this.working = true;
    let shown = performance.now();
    do {
      await breathe();
      if (performance.now() - shown < 120) continue;
      shown = performance.now();
      this.schedule();
    } while (this.rows.work(SLICE, this.list.follow ? undefined : this.list.anchor.id) && !this.closing?.signal.aborted);
    this.working = false;
    this.schedule();
    this.#tick();
  }
  working = false;

  #moved() {
    const { list, columns } = this;
    if (list.follow) this.pausedAt = columns.end;
    const fresh = columns.end - this.pausedAt;
    this.pill.hidden = list.follow || list.atEnd && !fresh;
    const text = fresh ? `${count(fresh)} new line${fresh === 1 ? "" : "s"} \u2193` : "To the end \u2193";
    if (this.pill.textContent !== text) this.pill.textContent = text;
    if (this.sources.all.length !== this.known) {
      this.known = this.sources.all.length;
      this.node.style.setProperty("--source", `${this.sources.width(NAME, INSIDE)}ch`);
    }
    if (list.follow !== this.wasFollowing) {
      this.wasFollowing = list.follow;
      this.toolbar.update();
    }
  }
  wasFollowing = true;
  known = 0;

  /** What changes by itself, four times a second. */
  #tick() {
    if (document.hidden) return;
    this.toolbar.update();
    this.histogram.draw();
    this.ruler.draw();
    if (this.time === "relative") {
      const now = Date.now();
      for (const [id, node] of this.list.nodes) {
        const line = this.columns.get(id);
        const cell = node.querySelector(".time");
        if (line && cell) cell.textContent = relative(line.ms, now);
      }
    }
    if (this.lastSaid && Date.now() - this.saidAt > SAY_EVERY) {
      this.said.textContent = this.lastSaid;
      this.lastSaid = "";
      this.saidAt = Date.now();
    }
  }

  /** Tell those who cannot see, at most every two seconds. @param {string} text @param {boolean} [visibly] */
  say(text, visibly = false) {
    if (this.said.textContent === text && !visibly) return;
    this.lastSaid = text;
    if (!visibly) return;
    this.said.textContent = text;
    this.lastSaid = "";
    this.saidAt = Date.now();
    this.said.classList.add("seen");
    clearTimeout(this.toast);
    this.toast = setTimeout(() => this.said.classList.remove("seen"), 2500);
  }
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  toast;

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

  // What the reader does

  /** @param {string} query */
  search(query) {
    try {
      this.rows.search(matcher(query));
      this.mistake = "";
    } catch {
      this.rows.search(null);
      this.mistake = "not an expression";
    }
    this.toolbar.search.ariaInvalid = String(this.mistake !== "");
    this.rows.work(SLICE, this.list.anchor.id);
    this.list.refresh();
    this.toolbar.update();
    this.#workOn();
  }

  /** @param {1|-1} step */
  match(step) {
    if (!this.rows.matcher && this.toolbar.search.value) this.search(this.toolbar.search.value);
    const { drawn } = this.list;
    const id = this.rows.next(this.current ?? drawn[drawn.length - 1] ?? 0, step);
    if (id === undefined) return;
    this.select(id, false);
    this.say(`Match ${count(this.rows.rank(id))} of ${count(this.rows.hits)}`);
  }

  toggleOnly() {
    this.#refilter(() => this.rows.show(this.#filter(), !this.rows.onlyMatches));
  }

  /** @param {number[]} levels */
  toggleLevels(levels) {
    const hide = !this.hidden.has(levels[0]);
    for (const level of levels) hide ? this.hidden.add(level) : this.hidden.delete(level);
    this.#refilter();
  }

  /** @param {Condition} condition */
  drop(condition) {
    this.conditions = this.conditions.filter((other) => other !== condition);
    this.#refilter();
  }

  /** Show by other rules, and keep the reader where he is. */
  #refilter(change = () => this.rows.show(this.#filter(), this.rows.onlyMatches)) {
    change();
    this.toolbar.showConditions();
    this.rows.work(SLICE * 2, this.list.anchor.id);
    this.list.draw();
    this.toolbar.update();
    this.#workOn();
  }

  /** @returns {import("./rows.js").Filter|null} */
  #filter() {
    const { hidden, conditions } = this;
    if (!hidden.size && !conditions.length) return null;
    const test = conditions.length ? meets(conditions) : () => true;
    return (block, at) => !hidden.has(block.level(at)) && test(block.plain(at));
  }

  /** @param {number} id @param {boolean} [focus] */
  select(id, focus = true) {
    const before = this.current;
    this.current = id;
    this.list.reveal(id);
    if (before !== undefined) this.list.nodes.get(before)?.classList.remove("current");
    const node = this.list.nodes.get(id);
    node?.classList.add("current");
    if (focus) node?.focus({ preventScroll: true });
    this.toolbar.update();
  }

  /** Go to another line. @param {1|-1} by */
  step(by) {
    const { rows, list } = this;
    if (!rows.length) return;
    const visible = list.follow ? list.drawn[list.drawn.length - 1] : list.anchor.id;
    const index = this.current === undefined ? rows.find(visible) : rows.find(this.current) + by;
    this.select(rows.at(Math.max(0, Math.min(rows.length - 1, index))));
  }

  nextMark() {
    const ids = [...this.marks].sort((a, b) => a - b);
    const id = ids.find((id) => id > (this.current ?? -1)) ?? ids[0];
    if (id !== undefined) this.select(id);
  }

  leave() {
    const { search } = this.toolbar;
    const active = /** @type {Document|ShadowRoot} */ (this.node.getRootNode()).activeElement;
    if (active === search) {
      if (search.value) this.search((search.value = ""));
      this.list.node.focus();
    } else if (this.current !== undefined && this.opened.has(this.current)) this.act("open");
    else if (this.current !== undefined) {
      this.list.nodes.get(this.current)?.classList.remove("current");
      this.current = undefined;
      this.list.node.focus({ preventScroll: true });
    }
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const target = /** @type {Element} */ (event.target);
    const node = /** @type {HTMLElement|null} */ (target.closest("[data-id]"));
    const id = Number(node?.dataset.id);
    if (!node || isNaN(id) || !selectionAt(node)?.isCollapsed) return;
    const act = /** @type {HTMLElement|null} */ (target.closest("[data-do]"))?.dataset.do;
    if (target.closest("a") || (!act && target.closest(".detail"))) return;
    this.select(id, !act);
    const field = Number(/** @type {HTMLElement|null} */ (target.closest("[data-field]"))?.dataset.field);
    if (act) this.act(act, field);
  }

  /** @param {PointerEvent} event */
  #hovered(event) {
    const cell = /** @type {Element} */ (event.target).closest(".time");
    const node = /** @type {HTMLElement|null|undefined} */ (cell?.closest("[data-id]"));
    const line = node && this.columns.get(Number(node.dataset.id));
    if (line && cell instanceof HTMLElement) cell.title = `${clock(line.ms, false)} local\n${timestamp(line)}\n${relative(line.ms, Date.now())}`;
  }

  /** Do something with the line that was chosen. @param {string} what @param {number} [field] */
  act(what, field = NaN) {
    const line = this.current === undefined ? undefined : this.columns.get(this.current);
    if (!line || line.notice) return;
    const { id } = line;
    const { pod } = this.sources.all[line.source];
    const [name, value] = isNaN(field) ? ["", ""] : (fields(plain(line.text)) ?? [])[field] ?? ["", ""];
    if (what === "open") toggle(this.opened, id);
    else if (what === "mark") toggle(this.marks, id);
    else if (what === "copy") this.#copy(plain(line.text), "Line copied");
    else if (what === "json") this.#copy(json(this, line), "JSON copied");
    else if (what === "value") this.#copy(value, `${name} copied`);
    else if (what === "link") this.copyLink(false, line);
    else if (what === "pod") {
      const query = new URLSearchParams(this.asked);
      query.set("pod", pod);
      return this.ask(query);
    } else if (what === "only" || what === "without") {
      this.conditions = [...this.conditions, { name, value, only: what === "only" }];
      return this.#refilter();
    }
    if (what === "open" || what === "mark") {
      this.list.pause();
      this.list.touch(id);
      this.list.nodes.get(id)?.focus({ preventScroll: true });
    }
  }

  /** @param {string} text @param {string} done */
  async #copy(text, done) {
    const failed = await navigator.clipboard?.writeText(text).then(() => "", String) ?? "this page may not copy";
    this.say(failed || done, true);
  }

  /** @param {boolean} withToken @param {import("./columns.js").Line} [line] */
  copyLink(withToken, line) {
    const query = new URLSearchParams(withToken ? { token: this.token } : {});
    for (const [name, value] of this.asked) if (!line || (name !== "since" && name !== "tail")) query.append(name, value);
    if (this.toolbar.search.value) query.set("q", this.toolbar.search.value);
    if (this.rows.onlyMatches) query.set("only", "");
    for (const level of this.hidden) query.append("hide", String(level));
    if (line) {
      query.set("since", new Date(line.ms - 30_000).toISOString());
      query.set("at", line.cursor);
    }
    this.#copy(`${new Address(this.url).base}view#${query}`, withToken ? "Link copied: whoever has it can read these logs" : "Link copied, without the token");
  }

  /** @param {"text"|"ndjson"} format @param {boolean} all */
  download(format, all) {
    download(this, format, all);
  }

  nextTime() {
    this.setTime(TIMES[(TIMES.indexOf(this.time) + 1) % TIMES.length]);
  }

  /** @param {Time} time */
  setTime(time) {
    this.#choose("time", (this.time = time));
  }
  /** @param {boolean} wrap */
  setWrap(wrap) {
    this.wrap = wrap;
    this.#choose("wrap", wrap ? "on" : "");
  }
  /** @param {string} theme */
  setTheme(theme) {
    this.#choose("theme", (this.theme = theme));
  }
  /** @param {boolean} keys */
  setKeys(keys) {
    this.keys = keys;
    this.#choose("keys", keys ? "on" : "off");
  }

  /** @param {string} name @param {string} value */
  #choose(name, value) {
    try {
      localStorage.setItem(`logurt.${name}`, value);
    } catch {
      // It is then chosen for this time only.
    }
    this.toolbar.showSettings();
    this.#dress();
  }
}

/** @param {Set<number>} set @param {number} id */
const toggle = (set, id) => set.delete(id) || set.add(id);

/** @param {string} name @param {string} otherwise */
function recall(name, otherwise) {
  try {
    return localStorage.getItem(`logurt.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}
