// Elements from a script, without markup: nothing that comes from outside is ever parsed as HTML.

/**
 * Make an element. What is a property is set as one, anything else as an attribute; null and false leave it out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, any>} [properties] @param {(Node|string|null|false|undefined)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name in node) Reflect.set(node, name, value);
    else if (value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return node;
}

/** For how long to work before others have their turn, in ms. */
export const SLICE = 8;

/** Let what waits, such as a key or a frame, have its turn. @returns {Promise<void>} */
export function breathe() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), resolve());
    port2.postMessage(null);
  });
}

/** Return what is selected in the document or the shadow root around a node. @param {Node} node @returns {Selection|null} */
export function selectionAt(node) {
  const root = /** @type {any} */ (node.getRootNode());
  return root.getSelection ? root.getSelection() : document.getSelection();
}
