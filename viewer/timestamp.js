// RFC 3339 as two numbers.

let prefix = "";
let minute = NaN;

/** @param {string} text @returns {number} */
const digits = (text) => (/^\d+$/.test(text) ? +text : NaN);

/**
 * Return milliseconds since 1970, and the nanoseconds below them. What is no time is NaN.
 * @param {string} text @returns {[number, number]}
 */
export function parsed(text) {
  // Lines come in the same minute as the one before, mostly, and in UTC.
  const start = text.slice(0, 16);
  if (start !== prefix || text.charCodeAt(text.length - 1) !== 90) {
    const head = Date.parse(text.replace(/(\.\d{3})\d+/, "$1"));
    if (text.endsWith("Z")) [prefix, minute] = [start, Date.parse(start + "Z")];
    const fraction = /\.\d{3}(\d{1,6})/.exec(text);
    return [head, fraction ? +fraction[1].padEnd(6, "0") : 0];
  }
  const seconds = digits(text.slice(17, 19));
  if (text.length === 20) return [minute + seconds * 1000, 0];
  const nanos = digits(text.slice(20, -1)) * 10 ** (30 - text.length);
  const below = Math.round(nanos % 1e6);
  return [minute + seconds * 1000 + Math.floor(nanos / 1e6), below];
}
