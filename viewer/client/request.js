// Requests by fetch: their answers, their refusals, and bodies that are read line by line.

import { Cut, notLogurt, refusal } from "./errors.js";
import { Watchdog, letOthersRun } from "./pause.js";

// For how long text is handed on without a pause, in ms.
const SLICE_MS = 8;

/**
 * Return the sentence of a refusal by logurt; empty if something else refuses.
 * @param {Response} response
 */
async function sentenceOf(response) {
  try {
    const { error } = await response.json();
    return typeof error === "string" ? error : "";
  } catch {
    return "";
  }
}

/**
 * Ask with a token, and return the answer if it is of the media type that is hoped for. Throws Cut, or LogurtError.
 * @param {string} url
 * @param {string} token
 * @param {string} accept the media type
 * @param {{signal: AbortSignal, patience: number}} bounds for how many ms to wait for the head of the answer
 * @returns {Promise<Response>}
 */
export async function ask(url, token, accept, { signal, patience }) {
  const { host } = new URL(url);
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, patience);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  let response;
  try {
    const headers = { Accept: accept, Authorization: `Bearer ${token}` };
    response = await fetch(url, { headers, signal: controller.signal, cache: "no-store", referrerPolicy: "no-referrer" });
    if (!response.ok) throw refusal(response.status, await sentenceOf(response));
  } catch (error) {
    throw error instanceof TypeError || controller.signal.aborted ? new Cut(`no answer from ${host}`) : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
  if (response.headers.get("Content-Type")?.startsWith(accept)) return response;
  abort();
  throw notLogurt(host);
}

/**
 * Yield the text of a body as it comes, each time to the end of a line. Throws Cut if it ends in the middle of one.
 * @param {Response} response
 * @param {{signal: AbortSignal, silence: number}} bounds after so many ms without a byte, it counts as cut
 * @returns {AsyncGenerator<string, void>}
 */
export async function* textOf(response, { signal, silence }) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let isCut = false;
  const cut = () => {
    isCut = true;
    reader.cancel().catch(() => {});
  };
  const watchdog = new Watchdog(silence, cut);
  signal.addEventListener("abort", cut);
  if (signal.aborted) cut();
  let rest = "";
  let since = performance.now();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      watchdog.hear();
      const text = decoder.decode(value, { stream: true });
      const end = text.lastIndexOf("\n") + 1;
      if (!end) {
        rest += text;
        continue;
      }
      yield rest + text.slice(0, end);
      rest = text.slice(end);
      watchdog.hear(); // whoever takes the text may have taken their time
      if (performance.now() - since > SLICE_MS) {
        await letOthersRun();
        since = performance.now();
      }
    }
  } catch {
    isCut = true;
  } finally {
    watchdog.stop();
    signal.removeEventListener("abort", cut);
    reader.cancel().catch(() => {});
  }
  if (isCut || rest) throw new Cut("the connection was cut");
}
