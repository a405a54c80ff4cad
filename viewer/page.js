// A stand-in for the viewer.

import { logurt } from "./client.js";

/**
 * @param {HTMLElement | ShadowRoot} root
 * @param {{url: string, token: string, query: URLSearchParams, embed?: boolean,
 *   renew?: () => Promise<string | null | undefined>}} options
 */
export function mount(root, { url, token, query }) {
  const controller = new AbortController();
  const list = root.appendChild(document.createElement("pre"));
  const state = root.appendChild(document.createElement("p"));
  const show = async () => {
    const { signal } = controller;
    const given = Object.fromEntries(["pod", "container", "include", "exclude"].map((name) => [name, query.getAll(name)]));
    try {
      for await (const event of logurt(url, { ...given, token, signal })) {
        if (event.type === "line") list.append(`${event.log}\n`);
        if (event.type === "gap") list.append("gap\n");
        if (event.type === "state") state.textContent = `${event.state} ${event.why ?? ""}`;
      }
    } catch (error) {
      state.textContent = `ended: ${error instanceof Error ? error.message : error}`;
    }
  };
  void show();
  return { close: () => controller.abort() };
}
