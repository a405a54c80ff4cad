// Numbers, times and gaps as people say them.

const NUMBER = new Intl.NumberFormat("en");

/** @param {number} n */
export const count = (n) => NUMBER.format(n);
const SHORT = new Intl.NumberFormat("en", { notation: "compact" });
/** As short as it has to be: 12K. @param {number} n */
export const short = (n) => (n < 10_000 ? count(n) : SHORT.format(n));
/** @param {number} n @param {string} one its plural takes an s */
export const counted = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;
/** @param {number} n @param {number} [size] */
const two = (n, size = 2) => String(n).padStart(size, "0");

/** Say how long: 3:20, or 2 h 05 min, or 3 days. @param {number} ms */
export function duration(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} min`;
  return `${Math.floor(seconds / 86400)} days`;
}

/** Say how long ago, in few letters. @param {number} ms @param {number} now */
export function relative(ms, now) {
  const seconds = Math.round((now - ms) / 1000);
  const [size, ahead] = [Math.abs(seconds), seconds < 0 ? "+" : "-"];
  if (size < 1) return "now";
  if (size < 60) return `${ahead}${size} s`;
  if (size < 3600) return `${ahead}${Math.floor(size / 60)} min`;
  return size < 86400 ? `${ahead}${Math.floor(size / 3600)} h` : `${ahead}${Math.floor(size / 86400)} d`;
}

/** The time of day, with milliseconds. @param {number} ms @param {boolean} utc */
export function clock(ms, utc) {
  if (isNaN(ms)) return "";
  const date = new Date(utc ? ms : ms - new Date(ms).getTimezoneOffset() * 60000);
  return date.toISOString().slice(11, 23) + (utc ? "Z" : "");
}

/** All there is to say about a time. @param {number} ms @param {number} nanos below a millisecond @param {number} now */
export function moment(ms, nanos, now) {
  if (isNaN(ms)) return "no time";
  const date = new Date(ms);
  const utc = date.toISOString().replace("Z", nanos ? two(nanos, 6).replace(/(000)$/, "") + "Z" : "Z");
  return `${date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" })} · ${utc} · ${relative(ms, now).replace(/^-(.*)/, "$1 ago")}`;
}

/** Say what is missing, and why. @param {{lost: number|null, reason: string}} gap */
export function gapText({ lost, reason }) {
  const some = lost === null ? "Some lines are" : lost === 1 ? "1 line is" : `${count(lost)} lines are`;
  if (reason === "slow") return `${some} missing here: this page could not keep up`;
  if (reason === "evicted") return `${some} missing here: they had left the server before this page came back`;
  if (reason === "restarted") return "The server was restarted here: what it held before is lost";
  return `${some} missing here`;
}

/** Shorten a name in its middle: its end tells pods apart. @param {string} name @param {number} size */
export function elided(name, size) {
  if (name.length <= size) return name;
  const end = Math.ceil((size - 1) * 0.6);
  return name.slice(0, size - 1 - end) + "\u2026" + name.slice(-end);
}
