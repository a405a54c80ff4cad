// Marks beside the scrollbar: where matches and marked lines are.
import { h } from "./dom.js";

export class Ruler {
  /** @param {import("./rows.js").Rows} rows @param {Set<number>} marks */
  constructor(rows, marks) {
    this.rows = rows;
    this.marks = marks;
    this.canvas = h("canvas", { className: "ruler", ariaHidden: "true" });
  }

  draw() {
    const { canvas, rows } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!height) return;
    rows.count();
    if (canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    context.fillStyle = style.color;
    const put = (/** @type {number} */ index) => Math.min(height - 2, Math.floor((index / rows.length) * height));
    let last = -9;
    for (const block of rows.columns.blocks) {
      // Of many matches at one place, one is drawn.
      const step = Math.max(1, Math.floor(block.hits.length / height));
      for (let i = 0; i < block.hits.length; i += step) {
        const y = put(rows.find(block.first + block.hits[i]));
        if (y >= last + 2) context.fillRect(0, (last = y), width, 2);
      }
    }
    context.fillStyle = style.borderTopColor;
    for (const id of this.marks) if (id >= rows.columns.first) context.fillRect(0, put(rows.find(id)), width, 3);
  }
}
