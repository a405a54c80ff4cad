// How grave a line is, as far as it says so itself.

/** Chips and badges, in the order of their numbers: 0 says nothing, 5 is worst. */
export const LEVELS = [
  { name: "other", badge: "" },
  { name: "debug", badge: "DBG" },
  { name: "info", badge: "INF" },
  { name: "warning", badge: "WRN" },
  { name: "error", badge: "ERR" },
  { name: "fatal", badge: "FTL" },
];
export const ERROR = 4;

/** @type {Record<string, number>} */
const WORDS = Object.fromEntries([
  "trace trc verbose debug dbg d", "info information inf notice i", "warn warning wrn w", "error err eror severe e",
  "fatal ftl critical crit alert emerg emergency panic f",
].flatMap((words, i) => words.split(" ").map((word) => [word, i + 1])));
const HEAD = 2048;
const JSON_LEVEL = /"(?:level|severity|lvl|log\.level|severity_text|levelname)"\s*:\s*(?:"([a-zA-Z]+)"|(\d{1,2})\b)/;
const LOGFMT = /(?:^|[\s,])(?:level|severity|lvl)=(?:"([a-zA-Z]+)"|([a-zA-Z]+))/;
// After dates, brackets and a name or two at most, a word in capitals or in brackets; or klog's letter and date.
const LEADING = /^([IWEF])\d{4} \d\d:|^[^A-Za-z]{0,48}(?:[TZ][^A-Za-z]{0,24})*(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|SEVERE|FATAL|CRIT(?:ICAL)?|ALERT|EMERG|PANIC|(?<=\[)(?:trace|debug|info|notice|warn(?:ing)?|error|crit|alert|emerg))\b/;
const NAMED = /^(?:[^\s]{1,40}\s){1,3}\[?(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL|PANIC)\b/;
// Exceptions that nobody has caught, as Python, Node and Java print them.
const BROKEN = /^(?:Unhandled|Uncaught) [Ee]xception|(?:^|\n)Traceback \(most|^Exception in thread/;
const CONTINUED = /^(?:\s+\S|Caused by: |Traceback \(|goroutine \d|(?:[\w$]{1,80}\.){1,20}\w*(?:Exception|Error|Timeout)\b)/;

/** @param {string} word */
const level = (word) => (Object.hasOwn(WORDS, word.toLowerCase()) ? WORDS[word.toLowerCase()] : 0);

/** @param {number} n a number of pino and bunyan */
const numbered = (n) => (n >= 60 ? 5 : n >= 50 ? 4 : n >= 40 ? 3 : n >= 30 ? 2 : n >= 10 ? 1 : 0);

/**
 * Return the level of a line, 0 to 5. Of a long line, the first 2,048 characters count.
 * @param {string} text without escape sequences
 */
export function levelOf(text) {
  const head = text.length > HEAD ? text.slice(0, HEAD) : text;
  if (head[0] === "{") {
    const found = JSON_LEVEL.exec(head);
    return !found ? 0 : found[2] ? numbered(+found[2]) : (level(found[1]));
  }
  if (BROKEN.test(head)) return ERROR;
  const found = LEADING.exec(head) ?? (head.includes("=") ? LOGFMT.exec(head) : null) ?? NAMED.exec(head);
  return found ? level(found[1] ?? found[2]) : 0;
}

/** Tell whether a line goes on with what the one before it said, as a stack trace does. @param {string} text */
export const continues = (text) => CONTINUED.test(text);
