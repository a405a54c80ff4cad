// How the connection is, in words.
import { count, duration } from "./words.js";

/**
 * @typedef {object} Connection
 * @property {"connecting"|"open"|"waiting"|"stopping"|"ended"} state
 * @property {boolean} live whether the backlog has come
 * @property {number} [retryAt] ms
 * @property {string} [why] a sentence
 * @property {number} [expiresAt] ms
 * @property {number} [since] ms: when it was cut
 * @property {boolean} [refused] whether only a new link can help
 * @typedef {"live"|"paused"|"busy"|"cut"|"ended"} Tone
 */

/**
 * @param {Connection} connection @param {boolean} follow @param {number} lines @param {number} now
 * @returns {{tone: Tone, text: string}}
 */
export function status({ state, live, retryAt = 0, why, refused }, follow, lines, now) {
  const wait = Math.ceil((retryAt - now) / 1000);
  const soon = wait > 0 ? ` in ${wait} s` : "";
  if (state === "ended") return { tone: "ended", text: refused ? "Ended" : `Ended: ${why}` };
  if (state === "stopping") return { tone: "cut", text: `Server stopping, reconnecting${soon}` };
  if (state === "waiting") return { tone: "cut", text: `Reconnecting${soon}` };
  if (!follow) return { tone: "paused", text: "Paused" };
  if (live) return { tone: "live", text: "Live" };
  return { tone: "busy", text: lines ? `Loading ${count(lines)}` : "Connecting" };
}

/** Say in how long the token expires, to the second once it matters. @param {number|undefined} at @param {number} now */
export function expiry(at, now) {
  if (at === undefined) return "";
  const left = at - now;
  return `${left > 600_000 && left < 3_600_000 ? `${Math.floor(left / 60000)} min` : duration(left)}`;
}

/** Say why it ended. @param {{status?: number, message: string}} error */
export function reasonOf({ status, message }) {
  if (status === 401) return /expired/.test(message) ? "the link has expired" : `the link is not accepted (${message})`;
  if (status === 403) return `the link does not allow this (${message})`;
  return message;
}
