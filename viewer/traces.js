// Stack traces whose lines come one by one: which of them belong to the row above.
import { ERROR } from "./levels.js";

// A frame as Java, JavaScript and .NET print it. Whatever error follows one is another.
const FRAME = /^\s+at \S/;
// What is part of a trace wherever it stands.
const PART = /^(?:\s+(?:File "|from \S+:\d|\.{3} \d+ |#\d+ )|Caused by: |goroutine \d)/;
const TRACEBACK = /^Traceback \(/;
// What has been thrown: the first line of a trace, or the last one in Python.
const THROWN = /^(?:(?:[\w$]{1,80}\.){0,20}\w*(?:Exception|Error|Interrupt|SystemExit)|(?:[\w$]{1,80}\.){1,20}\w*Timeout)(?::|$)/;
const BEGUN = /^(?:panic: |Exception in thread |(?:Unhandled|Uncaught) [Ee]xception)/;
// What is part of a trace that has begun: code, empty lines, and how Python and Go go on.
const WITHIN = /^(?:\s|$|During handling of |The above exception |created by |[\w./$*()-]{1,200}\(.*\)$)/;
// The lines of a trace are written at once, in ms. Others may be indented too.
const AT_ONCE = 1000;
const MAX_HEAD = 1000;

/** The trace that a source may be writing. */
export class Trace {
  #isOpen = false;
  #isFrame = false; // whether the last line was one
  #ms = NaN; // when the last line was written

  /**
   * Take the next line of the source; return whether it belongs to the row above it.
   * @param {string} text @param {number} own its level, as far as it says so itself
   * @param {number} level of the line before @param {number} ms when it was written
   */
  take(text, own, level, ms) {
    const head = text.length > MAX_HEAD ? text.slice(0, MAX_HEAD) : text;
    const isFrame = FRAME.test(head);
    const isTraceback = TRACEBACK.test(head);
    const isThrown = THROWN.test(head);
    const isLate = ms - this.#ms > AT_ONCE;
    let belongs = isFrame || PART.test(head) || (this.#isOpen && WITHIN.test(head));
    // What begins a trace may also be the rest of one, or what the line above it has told of.
    if (isTraceback) belongs = level >= ERROR;
    else if (isThrown) belongs = !this.#isFrame && (this.#isOpen || level >= ERROR);
    else if (own) belongs = false;
    belongs &&= !isLate;
    this.#isOpen = belongs || isTraceback || isThrown || BEGUN.test(head);
    this.#isFrame = isFrame;
    this.#ms = ms;
    return belongs;
  }
}
