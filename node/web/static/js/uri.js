/**
 * Payment links: indelible:ADDRESS?amount=12.50&memo=...&network=FIRST-16-HEX. Pure.
 *
 * Parts that are unknown, doubled, empty or badly escaped are refused, as by the node.
 */

import { Refusal } from "./refusal.js";
import { quoted } from "./text.js";

const SCHEME = "indelible:";
const NAMES = ["amount", "memo", "network"];
const NETWORK_DIGITS = 16;
const MAX_CHARACTERS = 1_200;
const VALUE = /^(?:[A-Za-z0-9\-._~!$'()*+,;:@/=]|%[0-9A-Fa-f]{2})+$/;

/** @param {string} text @returns {boolean} */
export function isPaymentLink(text) {
  return text.toLowerCase().startsWith(SCHEME);
}

/**
 * The parts of a payment link, as text still: "" for those it does not have. What address and amount hold is
 * checked where they are used. Throws Refusal("bad-link").
 * @param {string} text @param {string} networkId in hexadecimal
 * @returns {{address: string, amount: string, memo: string}}
 */
export function parsePaymentLink(text, networkId) {
  if (Array.from(text).length > MAX_CHARACTERS) {
    throw refusal(`the link is longer than ${MAX_CHARACTERS} characters`);
  }
  const [address, query] = partition(text.slice(SCHEME.length), "?");
  /** @type {Map<string, string>} */
  const parts = new Map();
  for (const piece of query === "" ? [] : query.split("&")) {
    const [name, value] = partition(piece, "=");
    if (!NAMES.includes(name) || parts.has(name)) {
      const shown = quoted(Array.from(name).slice(0, 20).join(""));
      throw refusal(`the link has an unknown or doubled part, ${shown}`);
    }
    parts.set(name, unescaped(name, value));
  }
  const network = networkId.slice(0, NETWORK_DIGITS);
  if ((parts.get("network") ?? network).toLowerCase() !== network) {
    throw refusal("the link is for another network", "ask for one of this network");
  }
  return { address, amount: parts.get("amount") ?? "", memo: parts.get("memo") ?? "" };
}

/** @param {string} message @param {string} [hint] */
function refusal(message, hint = "copy the whole link again, or ask for a fresh one") {
  return new Refusal("bad-link", message, hint);
}

/** @param {string} text @param {string} mark @returns {[string, string]} what is before and behind it */
function partition(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {string} name @param {string} value */
function unescaped(name, value) {
  if (!VALUE.test(value)) {
    throw refusal(`the link's ${name} is empty or badly escaped`);
  }
  try {
    return decodeURIComponent(value);
  } catch {
    throw refusal(`the link's ${name} is not UTF-8 text`);
  }
}
