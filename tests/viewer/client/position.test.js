import assert from "node:assert/strict";
import test from "node:test";

import { Position } from "../../../viewer/client/position.js";

/** @import { Pairs } from "../../../viewer/client/address.js" */

/** @param {string} cursor */
const line = (cursor) => /** @type {import("../../../viewer/client.js").Line} */ ({ type: "line", cursor });

/** @param {"slow" | "evicted" | "restarted"} reason @param {number | null} lost */
const gap = (reason, lost = null) => /** @type {const} */ ({ type: "gap", reason, lost });

test("a position asks for what was asked until something has come", () => {
  /** @type {Pairs} */
  const asked = [["tail", "5"], ["pod", "web-*"], ["format", "json"]];
  assert.deepEqual(new Position(asked).query(), asked);
});

test("after lines it asks for what follows the last one", () => {
  const position = new Position([["tail", "5"], ["pod", "web-*"]]);
  position.advance([line("a-1-0"), line("a-1-1")]);
  position.caughtUp();
  assert.deepEqual(position.query(), [["pod", "web-*"], ["cursor", "a-1-1"]]);
});

test("after a backlog without lines it asks for everything, which has come since", () => {
  const position = new Position([["tail", "5"]]);
  position.caughtUp();
  assert.deepEqual(position.query(), [["tail", "all"]]);
});

for (const asked of /** @type {Pairs} */ ([["tail", "0"], ["since", "5m"]])) {
  test(`with ${asked.join("=")} it asks for what has come since the backlog was over, and a little more`, () => {
    let now = 1000;
    const position = new Position([asked], () => now);
    position.caughtUp();
    now += 1500;
    position.caughtUp();
    assert.deepEqual(position.query(), [["tail", "all"], ["since", "12s"]]);
    now = 0; // the clock was set back
    assert.deepEqual(position.query(), [["tail", "all"], ["since", "10s"]]);
  });
}

test("a cursor that was given stays until a line comes", () => {
  const position = new Position([["cursor", "a-1-0"]]);
  position.caughtUp();
  assert.deepEqual(position.query(), [["cursor", "a-1-0"]]);
});

test("after a restart without lines it asks for everything, and not with a cursor that would be reported again", () => {
  const position = new Position([["cursor", "a-1-0"]]);
  assert.ok(position.isNews(gap("restarted")));
  assert.deepEqual(position.query(), [["tail", "all"]]);
  position.advance([line("b-1-0")]);
  assert.deepEqual(position.query(), [["cursor", "b-1-0"]]);
});

test("a gap is news once, until a line comes", () => {
  const position = new Position([["cursor", "a-1-0"]]);
  assert.deepEqual([position.isNews(gap("evicted")), position.isNews(gap("evicted"))], [true, false]);
  position.advance([line("a-9-0")]);
  assert.ok(position.isNews(gap("evicted")));
});

test("a gap of a known number of lines is always news", () => {
  const position = new Position([]);
  assert.deepEqual([position.isNews(gap("slow", 5)), position.isNews(gap("slow", 5))], [true, true]);
});
