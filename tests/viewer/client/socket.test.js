import assert from "node:assert/strict";
import test from "node:test";

import { Cut, LogurtError } from "../../../viewer/client/errors.js";
import { Socket } from "../../../viewer/client/socket.js";

/** A WebSocket that does what it is told. */
class Fake {
  OPEN = 1;
  readyState = 0;
  sent = [];
  isClosed = false;

  constructor(url, protocols) {
    if (url === "forbidden") throw new Error("forbidden");
    Object.assign(this, { url, protocols });
    Fake.last = this;
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  end(code, reason) {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  send(text) {
    this.sent.push(text);
  }

  close() {
    this.isClosed = true;
  }
}

/** @param {{signal?: AbortSignal, open?: number, silence?: number}} [terms] */
const terms = ({ signal = new AbortController().signal, open = 60_000, silence = 60_000 } = {}) =>
  /** @type {any} */ ({ WebSocket: Fake, signal, patience: { open, silence } });

async function opened(given) {
  const opening = Socket.open("ws://host/logs", "a.b.c", terms(given));
  Fake.last.open();
  return [/** @type {Socket} */ (await opening), Fake.last];
}

/** Read to the end; return what came, and why it ended. */
async function rest(socket) {
  const items = [];
  try {
    for await (const item of socket.read()) items.push(item);
  } catch (error) {
    return [items, error];
  }
  throw new Error("it has no end");
}

test("the token goes into a subprotocol beside the one that is chosen", async () => {
  const [socket, fake] = await opened();
  assert.deepEqual(fake.protocols, ["logurt", "bearer.a.b.c"]);
  assert.ok(!fake.url.includes("a.b.c"));
  socket.close();
});

test("what has come before the end is read before it", async () => {
  const [socket, fake] = await opened();
  fake.onmessage({ data: "1" });
  socket.put("between");
  fake.onmessage({ data: "2" });
  fake.end(4401, "the token has expired");
  const [items, error] = await rest(socket);
  assert.deepEqual(items, ["1", "between", "2"]);
  assert.ok(error instanceof LogurtError);
});

test("a reader that takes nothing has it closed beyond 32 Mi characters, and loses nothing that came", async () => {
  const [socket, fake] = await opened();
  for (let count = 0; count < 33; count += 1) fake.onmessage({ data: "x".repeat(1 << 20) });
  assert.ok(fake.isClosed);
  assert.equal(fake.onmessage, null);
  const [items, error] = await rest(socket);
  assert.equal(items.length, 33);
  assert.deepEqual([error.message, error.isOver], ["this reader was too slow", true]);
});

test("silence ends it", async () => {
  const [socket, fake] = await opened({ silence: 30 });
  const [, error] = await rest(socket);
  assert.ok(error instanceof Cut && fake.isClosed);
});

test("a new token is sent while it is open, and not after", async () => {
  const [socket, fake] = await opened();
  socket.renew("d.e.f");
  assert.deepEqual(fake.sent, ['{"token":"d.e.f"}']);
  fake.end(1001, "");
  socket.renew("g.h.i");
  assert.equal(fake.sent.length, 1);
});

for (const [how, act] of Object.entries({
  "closes before it opens": () => Fake.last.end(1006, ""),
  "fails before it opens": () => Fake.last.onerror(),
  "takes too long to open": () => {},
})) {
  test(`a WebSocket that ${how} is none`, async () => {
    const opening = Socket.open("ws://host/logs", "a.b.c", terms({ open: 30 }));
    act();
    assert.equal(await opening, null);
    assert.ok(Fake.last.isClosed);
  });
}

test("a WebSocket that the browser forbids is none", async () => {
  assert.equal(await Socket.open("forbidden", "a.b.c", terms()), null);
});

test("an abort ends it, open or not", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const opening = Socket.open("ws://host/logs", "a.b.c", terms({ signal }));
  const [socket] = await opened({ signal });
  controller.abort();
  assert.equal(await opening, null);
  assert.ok((await rest(socket))[1] instanceof Cut);
  assert.equal(await Socket.open("ws://host/logs", "a.b.c", terms({ signal })), null);
});
