// A client for logurt: lines as an async iterator that outlives its connections. docs/embedding.md explains its use.

import { Address } from "./client/address.js";
import { Cut, LogurtError, notLogurt } from "./client/errors.js";
import { Pauses, sleep } from "./client/pause.js";
import { Position } from "./client/position.js";
import { ask, textOf } from "./client/request.js";
import { Socket } from "./client/socket.js";
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
const LINES = "application/x-ndjson";
const EVENTS = "text/event-stream";
// After so many connections for which no WebSocket got through, none is tried any more.
const MAX_BLOCKED = 2;
const SOURCES_A_PAGE = 1000;
// A server shows that it is alive every 25 seconds.
const PATIENCE = { open: 10_000, silence: 60_000 };

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
  return followed(new Tail(new Address(url), options), options.batches ?? false);
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

/** The lines that one iterator follows. */
class Tail {
  #address;
  #credential;
  #position;
  #pauses;
  #follow;
  #given; // the signal of whoever iterates
  #controller = new AbortController(); // ends what is open
  #terms;
  #stop = () => this.#controller.abort();
  #asksFirst; // a request shows why a WebSocket would be refused, and brings a backlog three times as fast
  #blocked = 0; // connections one after the other for which no WebSocket got through
  #hasOpened = false;

  /**
   * @param {Address} address
   * @param {Options} options
   */
  constructor(address, options) {
    const query = asked(address, options);
    const follow = options.follow ?? !address.parameters.some(([name, value]) => name === "follow" && value === "false");
    this.#address = address;
    this.#credential = new Credential(options.token ?? address.token, options.renew);
    this.#position = new Position([...query, ["format", "json"]]);
    this.#pauses = new Pauses(options.pauses);
    this.#follow = follow;
    this.#asksFirst = !query.some(([name, value]) => name === "tail" && value === "0");
    this.#given = options.signal;
    this.#given?.addEventListener("abort", this.#stop);
    this.#terms = {
      WebSocket: options.WebSocket === undefined ? globalThis.WebSocket : options.WebSocket,
      signal: this.#controller.signal,
      patience: { ...PATIENCE, ...options.patience },
    };
  }

  /** Close what is open. */
  stop() {
    this.#given?.removeEventListener("abort", this.#stop);
    this.#stop();
  }

  /** @returns {AsyncGenerator<Batch, void>} */
  async *run() {
    this.#given?.throwIfAborted();
    this.#credential.check();
    for (;;) {
      yield { type: "state", state: "connecting" };
      let cut;
      try {
        yield* this.#connection();
        if (!this.#follow) return;
        cut = new Cut("the connection has ended");
      } catch (error) {
        this.#given?.throwIfAborted();
        cut = await this.#replaceable(error);
      }
      const retryIn = cut.isOver ? 0 : this.#pauses.take();
      yield { type: "state", state: cut.isStopping ? "stopping" : "waiting", retryIn, why: cut.message };
      await sleep(retryIn, this.#controller.signal);
      this.#given?.throwIfAborted();
    }
  }

  /**
   * Return the cut that an error is, after what can be done about it. Throws what is none.
   * @param {unknown} error
   * @returns {Promise<Cut>}
   */
  async #replaceable(error) {
    if (error instanceof Cut) return error;
    if (!(error instanceof LogurtError)) throw error;
    // A page in place of lines is what something in front of the server shows while there is none.
    if (error.status === 200 && this.#hasOpened) return new Cut(error.message);
    if (error.status !== 401) throw error;
    try {
      if (await this.#credential.renew()) return new Cut("the token is renewed", { isOver: true });
    } catch (reason) {
      return new Cut(`there is no new token yet: ${sentence(reason)}`);
    }
    throw error;
  }

  /**
   * Read by one connection until it ends, which may be by throwing.
   * @returns {AsyncGenerator<Batch, void>}
   */
  async *#connection() {
    if (!this.#follow) return yield* this.#backlog();
    if (!this.#terms.WebSocket || this.#blocked >= MAX_BLOCKED) return yield* this.#streaming();
    if (this.#asksFirst) yield* this.#backlog();
    let socket = await this.#open();
    if (!socket && !this.#asksFirst) {
      yield* this.#backlog(); // it says why, by throwing, or nothing is wrong any more
      socket = await this.#open();
    }
    this.#asksFirst = !socket;
    this.#blocked = socket ? 0 : this.#blocked + 1;
    yield* socket ? this.#messages(socket) : this.#streaming();
  }

  /** @returns {AsyncGenerator<Batch, void>} */
  async *#backlog() {
    const response = await this.#ask(LINES, [["follow", "false"]]);
    yield this.#opened("fetch", response);
    for await (const text of textOf(response, this.#silence)) yield* this.#events(text);
    this.#position.caughtUp();
  }

  /** @returns {AsyncGenerator<Batch, void>} */
  async *#streaming() {
    // As server-sent events, because these have a sign of life.
    const response = await this.#ask(EVENTS);
    yield this.#opened("stream", response);
    for await (const text of textOf(response, this.#silence)) {
      const data = text.split("\n").filter((line) => line.startsWith("data: "));
      yield* this.#events(data.map((line) => line.slice("data: ".length)).join("\n"));
    }
  }

  /** @returns {Promise<Socket | null>} */
  #open() {
    const url = this.#address.webSocket("logs", [...this.#position.query(), ["batch", "true"], ["heartbeat", "true"]]);
    const terms = /** @type {import("./client/socket.js").Terms} */ (this.#terms);
    return Socket.open(url, this.#credential.token, terms);
  }

  /**
   * @param {Socket} socket
   * @returns {AsyncGenerator<Batch, void>}
   */
  async *#messages(socket) {
    const stopRenewing = this.#keepAuthorised(socket);
    let isAdmitted = false; // a refusal opens a WebSocket too, and says why by closing it
    try {
      for await (const item of socket.read()) {
        if (!isAdmitted) yield this.#opened("websocket");
        isAdmitted = true;
        if (typeof item === "string") yield* this.#events(item);
        else yield item;
      }
    } finally {
      stopRenewing();
      socket.close();
    }
  }

  /**
   * Send a new token whenever the last one is about to expire, until the function is called that is returned.
   * @param {Socket} socket
   */
  #keepAuthorised(socket) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let isOver = false;
    const plan = () => {
      const { renewIn } = this.#credential;
      if (!isOver && renewIn !== undefined) timer = setTimeout(renew, renewIn);
    };
    const renew = async () => {
      // If it keeps failing, the server closes the stream and says why.
      const isRenewed = await this.#credential.renew().catch(() => false);
      if (isOver) return;
      if (isRenewed) {
        this.#credential.accepted();
        socket.renew(this.#credential.token);
        socket.put(this.#opened("websocket"));
      }
      plan();
    };
    plan();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }

  /**
   * @param {string} accept
   * @param {Pairs} [parameters]
   */
  #ask(accept, parameters = []) {
    const url = this.#address.http("logs", [...this.#position.query(), ...parameters]);
    const bounds = { signal: this.#terms.signal, patience: this.#terms.patience.open };
    return ask(url, this.#credential.token, accept, bounds);
  }

  get #silence() {
    return { signal: this.#terms.signal, silence: this.#terms.patience.silence };
  }

  /**
   * @param {Transport} transport
   * @param {Response} [response]
   * @returns {State}
   */
  #opened(transport, response) {
    this.#hasOpened = true;
    if (response) this.#credential.accepted(response.headers.get("Date"));
    return { type: "state", state: "open", transport, expiresAt: this.#credential.expiresAt };
  }

  /**
   * Return the events of a text, one message a line, and move past them.
   * @param {string} text
   * @returns {Generator<Lines | Gap | Live, void>}
   */
  *#events(text) {
    /** @type {({type: string} & Record<string, unknown>)[]} */
    let messages;
    try {
      messages = JSON.parse(`[${text.trim().split("\n").join(",")}]`);
    } catch {
      throw notLogurt(this.#address.host);
    }
    this.#pauses.reset();
    let first = 0;
    for (let index = 0; index <= messages.length; index += 1) {
      const message = messages[index];
      if (message?.type === "line") continue;
      if (first < index) {
        const all = index - first === messages.length ? messages : messages.slice(first, index);
        const lines = /** @type {Line[]} */ (/** @type {unknown} */ (all));
        this.#position.advance(lines);
        yield { type: "lines", lines };
      }
      first = index + 1;
      if (message?.type === "live") {
        this.#position.caughtUp();
        yield { type: "live" };
      }
      if (message?.type === "gap") {
        const gap = /** @type {Gap} */ (message);
        if (this.#position.isNews(gap)) yield gap;
      }
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

/** @param {unknown} error */
function sentence(error) {
  return error instanceof Error ? error.message : String(error);
}
