// Who wrote the lines: pods and containers, with their colours in order of appearance.
import { HUES } from "./colours.js";
import { Trace } from "./traces.js";

/**
 * @typedef {{pod: string, container: string, hue: number, lines: number, level: number, row: number, trace: Trace}} Source
 *   `level` is its last line's, `row` the id of its last row
 */

export class Sources {
  constructor() {
    /** @type {Source[]} */
    this.all = [];
    /** @type {Map<string, Map<string, number>>} */
    this.pods = new Map();
    this.containers = new Set();
  }

  /** Return the number of a source, a new one for one that was not seen before. @param {string} pod @param {string} container */
  index(pod, container) {
    let inside = this.pods.get(pod);
    if (!inside) this.pods.set(pod, (inside = new Map()));
    let index = inside.get(container);
    if (index === undefined) {
      index = this.all.length;
      inside.set(container, index);
      this.containers.add(container);
      const first = inside.values().next().value;
      const hue = first === index ? HUES[(this.pods.size - 1) % HUES.length] : this.all[/** @type {number} */ (first)].hue;
      this.all.push({ pod, container, hue, lines: 0, level: 0, row: -1, trace: new Trace() });
    }
    return index;
  }

  /** Return how many letters the longest name needs. @param {number} pod at most @param {number} container at most */
  width(pod, container) {
    const inside = this.containers.size > 1;
    const length = (/** @type {Source} */ source) => Math.min(source.pod.length, pod) + (inside ? Math.min(source.container.length, container) + 1 : 0);
    return this.all.reduce((most, source) => Math.max(most, length(source)), 6);
  }

  /** Return how many lines of each pod are kept. @returns {Map<string, number>} */
  counts() {
    const counts = new Map();
    for (const { pod, lines } of this.all) counts.set(pod, (counts.get(pod) ?? 0) + lines);
    return counts;
  }
}
