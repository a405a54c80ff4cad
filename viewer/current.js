// The current line, on which keys act, and how one gets to another.
import { count } from "./words.js";

/** @typedef {import("./page.js").Viewer} Viewer */

/** Make a line the current one, in sight. @param {Viewer} viewer @param {number} id @param {boolean} [focus] */
export function select(viewer, id, focus = true) {
  const { list } = viewer;
  unselect(viewer);
  viewer.current = id;
  list.reveal(id);
  list.nodes.get(id)?.classList.add("current");
  if (focus) list.nodes.get(id)?.focus({ preventScroll: true });
  viewer.toolbar.update();
}

/** @param {Viewer} viewer */
function unselect(viewer) {
  if (viewer.current !== undefined) viewer.list.nodes.get(viewer.current)?.classList.remove("current");
  viewer.current = undefined;
}

/** Go to the line before or after. @param {Viewer} viewer @param {1|-1} by */
export function step(viewer, by) {
  const { rows, list, current } = viewer;
  list.prepare();
  if (!rows.length) return;
  const seen = list.follow ? list.drawn[list.drawn.length - 1] : list.anchor.id;
  const index = current === undefined ? rows.find(seen) : rows.find(current) + by;
  select(viewer, rows.at(Math.max(0, Math.min(rows.length - 1, index))));
}

/** Go to another match. @param {Viewer} viewer @param {1|-1} by */
export function match(viewer, by) {
  const { rows, list, toolbar } = viewer;
  if (!rows.matcher && toolbar.search.value) viewer.search(toolbar.search.value);
  // Without a current line, what is in sight is gone through, beginning at its own ends.
  const beyond = by > 0 ? list.anchor.id - 1 : (list.drawn[list.drawn.length - 1] ?? 0) + 1;
  const id = rows.next(viewer.current ?? beyond, by);
  if (id === undefined) return;
  select(viewer, id, false);
  viewer.voice.say(`Match ${count(rows.rank(id))} of ${count(rows.hits)}`);
}

/** Go to the next marked line, or to the first. @param {Viewer} viewer */
export function nextMark(viewer) {
  const ids = [...viewer.marks].filter((id) => id >= viewer.columns.first).sort((a, b) => a - b);
  const id = ids.find((id) => id > (viewer.current ?? -1)) ?? ids[0];
  if (id !== undefined) select(viewer, id);
}

/** Leave the innermost of what one can be in: the search, the details, the line. @param {Viewer} viewer */
export function leave(viewer) {
  const { toolbar, list, current } = viewer;
  if (/** @type {Document|ShadowRoot} */ (viewer.node.getRootNode()).activeElement === toolbar.search) {
    if (toolbar.search.value) viewer.search((toolbar.search.value = ""));
  } else if (current !== undefined && viewer.opened.has(current)) return viewer.act("open");
  else unselect(viewer);
  list.node.focus({ preventScroll: true });
}
