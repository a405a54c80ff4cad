// Waiting: pauses that grow, and timers that notice silence.

// How long a connection may take to open, and how long it may be silent, in ms: a server shows that it is alive every 25
// seconds.
export const PATIENCE = { open: 10_000, silence: 60_000 };

/** The ms to wait before each try: doubling from `first` to `longest`, the second half of each by chance. */
export class Pauses {
  #first;
  #longest;
  #next;

  /** @param {{first?: number, longest?: number}} [bounds] in ms */
  constructor({ first = 500, longest = 10_000 } = {}) {
    this.#first = this.#next = first;
    this.#longest = longest;
  }

  /** Begin with the first one again. */
  reset() {
    this.#next = this.#first;
  }

  /** Return the next one. */
  take() {
    const pause = this.#next;
    this.#next = Math.min(pause * 2, this.#longest);
    // By chance, so that the readers of a server that is back do not all come at the same moment.
    return Math.round(pause * (0.5 + Math.random() / 2));
  }
}

/**
 * Wait, or return early if aborted.
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function sleep(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

/** Calls a function once nothing has been heard for so many ms. */
export class Watchdog {
  #heardAt = Date.now();
  #timer;

  /**
   * @param {number} ms
   * @param {() => void} bark
   */
  constructor(ms, bark) {
    // One timer that looks now and then is cheaper than one that is set anew with each message.
    this.#timer = setInterval(() => {
      if (Date.now() - this.#heardAt < ms) return;
      this.stop();
      bark();
    }, Math.max(ms / 10, 10));
  }

  /** Note that something has been heard. */
  hear() {
    this.#heardAt = Date.now();
  }

  /** Listen no more. */
  stop() {
    clearInterval(this.#timer);
  }
}

/**
 * Let others run: without it, a body that has all arrived would be read in one long task.
 * @returns {Promise<void>}
 */
export function letOthersRun() {
  const { scheduler } = /** @type {{scheduler?: {yield?: () => Promise<void>}}} */ (/** @type {unknown} */ (globalThis));
  return scheduler?.yield ? scheduler.yield() : new Promise((resolve) => setTimeout(resolve));
}
