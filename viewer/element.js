// The viewer as an element: <logurt-tail src="https://logs.example.com" token="..."></logurt-tail>.

import { mount } from "./page.js";

/** Shows the viewer of the server at `src`, in a shadow of its own, with what `token` opens. */
export class LogurtTail extends HTMLElement {
  static observedAttributes = ["src", "token", "query", "embed"];

  /** Gets another token before the last one expires: a function that a page may set. */
  /** @type {(() => Promise<string | null | undefined>) | undefined} */
  renew;
  /** @type {{close(): void} | undefined} */
  #viewer;
  #isPlanned = false;

  connectedCallback() {
    this.#plan();
  }

  disconnectedCallback() {
    this.#viewer?.close();
    this.#viewer = undefined;
  }

  attributeChangedCallback() {
    this.#plan();
  }

  /** Begin anew with the attributes as they are once whoever sets them is done. */
  #plan() {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    queueMicrotask(() => {
      this.#isPlanned = false;
      if (this.isConnected) this.#begin();
    });
  }

  #begin() {
    this.#viewer?.close();
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    root.replaceChildren();
    const query = new URLSearchParams(this.getAttribute("query") ?? "");
    const url = this.getAttribute("src") ?? ".";
    const token = this.getAttribute("token") ?? "";
    this.#viewer = mount(root, { url, token, query, embed: this.hasAttribute("embed"), renew: this.renew });
  }
}

customElements.define("logurt-tail", LogurtTail);
