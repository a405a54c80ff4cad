// What terminals make of a line: colours, and what would otherwise not be seen.

/**
 * How a piece of text looks. A colour is 0 to 15 (the theme's own), or "#rrggbb".
 * @typedef {{fg?: number|string, bg?: number|string, bold?: boolean, dim?: boolean, italic?: boolean,
 *   underline?: boolean, strike?: boolean, inverse?: boolean}} Style
 * @typedef {{text: string, style?: Style, code?: string}} Piece `code` names a character that has no looks of its own
 */

// Control characters, formats such as bidi marks, lone surrogates, separators; but no tabs.
const HIDDEN = /(?!\t)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const EACH_HIDDEN = new RegExp(HIDDEN, "gu");
// CSI, or OSC and its like up to BEL or ST; then whatever begins like one and does not end.
const ESCAPE = /(?:\x1b\[|\x9b)([0-?]*)([ -/]*[@-~])|(?:\x1b[\]PX^_]|[\x9d\x90])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-OQ-WYZ\\`-~]/g;

/** Return the text without escape sequences. @param {string} text */
export const plain = (text) => (/[\x1b\x9b\x9d\x90]/.test(text) ? text.replace(ESCAPE, "") : text);

/** @param {number} n @returns {number|string} one of the 256 colours */
function indexed(n) {
  if (n < 16) return n;
  if (n > 231) return rgb(8 + (n - 232) * 10, 8 + (n - 232) * 10, 8 + (n - 232) * 10);
  const level = (/** @type {number} */ step) => (step % 6 ? (step % 6) * 40 + 55 : 0);
  return rgb(level(Math.floor((n - 16) / 36)), level(Math.floor((n - 16) / 6)), level(n - 16));
}

/** @param {number[]} parts */
const rgb = (...parts) => "#" + parts.map((part) => Math.min(part, 255).toString(16).padStart(2, "0")).join("");

/** @type {Record<number, Style>} */
const SWITCHES = {
  1: { bold: true }, 2: { dim: true }, 3: { italic: true }, 4: { underline: true }, 7: { inverse: true },
  9: { strike: true }, 22: { bold: false, dim: false }, 23: { italic: false }, 24: { underline: false },
  27: { inverse: false }, 29: { strike: false }, 39: { fg: undefined }, 49: { bg: undefined },
};

/** Apply the parameters of SGR. @param {Style} style @param {string} parameters @returns {Style} */
function restyled(style, parameters) {
  const codes = parameters.split(/[;:]/).map(Number);
  style = { ...style };
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (!code) style = {};
    else if (SWITCHES[code]) Object.assign(style, SWITCHES[code]);
    else if (code === 38 || code === 48) {
      const [kind, a, b, c] = codes.slice(i + 1, i + 5);
      const colour = kind === 5 ? indexed(a & 255) : kind === 2 ? rgb(a & 255, b & 255, c & 255) : undefined;
      style[code === 38 ? "fg" : "bg"] = colour;
      i += kind === 5 ? 2 : kind === 2 ? 4 : codes.length;
    } else if ((code >= 30 && code < 38) || (code >= 90 && code < 98)) style.fg = code < 40 ? code - 30 : code - 82;
    else if ((code >= 40 && code < 48) || (code >= 100 && code < 108)) style.bg = code < 50 ? code - 40 : code - 92;
  }
  return style;
}

/** @param {string} character */
function codeOf(character) {
  const point = /** @type {number} */ (character.codePointAt(0));
  if (point < 33) return String.fromCharCode(0x2400 + point);
  return point === 127 ? "\u2421" : "U+" + point.toString(16).toUpperCase().padStart(4, "0");
}

/** Take a line apart into pieces that look alike. @param {string} text @returns {Piece[]} */
export function pieces(text) {
  if (!HIDDEN.test(text)) return [{ text }];
  /** @type {Piece[]} */
  const found = [];
  /** @type {Style|undefined} */
  let style;
  const add = (/** @type {string} */ run) => {
    let from = 0;
    for (const match of run.matchAll(EACH_HIDDEN)) {
      // A joiner inside an emoji is part of it.
      if (match[0] === "\u200d" && match.index && run.charCodeAt(match.index + 1) > 0x2000) continue;
      if (match.index > from) found.push({ text: run.slice(from, match.index), style });
      found.push({ text: match[0], style, code: codeOf(match[0]) });
      from = match.index + match[0].length;
    }
    if (from < run.length) found.push({ text: run.slice(from), style });
  };
  let from = 0;
  for (const match of text.matchAll(ESCAPE)) {
    add(text.slice(from, match.index));
    if (match[2] === "m" && !/[<-?]/.test(match[1])) style = restyled(style ?? {}, match[1]);
    from = match.index + match[0].length;
  }
  add(text.slice(from));
  return found;
}

/**
 * Cut pieces where marks begin and end. @param {Piece[]} parts @param {[number, number][]} ranges in order, apart
 * @returns {(Piece & {marked?: boolean})[]}
 */
export function marked(parts, ranges) {
  if (!ranges.length) return parts;
  const cut = [];
  let at = 0, next = 0;
  for (const part of parts) {
    const end = at + part.text.length;
    let from = at;
    while (from < end) {
      while (next < ranges.length && ranges[next][1] <= from) next++;
      const [start, stop] = ranges[next] ?? [end, end];
      const inside = start <= from;
      const to = part.code ? end : Math.min(end, inside ? stop : start);
      cut.push({ ...part, text: part.text.slice(from - at, to - at), marked: inside });
      from = to;
    }
    at = end;
  }
  return cut;
}
