// A list of any length of which only what can be seen exists. It follows its end, or holds still.
import { h, selectionAt } from "./dom.js";

/**
 * @typedef {{length: number, at: (index: number) => number, find: (id: number) => number}} Index
 */

// Browsers cannot lay out more than this many pixels; beyond it, a pixel of the scrollbar stands for several.
const MAX_PIXELS = 16_000_000;
// Rows beside those in sight, so that the heights of the next ones are known.
const SPARE = 8;

export class List {
  /**
   * @param {Index} rows @param {(id: number) => HTMLElement} render
   * @param {() => void} prepare called before rows are asked for, which may have come or gone meanwhile
   * @param {() => void} moved called when the list begins or ends to follow, or shows other rows
   */
  constructor(rows, render, prepare, moved) {
    this.rows = rows;
    this.render = render;
    this.prepare = prepare;
    this.moved = moved;
    this.follow = true;
    /** The row at the top, and how many of its pixels are above. */
    this.anchor = { id: 0, dy: 0 };
    /** @type {Map<number, HTMLElement>} */
    this.nodes = new Map();
    this.rowHeight = 20;
    this.set = 0;
    this.scrolling = false;
    this.table = h("div", { className: "rows", role: "table", "aria-label": "Lines" });
    this.pane = h("div", { className: "pane" }, this.table);
    this.sizer = h("div", { className: "sizer" });
    this.node = h("div", { className: "list", role: "log", ariaLive: "off", ariaLabel: "Log", tabIndex: 0 }, this.pane, this.sizer);
    this.node.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.node.addEventListener("scrollend", () => this.#settle());
    this.node.addEventListener("wheel", (event) => this.#wheeled(event), { passive: true });
    this.pane.addEventListener("scroll", () => (this.pane.scrollTop = 0));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.node);
    this.height = 0;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
  }

  /** Render all rows anew, as after another way to show them was chosen. */
  refresh() {
    for (const node of this.nodes.values()) node.dataset.stale = "1";
    this.draw();
  }

  /** Render one row anew. @param {number} id */
  touch(id) {
    const node = this.nodes.get(id);
    if (node) node.dataset.stale = "1";
    this.draw();
  }

  /** Show what there is now: the end, or the same as before. */
  draw() {
    this.height = this.node.clientHeight;
    if (!this.height) return;
    this.prepare();
    const { rows, height } = this;
    const fit = Math.ceil(height / this.rowHeight) + 1;
    if (this.follow) {
      this.#place(Math.max(0, rows.length - fit), rows.length);
      const tall = this.table.offsetHeight;
      const y = tall > height ? height - tall : 0;
      this.#move(y);
      this.#anchorAt(0, y);
    } else {
      const index = Math.min(rows.find(this.anchor.id), Math.max(0, rows.length - 1));
      const from = Math.max(0, index - SPARE);
      this.#place(from, Math.min(rows.length, index + fit + SPARE));
      this.#hold(from, index);
    }
    this.table.ariaRowCount = String(rows.length);
    this.#sync();
    this.moved();
  }

  /** Put the anchor where it belongs, without leaving the list's ends. @param {number} from @param {number} index */
  #hold(from, index) {
    const { rows, height, anchor } = this;
    const node = this.nodes.get(rows.at(index));
    const top = node ? node.offsetTop : 0;
    if (node && rows.at(index) !== anchor.id) anchor.dy = 0;
    let y = -top - anchor.dy;
    const tall = this.table.offsetHeight;
    const last = from + this.drawn.length === rows.length;
    if (last && y + tall < height) y = height - tall;
    if (from === 0 && y > 0) y = 0;
    this.#move(y);
    this.#anchorAt(0, y);
  }

