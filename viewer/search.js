// What is looked for, and where in a text it is.

/**
 * @typedef {{test: (text: string) => boolean, ranges: (text: string) => [number, number][]}} Matcher
 */

const MAX_RANGES = 200;
const MAX_SEARCHED = 16384;

/**
 * Make a matcher of what was typed: words, in any case unless they have a capital, or /a regular expression/i.
 * Throws SyntaxError for an expression that is none.
 * @param {string} query @returns {Matcher|null} null if nothing is asked for
 */
export function matcher(query) {
  if (!query || query === "/") return null;
  const given = /^\/(.+)\/([ims]*)$/.exec(query);
  const source = given ? given[1] : query.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  const flags = given ? given[2] : query === query.toLowerCase() ? "i" : "";
  // An expression may take long for a long text; words never do.
  const head = (/** @type {string} */ text) => (given && text.length > MAX_SEARCHED ? text.slice(0, MAX_SEARCHED) : text);
  const one = new RegExp(source, flags);
  const all = new RegExp(source, flags + "g");
  return {
    test: (text) => one.test(head(text)),
    ranges(text) {
      /** @type {[number, number][]} */
      const found = [];
      for (const match of head(text).matchAll(all)) {
        if (match[0]) found.push([match.index, match.index + match[0].length]);
        if (found.length === MAX_RANGES) break;
      }
      return found;
    },
  };
}
