/**
 * Payment links: indelible:ADDRESS?amount=12.50&memo=...&network=FIRST-16-HEX. Pure.
 */

import { Refusal } from "./refusal.js";

const SCHEME = "indelible:";
const NETWORK_CHARACTERS = 16;

/** @param {string} text @returns {boolean} */
export function isPaymentLink(text) {
  return text.toLowerCase().startsWith(SCHEME);
}

/**
 * The parts of a payment link, as text still; what they hold is checked where they are used. Throws
 * Refusal("bad-link") for another network's, and for parts that are unknown or stand twice.
 * @param {string} text @param {string} networkId in hexadecimal
 * @returns {{address: string, amount: string, memo: string}}
 */
export function parsePaymentLink(text, networkId) {
  const [address, query = "", ...more] = text.slice(SCHEME.length).split("?");
  if (more.length > 0) {
    throw new Refusal("bad-link", "the payment link has two question marks", "copy it again");
  }
  const parts = { amount: "", memo: "", network: "" };
  const seen = new Set();
  for (const piece of query === "" ? [] : query.split("&")) {
    const [name, value = ""] = splitOnce(piece);
    if (!Object.hasOwn(parts, name) || seen.has(name)) {
      throw new Refusal("bad-link", `the payment link has an unknown or doubled part`, "ask for a fresh one");
    }
    seen.add(name);
    parts[/** @type {keyof typeof parts} */ (name)] = unescaped(value);
  }
  const network = networkId.slice(0, NETWORK_CHARACTERS);
  if (parts.network !== "" && parts.network.toLowerCase() !== network) {
    throw new Refusal("bad-link", "the payment link is for another network", "ask for one of this network");
  }
  return { address, amount: parts.amount, memo: parts.memo };
}

/** @param {string} piece @returns {string[]} */
function splitOnce(piece) {
  const at = piece.indexOf("=");
  return at < 0 ? [piece] : [piece.slice(0, at), piece.slice(at + 1)];
}

/** @param {string} value */
function unescaped(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    throw new Refusal("bad-link", "the payment link is damaged", "copy it again");
  }
}
