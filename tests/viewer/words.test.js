import assert from "node:assert/strict";
import { test } from "node:test";
import { parsed } from "../../viewer/timestamp.js";
import { clock, count, counted, duration, elided, gapText, moment, relative } from "../../viewer/words.js";
import { expiry, reasonOf, status } from "../../viewer/status.js";

test("gaps are told in plain words", () => {
  assert.equal(gapText({ lost: 25220, reason: "slow" }), "25,220 lines are missing here: this page could not keep up");
  assert.equal(gapText({ lost: 1, reason: "slow" }), "1 line is missing here: this page could not keep up");
  assert.equal(gapText({ lost: null, reason: "evicted" }), "Some lines are missing here: they had left the server before this page came back");
  assert.match(gapText({ lost: null, reason: "restarted" }), /server was restarted/);
  assert.equal(gapText({ lost: 3, reason: "of a later version" }), "3 lines are missing here");
});

test("numbers have separators, and plurals", () => {
  assert.deepEqual([count(1234567), counted(1, "line"), counted(1234, "line")], ["1,234,567", "1 line", "1,234 lines"]);
});

test("durations are as long as they need to be", () => {
  assert.deepEqual([0, 1, 200_000, 3_599_001, 7_500_000, 259_200_000].map(duration), ["0:00", "0:01", "3:20", "1 h 00 min", "2 h 05 min", "3 days"]);
});

test("relative times look both ways", () => {
  const now = 1e12;
  assert.deepEqual([0, 400, 5000, 180_000, 7_200_000, 200_000_000, -3000].map((ago) => relative(now - ago, now)), ["now", "now", "-5 s", "-3 min", "-2 h", "-2 d", "+3 s"]);
});

test("times are parsed to the nanosecond, and what is none is NaN", () => {
  const ms = Date.UTC(2026, 10, 22, 19, 50, 1);
  assert.deepEqual(parsed("2026-11-22T19:50:01.123456789Z"), [ms + 123, 456789]);
  assert.deepEqual(parsed("2026-11-22T19:50:01Z"), [ms, 0]);
  assert.deepEqual(parsed("2026-11-22T19:50:02.5Z"), [ms + 1500, 0]);
  assert.deepEqual(parsed("2026-11-22T21:50:01.123456+02:00"), [ms + 123, 456000]);
  for (const text of ["", "Z", "nonsense", "2026-11-22T19:50:xxZ", "9999999999"]) assert.ok(isNaN(parsed(text)[0]), text);
});

test("times are said, also those that are none", () => {
  assert.equal(clock(Date.UTC(2026, 10, 22, 19, 50, 1, 7), true), "19:50:01.007Z");
  assert.equal(clock(NaN, false), "");
  assert.match(moment(Date.UTC(2026, 10, 22), 1000, Date.UTC(2026, 10, 22) + 5000), /2026-11-22T00:00:00.000001Z/);
  assert.equal(moment(NaN, 0, 0), "no time");
});

test("names keep their ends", () => {
  assert.equal(elided("search-indexer-6a6cecc1b-c9e9c", 16), "search\u2026c1b-c9e9c");
  assert.equal(elided("web-0", 16), "web-0");
});

test("the state is told", () => {
  const text = (connection, follow = true) => status({ live: false, ...connection }, follow, 1200, 1000).text;
  assert.equal(text({ state: "open", live: true }), "Live");
  assert.equal(text({ state: "open", live: true }, false), "Paused");
  assert.equal(text({ state: "open" }), "Loading 1,200");
  assert.equal(text({ state: "waiting", retryAt: 4100 }), "Reconnecting in 4 s");
  assert.equal(text({ state: "stopping", retryAt: 900 }, false), "Server stopping, reconnecting");
  assert.equal(text({ state: "ended", why: "all lines have been sent" }), "Ended: all lines have been sent");
  assert.equal(expiry(201_000, 1000), "3:20");
  assert.equal(expiry(undefined, 0), "");
  assert.equal(reasonOf({ status: 401, message: "the token has expired" }), "the link has expired");
});
