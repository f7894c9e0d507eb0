/**
 * Amounts: decimal units as people type and read them, integers of the smallest unit inside. Pure.
 *
 * Never a float: the digits around the point are read as one integer, so what is typed is what is paid, or it
 * is refused.
 */

import { Refusal } from "./refusal.js";
import { hasSpaceAround, quoted } from "./text.js";

const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;
const MAX_SHOWN = 24;

/**
 * What was typed in decimal units as smallest units. Throws Refusal("bad-amount").
 * @param {string} text @param {number} decimals of the currency @returns {number} 0 to 2^53 - 1
 */
export function parseAmount(text, decimals) {
  const example = `type a number like ${formatAmount((15n * 10n ** BigInt(decimals)) / 10n, decimals)}`;
  if (text === "") {
    throw refusal("the amount is empty", example);
  }
  const match = /^([0-9]+)(?:\.([0-9]+))?$/.exec(text);
  if (match === null) {
    throw notAnAmount(text, example);
  }
  const fraction = match[2] ?? "";
  if (fraction.length > decimals) {
    throw refusal(`${shown(text)} is finer than this currency`, finest(decimals));
  }
  const digits = (match[1] + fraction.padEnd(decimals, "0")).replace(/^0+/, "");
  if (digits.length > String(MAX_AMOUNT).length || BigInt(digits || "0") > BigInt(MAX_AMOUNT)) {
    throw refusal(`${shown(text)} is too much`, `at most ${formatAmount(MAX_AMOUNT, decimals)}`);
  }
  return Number(digits || "0");
}

/**
 * Smallest units as decimal units with all their decimals, then the symbol: `-1.50 BEAN`.
 * @param {number | bigint} value @param {number} decimals @param {string} [symbol] @returns {string}
 */
export function formatAmount(value, decimals, symbol = "") {
  const exact = BigInt(value);
  const digits = String(exact < 0n ? -exact : exact).padStart(decimals + 1, "0");
  const point = digits.length - decimals;
  const units = digits.slice(0, point) + (decimals > 0 ? `.${digits.slice(point)}` : "");
  return (exact < 0n ? "-" : "") + units + (symbol === "" ? "" : ` ${symbol}`);
}

/** @param {string} message @param {string} hint @returns {Refusal} */
function refusal(message, hint) {
  return new Refusal("bad-amount", message, hint);
}

/** What is wrong with a text that is not digits and a point. @param {string} text @param {string} example */
function notAnAmount(text, example) {
  const name = shown(text);
  if (hasSpaceAround(text)) {
    return refusal(`${name} has spaces around it`, "type the number alone");
  }
  if (/^[-+]\s*[0-9.]+$/.test(text)) {
    return refusal(`${name} has a sign`, "an amount is 0 or more, without a sign");
  }
  if (text.includes(",")) {
    return refusal(
      `${name} has a comma`,
      `the decimal point is a dot, and thousands are not parted; ${example}`,
    );
  }
  if (text.startsWith(".") || text.endsWith(".")) {
    return refusal(`${name} lacks a digit beside its point`, example);
  }
  if (/[^\u0000-\u007f]/.test(text) && /\p{Nd}/u.test(text)) {
    return refusal(`${name} has digits other than 0 to 9`, example);
  }
  return refusal(`${name} is not an amount`, `digits and at most one point, nothing else; ${example}`);
}

/** @param {number} decimals */
function finest(decimals) {
  if (decimals === 0) {
    return "type a whole number";
  }
  return `at most ${decimals} digit${decimals > 1 ? "s" : ""} behind the point`;
}

/** @param {string} text */
function shown(text) {
  const characters = Array.from(text);
  return quoted(characters.length <= MAX_SHOWN ? text : `${characters.slice(0, MAX_SHOWN).join("")}...`);
}
