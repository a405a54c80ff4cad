// What comes from the server, and how it is going.
import { LogurtError, logurt } from "./client.js";
import { Address } from "./client/address.js";
import { breathe, h, SLICE } from "./dom.js";
import { reasonOf, status } from "./status.js";
import { gapText } from "./words.js";

/** @typedef {import("./page.js").Viewer} Viewer @typedef {import("./columns.js").Wire} Wire */

// How many lines are taken between two looks at the clock.
const BETWEEN_LOOKS = 64;
const TAIL = "1000";

export class Stream {
  /** @param {Viewer} viewer @param {import("./page.js").Options} options @param {URLSearchParams} asked of the server */
  constructor(viewer, { url, token, renew, keep }, asked) {
    this.viewer = viewer;
    this.url = url;
    this.token = token;
    this.renew = renew;
    this.keep = keep;
    this.asked = asked;
    /** The cursor of the line that a link is for, until it has come. @type {string|null} */
    this.at = null;
    /** @type {string|undefined} */
    this.last = undefined;
    /** @type {import("./status.js").Connection} */
    this.connection = { state: "connecting", live: false };
    this.abort = new AbortController();
    this.ended = h("div", { className: "ended", hidden: true });
  }

  /** Read until it ends. @param {string} [cursor] where to go on */
  async run(cursor) {
    this.abort.abort();
    const { signal } = (this.abort = new AbortController());
    this.connection = { state: "connecting", live: false };
    this.ended.hidden = true;
    /** @type {Record<string, any>} */
    const options = { token: this.token, renew: this.renew, batches: true, signal, cursor };
    for (const name of new Set(this.asked.keys())) {
      const values = this.asked.getAll(name);
      options[name] = values.length > 1 ? values : values[0];
    }
    if (!cursor && !options.since) options.tail ??= TAIL;
    if (options.follow) options.follow = options.follow !== "false";
    try {
      for await (const event of logurt(this.url, /** @type {any} */ (options))) {
        if (event.type === "lines") await this.#take(event.lines, signal);
        else if (event.type === "gap") this.#gap(event);
        else if (event.type === "live") this.#isLive();
        else if (event.type === "state") this.#connected(event);
        if (signal.aborted) return;
        this.viewer.schedule();
      }
      this.#end("all lines have been sent");
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof LogurtError)) throw error;
      this.#end(reasonOf(error), error.status === 401 || error.status === 403);
    }
  }

  /** Keep lines, in slices. @param {Wire[]} lines @param {AbortSignal} signal */
  async #take(lines, signal) {
    const { columns, histogram } = this.viewer;
    let until = performance.now() + SLICE;
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i];
      const level = columns.add(line);
      histogram.add(columns.newest, level);
      this.last = line.cursor;
      if (line.cursor === this.at) this.#found(columns.rowOf(columns.end - 1));
      if (i % BETWEEN_LOOKS === BETWEEN_LOOKS - 1 && performance.now() > until) {
        this.viewer.schedule();
        await breathe();
        if (signal.aborted) return;
        until = performance.now() + SLICE;
      }
    }
  }

  /** @param {number} id of the line that the link is for */
  #found(id) {
    this.at = null;
    this.viewer.current = id;
    requestAnimationFrame(() => {
      this.viewer.rows.count();
      this.viewer.list.reveal(id, true);
    });
  }

  /** @param {{lost: number|null, reason: string}} gap */
  #gap(gap) {
    this.viewer.columns.note("gap", gapText(gap), Date.now());
    this.viewer.voice.say(gapText(gap));
  }

  #isLive() {
    this.connection = { ...this.connection, state: "open", live: true };
    this.viewer.voice.say("Live");
    if (this.at) this.viewer.voice.show("The line of this link is not held any more");
    this.at = null;
  }

  /** @param {{state: "connecting"|"open"|"waiting"|"stopping", retryIn?: number, why?: string, expiresAt?: number}} event */
  #connected({ state, retryIn = 0, why, expiresAt = this.connection.expiresAt }) {
    const { live, since } = this.connection;
    const { columns, voice } = this.viewer;
    const now = Date.now();
    if (state === "waiting" || state === "stopping") {
      this.connection = { state, live, why, retryAt: now + retryIn, expiresAt, since: since ?? now };
      voice.say(status(this.connection, true, 0, now).text);
    } else if (state === "open") {
      if (since && columns.end) columns.note("rule", `Connected again after ${Math.ceil((now - since) / 1000)} s`, now);
      this.connection = { state, live, expiresAt };
    }
  }

  /** @param {string} why @param {boolean} [refused] */
  #end(why, refused = false) {
    this.connection = { state: "ended", live: false, why, refused };
    this.viewer.voice.say(`Ended: ${why}`);
    this.viewer.schedule();
    if (!refused) return;
    const input = h("input", { ariaLabel: "New link or token", placeholder: "Paste a new link here", autocomplete: "off" });
    const sentence = `${why[0].toUpperCase()}${why.slice(1)}. Ask for a new link where you got this one; what is here stays until you close the page.`;
    const form = h("form", { onsubmit: (/** @type {Event} */ event) => this.#goOn(event, input.value.trim()) },
      h("p", {}, sentence), input, h("button", { type: "submit" }, "Go on"));
    this.ended.replaceChildren(form);
    this.ended.hidden = false;
  }

  /** @param {Event} event @param {string} pasted a link or a token */
  #goOn(event, pasted) {
    event.preventDefault();
    this.token = (/[/#?]/.test(pasted) && new Address(pasted).token) || pasted;
    if (!this.token) return;
    this.keep?.(this.token);
    this.run(this.last);
  }

  /** Ask the server for something else. @param {URLSearchParams} query */
  ask(query) {
    this.asked = query;
    this.last = undefined;
    this.viewer.clear();
    this.run();
  }
}
