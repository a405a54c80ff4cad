// What each key does.
import { leave, match, nextMark, step } from "./current.js";

/** @typedef {import("./page.js").Viewer} Viewer */

/** @type {[string, string, (viewer: Viewer) => void][]} */
export const KEYS = [
  ["/", "search", (viewer) => viewer.toolbar.search.focus()],
  ["n", "next match", (viewer) => match(viewer, 1)],
  ["N", "match before", (viewer) => match(viewer, -1)],
  ["f", "only matches, or all lines", (viewer) => viewer.toggleOnly()],
  ["j", "next line", (viewer) => step(viewer, 1)],
  ["k", "line before", (viewer) => step(viewer, -1)],
  ["g", "first line", (viewer) => viewer.list.toStart()],
  ["G", "newest line, and follow", (viewer) => viewer.list.toEnd()],
  ["End", "the same", (viewer) => viewer.list.toEnd()],
  ["Home", "first line", (viewer) => viewer.list.toStart()],
  ["Enter", "open or close the line", (viewer) => viewer.act("open")],
  ["c", "copy the line", (viewer) => viewer.act("copy")],
  ["l", "copy a link to the line", (viewer) => viewer.act("link")],
  ["m", "mark the line", (viewer) => viewer.act("mark")],
  ["'", "next marked line", (viewer) => nextMark(viewer)],
  ["t", "another kind of time", (viewer) => viewer.nextTime()],
  ["w", "wrap long lines", (viewer) => viewer.choose("wrap", !viewer.wrap)],
  ["Esc", "leave: the search, the line", (viewer) => leave(viewer)],
  ["?", "these keys", (viewer) => viewer.toolbar.help.showModal()],
];
const NAMES = new Map(KEYS.map(([key, , act]) => [key === "Esc" ? "Escape" : key, act]));

/** @param {Viewer} viewer @param {KeyboardEvent} event */
export function pressed(viewer, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = event.composedPath()[0];
  const element = target instanceof Element ? target : document.body;
  if (element.closest("dialog[open]")) return;
  const types = element.matches("input, textarea, select");
  if (types && event.key !== "Escape") return;
  // Buttons and links have these keys for themselves.
  if (event.key === "Enter" && element.matches("button, a, summary")) return;
  if (event.key.length === 1 && !viewer.keys) return;
  const act = NAMES.get(event.key);
  if (!act) return;
  event.preventDefault();
  act(viewer);
}
