import assert from "node:assert/strict";
import test from "node:test";

import { Pauses, Watchdog, sleep } from "../../../viewer/client/pause.js";

test("pauses double up to the longest, the second half of each by chance, and begin anew", () => {
  const pauses = new Pauses({ first: 100, longest: 300 });
  for (const most of [100, 200, 300, 300]) {
    const pause = pauses.take();
    assert.ok(pause >= most / 2 && pause <= most, `${pause} of ${most}`);
  }
  pauses.reset();
  assert.ok(pauses.take() <= 100);
});

test("an abort wakes whoever sleeps, and keeps others from falling asleep", async () => {
  const controller = new AbortController();
  setImmediate(() => controller.abort());
  await sleep(60_000, controller.signal);
  await sleep(60_000, controller.signal);
});

test("a watchdog barks once nothing has been heard, and only once", async () => {
  const barks = [];
  await new Promise((resolve) => {
    const watchdog = new Watchdog(30, () => resolve(barks.push(Date.now())));
    watchdog.hear();
  });
  assert.equal(barks.length, 1);
});
