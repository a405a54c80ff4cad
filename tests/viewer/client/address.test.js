import assert from "node:assert/strict";
import test from "node:test";

import { Address } from "../../../viewer/client/address.js";

for (const [text, base] of [
  ["http://host:8080", "http://host:8080/"],
  ["https://host/logs", "https://host/"],
  ["https://host/some/where/", "https://host/some/where/"],
  ["https://host/some/where/view#token=a", "https://host/some/where/"],
  ["wss://host/logs?token=a", "https://host/"],
]) {
  test(`the server of ${text} is ${base}`, () => {
    assert.equal(new Address(text).base, base);
  });
}

test("a link has a token and parameters, in its query or its fragment", () => {
  for (const sign of ["?", "#"]) {
    const address = new Address(`https://host/view${sign}token=a.b.c&pod=web-*&pod=x%26y`);
    assert.equal(address.token, "a.b.c");
    assert.deepEqual(address.parameters, [["pod", "web-*"], ["pod", "x&y"]]);
  }
});

test("paths are below that of the server, for WebSockets too", () => {
  const address = new Address("https://host/prefix");
  assert.equal(address.http("logs", [["pod", "a b&c"]]), "https://host/prefix/logs?pod=a+b%26c");
  assert.equal(address.webSocket("logs", []), "wss://host/prefix/logs?");
});
