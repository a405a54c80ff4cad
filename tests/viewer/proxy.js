// A proxy that misbehaves when it is told to.

import net from "node:net";

/**
 * @typedef {object} Proxy
 * @property {string} url
 * @property {string[]} requests the heads of what came through
 * @property {string} answer what it answers by itself, as it goes over the wire; empty: it passes everything on
 * @property {string} upgrades the same for requests that ask for an upgrade
 * @property {boolean} isStalled it takes everything and passes nothing on
 * @property {() => void} cut cuts all connections
 * @property {() => void} close
 */

/**
 * Return the answer of a proxy.
 * @param {string} status
 * @param {string} body
 */
export function answering(status, body, type = "text/html") {
  return `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

/**
 * Start a proxy for a server.
 * @param {string} url
 * @returns {Promise<Proxy>}
 */
export async function proxy(url) {
  const { hostname, port } = new URL(url);
  /** @type {Set<net.Socket>} */
  const sockets = new Set();
  const listening = net.createServer((client) => {
    const server = net.connect(Number(port), hostname);
    for (const [from, to] of /** @type {const} */ ([[client, server], [server, client]])) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    client.on("data", (data) => {
      const text = data.toString("latin1");
      const isHead = /^(GET|POST) /.test(text);
      if (isHead) self.requests.push(text);
      const answer = isHead && (self.answer || (/^upgrade: websocket/im.test(text) && self.upgrades));
      if (answer) client.end(answer);
      else if (!self.isStalled) server.write(data);
    });
    server.on("data", (data) => {
      if (!self.isStalled) client.write(data);
    });
  });
  await new Promise((resolve) => {
    listening.listen(0, "127.0.0.1", () => resolve(undefined));
  });
  const address = /** @type {net.AddressInfo} */ (listening.address());
  /** @type {Proxy} */
  const self = {
    url: `http://127.0.0.1:${address.port}`,
    requests: [],
    answer: "",
    upgrades: "",
    isStalled: false,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    close: () => {
      listening.close();
      self.cut();
    },
  };
  return self;
}
