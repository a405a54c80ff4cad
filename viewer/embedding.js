// An example: a page that shows lines in its own way, beside the viewer as an element.

import { logurt } from "./client.js";
import "./element.js";
import { takeLink } from "./link.js";

const MOST = 20;
// Sequences that colour a terminal (ECMA-48, 8.3.117).
const COLOURS = /\x1b\[[\d;]*m/g;
// A page of your own has a token from your own server. This one has it from the link that opened it.
const { token } = takeLink();
const viewer = /** @type {HTMLElement} */ (document.querySelector("logurt-tail"));
const state = /** @type {HTMLElement} */ (document.getElementById("state"));
const trouble = /** @type {HTMLElement} */ (document.getElementById("trouble"));

/** @param {string} text */
function show(text) {
  const item = document.createElement("li");
  item.textContent = text; // never innerHTML: a line may hold anything
  trouble.prepend(item);
  if (trouble.children.length > MOST) trouble.lastElementChild?.remove();
}

viewer.setAttribute("token", token);
try {
  for await (const event of logurt("..", { token, tail: MOST, include: "(?i)error|warn|exception" })) {
    if (event.type === "line") show(`${event.pod}: ${event.log.replace(COLOURS, "")}`);
    if (event.type === "gap") show(`${event.lost ?? "some"} lines are missing here`);
    if (event.type === "state") state.textContent = event.why ? `${event.state}: ${event.why}` : event.state;
  }
} catch (error) {
  state.textContent = `ended: ${error instanceof Error ? error.message : error}`;
}
