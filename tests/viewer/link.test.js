import assert from "node:assert/strict";
import test from "node:test";

import { keepToken, takeLink, viewLink } from "../../viewer/link.js";

/**
 * A window as far as it matters here.
 * @param {string} hash
 * @param {Map<string, string>} kept
 */
function opened(hash, kept = new Map()) {
  const window = {
    location: { pathname: "/prefix/view", search: "", hash },
    history: { state: null, replaceState: (_, __, url) => (window.shown = url) },
    sessionStorage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) },
    shown: `/prefix/view${hash}`,
    kept,
  };
  return window;
}

test("the token leaves the address bar, and the rest stays", () => {
  const window = opened("#token=a.b.c&pod=web-*&at=x-1-0");
  const { token, query } = takeLink(window);
  assert.equal(token, "a.b.c");
  assert.deepEqual([...query], [["pod", "web-*"], ["at", "x-1-0"]]);
  assert.equal(window.shown, "/prefix/view#pod=web-*&at=x-1-0");
});

test("nothing is left of a fragment that was a token alone", () => {
  const window = opened("#token=a.b.c");
  takeLink(window);
  assert.equal(window.shown, "/prefix/view");
});

test("a page that is loaded again has its token, and one under another path has not", () => {
  const { kept } = opened("");
  takeLink(opened("#token=a.b.c", kept));
  assert.equal(takeLink(opened("#pod=x", kept)).token, "a.b.c");
  const other = opened("", kept);
  other.location.pathname = "/view";
  assert.equal(takeLink(other).token, "");
});

test("a renewed token takes the place of the one before", () => {
  const window = opened("#token=a.b.c");
  takeLink(window);
  keepToken("d.e.f", window);
  assert.equal(takeLink(opened("", window.kept)).token, "d.e.f");
});

test("a page that may not store anything works until it is loaded again", () => {
  const window = opened("#token=a.b.c");
  Object.defineProperty(window, "sessionStorage", {
    get() {
      throw new Error("forbidden");
    },
  });
  assert.equal(takeLink(window).token, "a.b.c");
});

test("a link has the token and the parameters in its fragment, or the parameters alone", () => {
  assert.equal(viewLink("https://host/prefix/", { token: "a.b.c", query: [["pod", "a&b"]] }), "https://host/prefix/view#token=a.b.c&pod=a%26b");
  assert.equal(viewLink("https://host/view", { query: new URLSearchParams("at=x-1-0") }), "https://host/view#at=x-1-0");
  assert.equal(viewLink("https://host"), "https://host/view");
});
