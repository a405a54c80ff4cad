import assert from "node:assert/strict";
import http from "node:http";
import test from "node:test";

import { LogurtError, logurt, sources } from "../../viewer/client.js";
import { PAUSES, line, numbers, states, texts, transports, until } from "./events.js";
import { answering, proxy } from "./proxy.js";
import { namespace, served, sign, url, write } from "./server.js";

/** @import { Batch } from "../../viewer/client.js" */

const MANY = 3000;

served("a backlog comes by fetch, and what follows by a WebSocket, each line once", async () => {
  const name = namespace();
  const { token } = await sign(name);
  await write(name, numbers(0, 5));
  const events = await until(logurt(url, { token, tail: 3 }), async (event) => {
    if (event.type === "live") await write(name, ["later"]);
    return line("later")(event);
  });
  assert.deepEqual(texts(events), ["2", "3", "4", "later"]);
  assert.deepEqual(transports(states(events)), ["fetch", "websocket"]);
});

served("a line has everything that the protocol says", async () => {
  const name = namespace();
  const { token } = await sign(name);
  await write(name, ["one"]);
  const [event] = (await until(logurt(url, { token, follow: false }), () => false)).filter(({ type }) => type === "line");
  assert.deepEqual(Object.keys(event), ["type", "cursor", "timestamp", "pod", "container", "stream", "log"]);
});

served("without follow it ends with the backlog", async () => {
  const name = namespace();
  const { token } = await sign(name);
  await write(name, numbers(0, MANY));
  const events = await until(logurt(url, { token, tail: "all", follow: false }), () => false);
  assert.deepEqual(texts(events), numbers(0, MANY));
});

served("in batches many lines come at a time", async () => {
  const name = namespace();
  const { token } = await sign(name);
  await write(name, numbers(0, MANY));
  /** @type {Batch[]} */
  const events = await until(logurt(url, { token, tail: "all", batches: true }), ({ type }) => type === "live");
  const batches = events.flatMap((event) => (event.type === "lines" ? [event.lines] : []));
  assert.equal(batches.flat().length, MANY);
  assert.ok(batches.length < MANY / 10);
});

served("a link will do, with its parameters", async () => {
  const name = namespace();
  await write(name, ["yes", "no"]);
  const { url: path } = await sign(name);
  const events = await until(logurt(`${url}${path}&include=yes`, { follow: false }), () => false);
  assert.deepEqual(texts(events), ["yes"]);
  const fragment = path.replace("/logs?", "/view#");
  assert.deepEqual(texts(await until(logurt(`${url}${fragment}&follow=false`), () => false)), ["yes", "no"]);
});

for (const webSocket of [undefined, null]) {
  const transport = webSocket === null ? "a stream" : "a WebSocket";

  served(`${transport} that is cut again and again loses no line and repeats none`, async (context) => {
    const name = namespace();
    const { token } = await sign(name);
    const between = await proxy(url);
    context.after(between.close);
    let written = 0;
    const stream = logurt(between.url, { token, tail: "all", pauses: PAUSES, WebSocket: webSocket });
    const events = await until(stream, async (event) => {
      if (event.type === "live" && written < MANY) {
        await write(name, numbers(written, written + 300));
        written += 300;
      }
      if (event.type === "line" && Number(event.log) % 300 === 150) between.cut();
      return line(`${MANY - 1}`)(event);
    });
    assert.deepEqual(texts(events), numbers(0, MANY));
    assert.ok(states(events).filter(({ state }) => state === "waiting").length >= 9);
  });

  served(`${transport} that stalls is given up for another`, async (context) => {
    const name = namespace();
    const { token } = await sign(name);
    const between = await proxy(url);
    context.after(between.close);
    const patience = { silence: 300 };
    const stream = logurt(between.url, { token, pauses: PAUSES, patience, WebSocket: webSocket });
    const events = await until(stream, async (event) => {
      if (event.type === "live" && !between.isStalled) {
        between.isStalled = true;
        await write(name, ["unheard"]);
      }
      if (event.type === "state" && event.state === "waiting") between.isStalled = false;
      return line("unheard")(event);
    });
    assert.deepEqual(texts(events), ["unheard"]);
  });
}

served("lines that come while a stream without lines is cut are not missed", async (context) => {
  const name = namespace();
  const { token } = await sign(name);
  const between = await proxy(url);
  context.after(between.close);
  let isCut = false;
  const events = await until(logurt(between.url, { token, tail: 0, pauses: PAUSES }), async (event) => {
    if (event.type === "live" && !isCut) {
      isCut = true;
      between.cut();
      await write(name, ["meanwhile"]);
    }
    return line("meanwhile")(event);
  });
  assert.deepEqual(texts(events), ["meanwhile"]);
});

served("where WebSockets do not get through, lines come by a stream", async (context) => {
  const name = namespace();
  const { token } = await sign(name);
  const between = await proxy(url);
  context.after(between.close);
  between.upgrades = answering("426 Upgrade Required", "no");
  await write(name, ["before"]);
  const events = await until(logurt(between.url, { token }), async (event) => {
    if (event.type === "live") await write(name, ["after"]);
    return line("after")(event);
  });
  assert.deepEqual(texts(events), ["before", "after"]);
  assert.deepEqual(transports(states(events)), ["fetch", "stream"]);
});

