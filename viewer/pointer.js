// What a pointer does to lines: it opens them, selects their text, and asks for their exact times.
import { select } from "./current.js";
import { selectionAt } from "./dom.js";
import { copySelection } from "./export.js";
import { moment } from "./words.js";

/** @typedef {import("./page.js").Viewer} Viewer */

/** Listen to the pointer until a signal. @param {Viewer} viewer @param {AbortSignal} signal */
export function listen(viewer, signal) {
  const { table } = viewer.list;
  table.addEventListener("click", (event) => clicked(viewer, event));
  table.addEventListener("pointerover", (event) => hovered(viewer, event));
  document.addEventListener("selectionchange", () => selected(viewer), { signal });
  viewer.node.addEventListener("copy", (event) => copySelection(viewer, event));
}

/** @param {Viewer} viewer */
function selected({ list }) {
  const selection = selectionAt(list.node);
  if (selection && !selection.isCollapsed && list.table.contains(selection.anchorNode)) list.pause();
}

/** @param {Event} event @param {string} what @returns {HTMLElement|null} */
const near = (event, what) => /** @type {Element} */ (event.target).closest(what);

/** @param {Viewer} viewer @param {MouseEvent} event */
function clicked(viewer, event) {
  const node = near(event, "[data-id]");
  const what = near(event, "[data-do]")?.dataset.do;
  if (!node || near(event, "a") || !(what || selectionAt(node)?.isCollapsed) || (!what && near(event, ".detail"))) return;
  select(viewer, Number(node.dataset.id), !what);
  if (what) viewer.act(what, Number(near(event, "[data-field]")?.dataset.field));
}

/** @param {Viewer} viewer @param {PointerEvent} event */
function hovered(viewer, event) {
  const cell = near(event, ".time");
  const line = cell && viewer.columns.get(Number(near(event, "[data-id]")?.dataset.id));
  if (cell && line) cell.title = moment(line.ms, line.nanos, Date.now());
}
