// What ends a stream for good, and what only cuts it.

/** Why a stream or a request cannot succeed, however often it is tried. The message is a sentence for people. */
export class LogurtError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, code?: number}} [facts] the HTTP status, and the close code of a WebSocket
   */
  constructor(message, { status, code } = {}) {
    super(message);
    this.name = "LogurtError";
    this.status = status;
    this.code = code;
  }
}

/** Why a connection ended that another may well replace. */
export class Cut extends Error {
  /**
   * @param {string} why
   * @param {{isStopping?: boolean, isOver?: boolean}} [facts] whether the server announced that it stops; whether what
   *   caused it is over already, so that nobody has to wait
   */
  constructor(why, { isStopping = false, isOver = false } = {}) {
    super(why);
    this.isStopping = isStopping;
    this.isOver = isOver;
  }
}

// Answers that say "not now", beside all from 500 on.
const PASSING = new Set([408, 425, 429]);

// docs/protocol.md, "How a stream ends": after these there is no use in coming back.
const FOR_GOOD = new Set([1008, 1009, 4400, 4401, 4403]);
const STOPPING = 1001;

/**
 * Return what a refusal with an HTTP status means.
 * @param {number} status
 * @param {string} sentence what the server said, or empty
 * @returns {LogurtError | Cut}
 */
export function refusal(status, sentence) {
  const why = sentence || `the server answered with HTTP status ${status}`;
  return status >= 500 || PASSING.has(status) ? new Cut(why) : new LogurtError(why, { status });
}

/**
 * Return the error for an answer that makes no sense: something else listens there, and is content with that.
 * @param {string} host
 */
export function notLogurt(host) {
  return new LogurtError(`what answers at ${host} does not speak as a logurt server does`, { status: 200 });
}

/**
 * Return what the end of an open WebSocket means.
 * @param {number} code
 * @param {string} reason
 * @returns {LogurtError | Cut}
 */
export function disconnect(code, reason) {
  if (FOR_GOOD.has(code)) {
    const status = code >= 4000 ? code - 4000 : undefined;
    return new LogurtError(reason || `the server has ended the stream (${code})`, { status, code });
  }
  return new Cut(reason || "the connection was cut", { isStopping: code === STOPPING });
}

/**
 * Return what can be told of anything that was thrown.
 * @param {unknown} error
 */
export function sentence(error) {
  return error instanceof Error ? error.message : String(error);
}
