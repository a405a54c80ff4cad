// Which lines are shown, in order, and which of them match: kept up to date in slices.

/**
 * @typedef {import("./columns.js").Columns} Columns
 * @typedef {import("./columns.js").Block} Block
 * @typedef {(block: Block, at: number) => boolean} Filter
 */

/** The id of the row that says what has gone. */
export const GONE = -1;
/** The id of the row between rows that have left and are still looked at, and those that are kept. */
export const HOLE = -2;
const STRIDE = 32;

export class Rows {
  /** @param {Columns} columns @param {() => number} [clock] in milliseconds */
  constructor(columns, clock = () => performance.now()) {
    this.columns = columns;
    this.clock = clock;
    /** Rows that have left and are still looked at. @type {number[]} */
    this.head = [];
    this.hole = false;
    /** @type {import("./search.js").Matcher|null} */
    this.matcher = null;
    /** @type {Filter|null} */
    this.filter = null;
    this.onlyMatches = false;
    /** How many rows are shown before each block. @type {number[]} */
    this.starts = [];
    this.pending = false;
    this.length = 0;
    this.hits = 0;
  }

  /** @param {import("./search.js").Matcher|null} matcher */
  search(matcher) {
    this.matcher = matcher;
    for (const block of this.columns.blocks) [block.hits, block.searched] = [[], 0];
    if (this.onlyMatches) this.refilter();
  }

  /** @param {Filter|null} filter @param {boolean} onlyMatches */
  show(filter, onlyMatches) {
    this.filter = filter;
    this.onlyMatches = onlyMatches;
    this.refilter();
  }

  refilter() {
    for (const block of this.columns.blocks) [block.shown, block.filtered] = [[], 0];
  }

  get filtering() {
    return this.filter !== null || (this.onlyMatches && this.matcher !== null);
  }

  /**
   * Search and filter what has not been yet: the block with this id first, then from the newest back.
   * Returns whether something is left. @param {number} budget milliseconds @param {number} [id]
   */
  work(budget, id = Infinity) {
    const until = this.clock() + budget;
    const { blocks } = this.columns;
    const looked = this.columns.indexOf(id);
    this.pending = false;
    for (let i = blocks.length; i >= 0 && !this.pending; i--) {
      // The block that is looked at comes first, and is found done when its turn comes.
      const block = i === blocks.length ? blocks[looked] : blocks[i];
      if (block) this.pending = !this.#search(block, until) || !this.#filter(block, until);
    }
    this.count();
    return this.pending;
  }

  /** @param {Block} block @param {number} until @returns {boolean} whether it is done */
  #search(block, until) {
    const { matcher } = this;
    if (!matcher) return true;
    for (; block.searched < block.length; block.searched++) {
      if (block.searched % STRIDE === 0 && this.clock() > until) return false;
      const at = block.searched;
      if (!block.isNotice(at) && matcher.test(block.plain(at))) insert(block.hits, block.rows[at]);
    }
    return true;
  }

  /** A row is looked at again for each line that is folded into it. @param {Block} block @param {number} until */
  #filter(block, until) {
    if (!this.filtering) return true;
    const { filter } = this;
    const only = this.onlyMatches && this.matcher !== null;
    for (; block.filtered < block.length; block.filtered++) {
      if (block.filtered % STRIDE === 0 && this.clock() > until) return false;
      const row = block.rows[block.filtered];
      const passes = (!only || has(block.hits, row)) && (!filter || filter(block, row));
      if (passes || block.isNotice(row)) insert(block.shown, row);
    }
    return true;
  }

  /** Return the offsets of the rows of a block that are shown; null: those of all its lines. @param {Block} block */
  #offsets(block) {
    return this.filtering ? block.shown : block.unfolded;
  }

  /** Count anew what is shown, after lines have come or gone. */
  count() {
    const { blocks } = this.columns;
    let sum = 0, hits = 0;
    this.starts.length = blocks.length;
    for (let i = 0; i < blocks.length; i++) {
      this.starts[i] = sum;
      sum += (this.#offsets(blocks[i]) ?? blocks[i]).length;
      hits += blocks[i].hits.length;
    }
    this.hits = hits;
    this.goneRow = this.columns.gone ? 1 : 0;
    this.before = this.goneRow + this.head.length + (this.hole ? 1 : 0);
    this.length = this.before + sum;
  }
  before = 0;
  goneRow = 0;

  /** Return the id of the row at this place. @param {number} index */
  at(index) {
    if (index < this.goneRow) return GONE;
    if (index < this.before) return this.head[index - this.goneRow] ?? HOLE;
    index -= this.before;
    const i = lowerBound(this.starts, index + 1) - 1;
    const block = this.columns.blocks[i];
    const at = index - this.starts[i];
    return block.first + (this.#offsets(block)?.[at] ?? at);
  }

  /** Return the place of this row, or of the next one that is shown. @param {number} id */
  find(id) {
    const { head, columns } = this;
    if (id === GONE) return 0;
    if (id === HOLE) return this.before - 1;
    if (head.length && id <= head[head.length - 1]) return this.goneRow + lowerBound(head, id);
    const i = columns.indexOf(id);
    if (i < 0) return this.before;
    const block = columns.blocks[i];
    const at = id - block.first;
    const offsets = this.#offsets(block);
    const inside = offsets ? lowerBound(offsets, at) : Math.min(at, block.length);
    return this.before + this.starts[i] + inside;
  }

  /** Return the next row that matches, in a direction, beginning anew at the end. @param {number} id @param {1|-1} step */
  next(id, step) {
    const { blocks } = this.columns;
    const start = Math.max(0, this.columns.indexOf(id));
    for (let turn = 0; turn <= blocks.length && blocks.length; turn++) {
      const block = blocks[(((start + turn * step) % blocks.length) + blocks.length) % blocks.length];
      const { hits, first } = block;
      const from = turn ? (step > 0 ? -1 : Infinity) : id - first;
      const at = step > 0 ? lowerBound(hits, from + 1) : lowerBound(hits, from) - 1;
      for (let k = at; k >= 0 && k < hits.length; k += step) {
        if (!this.filtering || has(block.shown, hits[k])) return first + hits[k];
      }
    }
    return undefined;
  }

  /** Return the how-manieth match this row is, from 1, or 0 if it is none. @param {number} id */
  rank(id) {
    let sum = 0;
    for (const block of this.columns.blocks) {
      const at = id - block.first;
      if (at < block.length) {
        const i = lowerBound(block.hits, at);
        return at >= 0 && block.hits[i] === at ? sum + i + 1 : 0;
      }
      sum += block.hits.length;
    }
    return 0;
  }
}

/** The place of the first number that is not smaller. @param {number[]} numbers ascending @param {number} least */
export function lowerBound(numbers, least) {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param {number[]} numbers ascending @param {number} one */
const has = (numbers, one) => numbers[lowerBound(numbers, one)] === one;

/** Put a number in its place, unless it is there. @param {number[]} numbers ascending @param {number} one */
function insert(numbers, one) {
  if (!numbers.length || numbers[numbers.length - 1] < one) numbers.push(one);
  else if (!has(numbers, one)) numbers.splice(lowerBound(numbers, one), 0, one);
}
