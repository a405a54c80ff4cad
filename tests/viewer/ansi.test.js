import assert from "node:assert/strict";
import { test } from "node:test";
import { marked, pieces, plain } from "../../viewer/ansi.js";

const words = (text) => pieces(text).map(({ text, code }) => code ?? text);

test("a line without escape sequences is one piece", () => {
  assert.deepEqual(words("GET /orders\t200 é 👩‍💻"), ["GET /orders\t200 é 👩‍💻"]);
});

test("colours of all three kinds are read, and reset", () => {
  const styles = pieces("\x1b[31;1mone\x1b[38;5;208mtwo\x1b[48;2;1;2;300mthree\x1b[0mfour\x1b[97mfive").map(({ style }) => style);
  assert.deepEqual(styles, [
    { fg: 1, bold: true }, { fg: "#ff8700", bold: true }, { fg: "#ff8700", bold: true, bg: "#01022c" }, {}, { fg: 15 },
  ]);
});

test("an empty SGR resets", () => {
  assert.deepEqual(pieces("\x1b[1ma\x1b[mb")[1].style, {});
});

test("sequences that move, erase or set titles are left out", () => {
  assert.equal(plain("a\x1b[2K\x1b[10;5Hb\x1b]0;title\x07c\x1b(Bd\x1b[?25le"), "abcde");
});

test("a hyperlink shows its text, and its target is dropped", () => {
  assert.equal(plain("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\"), "click");
});

test("control characters, bidi marks and lone surrogates have codes", () => {
  assert.deepEqual(words("a\0b\x7fc\x85\u202ed\u2066\u200b\ud800\ufeff"), [
    "a", "\u2400", "b", "\u2421", "c", "U+0085", "U+202E", "d", "U+2066", "U+200B", "U+D800", "U+FEFF",
  ]);
});

test("a sequence that does not end is shown, and nothing behind it is lost", () => {
  assert.deepEqual(words("\x1b[31"), ["\u241b", "[31"]);
  assert.deepEqual(words("\x1b]8;;http"), ["\u241b", "]8;;http"]);
});

test("hostile lines take no long time", () => {
  for (const text of ["\x1b[".repeat(100_000), "\x1b]".repeat(100_000), "\x1b[1;".repeat(50_000), "\x9b".repeat(200_000)]) {
    const start = performance.now();
    plain(text);
    pieces(text.slice(0, 32_768));
    assert.ok(performance.now() - start < 1000);
  }
});

test("marks cut pieces and keep their styles", () => {
  assert.deepEqual(marked(pieces("a\x1b[1mbc\x1b[0md"), [[1, 2], [2, 4]]).map(({ text, style, marked }) => [text, style?.bold, marked]), [
    ["a", undefined, false], ["b", true, true], ["c", true, true], ["d", undefined, true],
  ]);
});

test("marks lose no text, wherever they are", () => {
  const text = "ab\u202ecd\x1b[4mef";
  const all = pieces(text).map((piece) => piece.text).join("");
  for (let from = 0; from < all.length; from++) {
    for (let to = from + 1; to <= all.length; to++) {
      assert.equal(marked(pieces(text), [[from, to]]).map((piece) => piece.text).join(""), all);
    }
  }
});
