// The link that opened the page: its token leaves the address bar at once, and is kept for this tab alone.

import { Address } from "./client/address.js";

export { claims } from "./client/token.js";

/** @typedef {{token: string, query: URLSearchParams}} Link what is in the fragment: a token (or ""), and all else */

/** @param {Pick<Location, "pathname">} location */
const keyOf = ({ pathname }) => `logurt token of ${pathname}`;

/**
 * Return the storage of this tab, or nothing: a browser may forbid it, to a page in a frame above all.
 * @returns {Storage | undefined}
 */
function storageOf(/** @type {{sessionStorage: Storage}} */ window) {
  try {
    return window.sessionStorage;
  } catch {
    return undefined;
  }
}

/**
 * Take the token out of the address bar and keep it for this tab; return it, or the one that was kept, and the rest of
 * the fragment, which stays where it is.
 * @param {Pick<Window, "location" | "history" | "sessionStorage">} [window]
 * @returns {Link}
 */
export function takeLink(window = globalThis.window) {
  const { location, history } = window;
  const storage = storageOf(window);
  const query = new URLSearchParams(location.hash.slice(1));
  const given = query.get("token");
  if (given !== null) {
    query.delete("token");
    storage?.setItem(keyOf(location), given);
    const rest = `${query}` && `#${query}`;
    history.replaceState(history.state, "", `${location.pathname}${location.search}${rest}`);
  }
  return { token: given ?? storage?.getItem(keyOf(location)) ?? "", query };
}

/**
 * Keep a token for this tab in place of the one that was kept.
 * @param {string} token
 * @param {Pick<Window, "location" | "sessionStorage">} [window]
 */
export function keepToken(token, window = globalThis.window) {
  storageOf(window)?.setItem(keyOf(window.location), token);
}

/**
 * Return a link to the viewer of a server. Without a token it is for those who have one of their own.
 * @param {string | URL} url of the server
 * @param {{token?: string, query?: Iterable<[string, string]>}} [parts]
 */
export function viewLink(url, { token = "", query = [] } = {}) {
  const fragment = `${new URLSearchParams([["token", token], ...query].filter(([, value]) => value))}`;
  return `${new Address(url).base}view${fragment && `#${fragment}`}`;
}