  /** Take the row at the top of the pane as the anchor. @param {number} i @param {number} y of the first row */
  #anchorAt(i, y) {
    for (; i < this.drawn.length; i++) {
      const tall = /** @type {HTMLElement} */ (this.nodes.get(this.drawn[i])).offsetHeight;
      if (y + tall > 0.5 || i === this.drawn.length - 1) {
        this.anchor = { id: this.drawn[i], dy: -y };
        return;
      }
      y += tall;
    }
  }
  /** The ids of the rows that exist now, in order. @type {number[]} */
  drawn = [];

  /** @param {number} y */
  #move(y) {
    this.y = y;
    this.table.style.transform = `translateY(${y}px)`;
  }
  y = 0;

  /** Have the nodes of these rows, and no others, in order. @param {number} from @param {number} to */
  #place(from, to) {
    const wanted = [];
    for (let index = from; index < to; index++) wanted.push(this.rows.at(index));
    const keep = new Set(wanted);
    // Asked for before anything changes: later, each answer would cost a layout.
    const selection = selectionAt(this.node);
    const ends = selection ? [selection.anchorNode, selection.focusNode] : [];
    const focused = /** @type {Document|ShadowRoot} */ (this.node.getRootNode()).activeElement;
    for (const [id, node] of this.nodes) {
      if (keep.has(id) && !node.dataset.stale) {
        node.classList.remove("held");
        continue;
      }
      // Where a selection begins or ends must stay, or the browser would forget it.
      const held = !keep.has(id) && ends.some((end) => node.contains(end));
      if (held) node.classList.add("held");
      else {
        if (node.contains(focused)) this.node.focus({ preventScroll: true });
        node.remove();
        this.nodes.delete(id);
      }
    }
    let next = this.table.firstElementChild;
    for (let i = 0; i < wanted.length; i++) {
      const id = wanted[i];
      while (next && next.classList.contains("held")) next = next.nextElementSibling;
      let node = this.nodes.get(id);
      if (!node) {
        node = this.render(id);
        this.nodes.set(id, node);
        this.table.insertBefore(node, next);
      } else if (node === next) next = next.nextElementSibling;
      else this.table.insertBefore(node, next);
      node.ariaRowIndex = String(from + i + 1);
    }
    this.drawn = wanted;
  }

  /** Let the scrollbar tell where the list is. */
  #sync() {
    const { node, rows, height } = this;
    const mean = this.drawn.length ? Math.max(1, this.table.offsetHeight / this.drawn.length) : this.rowHeight;
    const total = Math.min(rows.length * mean, MAX_PIXELS);
    if (!this.scrolling || total > this.sized) {
      this.sized = total;
      this.sizer.style.height = `${Math.max(0, total - height)}px`;
    }
    if (this.scrolling && !this.follow) return;
    const end = node.scrollHeight - height;
    let top = end;
    if (!this.follow) {
      const tall = this.nodes.get(this.anchor.id)?.offsetHeight || mean;
      const index = rows.find(this.anchor.id) + this.anchor.dy / tall;
      top = (index / Math.max(1, rows.length - height / mean)) * end;
      // There must be a way left to scroll as long as there is something to see.
      if (!this.atEnd) top = Math.min(top, end - Math.min(end, height) / 4);
    }
    if (Math.abs(node.scrollTop - top) >= 1) node.scrollTop = top;
    this.set = node.scrollTop;
  }
  sized = 0;

  get atEnd() {
    return this.drawn[this.drawn.length - 1] === this.rows.at(this.rows.length - 1) && this.y + this.table.offsetHeight <= this.height + 1;
  }

  #scrolled() {
    const top = this.node.scrollTop;
    const delta = top - this.set;
    if (Math.abs(delta) < 1) return;
    this.set = top;
    this.scrolling = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#settle(), 300);
    if (Math.abs(delta) < 2 * this.height) this.moveBy(delta);
    else this.#jump(top / Math.max(1, this.node.scrollHeight - this.height));
  }

  #settle() {
    clearTimeout(this.timer);
    if (!this.scrolling) return;
    this.scrolling = false;
    this.draw();
  }

  /** At its ends the scrollbar may be short of the rows, whose heights it only guesses. @param {WheelEvent} event */
  #wheeled(event) {
    const { node } = this;
    const stuck = event.deltaY > 0 ? node.scrollTop >= node.scrollHeight - node.clientHeight - 1 : node.scrollTop <= 0;
    if (stuck && !(this.follow && event.deltaY > 0)) this.moveBy(event.deltaY);
  }

  /** Move by pixels, exactly. Upwards it pauses; at the end it follows again. @param {number} pixels */
  moveBy(pixels) {
    if (!this.drawn.length || (this.follow && pixels >= 0)) return;
    this.follow = false;
    this.prepare();
    const { rows, anchor } = this;
    let index = rows.find(anchor.id);
    let dy = anchor.dy + pixels;
    const tall = (/** @type {number} */ at) => this.nodes.get(rows.at(at))?.offsetHeight || this.rowHeight;
    while (dy < 0 && index > 0) dy += tall(--index);
    while (index < rows.length - 1 && dy >= tall(index)) dy -= tall(index++);
    this.anchor = { id: rows.at(index), dy: Math.max(0, dy) };
    this.draw();
    if (pixels > 0 && this.atEnd) this.toEnd();
  }

  /** Go where the scrollbar was dragged. @param {number} share 0 is the top, 1 is the end */
  #jump(share) {
    if (share >= 0.9999) return this.toEnd();
    this.follow = false;
    this.prepare();
    const { rows } = this;
    const index = Math.max(0, share * (rows.length - this.height / this.rowHeight));
    this.anchor = { id: rows.at(Math.floor(index)), dy: (index % 1) * this.rowHeight };
    this.draw();
  }

  /** Hold still where it is. */
  pause() {
    if (!this.follow) return;
    this.follow = false;
    this.draw();
  }

  toEnd() {
    this.follow = true;
    this.scrolling = false;
    this.draw();
  }

  toStart() {
    this.follow = false;
    this.prepare();
    this.scrolling = false;
    this.anchor = { id: this.rows.length ? this.rows.at(0) : 0, dy: 0 };
    this.draw();
  }

  /** Bring a row into sight and hold still there. @param {number} id @param {boolean} [middle] or only as far as is needed */
  reveal(id, middle = false) {
    this.follow = false;
    this.scrolling = false;
    this.prepare();
    const node = this.nodes.get(id);
    const top = node && this.drawn.includes(id) ? this.y + node.offsetTop : NaN;
    if (node && !middle && top >= 0 && top + node.offsetHeight <= this.height) return this.draw();
    if (node && !middle && !isNaN(top)) this.moveTo(top < 0 ? top : Math.min(top, top + node.offsetHeight - this.height));
    else {
      const back = Math.floor(this.height / this.rowHeight / 2);
      this.anchor = { id: this.rows.at(Math.max(0, this.rows.find(id) - back)), dy: 0 };
      this.draw();
      const now = this.nodes.get(id);
      if (now && this.y + now.offsetTop + now.offsetHeight > this.height) this.moveTo(now.offsetTop + this.y - this.height / 2);
    }
  }

  /** Move by pixels without following at the end. @param {number} pixels */
  moveTo(pixels) {
    this.moveBy(pixels);
    this.follow = false;
  }

  close() {
    this.observer.disconnect();
    clearTimeout(this.timer);
  }
}
