import assert from "node:assert/strict";
import { test } from "node:test";
import { fields, meets } from "../../viewer/fields.js";
import { matcher } from "../../viewer/search.js";

test("words are found in any case, unless they have a capital", () => {
  assert.ok(matcher("error")?.test("An ERROR"));
  assert.ok(!matcher("Error")?.test("An ERROR"));
  assert.ok(matcher("a.b*(c")?.test("x A.B*(C"));
  assert.ok(!matcher("a.b")?.test("axb"));
});

test("nothing is asked for by nothing, nor by the beginning of an expression", () => {
  assert.equal(matcher(""), null);
  assert.equal(matcher("/"), null);
  assert.ok(matcher("/api/")?.test("api"));
  assert.ok(matcher("/api")?.test("GET /api"));
});

test("an expression has its flags, and one that is none is an error", () => {
  assert.ok(matcher("/5\\d\\d$/")?.test("status 503"));
  assert.ok(!matcher("/ERR/")?.test("err"));
  assert.ok(matcher("/ERR/i")?.test("err"));
  assert.throws(() => matcher("/(/"), SyntaxError);
});

test("ranges are those of all matches, and never empty", () => {
  assert.deepEqual(matcher("ab")?.ranges("abxAB"), [[0, 2], [3, 5]]);
  assert.deepEqual(matcher("/x*/")?.ranges("axxb"), [[1, 3]]);
  assert.equal(matcher("a")?.ranges("a".repeat(100_000)).length, 200);
});

test("words are found at the end of a long line", () => {
  assert.ok(matcher("needle")?.test("x".repeat(262_000) + "needle"));
});

test("fields have dotted names, whatever their values are", () => {
  assert.deepEqual(fields('{"a":1,"b":{"c":"x","d":[1,{"e":2}]},"f":null,"__proto__":{"g":true}}'), [
    ["a", "1"], ["b.c", "x"], ["b.d", '[1,{"e":2}]'], ["f", "null"], ["__proto__.g", "true"],
  ]);
});

test("what is no object has no fields", () => {
  for (const text of ["", "{", "[1]", "1", '{"a":}', "{}x", "x{}"]) assert.equal(fields(text), null, text);
});

test("deep and wide objects are cut", () => {
  assert.equal(fields(`{"a":${"{\"a\":".repeat(3000)}1${"}".repeat(3000)}}`)?.length, 1);
  assert.equal(fields(JSON.stringify(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i]))))?.length, 200);
});

test("conditions hold for lines with a value, or without it", () => {
  const only = meets([{ name: "status", value: "200", only: true }]);
  const without = meets([{ name: "status", value: "200", only: false }]);
  assert.deepEqual(['{"status":200}', '{"status":"200"}', '{"status":404}', "status 200"].map(only), [true, true, false, false]);
  assert.deepEqual(['{"status":200}', '{"status":404}', "text"].map(without), [false, true, true]);
});
