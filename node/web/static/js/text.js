/**
 * Text of strangers as people may see it. Pure.
 */

/** Unseen, or turning the text around: by code point, as the command line has it. */
const NOT_SHOWN = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f" +
    "\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e0fff}]|\\p{Surrogate}",
  "gu",
);

/** The text with all that is not shown, or would mislead, escaped. @param {string} text */
export function printable(text) {
  return text.replace(NOT_SHOWN, escaped);
}

/** @param {string} character @returns {string} */
function escaped(character) {
  const number = /** @type {number} */ (character.codePointAt(0));
  const hex = number.toString(16);
  if (number < 0x100) {
    return `\\x${hex.padStart(2, "0")}`;
  }
  return number < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

/** The text in quotes, with all but plain ASCII escaped. @param {string} text @returns {string} */
export function quoted(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const named = new Map([
    ["\\", "\\\\"],
    ["\n", "\\n"],
    ["\r", "\\r"],
    ["\t", "\\t"],
    [quote, `\\${quote}`],
  ]);
  const inner = Array.from(text, (character) => {
    const name = named.get(character);
    return name ?? (/^[ -~]$/.test(character) ? character : escaped(character));
  });
  return quote + inner.join("") + quote;
}

const SPACES =
  "\\t-\\r\\u001c-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACE_AROUND = new RegExp(`^[${SPACES}]|[${SPACES}]$`);

/** Whether there is white space around the text. @param {string} text @returns {boolean} */
export function hasSpaceAround(text) {
  return SPACE_AROUND.test(text);
}
