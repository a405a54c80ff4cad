// What a reader does with one line.
import { plain } from "./ansi.js";
import { json } from "./export.js";
import { fields } from "./fields.js";
import { viewLink } from "./link.js";

/** @typedef {import("./page.js").Viewer} Viewer @typedef {import("./columns.js").Line} Line */

// How far before the line of a link its backlog begins.
const BEFORE_MS = 30_000;

/** Do something with the current line. @param {Viewer} viewer @param {string} what @param {number} [field] its number */
export function act(viewer, what, field = NaN) {
  const line = viewer.current === undefined ? undefined : viewer.columns.get(viewer.current);
  if (!line || line.notice) return;
  const { list } = viewer;
  const text = plain(line.text);
  const [name, value] = isNaN(field) ? ["", ""] : (fields(text)?.[field] ?? ["", ""]);
  if (what === "open") toggle(viewer.opened, line.id);
  else if (what === "mark") toggle(viewer.marks, line.id);
  else if (what === "copy") copy(viewer, text, "Line copied");
  else if (what === "json") copy(viewer, viewer.columns.lines(line.id).map((one) => json(viewer, one)).join("\n"), "JSON copied");
  else if (what === "value") copy(viewer, value, `${name} copied`);
  else if (what === "link") copyLink(viewer, false, line);
  else if (what === "pod") {
    const query = new URLSearchParams(viewer.stream.asked);
    query.set("pod", viewer.sources.all[line.source].pod);
    viewer.stream.ask(query);
  } else viewer.require({ name, value, only: what === "only" });
  if (what !== "open" && what !== "mark") return;
  list.pause();
  list.touch(line.id);
  list.nodes.get(line.id)?.focus({ preventScroll: true });
}

/** @param {Set<number>} set @param {number} id */
const toggle = (set, id) => set.delete(id) || set.add(id);

/** @param {Viewer} viewer @param {string} text @param {string} done */
async function copy({ voice }, text, done) {
  try {
    await navigator.clipboard.writeText(text);
    voice.show(done);
  } catch {
    voice.show("The browser does not let this page copy");
  }
}

/** Copy a link to what is shown, or to a line. @param {Viewer} viewer @param {boolean} withToken @param {Line} [line] */
export function copyLink(viewer, withToken, line) {
  const { stream, toolbar, rows, hidden } = viewer;
  const query = [...stream.asked].filter(([name]) => !line || (name !== "since" && name !== "tail"));
  if (toolbar.search.value) query.push(["q", toolbar.search.value]);
  if (rows.onlyMatches) query.push(["only", ""]);
  for (const level of hidden) query.push(["hide", String(level)]);
  if (line) query.push(["since", new Date(line.ms - BEFORE_MS).toISOString()], ["at", line.cursor]);
  const link = viewLink(stream.url, { token: withToken ? stream.token : "", query });
  copy(viewer, link, withToken ? "Link copied: whoever has it can read these logs" : "Link copied, without the token");
}
