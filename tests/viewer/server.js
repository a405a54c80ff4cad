// The server that tests talk to, which whoever runs them has started: LOGURT_URL, and its secrets.

import test from "node:test";

export const url = process.env.LOGURT_URL ?? "";

let namespaces = 0;

/** Return a namespace that nobody else writes into. */
export function namespace() {
  namespaces += 1;
  return `test-${process.pid}-${namespaces}`;
}

/**
 * Have a pod write lines.
 * @param {string} namespace
 * @param {string[]} lines
 */
export async function write(namespace, lines, pod = "web-0") {
  const kubernetes = { namespace_name: namespace, pod_name: pod, container_name: "app" };
  const records = lines.map((log) => ({ log, stream: "stdout", kubernetes }));
  const headers = { Authorization: `Token ${process.env.INGEST_SECRET}` };
  const response = await fetch(`${url}/_ingest/fluentbit`, { method: "POST", headers, body: JSON.stringify(records) });
  if (!response.ok) throw new Error(await response.text());
}

/**
 * Return a signed token and its links.
 * @param {string} namespace
 * @param {Record<string, unknown>} [members]
 * @returns {Promise<{token: string, url: string, view: string}>}
 */
export async function sign(namespace, members = {}) {
  const headers = { Authorization: `Token ${process.env.API_SECRET}` };
  const body = JSON.stringify({ namespace, ...members });
  return (await fetch(`${url}/api/sign`, { method: "POST", headers, body })).json();
}

/**
 * A test that needs the server.
 * @param {string} name
 * @param {(context: test.TestContext) => Promise<void>} body
 */
export function served(name, body) {
  test(name, { skip: url ? false : "LOGURT_URL is not set", timeout: 20_000 }, body);
}
