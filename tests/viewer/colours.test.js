import assert from "node:assert/strict";
import { test } from "node:test";
import { contrast, HUES, legible } from "../../viewer/colours.js";
import { Sources } from "../../viewer/sources.js";

test("black on white has the highest contrast", () => {
  assert.equal(Math.round(contrast("#000000", "#ffffff")), 21);
});

test("any colour becomes legible on any background", () => {
  for (const background of ["#ffffff", "#10151c", "#808080", "#777777", "#ff0000"]) {
    for (const colour of ["#000000", "#ffffff", "#808080", "#0000ff", "#ffff00", "#10151d"]) {
      assert.ok(contrast(legible(colour, background), background) >= 4.5, `${colour} on ${background}`);
    }
  }
});

test("a colour that can be read stays as it is", () => {
  assert.equal(legible("#000080", "#ffffff"), "#000080");
});

test("twelve pods have twelve colours before one comes again", () => {
  const sources = new Sources();
  for (let pod = 0; pod < 13; pod++) sources.index(`web-${pod}`, "app");
  const hues = sources.all.map(({ hue }) => hue);
  assert.equal(new Set(hues.slice(0, 12)).size, 12);
  assert.equal(hues[12], HUES[0]);
});

test("containers of a pod share its colour, and take none from the next pod", () => {
  const sources = new Sources();
  for (const [pod, container] of [["a", "app"], ["a", "proxy"], ["b", "app"], ["a", "proxy"]]) sources.index(pod, container);
  assert.deepEqual(sources.all.map(({ hue }) => hue), [HUES[0], HUES[0], HUES[1]]);
});

test("names that objects have by themselves are names like others", () => {
  const sources = new Sources();
  assert.deepEqual(["__proto__", "constructor", "", "__proto__"].map((pod) => sources.index(pod, "toString")), [0, 1, 2, 0]);
});
