// The lines that are kept, as columns: blocks of strings and typed arrays, of which the oldest leave as a whole.
import { continues, levelOf } from "./levels.js";
import { plain } from "./ansi.js";
import { parsed } from "./timestamp.js";

/**
 * @typedef {{cursor: string, timestamp: string, pod: string, container: string, stream: string|null, log: string}} Wire
 * @typedef {"gap"|"rule"|"gone"} Notice a row that is no line
 * @typedef {{id: number, text: string, ms: number, nanos: number, source: number, level: number,
 *   stream: string|null, cursor: string, notice?: Notice}} Line
 */

export const BLOCK_ROWS = 4096;
const BLOCK_BYTES = 1 << 20;
// What a row takes beside its text: two strings' headers, the cursor, and the typed arrays.
const ROW_BYTES = 86;
const LEVEL = 7, STDERR = 8, ESCAPED = 16, NOTICE = 32, STDOUT = 64;
/** @type {Notice[]} */
const NOTICES = ["gap", "rule", "gone"];

export class Block {
  /** @param {number} first the id of its first row */
  constructor(first) {
    this.first = first;
    this.length = 0;
    this.bytes = 0;
    /** @type {string[]} */
    this.texts = [];
    /** @type {string[]} */
    this.cursors = [];
    this.times = new Float64Array(BLOCK_ROWS);
    this.nanos = new Uint32Array(BLOCK_ROWS);
    this.sources = new Uint32Array(BLOCK_ROWS);
    this.flags = new Uint8Array(BLOCK_ROWS);
    /** Offsets of the rows that lines are shown in: their own, or that of a line which they are folded into. */
    this.rows = new Uint16Array(BLOCK_ROWS);
    /** Offsets of the lines that are folded into a row. @type {Map<number, number[]>} */
    this.folds = new Map();
    /** Offsets of lines that have rows of their own; null: all have. @type {number[]|null} */
    this.unfolded = null;
    /** Offsets of rows that match the search, and how many lines have been searched. @type {number[]} */
    this.hits = [];
    this.searched = 0;
    /** Offsets of rows that the filter lets pass, and how many have been looked at. @type {number[]} */
    this.shown = [];
    this.filtered = 0;
  }

  /** Show the last line in a row of its own, or in one above it. @param {number} row its offset */
  place(row) {
    const at = this.length - 1;
    this.rows[at] = row;
    if (row === at) this.unfolded?.push(at);
    else {
      this.unfolded ??= Array.from({ length: at }, (_, i) => i);
      const folded = this.folds.get(row);
      if (folded) folded.push(at);
      else this.folds.set(row, [at]);
    }
  }
  /** Return the offsets of the lines of a row. @param {number} row */
  lines(row) {
    return [row, ...(this.folds.get(row) ?? [])];
  }
  /** Return the text that is searched. @param {number} at */
  plain(at) {
    return this.flags[at] & ESCAPED ? plain(this.texts[at]) : this.texts[at];
  }
  /** @param {number} at */
  isNotice(at) {
    return (this.flags[at] & NOTICE) > 0;
  }
  /** @param {number} at */
  level(at) {
    return this.flags[at] & LEVEL;
  }
  /** @param {number} at @returns {Line} */
  line(at) {
    const flags = this.flags[at];
    return {
      id: this.first + at, text: this.texts[at], ms: this.times[at], nanos: this.nanos[at], source: this.sources[at],
      level: flags & LEVEL, stream: flags & STDERR ? "stderr" : flags & STDOUT ? "stdout" : null, cursor: this.cursors[at],
      notice: flags & NOTICE ? NOTICES[this.sources[at]] : undefined,
    };
  }
}

export class Columns {
  /** @param {import("./sources.js").Sources} sources @param {number} [maxLines] @param {number} [maxBytes] */
  constructor(sources, maxLines = 200_000, maxBytes = 64 << 20) {
    this.sources = sources;
    this.maxLines = maxLines;
    this.maxBytes = maxBytes;
    /** @type {Block[]} */
    this.blocks = [];
    this.bytes = 0;
    /** The id of the next row: ids count up from 0 and are never given twice. */
    this.end = 0;
    /** How many lines have left; notices do not count. */
    this.gone = 0;
    /** How many lines are kept of each level. */
    this.levels = [0, 0, 0, 0, 0, 0];
    /** The first and last id of the rows in sight: their blocks outlive their eviction. @type {[number, number]|null} */
    this.pinned = null;
    /** @type {Block[]} */
    this.attic = [];
    /** The id of the first line after the last notice: nothing is folded across one. */
    this.noticed = 0;
  }

  /** When the newest row was written, in ms. */
  get newest() {
    const block = this.blocks[this.blocks.length - 1];
    return block.times[block.length - 1];
  }

