/**
 * The payment as it is typed: who, how much, what for; filled in from the page's address.
 */

import { decodeAddress, encodeAddress } from "./address.js";
import { formatAmount, parseAmount } from "./amount.js";
import { isText, utf8Length, MAX_TEXT_BYTES } from "./codec.js";
import { byId, clearErrors, inWords, showError } from "./dom.js";
import { Refusal } from "./refusal.js";
import { isPayablePoint } from "./signature.js";
import { isPaymentLink, parsePaymentLink } from "./uri.js";

const FIELDS = ["to", "amount", "fee", "memo"];

/**
 * @typedef {{networkId: string, prefix: string, decimals: number, minimumFee: number}} Network
 * @typedef {{recipient: Uint8Array, amount: number, fee: number, memo: string}} Draft
 */

/** Fill the form from the page's address: /pay?to=&amount=&fee=&memo=. @param {Network} network */
export function fillDraft(network) {
  byId("fee").value = formatAmount(network.minimumFee, network.decimals);
  const query = new URLSearchParams(location.search);
  for (const name of FIELDS) {
    const value = query.get(name);
    if (value !== null) {
      byId(name).value = value;
    }
  }
  spreadLink(network);
  countMemo();
  byId("memo").addEventListener("input", countMemo);
  byId("to").addEventListener("change", () => spreadLink(network));
}

/** A payment link in the first field goes to the fields that it fills. @param {Network} network */
function spreadLink(network) {
  const text = byId("to").value.trim();
  if (!isPaymentLink(text)) {
    return;
  }
  try {
    const { address, amount, memo } = parsePaymentLink(text, network.networkId);
    byId("to").value = address;
    byId("amount").value = amount || byId("amount").value;
    byId("memo").value = memo || byId("memo").value;
    clearErrors("to");
    countMemo();
  } catch (error) {
    refusedAt("to", error);
  }
}

function countMemo() {
  const used = utf8Length(byId("memo").value);
  const left = `${used} of ${MAX_TEXT_BYTES} bytes.`;
  byId("memo-left").textContent = `Everyone who has the book can read it, for ever. ${left}`;
}

/**
 * What was typed; null where something is wrong, which is shown then, with the first such field in focus.
 * @param {Network} network @returns {Draft | null}
 */
export function readDraft(network) {
  clearErrors(...FIELDS);
  const amountOf = (/** @type {string} */ id) => parseAmount(byId(id).value.trim(), network.decimals);
  const parts = {
    to: taken("to", () => recipientOf(byId("to").value.trim(), network)),
    amount: taken("amount", () => amountOf("amount")),
    fee: taken("fee", () => amountOf("fee")),
    memo: taken("memo", () => memoOf(byId("memo").value)),
  };
  const wrong = FIELDS.find((id) => parts[/** @type {keyof typeof parts} */ (id)] === null);
  if (wrong !== undefined) {
    byId(wrong).focus();
    return null;
  }
  const { to: recipient, amount, fee, memo } = /** @type {any} */ (parts);
  return { recipient, amount, fee, memo };
}

/** @template T @param {string} id @param {() => T} read @returns {T | null} */
function taken(id, read) {
  try {
    return read();
  } catch (error) {
    refusedAt(id, error);
    return null;
  }
}

/** @param {string} id @param {unknown} error */
function refusedAt(id, error) {
  if (!(error instanceof Refusal)) {
    throw error;
  }
  showError(id, inWords(error));
}

/**
 * The key of a contact, a payment link or an address that can be spent from. Throws Refusal.
 * @param {string} text @param {Network} network @returns {Uint8Array}
 */
function recipientOf(text, { networkId, prefix }) {
  const contact = Array.from(byId("contacts").options).find((option) => option.value === text);
  const address = isPaymentLink(text) ? parsePaymentLink(text, networkId).address : text;
  const recipient = decodeAddress(prefix, contact === undefined ? address : contact.dataset.address);
  if (!isPayablePoint(recipient)) {
    const hint = "ask the owner for their address again";
    throw new Refusal(
      "unpayable",
      "nobody can hold the key of this address, so it could never be spent",
      hint,
    );
  }
  return recipient;
}

/** The contact's name of a key, "" where there is none. @param {Uint8Array} key @param {string} prefix */
export function nameOf(key, prefix) {
  const address = encodeAddress(prefix, key);
  const contacts = Array.from(byId("contacts").options);
  return contacts.find((option) => option.dataset.address === address)?.value ?? "";
}

/** @param {string} memo @returns {string} */
function memoOf(memo) {
  if (isText(memo)) {
    return memo;
  }
  const tooLong = utf8Length(memo) > MAX_TEXT_BYTES;
  const why = tooLong
    ? `${utf8Length(memo)} bytes, at most ${MAX_TEXT_BYTES}`
    : "it holds a control character";
  throw new Refusal("entry-memo", `this cannot be written: ${why}`, "shorten it, or type it anew");
}
