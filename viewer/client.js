// A client for logurt: lines as an async iterator that outlives its connections. docs/embedding.md explains its use.

import { Address } from "./client/address.js";
import { LogurtError, sentence } from "./client/errors.js";
import { PATIENCE } from "./client/pause.js";
import { ask } from "./client/request.js";
import { Tail } from "./client/tail.js";
import { Credential } from "./client/token.js";

export { LogurtError };

/** @import { Pairs } from "./client/address.js" */
/**
 * @typedef {{type: "line", cursor: string, timestamp: string, pod: string, container: string,
 *   stream: "stdout" | "stderr" | null, log: string}} Line
 * @typedef {{type: "lines", lines: Line[]}} Lines
 * @typedef {{type: "gap", lost: number | null, reason: "slow" | "evicted" | "restarted"}} Gap lines are missing here
 * @typedef {{type: "live"}} Live what was there has come; what follows is new
 * @typedef {"fetch" | "websocket" | "stream"} Transport
 * @typedef {object} State how the connection is
 * @property {"state"} type
 * @property {"connecting" | "open" | "waiting" | "stopping"} state waiting: it was cut, and another is made in `retryIn`;
 *   stopping: the same, and the server said that it stops
 * @property {number} [retryIn] ms
 * @property {string} [why] a sentence
 * @property {number} [expiresAt] when the token expires, in ms by the clock of this machine
 * @property {Transport} [transport]
 * @typedef {Line | Gap | Live | State} Event
 * @typedef {Lines | Gap | Live | State} Batch
 *
 * @typedef {object} Options what to ask for, as parameters of GET /logs, and how. Several values are several parameters.
 * @property {string} [token]
 * @property {number | string} [tail] lines of backlog, or "all"
 * @property {string} [since]
 * @property {string} [cursor] go on after this place
 * @property {string | string[]} [pod]
 * @property {string | string[]} [container]
 * @property {string | string[]} [label]
 * @property {string | string[]} [workload]
 * @property {string} [stream]
 * @property {string | string[]} [include]
 * @property {string | string[]} [exclude]
 * @property {boolean} [follow] false: end after the backlog
 * @property {() => Promise<string | null | undefined>} [renew] gets another token for the same scope; nothing: there is
 *   none. If it fails, it is tried again.
 * @property {AbortSignal} [signal] ends it
 * @property {{first?: number, longest?: number}} [pauses] between tries, in ms
 * @property {{open?: number, silence?: number}} [patience] in ms: for a connection to open, and without a sign of life
 * @property {typeof WebSocket | null} [WebSocket] for runtimes that have none; null: do without
 */

// The options that are parameters of GET /logs.
const PARAMETERS = /** @type {const} */ (
  ["tail", "since", "cursor", "pod", "container", "label", "workload", "stream", "include", "exclude"]
);
const SOURCES_A_PAGE = 1000;

/**
 * Follow lines, each exactly once and in order, however often the connection is cut. Throws LogurtError when trying
 * again cannot help, and what `signal` was aborted with.
 * @overload
 * @param {string | URL} url of the server, or a link to it; its parameters count where `options` has none
 * @param {Options & {batches: true}} options lines come many at a time
 * @returns {AsyncGenerator<Batch, void>}
 */
/**
 * @overload
 * @param {string | URL} url
 * @param {Options} [options]
 * @returns {AsyncGenerator<Event, void>}
 */
/**
 * @param {string | URL} url
 * @param {Options & {batches?: boolean}} [options]
 * @returns {AsyncGenerator<any, void>}
 */
export function logurt(url, options = {}) {
  const address = new Address(url);
  return followed(new Tail(address, asked(address, options), options), options.batches ?? false);
}

/**
 * @param {Tail} tail
 * @param {boolean} batches
 * @returns {AsyncGenerator<Batch | Event, void>}
 */
async function* followed(tail, batches) {
  try {
    for await (const event of tail.run()) {
      if (event.type === "lines" && !batches) yield* event.lines;
      else yield event;
    }
  } finally {
    tail.stop();
  }
}

/**
 * @typedef {{namespace: string, pod: string, container: string, labels: Record<string, string>, workloads: string[],
 *   lines: number, bytes: number, first: string, last: string}} Source
 */

/**
 * Return all sources that a token opens, or those that the options select. Throws LogurtError, also for what may pass.
 * @param {string | URL} url of the server, or a link to it
 * @param {Pick<Options, "token" | "pod" | "container" | "label" | "workload" | "signal">} [options]
 * @returns {Promise<Source[]>}
 */
export async function sources(url, options = {}) {
  const address = new Address(url);
  const credential = new Credential(options.token ?? address.token, undefined);
  credential.check();
  const bounds = { signal: options.signal ?? new AbortController().signal, patience: PATIENCE.open };
  const query = asked(address, options).filter(([name]) => ["pod", "container", "label", "workload"].includes(name));
  const found = [];
  for (let after = ""; ; ) {
    /** @type {Pairs} */
    const page = [...query, ["limit", `${SOURCES_A_PAGE}`]];
    if (after) page.push(["after", after]);
    try {
      const response = await ask(address.http("api/sources", page), credential.token, "application/json", bounds);
      const answer = await response.json();
      found.push(...answer.sources);
      after = answer.next;
      if (!after) return found;
    } catch (error) {
      options.signal?.throwIfAborted();
      throw error instanceof LogurtError ? error : new LogurtError(sentence(error));
    }
  }
}

/**
 * Return what is asked for: parameters of the link, and options in their place where they are given.
 * @param {Address} address
 * @param {Options} options
 * @returns {Pairs}
 */
function asked(address, options) {
  /** @type {Pairs} */
  const pairs = [];
  for (const name of PARAMETERS) {
    const value = options[name];
    if (value === undefined) pairs.push(...address.parameters.filter((pair) => pair[0] === name));
    else for (const one of [value].flat()) pairs.push([name, String(one)]);
  }
  return pairs;
}
