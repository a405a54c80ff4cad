// When the page draws: as often as somebody can read it, with time left for what comes in and for the reader.

// Nobody can read what is there for less, in ms.
const MIN_FRAME = 40;
// How much longer than it took to draw nothing is drawn again.
const REST = 4;

export class Frames {
  #isDue = false;
  #drawnAt = 0;
  #took = 0;

  /** @param {() => void} draw */
  constructor(draw) {
    this.draw = draw;
  }

  /** Draw in the next frame, or in one of the next. */
  schedule() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame((now) => this.#frame(now));
  }

  /** @param {number} now */
  #frame(now) {
    if (now - this.#drawnAt < Math.max(MIN_FRAME, this.#took * REST)) return requestAnimationFrame((later) => this.#frame(later));
    this.#isDue = false;
    const started = performance.now();
    this.draw();
    this.#drawnAt = now;
    this.#took = performance.now() - started;
  }
}
