import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_ROWS, Columns } from "../../viewer/columns.js";
import { GONE, HOLE, Rows } from "../../viewer/rows.js";
import { matcher } from "../../viewer/search.js";
import { Sources } from "../../viewer/sources.js";

/** @param {string} log @param {number} n */
const line = (log, n = 0) => ({ cursor: `c-${n}`, timestamp: "2026-11-22T19:50:01.5Z", pod: `web-${n % 3}`, container: "app", stream: n % 2 ? "stderr" : null, log });

/** @param {number} count @param {(n: number) => string} [text] */
function filled(count, text = (n) => `line ${n}`, maxLines = 200_000, maxBytes = 64 << 20) {
  const columns = new Columns(new Sources(), maxLines, maxBytes);
  for (let n = 0; n < count; n++) columns.add(line(text(n), n));
  return columns;
}

/** Rows that are all searched and filtered. @param {Columns} columns */
function settled(columns) {
  const rows = new Rows(columns);
  while (rows.work(1000));
  return rows;
}

test("a line comes back as it was given", () => {
  const columns = filled(2, (n) => (n ? "ERROR \x1b[1mno\x1b[0m" : "ok"));
  assert.deepEqual(columns.get(1), {
    id: 1, text: "ERROR \x1b[1mno\x1b[0m", ms: Date.UTC(2026, 10, 22, 19, 50, 1, 500), nanos: 0, source: 1, level: 4,
    stream: "stderr", cursor: "c-1", notice: undefined,
  });
  assert.equal(columns.get(2), undefined);
  assert.equal(columns.get(-1), undefined);
});

test("at most so many lines are kept, and those that have gone are counted", () => {
  const columns = filled(50_000, undefined, 20_000);
  assert.ok(columns.end - columns.first <= 20_000);
  assert.ok(columns.end - columns.first > 20_000 - 2 * BLOCK_ROWS);
  assert.equal(columns.gone + columns.end - columns.first, 50_000);
  assert.equal(columns.get(columns.first)?.text, `line ${columns.gone}`);
});

test("at most so many bytes are kept, also of long lines", () => {
  const columns = filled(200, () => "x".repeat(262_144), 200_000, 8 << 20);
  assert.ok(columns.bytes <= 8 << 20);
  assert.equal(columns.gone + columns.end - columns.first, 200);
});

test("counts of levels and pods are those of the lines that are kept", () => {
  const columns = filled(30_000, (n) => (n % 10 ? "INFO x" : "ERROR x"), 10_000);
  const kept = columns.end - columns.first;
  assert.equal(columns.levels[2] + columns.levels[4], kept);
  assert.equal([...columns.sources.counts().values()].reduce((sum, n) => sum + n, 0), kept);
});

test("a stack trace has the level of the line that it belongs to, among lines of other pods", () => {
  const columns = new Columns(new Sources());
  const levels = [["a", "ERROR no"], ["b", "INFO yes"], ["a", "  at x"], ["b", "  more"], ["a", "next"], ["a", "  at y"]].map(
    ([pod, log]) => columns.add({ ...line(log), pod }));
  assert.deepEqual(levels, [4, 2, 4, 2, 0, 0]);
});

test("rows in sight outlive their eviction, for as long as they are in sight", () => {
  const columns = filled(10_000, undefined, 20_000);
  columns.pin([100, 140]);
  for (let n = 0; n < 30_000; n++) columns.add(line("later", n));
  assert.equal(columns.get(120)?.text, "line 120");
  assert.equal(columns.get(5000), undefined);
  columns.pin(null);
  assert.equal(columns.get(120), undefined);
});

test("all rows are shown in order, after the one that says what has gone", () => {
  const columns = filled(30_000, undefined, 12_000);
  const rows = settled(columns);
  assert.equal(rows.length, columns.end - columns.first + 1);
  assert.equal(rows.at(0), GONE);
  for (let index = 1; index < rows.length; index += 997) {
    assert.equal(rows.at(index), columns.first + index - 1);
    assert.equal(rows.find(rows.at(index)), index);
  }
});

test("rows that have left are shown before those that are kept, and a row between them", () => {
  const columns = filled(30_000, undefined, 12_000);
  const rows = new Rows(columns);
  [rows.head, rows.hole] = [[7, 8, 9], true];
  rows.count();
  assert.deepEqual([0, 1, 2, 3, 4, 5].map((index) => rows.at(index)), [GONE, 7, 8, 9, HOLE, columns.first]);
  assert.deepEqual([GONE, 7, 9, HOLE, columns.first].map((id) => rows.find(id)), [0, 1, 3, 4, 5]);
});

test("matches are found, ranked, and gone through in a circle", () => {
  const columns = filled(10_000, (n) => (n % 1000 === 5 ? "needle" : "hay"));
  const rows = new Rows(columns);
  rows.search(matcher("needle"));
  while (rows.work(1000));
  assert.equal(rows.hits, 10);
  assert.equal(rows.next(0, 1), 5);
  assert.equal(rows.next(5, 1), 1005);
  assert.equal(rows.next(9005, 1), 5);
  assert.equal(rows.next(5, -1), 9005);
  assert.equal(rows.next(9999, -1), 9005);
  assert.deepEqual([rows.rank(5), rows.rank(9005), rows.rank(6)], [1, 10, 0]);
});

test("only matches, and only some levels, are shown, and notices always", () => {
  const columns = filled(9000, (n) => (n % 100 === 0 ? "ERROR needle" : n % 50 === 0 ? "INFO needle" : "hay"));
  columns.note("gap", "3 lines are missing here", 0);
  const rows = new Rows(columns);
  rows.search(matcher("needle"));
  rows.show((block, at) => block.level(at) === 4, true);
  while (rows.work(1000));
  assert.equal(rows.length, 91);
  assert.deepEqual([rows.at(0), rows.at(1), rows.at(90)], [0, 100, 9000]);
  assert.deepEqual([rows.find(0), rows.find(1), rows.find(100), rows.find(8999)], [0, 1, 1, 90]);
  rows.show(null, false);
  assert.equal(settled(columns).length, 9001);
});

test("work ends in time, begins with what is looked at, and goes on later", () => {
  const columns = filled(40_000, () => "needle");
  let now = 0;
  const rows = new Rows(columns, () => now++);
  rows.search(matcher("needle"));
  assert.ok(rows.work(50, 100));
  assert.ok(rows.hits > 0 && rows.hits < 5000);
  assert.equal(rows.rank(0), 1);
  while (rows.work(50, 100));
  assert.equal(rows.hits, 40_000);
});

test("lines that come later are searched too", () => {
  const columns = filled(10, () => "needle");
  const rows = new Rows(columns);
  rows.search(matcher("needle"));
  rows.work(1000);
  columns.add(line("another needle"));
  rows.work(1000);
  assert.equal(rows.hits, 11);
});
