import assert from "node:assert/strict";
import { test } from "node:test";
import { Columns } from "../../viewer/columns.js";
import { Rows } from "../../viewer/rows.js";
import { matcher } from "../../viewer/search.js";
import { Sources } from "../../viewer/sources.js";

/** Keep lines of a pod, all of one moment or each of its own. @param {string[]} texts @param {(n: number) => number} [second] */
function kept(texts, second = () => 1, pod = "web-0", columns = new Columns(new Sources())) {
  for (const [n, log] of texts.entries()) {
    const timestamp = `2026-11-22T19:50:${String(second(n)).padStart(2, "0")}Z`;
    columns.add({ cursor: `c-${n}`, timestamp, pod, container: "app", stream: "stderr", log });
  }
  return columns;
}

/** The ids of all rows. @param {Columns} columns @param {Rows} [rows] */
function shown(columns, rows = new Rows(columns)) {
  while (rows.work(1000));
  return Array.from({ length: rows.length }, (_, index) => rows.at(index));
}

const JAVA = ["ERROR no", "java.io.IOException: boom", "\tat a.B.c(B.java:1)", "\tat a.B.d(B.java:2)", "Caused by: java.io.IOException: x", "\t... 3 more", "INFO next"];
const PYTHON = ["INFO fine", "Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    f()", "    ~^^", "ValueError: no", "next"];
const NODE = ["Error: one", "    at f (a.js:1:1)", "    at g (a.js:2:1)", "TypeError: two", "    at f (a.js:1:1)", "next"];
const GO = ["panic: no", "", "goroutine 1 [running]:", "main.main()", "\t/app/main.go:5 +0x1d", "exit status 2"];

test("the lines of a trace have one row, the one above it if that tells of the error", () => {
  assert.deepEqual(shown(kept(JAVA)), [0, 6]);
});

test("a trace has its own row if the line above it is about something else", () => {
  assert.deepEqual(shown(kept(PYTHON)), [0, 1, 6]);
});

test("errors that follow each other have rows of their own", () => {
  assert.deepEqual(shown(kept(NODE)), [0, 3, 5]);
});

test("what Go says when it panics has one row", () => {
  assert.deepEqual(shown(kept(GO)), [0, 5]);
});

test("an error has its own row if the line above it tells of none", () => {
  assert.deepEqual(shown(kept(["WARN slow", "Error: one", "    at f (a.js:1:1)", "INFO fine", "java.io.IOException: x", "\tat a.B.c(B.java:1)"])), [0, 1, 3, 4]);
});

test("lines that are indented, and no trace, have rows of their own", () => {
  const texts = ["usage:", "  --help", "  --version", "{", '  "a": 1', "}"];
  assert.deepEqual(shown(kept(texts)), [0, 1, 2, 3, 4, 5]);
});

test("what comes later than a trace is written is no part of it", () => {
  assert.deepEqual(shown(kept(["ERROR no", "\tat a.B.c(B.java:1)", "  later"], (n) => n * 2)), [0, 1, 2]);
});

test("a row has the texts of its lines, among those of other pods", () => {
  const columns = kept(["ERROR a"]);
  kept(["ERROR b"], undefined, "web-1", columns);
  kept(["\tat a"], undefined, "web-0", columns);
  kept(["\tat b"], undefined, "web-1", columns);
  assert.deepEqual(shown(columns), [0, 1]);
  assert.deepEqual([columns.get(0)?.text, columns.get(1)?.text], ["ERROR a\n\tat a", "ERROR b\n\tat b"]);
  assert.deepEqual([2, 3].map((id) => columns.rowOf(id)), [0, 1]);
  assert.deepEqual(columns.lines(0).map(({ cursor, text }) => [cursor, text]), [["c-0", "ERROR a"], ["c-0", "\tat a"]]);
});

test("nothing is folded over a notice", () => {
  const columns = kept(["ERROR a"]);
  columns.note("gap", "3 lines are missing here", 0);
  kept(["\tat a"], undefined, "web-0", columns);
  assert.deepEqual(shown(columns), [0, 1, 2]);
});

test("the lines of a row leave together", () => {
  const columns = kept(Array.from({ length: 20_000 }, (_, n) => (n % 7 ? "\tat a" : "ERROR a")), undefined, "web-0", new Columns(new Sources(), 10_000));
  const [, ...ids] = shown(columns);
  assert.equal(ids[0], columns.first);
  assert.equal(ids.flatMap((id) => columns.lines(id)).length, columns.end - columns.first);
});

test("a match in a folded line is one of its row, which is found and shown once", () => {
  const columns = kept(["hay", ...JAVA]);
  const rows = new Rows(columns);
  rows.search(matcher("B.java"));
  rows.show(null, true);
  assert.deepEqual(shown(columns, rows), [1]);
  assert.equal(rows.hits, 1);
  assert.equal(rows.next(0, 1), 1);
  const late = columns.end;
  kept(["ERROR b", "ERROR B.java"], undefined, "web-1", columns);
  assert.deepEqual(shown(columns, rows), [1, late + 1]);
  kept(["ERROR c"], undefined, "web-2", columns);
  kept(["\tat B.java"], undefined, "web-2", columns);
  kept(["hay", "\tat B.java"], undefined, "web-3", columns);
  assert.deepEqual(shown(columns, rows), [1, late + 1, late + 2, late + 4]);
});

test("hostile lines take no long time", () => {
  const texts = ["a.".repeat(130_000), "w".repeat(262_144), "(".repeat(262_144), " ".repeat(262_144), "a(".repeat(130_000), "Error".repeat(50_000)];
  const start = performance.now();
  kept(["ERROR no", "\tat x", ...texts, ...texts]);
  assert.ok(performance.now() - start < 500);
});
