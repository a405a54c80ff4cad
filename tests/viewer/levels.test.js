import assert from "node:assert/strict";
import { test } from "node:test";
import { continues, levelOf, LEVELS } from "../../viewer/levels.js";

/** @type {[string, string][]} */
const SAID = [
  ['{"level":"info","msg":"x"}', "info"],
  ['{"msg":"x","severity":"WARNING"}', "warning"],
  ['{"lvl":"eror"}', "error"],
  ['{"level":50,"msg":"pino"}', "error"],
  ['{"msg":"level=error"}', "other"],
  ['{"a":{"level":"debug"}}', "debug"],
  ["ts=2026-11-25T22:00:00Z level=warn msg=x", "warning"],
  ['level="error" msg=x', "error"],
  ["INFO order paid", "info"],
  ["WARNING: cache is full", "warning"],
  ["[ERROR] no", "error"],
  ["[error] 12#12: *1 open() failed", "error"],
  ["2026-11-25 22:00:00,123 ERROR root: no", "error"],
  ["2026-11-25T22:00:00.123Z  WARN main", "warning"],
  ["2026/11/25 22:00:00 [warn] 7#7: nginx", "warning"],
  ["main.py DEBUG x", "debug"],
  ["E1125 22:00:00.1 klog", "error"],
  ["panic: this is Go's own way, in small letters", "other"],
  ["FATAL could not connect", "fatal"],
  ["127.0.0.1 - - GET /errors 200", "other"],
  ["everything is fine, no ERROR at all here in this long sentence", "other"],
  ["Unhandled exception while paying\nTraceback (most recent call last):\n  File", "error"],
  ["", "other"],
];
for (const [line, level] of SAID) {
  test(`${JSON.stringify(line)} is ${level}`, () => assert.equal(LEVELS[levelOf(line)].name, level));
}

test("the lines of a stack trace go on with the line before", () => {
  for (const line of ["    at a.b(C.java:1)", "\tat a", "Caused by: x", '  File "a.py", line 1', "Traceback (most recent call last):", "java.util.concurrent.TimeoutException: no answer", "checkout.bank.BankTimeout: no"]) assert.ok(continues(line), line);
  for (const line of ["", "next", "  "]) assert.ok(!continues(line), line);
});

test("hostile lines take no long time", () => {
  const lines = ["{".repeat(262_144), "T".repeat(262_144), " ".repeat(262_144), `{"level"${" ".repeat(262_000)}`, "level=".repeat(40_000), "a ".repeat(100_000), "a.".repeat(100_000), "TZ 1".repeat(60_000)];
  const start = performance.now();
  for (const line of lines) levelOf(line) + Number(continues(line));
  assert.ok(performance.now() - start < 500);
});
