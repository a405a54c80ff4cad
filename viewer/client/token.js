// Tokens: what they say of themselves, and how they are replaced before they expire.

import { LogurtError } from "./errors.js";

// A token is renewed after this share of what is left of its life; after a failure, of what is left then, and so on.
const RENEW_AFTER = 0.8;
const SHORTEST_PAUSE_MS = 1000;
// Browsers count timers in 31 bits.
const LONGEST_PAUSE_MS = 2 ** 31 - 1;
// What can stand in a header field and as the name of a subprotocol (RFC 6750, section 2.1; RFC 9110, section 5.6.2).
const TOKEN = /^[\w.~+-]{1,8192}$/;

/**
 * Return the claims of a token, which only the server can verify; empty if it has none (RFC 7519, section 4).
 * @param {string} token
 * @returns {Record<string, unknown>}
 */
export function claims(token) {
  try {
    const payload = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    const bytes = Uint8Array.from(payload, (character) => character.charCodeAt(0));
    const held = JSON.parse(new TextDecoder().decode(bytes));
    return held !== null && typeof held === "object" && !Array.isArray(held) ? held : {};
  } catch {
    return {};
  }
}

/** The token of a stream, and the function that gets another one for the same scope, if there is one. */
export class Credential {
  #renew;
  #skew = 0; // how far the server's clock is ahead of ours, in ms
  #isUntried = false; // it was renewed, and no server has taken it yet

  /**
   * @param {string} token
   * @param {(() => Promise<string | null | undefined>) | undefined} renew
   */
  constructor(token, renew) {
    this.token = token.trim();
    this.#renew = renew;
  }

  /** Throw LogurtError if there is no token, or one that no request could carry. */
  check() {
    if (!this.token) throw new LogurtError("a token is needed", { status: 401 });
    if (!TOKEN.test(this.token)) throw new LogurtError("the token is not a JWT", { status: 401 });
  }

  /** When the token expires, in ms by the clock of this machine; undefined if it does not say. */
  get expiresAt() {
    const { exp } = claims(this.token);
    return typeof exp === "number" ? exp * 1000 - this.#skew : undefined;
  }

  /**
   * Note that a server has taken the token.
   * @param {string | null} [date] the Date of its answer (RFC 9110, section 6.6.1), if it may be read
   */
  accepted(date) {
    this.#isUntried = false;
    const time = Date.parse(date ?? "");
    // It is cut to seconds: less is no difference between two clocks.
    if (!Number.isNaN(time)) this.#skew = Math.abs(time - Date.now()) > 2000 ? time - Date.now() : 0;
  }

  /** In how many ms to renew the token; undefined if it cannot be. */
  get renewIn() {
    if (!this.#renew || this.expiresAt === undefined) return undefined;
    const left = (this.expiresAt - Date.now()) * RENEW_AFTER;
    return Math.min(Math.max(left, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS);
  }

  /**
   * Get another token; return whether there is one. A token that has just been renewed is not replaced: whatever is
   * wrong, another one would not help. Throws what the function throws that gets it.
   */
  async renew() {
    if (!this.#renew || this.#isUntried) return false;
    const token = await this.#renew();
    if (!token) return false;
    this.token = token.trim();
    this.#isUntried = true;
    return true;
  }
}
