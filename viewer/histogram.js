// How many lines and errors a second, drawn.
import { ERROR } from "./levels.js";
import { h } from "./dom.js";
import { counted } from "./words.js";

const SECONDS = 600;
const BAR = 4;

export class Histogram {
  constructor() {
    this.canvas = h("canvas", { className: "histogram", role: "img", ariaLabel: "Lines and errors a second" });
  }
  lines = new Uint32Array(SECONDS);
  errors = new Uint32Array(SECONDS);
  newest = 0;
  changed = true;

  clear() {
    this.lines.fill(0);
    this.errors.fill(0);
    this.newest = 0;
    this.changed = true;
  }

  /** Count a line of this time. @param {number} ms @param {number} level */
  add(ms, level) {
    const second = Math.floor(ms / 1000);
    if (!(second > this.newest - SECONDS)) return;
    // Seconds that nobody wrote in are empty. A clock that is far ahead must not make this long.
    for (let s = Math.max(this.newest + 1, second - SECONDS + 1); s <= second; s++) this.lines[s % SECONDS] = this.errors[s % SECONDS] = 0;
    if (second > this.newest) this.newest = second;
    this.lines[second % SECONDS]++;
    if (level >= ERROR) this.errors[second % SECONDS]++;
    this.changed = true;
  }

  /** Draw anew what has changed; by square roots, so that a burst does not hide the rest. */
  draw() {
    const { canvas, lines, errors } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!this.changed || !width) return;
    this.changed = false;
    const scale = devicePixelRatio;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const bars = Math.min(SECONDS - 1, Math.floor(width / BAR));
    const at = (/** @type {number} */ i) => (this.newest - bars + i + 1 + SECONDS) % SECONDS;
    let most = 1, total = 0, bad = 0;
    for (let i = 0; i < bars; i++) {
      most = Math.max(most, lines[at(i)]);
      total += lines[at(i)];
      bad += errors[at(i)];
    }
    for (const [counts, colour] of /** @type {[Uint32Array, string][]} */ ([[lines, style.color], [errors, style.borderTopColor]])) {
      context.fillStyle = colour;
      for (let i = 0; i < bars; i++) {
        const n = counts[at(i)];
        if (n) context.fillRect(i * BAR, height, BAR - 1, -Math.max(1.5, Math.sqrt(n / most) * height));
      }
    }
    const recent = lines[(this.newest - 1 + SECONDS) % SECONDS];
    canvas.ariaLabel = `${counted(total, "line")} and ${counted(bad, "error")} in the last ${bars} seconds; ${counted(recent, "line")} a second`;
    canvas.title = canvas.ariaLabel;
  }
}