  /** Keep nothing any more; ids go on. */
  clear() {
    [this.blocks, this.attic, this.pinned] = [[], [], null];
    [this.bytes, this.gone, this.levels] = [0, 0, [0, 0, 0, 0, 0, 0]];
  }

  /** The id of the oldest row that is kept. */
  get first() {
    return this.blocks.length ? this.blocks[0].first : this.end;
  }

  /** Keep a line and return its level. @param {Wire} wire */
  add(wire) {
    const { log } = wire;
    const escaped = log.includes("\x1b") || log.includes("\x9b");
    const text = escaped ? plain(log) : log;
    const source = this.sources.index(wire.pod, wire.container);
    const known = this.sources.all[source];
    const [ms, nanos] = parsed(wire.timestamp);
    const own = levelOf(text);
    const belongs = known.trace.take(text, own, known.level, ms);
    const level = own || (belongs || continues(text) ? known.level : 0);
    known.level = level;
    known.lines++;
    const flags = level | (wire.stream === "stderr" ? STDERR : wire.stream ? STDOUT : 0) | (escaped ? ESCAPED : 0);
    const block = this.#put(log, wire.cursor, ms, nanos, source, flags);
    // Lines of one row are in one block, so that they leave together.
    if (!belongs || known.row < Math.max(block.first, this.noticed)) known.row = this.end - 1;
    block.place(known.row - block.first);
    this.levels[level]++;
    return level;
  }

  /** Keep a row that is no line. @param {Notice} notice @param {string} text @param {number} ms */
  note(notice, text, ms) {
    const block = this.#put(text, "", ms, 0, NOTICES.indexOf(notice), NOTICE);
    block.place(block.length - 1);
    this.noticed = this.end;
  }

  /** @param {string} text @param {string} cursor @param {number} ms @param {number} nanos @param {number} source @param {number} flags */
  #put(text, cursor, ms, nanos, source, flags) {
    let block = this.blocks[this.blocks.length - 1];
    if (!block || block.length === BLOCK_ROWS || block.bytes >= BLOCK_BYTES) {
      block = new Block(this.end);
      this.blocks.push(block);
      this.#makeRoom();
    }
    const at = block.length++;
    block.texts.push(text);
    block.cursors.push(cursor);
    block.times[at] = ms;
    block.nanos[at] = nanos;
    block.sources[at] = source;
    block.flags[at] = flags;
    // Strings take two bytes a character if any of them needs it.
    const bytes = ROW_BYTES + (/[^\0-\xff]/.test(text) ? 2 : 1) * text.length;
    block.bytes += bytes;
    this.bytes += bytes;
    this.end++;
    return block;
  }

  /** Let the oldest blocks leave until another one fits. */
  #makeRoom() {
    while (
      this.blocks.length > 1 &&
      (this.end - this.first + BLOCK_ROWS > this.maxLines || this.bytes + BLOCK_BYTES > this.maxBytes)
    ) {
      const block = /** @type {Block} */ (this.blocks.shift());
      this.bytes -= block.bytes;
      if (this.#isPinned(block)) this.attic.push(block);
      for (let at = 0; at < block.length; at++) {
        if (block.isNotice(at)) continue;
        this.gone++;
        this.levels[block.level(at)]--;
        this.sources.all[block.sources[at]].lines--;
      }
    }
  }

  /** Keep what these rows need as long as they are in sight. @param {[number, number]|null} ids the first and the last */
  pin(ids) {
    this.pinned = ids;
    if (this.attic.length) this.attic = this.attic.filter((block) => this.#isPinned(block));
  }

  /** @param {Block} block */
  #isPinned(block) {
    return this.pinned !== null && block.first <= this.pinned[1] && block.first + block.length > this.pinned[0];
  }

  /** Return the place of a block: the last one that does not begin after this id, or -1. @param {number} id */
  indexOf(id) {
    let low = 0, high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.blocks[middle].first <= id) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Return a row with all its lines, if it is still kept. @param {number} id @returns {Line|undefined} */
  get(id) {
    const lines = this.lines(id);
    return lines.length > 1 ? { ...lines[0], text: lines.map(({ text }) => text).join("\n") } : lines[0];
  }

  /** Return the lines of a row, of which there are none any more if it has left. @param {number} id */
  lines(id) {
    const block = this.#blockOf(id);
    return block ? block.lines(id - block.first).map((at) => block.line(at)) : [];
  }

  /** Return the id of the row that a line is shown in. @param {number} id */
  rowOf(id) {
    const block = this.#blockOf(id);
    return block ? block.first + block.rows[id - block.first] : id;
  }

  /** @param {number} id @returns {Block|undefined} */
  #blockOf(id) {
    const holds = (/** @type {Block} */ block) => block && id >= block.first && id - block.first < block.length;
    return [this.blocks[this.indexOf(id)], ...this.attic].find(holds);
  }
}
