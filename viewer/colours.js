// Colours that can be told apart and read.

/** The hues of the first twelve pods, in degrees; neighbours in this order are far apart. */
export const HUES = [210, 30, 150, 330, 90, 270, 0, 180, 60, 300, 120, 240];

/** @param {string} colour #rrggbb @returns {number[]} 0 to 255 */
const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** The relative luminance of WCAG. @param {number[]} rgb */
const luminance = (rgb) =>
  rgb.reduce((sum, part, i) => {
    const s = part / 255;
    return sum + [0.2126, 0.7152, 0.0722][i] * (s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4);
  }, 0);

/** The contrast of WCAG, 1 to 21. @param {string} one @param {string} other */
export function contrast(one, other) {
  const [low, high] = [luminance(parts(one)), luminance(parts(other))].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/**
 * Return the colour, or one beside it, that reads on this background with a contrast of at least 4.5.
 * @param {string} colour @param {string} background
 */
export function legible(colour, background) {
  const towards = luminance(parts(background)) > 0.18 ? 0 : 255;
  let mixed = colour;
  for (let share = 0.1; contrast(mixed, background) < 4.5 && share <= 1.01; share += 0.1) {
    const blend = parts(colour).map((part) => Math.round(part + (towards - part) * Math.min(share, 1)));
    mixed = "#" + blend.map((part) => part.toString(16).padStart(2, "0")).join("");
  }
  return mixed;
}
