// A row of the list, and what it shows when it is opened.
import { marked, pieces, plain } from "./ansi.js";
import { legible } from "./colours.js";
import { h } from "./dom.js";
import { fields } from "./fields.js";
import { levelOf, LEVELS } from "./levels.js";
import { GONE } from "./rows.js";
import { clock, count, counted, elided, moment, relative } from "./words.js";

/** @typedef {import("./page.js").Viewer} Viewer @typedef {import("./columns.js").Line} Line */

const MAX_TEXT = 2000;
const MAX_OPEN = 32_768;
// How many letters of a pod and of a container are shown.
export const NAME = 26;
export const INSIDE = 12;
const LINK = /https?:\/\/[^\s"'<>\\^`{|}\p{C}]+[^\s"'<>\\^`{|}\p{C}.,;:!?)\]]/gu;

/** @param {Viewer} viewer @param {number} id */
export function row(viewer, id) {
  if (id <= GONE) {
    const gone = `${counted(viewer.columns.gone, "older line")} ${viewer.columns.gone === 1 ? "has" : "have"} left this page`;
    return notice("gone", id === GONE ? gone : "The lines in between have left this page");
  }
  const line = viewer.columns.get(id);
  if (!line) return notice("gone", "This line has left this page");
  if (line.notice) return notice(line.notice, line.text, viewer.time === "off" ? "" : clock(line.ms, viewer.time === "utc"));
  const { pod, container, hue } = viewer.sources.all[line.source];
  const open = viewer.opened.has(id);
  // A line that goes on with the one before has its level, but does not say so again.
  const badge = LEVELS[levelOf(plain(line.text))].badge;
  const end = line.text.indexOf("\n");
  const first = end < 0 ? line.text : line.text.slice(0, end);
  const node = h("div", { className: "row", role: "row", tabIndex: -1, "data-id": id });
  node.classList.toggle("current", viewer.current === id);
  node.classList.toggle("marked", viewer.marks.has(id));
  node.dataset.level = LEVELS[line.level].name;
  node.style.setProperty("--hue", String(hue));
  const name = elided(pod || "no pod", NAME);
  node.append(
    h("span", { className: "open", role: "cell" },
      h("button", { type: "button", tabIndex: -1, ariaExpanded: String(open), ariaLabel: "Details", "data-do": "open" })),
    h("span", { className: "time", role: "cell" }, timeText(viewer, line)),
    h("span", { className: "source", role: "cell", title: container ? `${pod} / ${container}` : pod }, h("b", {}, name),
      viewer.sources.containers.size > 1 && h("i", {}, ` ${elided(container, INSIDE)}`)),
    h("span", { className: "level", role: "cell" }, line.stream === "stderr" ? h("abbr", { title: "stderr" }, badge || "2>") : badge),
    h("span", { className: "text", role: "cell" }, ...text(viewer, cut(first, MAX_TEXT)),
      first.length > MAX_TEXT && h("button", { type: "button", tabIndex: -1, className: "more", "data-do": "open" }, `+${count(first.length - MAX_TEXT)} characters`)),
  );
  grow(viewer, node);
  if (open) node.append(detail(viewer, line));
  return node;
}

/** Say how many more lines a row has, if that is not said already. @param {Viewer} viewer @param {HTMLElement} node @param {boolean} [still] only if it stays as tall as it is */
export function grow(viewer, node, still = false) {
  const lines = viewer.columns.lines(Number(node.dataset.id));
  const [known, tried] = [`${lines.length}`, `${lines.length}?`];
  if (node.dataset.lines === known || (still && node.dataset.lines === tried)) return;
  const more = lines.reduce((sum, { text }) => sum + text.split("\n").length, -1);
  const label = h("button", { type: "button", tabIndex: -1, className: "more lines", "data-do": "open" }, `+${counted(more, "line")}`);
  const before = node.querySelector(".lines");
  const tall = still && node.offsetHeight;
  before?.remove();
  if (more > 0) node.querySelector(".text")?.append(label);
  node.dataset.lines = known;
  if (!still || node.offsetHeight === tall) return;
  if (before) label.replaceWith(before);
  else label.remove();
  node.dataset.lines = tried;
}

/** @param {string} text @param {number} size not within a pair of surrogates */
const cut = (text, size) => (text.length > size ? text.slice(0, size).replace(/[\ud800-\udbff]$/, "") : text);

/** @param {string} kind @param {string} text @param {string} [time] */
const notice = (kind, text, time = "") =>
  h("div", { className: `row notice ${kind}`, role: "row" }, h("span", { role: "cell" }, time && h("time", {}, time), text));

/** @param {Viewer} viewer @param {Line} line */
const timeText = (viewer, line) =>
  viewer.time === "relative" ? relative(line.ms, Date.now()) : clock(line.ms, viewer.time === "utc");

/** @param {Viewer} viewer @param {string} line @returns {Node[]} */
function text(viewer, line) {
  const all = pieces(line);
  const { matcher } = viewer.rows;
  const ranges = matcher ? matcher.ranges(all.map((piece) => piece.text).join("")) : [];
  return marked(all, ranges).map((piece) => {
    if (!piece.style && !piece.marked && !piece.code) return document.createTextNode(piece.text);
    const node = h(piece.marked ? "mark" : "span", {}, piece.code ? h("span", { className: "code", title: "a character that has no looks" }, piece.code) : piece.text);
    if (piece.style) paint(node, piece.style, viewer.background);
    return node;
  });
}

/** @param {HTMLElement} node @param {import("./ansi.js").Style} style @param {string} page its background */
function paint(node, style, page) {
  let { fg, bg } = style;
  if (style.inverse) [fg, bg] = [bg ?? "back", fg ?? "fore"];
  for (const name of /** @type {const} */ (["bold", "dim", "italic", "underline", "strike"])) if (style[name]) node.classList.add(name);
  if (typeof bg === "string" && bg[0] === "#") node.style.background = bg;
  else if (bg !== undefined) node.classList.add(`bg-${bg}`);
  if (typeof fg === "string" && fg[0] === "#") node.style.color = legible(fg, typeof bg === "string" && bg[0] === "#" ? bg : page);
  else if (typeof bg === "string" && bg[0] === "#") node.style.color = legible("#808080", bg);
  else if (fg !== undefined) node.classList.add(`fg-${fg}`);
}

/** @param {Viewer} viewer @param {Line} line */
function detail(viewer, line) {
  const { pod, container } = viewer.sources.all[line.source];
  const bare = plain(line.text);
  const all = fields(bare);
  const action = (/** @type {string} */ name, /** @type {string} */ label) => h("button", { type: "button", "data-do": name }, label);
  return h("div", { className: "detail", role: "cell" },
    h("p", { className: "facts" }, [moment(line.ms, line.nanos, Date.now()), pod, container, line.stream === "stderr" && "stderr"].filter(Boolean).join(" · ")),
    h("p", { className: "actions" }, action("copy", "Copy"), action("json", "Copy JSON"), action("link", "Copy link"),
      action("mark", viewer.marks.has(line.id) ? "Unmark" : "Mark"), pod && action("pod", "Only this pod")),
    all
      ? h("table", {}, h("tbody", {}, ...all.map(([name, value], i) =>
          h("tr", { "data-field": i }, h("th", { scope: "row" }, ...text(viewer, cut(name, 200))), h("td", {}, ...linked(viewer, value)),
            h("td", { className: "actions" }, action("value", "Copy"), action("only", "Only"), action("without", "Without"))))))
      : h("pre", {}, ...linked(viewer, line.text)));
}

/** Text in which http links can be followed. @param {Viewer} viewer @param {string} full */
function linked(viewer, full) {
  const shown = cut(full, MAX_OPEN);
  const nodes = [];
  let from = 0;
  for (const { 0: href, index } of shown.matchAll(LINK)) {
    nodes.push(...textLines(viewer, shown.slice(from, index)), h("a", { href, target: "_blank", rel: "noopener noreferrer" }, href));
    from = index + href.length;
    if (nodes.length > 2000) break;
  }
  nodes.push(...textLines(viewer, shown.slice(from)));
  if (full.length > MAX_OPEN) nodes.push(h("em", {}, ` ${count(full.length - shown.length)} more characters: copy or download has them`));
  return nodes;
}

/** @param {Viewer} viewer @param {string} part with newlines that stay such */
const textLines = (viewer, part) => part.split("\n").flatMap((line, i) => (i ? [document.createTextNode("\n"), ...text(viewer, line)] : text(viewer, line)));
