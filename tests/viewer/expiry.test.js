import assert from "node:assert/strict";

import { logurt } from "../../viewer/client.js";
import { PAUSES, line, states, texts, transports, until } from "./events.js";
import { namespace, served, sign, url, write } from "./server.js";

served("an expired token ends it with a sentence", async () => {
  const { token } = await sign(namespace(), { expires_in: 2 });
  const stream = logurt(url, { token, tail: 0 });
  await assert.rejects(until(stream, () => false), { status: 401, code: 4401, message: "the token has expired" });
});

served("an expired token ends a stream too", async () => {
  const { token } = await sign(namespace(), { expires_in: 2 });
  const stream = logurt(url, { token, WebSocket: null, pauses: PAUSES });
  await assert.rejects(until(stream, () => false), { status: 401, message: "the token has expired" });
});

served("a token that is renewed in time causes no cut", async () => {
  const name = namespace();
  const { token } = await sign(name, { expires_in: 2 });
  const renew = async () => (await sign(name, { expires_in: 60 })).token;
  const events = await until(logurt(url, { token, renew }), (_, all) => transports(states(all)).length === 3);
  const [, before, after] = states(events).filter(({ state }) => state === "open");
  assert.equal(states(events).filter(({ state }) => state === "waiting").length, 0);
  assert.ok((after.expiresAt ?? 0) - (before.expiresAt ?? 0) > 50_000);
});

served("a token that has expired is renewed, and the stream goes on where it was", async () => {
  const name = namespace();
  const { token } = await sign(name, { expires_in: 2 });
  await write(name, ["before"]);
  const renew = async () => (await sign(name)).token;
  const events = await until(logurt(url, { token, renew, WebSocket: null, pauses: PAUSES }), async (event) => {
    if (event.why === "the token is renewed") await write(name, ["after"]);
    return line("after")(event);
  });
  assert.deepEqual(texts(events), ["before", "after"]);
});

served("a renewal that has nothing to give ends it", async () => {
  const { token } = await sign(namespace(), { expires_in: 2 });
  const stream = logurt(url, { token, tail: 0, renew: async () => null });
  await assert.rejects(until(stream, () => false), { status: 401 });
});

served("a renewal that gives another bad token ends it", async () => {
  let renewals = 0;
  const renew = async () => `a.b.${(renewals += 1)}`;
  await assert.rejects(until(logurt(url, { token: "a.b.c", renew, pauses: PAUSES }), () => false), { status: 401 });
  assert.equal(renewals, 1);
});

served("a renewal that fails is tried again", async () => {
  const name = namespace();
  await write(name, ["here"]);
  let failures = 0;
  const renew = async () => {
    failures += 1;
    if (failures < 3) throw new Error("try later");
    return (await sign(name)).token;
  };
  const events = await until(logurt(url, { token: "a.b.c", renew, pauses: PAUSES }), line("here"));
  assert.deepEqual(states(events).flatMap(({ why }) => why ?? []), [
    "there is no new token yet: try later",
    "there is no new token yet: try later",
    "the token is renewed",
  ]);
});