served("a WebSocket that is cut by chance while it opens is tried again at once", async (context) => {
  const { token } = await sign(namespace());
  const between = await proxy(url);
  context.after(between.close);
  between.upgrades = answering("502 Bad Gateway", "by chance");
  let upgrades = 0;
  class Once extends WebSocket {
    constructor(/** @type {string} */ address, /** @type {string[]} */ protocols) {
      super(address, protocols);
      upgrades += 1;
      this.addEventListener("error", () => (between.upgrades = ""));
    }
  }
  const events = await until(logurt(between.url, { token, WebSocket: Once }), ({ type }) => type === "live");
  assert.deepEqual([transports(states(events)), upgrades], [["fetch", "websocket"], 2]);
});

served("a 503 is waited out, and its sentence told", async (context) => {
  const name = namespace();
  const { token } = await sign(name);
  const between = await proxy(url);
  context.after(between.close);
  await write(name, ["at last"]);
  between.answer = answering("503 Service Unavailable", '{"error":"the server is stopping"}', "application/json");
  const events = await until(logurt(between.url, { token, pauses: PAUSES }), (event, all) => {
    if (states(all).filter(({ state }) => state === "waiting").length === 3) between.answer = "";
    return line("at last")(event);
  });
  const waits = states(events).filter(({ state }) => state === "waiting");
  assert.deepEqual(waits.map(({ why }) => why), Array(3).fill("the server is stopping"));
  assert.ok(waits.every(({ retryIn }) => retryIn !== undefined && retryIn <= 50));
});

served("a 503 of something else is told by its status", async (context) => {
  const between = await proxy(url);
  context.after(between.close);
  between.answer = answering("503 Service Unavailable", "<h1>Nobody is in</h1>");
  const events = await until(logurt(between.url, { token: "a.b.c", pauses: PAUSES }), (event) => event.retryIn);
  assert.equal(events.at(-1).why, "the server answered with HTTP status 503");
});

test("nobody there is waited for", async () => {
  const events = await until(logurt("http://127.0.0.1:1/", { token: "a.b.c", pauses: PAUSES }), (event) => event.retryIn);
  assert.equal(events.at(-1).why, "no answer from 127.0.0.1:1");
});

served("a WebSocket that is refused is asked about by fetch", async () => {
  // `tail: 0` begins with the WebSocket.
  const { token } = await sign(namespace(), { expires_in: 60 });
  const wrong = `${token.slice(0, -3)}abc`;
  await assert.rejects(until(logurt(url, { token: wrong, tail: 0 }), () => false), { name: "LogurtError", status: 401 });
});

for (const [what, options, status, message] of /** @type {const} */ ([
  ["a bad token", { token: "a.b.c" }, 401, /^the token is not a JWT/],
  ["no token", { token: "" }, 401, /^a token is needed/],
  ["a token that no request can carry", { token: "né\n" }, 401, /^the token is not a JWT/],
  ["a pod outside of the scope", { pod: "other" }, 403, /outside the token's scope/],
  ["a bad parameter", { since: "yesterday" }, 400, /^parameter since must be/],
])) {
  served(`${what} ends it with a sentence`, async () => {
    const { token } = await sign(namespace(), { pod: "web-0" });
    const error = await until(logurt(url, { token, ...options }), () => false).catch((reason) => reason);
    assert.ok(error instanceof LogurtError);
    assert.equal(error.status, status);
    assert.match(error.message, message);
  });
}

served("a server that is not there ends it", async () => {
  const { token } = await sign(namespace());
  await assert.rejects(until(logurt(`${url}/elsewhere`, { token }), () => false), { status: 404 });
});

test("something else than logurt ends it", async (context) => {
  const other = http.createServer((_, response) => response.end("<h1>Welcome</h1>"));
  context.after(() => other.close());
  await new Promise((resolve) => {
    other.listen(0, "127.0.0.1", () => resolve(undefined));
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (other.address());
  const stream = logurt(`http://127.0.0.1:${port}`, { token: "a.b.c" });
  await assert.rejects(until(stream, () => false), { message: /does not speak as a logurt server does$/ });
});

served("an abort ends it wherever it is, with the reason", async () => {
  const { token } = await sign(namespace());
  for (const at of ["connecting", "open", "live"]) {
    const controller = new AbortController();
    const stream = logurt(url, { token, signal: controller.signal });
    const reading = until(stream, (event) => {
      if (event.type === at || event.state === at) controller.abort(new Error("enough"));
      return false;
    });
    await assert.rejects(reading, { message: "enough" });
  }
});

served("an abort ends a wait", async (context) => {
  const between = await proxy(url);
  context.after(between.close);
  between.answer = answering("503 Service Unavailable", "");
  const controller = new AbortController();
  const stream = logurt(between.url, { token: "a.b.c", signal: controller.signal, pauses: { first: 60_000 } });
  const reading = until(stream, (event) => {
    if (event.state === "waiting") setImmediate(() => controller.abort());
    return false;
  });
  await assert.rejects(reading, { name: "AbortError" });
});

served("whoever stops reading leaves no reader behind", async () => {
  const name = namespace();
  const { token } = await sign(name);
  const readers = async () => Number(/^logurt_readers\{transport="WebSocket"\} (\d+)/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1]);
  await until(logurt(url, { token, tail: 0 }), async (event) => event.type === "live" && (await readers()) > 0);
  while ((await readers()) > 0);
});

served("sources are all that a token opens, page after page", async () => {
  const name = namespace();
  await write(name, ["a line"], "web-0");
  await write(name, ["a line", "another"], "web-1");
  const { token } = await sign(name);
  assert.deepEqual((await sources(url, { token })).map(({ pod, lines }) => [pod, lines]), [["web-0", 1], ["web-1", 2]]);
  assert.equal((await sources(url, { token, pod: "web-1" })).length, 1);
  await assert.rejects(sources(url, { token: "a.b.c" }), { name: "LogurtError", status: 401 });
});
