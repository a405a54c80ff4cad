// Stack traces whose lines come one by one: which of them belong to the row above.
import { ERROR, WARNING } from "./levels.js";

// A frame as Java, JavaScript and .NET print it. Whatever error follows one is another.
const FRAME = /^\s+at \S/;
// What is part of a trace wherever it stands.
const PART = /^(?:\s+(?:File "|from \S+:\d|\.{3} \d+ |#\d+ )|Caused by: |goroutine \d)/;
const TRACEBACK = /^Traceback \(/;
// What has been thrown: the first line of a trace, or the last one in Python.
const THROWN = /^(?:[\w$]{1,80}\.){0,20}\w*(?:Exception|Error|Timeout|Exit|Interrupt)(?::|$)/;
const BEGUN = /^(?:panic: |Exception in thread |(?:Unhandled|Uncaught) [Ee]xception)/;
// What is part of a trace that has begun: code, empty lines, and how Python and Go go on.
const WITHIN = /^(?:\s|$|During handling of |The above exception |created by |[\w./$*()-]{1,200}\(.*\)$)/;
// The lines of a trace are written at once, in ms. Others may be indented too.
const AT_ONCE = 1000;
const MAX_HEAD = 1000;

/** What the lines of a source were last, as far as the next one may belong to them. */
export class Trace {
  #isOpen = false;
  #isFrame = false;
  #ms = NaN;

  /**
   * Take the next line; return whether it belongs to the row above it. @param {string} text @param {number} own its level
   * @param {number} level of the line before @param {number} ms when it was written
   */
  take(text, own, level, ms) {
    const head = text.length > MAX_HEAD ? text.slice(0, MAX_HEAD) : text;
    const isFrame = FRAME.test(head);
    const isTraceback = TRACEBACK.test(head);
    const isThrown = THROWN.test(head);
    const isLate = ms - this.#ms > AT_ONCE;
    let belongs = false;
    if (isLate || (own && !isTraceback)) belongs = false;
    else if (isTraceback) belongs = level >= ERROR;
    else if (isThrown) belongs = !this.#isFrame && (this.#isOpen || level >= WARNING);
    else belongs = isFrame || PART.test(head) || (this.#isOpen && WITHIN.test(head));
    this.#isOpen = belongs || isTraceback || isThrown || BEGUN.test(head);
    this.#isFrame = isFrame;
    this.#ms = ms;
    return belongs;
  }
}
