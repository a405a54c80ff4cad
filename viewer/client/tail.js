// The lines that one iterator follows, over one connection after the other.

import { Cut, LogurtError, notLogurt, sentence } from "./errors.js";
import { PATIENCE, Pauses, sleep } from "./pause.js";
import { Position } from "./position.js";
import { ask, textOf } from "./request.js";
import { Socket } from "./socket.js";
import { Credential } from "./token.js";

/** @import { Batch, Gap, Line, Lines, Live, Options, State, Transport } from "../client.js" */
/** @import { Address, Pairs } from "./address.js" */

const LINES = "application/x-ndjson";
const EVENTS = "text/event-stream";
// After so many connections for which no WebSocket got through, none is tried any more.
const MAX_BLOCKED = 2;

/** What `logurt` does. To be stopped in the end. */
export class Tail {
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
   * @param {Pairs} query what is asked for
   * @param {Options} options how
   */
  constructor(address, query, options) {
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
    const began = Date.now();
    let socket = await this.#open();
    const isSlow = Date.now() - began > this.#terms.patience.open / 2;
    if (!socket && !(this.#asksFirst && isSlow)) {
      // A request says why, by throwing, unless it has said already that nothing is wrong: then it was cut by chance.
      if (!this.#asksFirst) yield* this.#backlog();
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
    const terms = /** @type {import("./socket.js").Terms} */ (this.#terms);
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
