// Where a reader is in its stream, and what to ask for to go on from there.

/** @import { Pairs } from "./address.js" */
/** @import { Gap, Line } from "../client.js" */

// What says where a stream begins.
const PLACES = new Set(["tail", "since", "cursor"]);
// How far back to look for lines that were written, but had not arrived, when a stream without lines was cut.
const ARRIVAL_SECONDS = 10;

/** A place in the stream that parameters of GET /logs describe. */
export class Position {
  #asked;
  #elsewhere;
  #now;
  #cursor = ""; // after the last line; empty: there was none, or it is of no more use
  #isAnew = false; // the server has started anew, and no line has come since it said so
  /** @type {number | null} when the backlog was over without a line, in ms */
  #emptyAt = null;
  #lastGap = ""; // the reason of the gap that came last, if no line has come after it

  /**
   * @param {Pairs} asked
   * @param {() => number} now returns ms
   */
  constructor(asked, now = Date.now) {
    this.#asked = asked;
    this.#elsewhere = asked.filter(([name]) => !PLACES.has(name));
    this.#now = now;
  }

  /**
   * Move past lines.
   * @param {Line[]} lines
   */
  advance(lines) {
    this.#cursor = lines[lines.length - 1].cursor;
    this.#lastGap = "";
  }

  /** Note that everything there was has come. */
  caughtUp() {
    this.#emptyAt ??= this.#now();
  }

  /**
   * Note a gap, and tell whether it is news: one of an unknown number of lines is reported again after each cut until a
   * line comes.
   * @param {Gap} gap
   */
  isNews(gap) {
    if (gap.reason === "restarted") {
      // The cursor is of a numbering that is over. All that the buffer holds is what follows this gap.
      this.#cursor = "";
      this.#isAnew = true;
    }
    const isNews = gap.lost !== null || gap.reason !== this.#lastGap;
    this.#lastGap = gap.reason;
    return isNews;
  }

  /**
   * Return what to ask for next.
   * @returns {Pairs}
   */
  query() {
    if (this.#cursor) return [...this.#elsewhere, ["cursor", this.#cursor]];
    if (this.#isAnew) return [...this.#elsewhere, ["tail", "all"]];
    if (this.#emptyAt === null || this.#has("cursor")) return this.#asked;
    // There was no backlog at all, so whatever there is now has come since.
    if (!this.#has("tail", "0") && !this.#has("since")) return [...this.#elsewhere, ["tail", "all"]];
    // Nothing has been shown, so lines from a little earlier cannot be shown twice.
    const seconds = Math.ceil(Math.max(0, this.#now() - this.#emptyAt) / 1000) + ARRIVAL_SECONDS;
    return [...this.#elsewhere, ["tail", "all"], ["since", `${seconds}s`]];
  }

  /**
   * @param {string} name
   * @param {string} [value] undefined: any
   */
  #has(name, value) {
    return this.#asked.some((pair) => pair[0] === name && (value === undefined || pair[1] === value));
  }
}
