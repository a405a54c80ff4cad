// A WebSocket of lines, read one message after the other.

import { Cut, disconnect } from "./errors.js";
import { Watchdog } from "./pause.js";

/** @import { State } from "../client.js" */

// How much text may wait to be read, in characters. A WebSocket cannot be told to wait, so beyond this it is closed;
// its reader comes back for the rest, and loses nothing that the server still has.
const MAX_WAITING = 32 << 20;

/** @typedef {{WebSocket: typeof WebSocket, signal: AbortSignal, patience: {open: number, silence: number}}} Terms */

/** An open WebSocket. To be closed in the end. */
export class Socket {
  #socket;
  #signal;
  #watchdog;
  /** @type {(string | State)[]} what has come and was not read yet */
  #waiting = [];
  #size = 0; // of the text in it
  /** @type {Error | null} why it has ended; null: it has not */
  #end = null;
  #wake = () => {};
  #close = () => this.#finish(new Cut("the connection was cut"));

  /**
   * Use `open`.
   * @param {WebSocket} socket
   * @param {Terms} terms
   */
  constructor(socket, { signal, patience }) {
    this.#socket = socket;
    this.#signal = signal;
    this.#watchdog = new Watchdog(patience.silence, () => this.#finish(new Cut("nothing came for too long")));
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = ({ code, reason }) => this.#finish(disconnect(code, reason));
    socket.onerror = () => {}; // `onclose` follows
    signal.addEventListener("abort", this.#close);
  }

  /**
   * Open a WebSocket; return null if it closes without having opened, which does not say why.
   * @param {string} url
   * @param {string} token
   * @param {Terms} terms
   * @returns {Promise<Socket | null>}
   */
  static open(url, token, terms) {
    return new Promise((resolve) => {
      /** @type {WebSocket} */
      let socket;
      try {
        socket = new terms.WebSocket(url, ["logurt", `bearer.${token}`]);
      } catch {
        return resolve(null); // the browser forbids it
      }
      const give = () => {
        clearTimeout(timer);
        terms.signal.removeEventListener("abort", give);
        if (socket.readyState === socket.OPEN) return resolve(new Socket(socket, terms));
        socket.onopen = socket.onclose = null;
        socket.onerror = () => {};
        socket.close();
        return resolve(null);
      };
      const timer = setTimeout(give, terms.patience.open);
      terms.signal.addEventListener("abort", give);
      socket.onopen = socket.onclose = socket.onerror = give; // not every runtime has both of the latter
      if (terms.signal.aborted) give();
    });
  }

  /**
   * Yield messages until the end, and what `put` puts among them. Throws what the end means.
   * @returns {AsyncGenerator<string | State, never>}
   */
  async *read() {
    for (;;) {
      const waiting = this.#waiting;
      this.#waiting = [];
      this.#size = 0;
      yield* waiting;
      if (this.#waiting.length) continue;
      if (this.#end) throw this.#end;
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
  }

  /**
   * Have `read` yield this after what has come so far.
   * @param {string | State} item
   */
  put(item) {
    this.#waiting.push(item);
    this.#wake();
  }

  /**
   * Send a new token for the same scope.
   * @param {string} token
   */
  renew(token) {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify({ token }));
  }

  /** Close it, if it is not. */
  close() {
    this.#close();
  }

  /** @param {unknown} data */
  #take(data) {
    this.#watchdog.hear();
    if (this.#end) return;
    const text = String(data); // binary data makes no sense, and is found out by whoever reads it
    this.#size += text.length;
    this.put(text);
    if (this.#size > MAX_WAITING) this.#finish(new Cut("this reader was too slow", { isOver: true }));
  }

  /** @param {Error} end */
  #finish(end) {
    if (this.#end) return;
    this.#end = end;
    this.#watchdog.stop();
    this.#signal.removeEventListener("abort", this.#close);
    this.#socket.onclose = this.#socket.onmessage = null;
    this.#socket.close();
    this.#wake();
  }
}
