// Where a server is, and what a link to it asks for.

/** @typedef {[string, string][]} Pairs names and values of a query, in order */

// What a link has after the server's own URL.
const LINK_PATHS = /\/(logs|view)$/;

/** The URL of a server, which may have a path; and the token and parameters of the link that it came as. */
export class Address {
  /** @param {string | URL} text relative to the page, if there is one */
  constructor(text) {
    const url = new URL(text, globalThis.document?.baseURI);
    const pairs = [...new URLSearchParams(`${url.search.slice(1)}&${url.hash.slice(1)}`)];
    /** @type {string} */
    this.token = pairs.find(([name]) => name === "token")?.[1] ?? "";
    /** @type {Pairs} */
    this.parameters = pairs.filter(([name]) => name !== "token");
    this.host = url.host;
    const path = url.pathname.replace(LINK_PATHS, "").replace(/\/*$/, "/");
    this.base = `${url.protocol.replace(/^ws/, "http")}//${url.host}${path}`;
  }

  /**
   * Return the URL of a path of the server.
   * @param {string} path without a slash in front
   * @param {Pairs} query
   */
  http(path, query) {
    return `${this.base}${path}?${new URLSearchParams(query)}`;
  }

  /**
   * Return such a URL for a WebSocket: http becomes ws, https becomes wss (RFC 6455, section 3).
   * @param {string} path
   * @param {Pairs} query
   */
  webSocket(path, query) {
    return `ws${this.http(path, query).slice("http".length)}`;
  }
}
