// What tests ask of the events that a stream yields.

/** @import { Event, State } from "../../viewer/client.js" */

export const PAUSES = { first: 10, longest: 50 };

/** @param {number} from @param {number} to */
export const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => `${from + index}`);

/**
 * Read until a condition holds for what has come.
 * @template T
 * @param {AsyncIterable<T>} stream
 * @param {(event: T, events: T[]) => unknown} isEnough
 * @returns {Promise<T[]>}
 */
export async function until(stream, isEnough) {
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if (await isEnough(event, events)) break;
  }
  return events;
}

/** @param {Event[]} events */
export const texts = (events) => events.flatMap((event) => (event.type === "line" ? [event.log] : []));

/** @param {Event[]} events */
export const states = (events) => events.flatMap((event) => (event.type === "state" ? [event] : []));

/** @param {State[]} found */
export const transports = (found) => found.flatMap(({ transport }) => transport ?? []);

/** @param {string} last */
export const line = (last) => (/** @type {Event} */ event) => event.type === "line" && event.log === last;
