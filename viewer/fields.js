// What a line of JSON is made of.

const MAX_FIELDS = 200;

/** Return the fields of a line that is a JSON object, with dotted names; null if it is none. @param {string} text */
export function fields(text) {
  const value = object(text);
  if (!value) return null;
  /** @type {[string, string][]} */
  const found = [];
  const add = (/** @type {Record<string, unknown>} */ inside, /** @type {string} */ prefix, /** @type {number} */ depth) => {
    for (const [name, value] of Object.entries(inside)) {
      if (found.length === MAX_FIELDS) return;
      if (value && typeof value === "object" && !Array.isArray(value) && depth < 5) add(Object(value), `${prefix}${name}.`, depth + 1);
      else found.push([prefix + name, worded(value)]);
    }
  };
  add(value, "", 0);
  return found;
}

/** @param {unknown} value */
const worded = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** @param {string} text @returns {Record<string, unknown>|null} */
function object(text) {
  if (!/^\s*\{.*\}\s*$/s.test(text)) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @typedef {{name: string, value: string, only: boolean}} Condition lines with this value only, or without it */

/** Make a test that lines must pass to meet all conditions. @param {Condition[]} conditions */
export function meets(conditions) {
  return (/** @type {string} */ text) => {
    /** @type {[string, string][]|null|undefined} */
    let all;
    return conditions.every(({ name, value, only }) => {
      if (all === undefined) all = fields(text);
      return (all?.some(([key, other]) => key === name && other === value) ?? false) === only;
    });
  };
}
