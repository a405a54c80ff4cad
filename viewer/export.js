// Lines as they leave the page: copied, or as a file.
import { breathe, h, selectionAt } from "./dom.js";
import { plain } from "./ansi.js";

/** @typedef {import("./page.js").Viewer} Viewer @typedef {import("./columns.js").Line} Line */

/** @param {Line} line with its time to the nanosecond */
export const timestamp = ({ ms, nanos }) =>
  isNaN(ms) ? "" : new Date(ms).toISOString().replace("Z", (nanos ? String(nanos).padStart(6, "0").replace(/000$/, "") : "") + "Z");

/** The line as the server sends it. @param {Viewer} viewer @param {Line} line */
export function json(viewer, line) {
  const { pod, container } = viewer.sources.all[line.source];
  return JSON.stringify({ type: "line", cursor: line.cursor, timestamp: timestamp(line), pod, container, stream: line.stream, log: line.text });
}

/** @param {Viewer} viewer @param {Line} line */
function words(viewer, line) {
  const { pod, container } = viewer.sources.all[line.source];
  return `${timestamp(line)} ${pod}/${container} ${plain(line.text)}`;
}

/** Put what is selected, whole rows if there are several, those that do not exist now included. @param {Viewer} viewer @param {ClipboardEvent} event */
export function copySelection(viewer, event) {
  const ids = selectedIds(viewer);
  if (!ids || !event.clipboardData) return;
  event.clipboardData.setData("text/plain", ids.join("\n"));
  event.preventDefault();
}

/** @param {Viewer} viewer @returns {string[]|null} the texts of the rows from where the selection begins to where it ends */
function selectedIds(viewer) {
  const { rows, columns, list } = viewer;
  const selection = selectionAt(list.node);
  const ends = [selection?.anchorNode, selection?.focusNode].map((node) => {
    const row = (node instanceof Element ? node : node?.parentElement)?.closest("[data-id]");
    return row instanceof HTMLElement ? Number(row.dataset.id) : NaN;
  });
  rows.count();
  const [from, to] = ends.map((id) => rows.find(id)).sort((a, b) => a - b);
  if (ends.some(isNaN) || from === to) return null;
  const texts = [];
  for (let index = from; index <= to; index++) texts.push(plain(columns.get(rows.at(index))?.text ?? ""));
  return texts;
}

/**
 * Have the browser save lines. @param {Viewer} viewer @param {"text"|"ndjson"} format @param {boolean} all or what is shown
 */
export async function download(viewer, format, all) {
  const { rows, columns } = viewer;
  const parts = [];
  for (const block of [...columns.blocks]) {
    const shown = all || !rows.filtering ? null : block.shown.flatMap((row) => block.lines(row));
    const texts = [];
    const length = shown ? shown.length : block.length;
    for (let i = 0; i < length; i++) {
      const line = block.line(shown ? shown[i] : i);
      if (!line.notice) texts.push((format === "text" ? words : json)(viewer, line));
      else if (format === "text") texts.push(`[logurt] ${line.text}`);
    }
    parts.push(texts.join("\n"), texts.length ? "\n" : "");
    await breathe();
  }
  const href = URL.createObjectURL(new Blob(parts, { type: format === "text" ? "text/plain" : "application/x-ndjson" }));
  const name = `logs-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${format === "text" ? "log" : "ndjson"}`;
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
