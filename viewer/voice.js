// What is said to those who cannot see, in one place and not too often; and briefly shown where it answers an action.
import { h } from "./dom.js";

const EVERY = 2000;
const SHOWN = 2500;

export class Voice {
  constructor() {
    this.node = h("p", { className: "said", role: "status" });
    this.next = "";
    this.at = -EVERY;
    this.hideAt = Infinity;
  }

  /** Say this soon, unless something else is to be said by then. @param {string} text */
  say(text) {
    this.next = text;
  }

  /** Say and show this now. @param {string} text */
  show(text) {
    this.#utter(text);
    this.node.classList.add("seen");
    this.hideAt = this.at + SHOWN;
  }

  /** Do what is due. */
  tick() {
    const now = performance.now();
    if (now > this.hideAt) this.node.classList.remove("seen");
    if (this.next && now - this.at > EVERY) this.#utter(this.next);
  }

  /** @param {string} text */
  #utter(text) {
    if (this.node.textContent !== text) this.node.textContent = text;
    this.next = "";
    this.at = performance.now();
  }
}
