/**
 * The page that checks receipts and extensions. It asks nothing of anybody: saved as a file, it works offline.
 */

import { encodeAddress } from "./address.js";
import { formatAmount } from "./amount.js";
import { fromHex, toHex } from "./bytes.js";
import { byId, clearErrors, code, fillFacts, inWords, onSubmit, showError } from "./dom.js";
import { checkReceipt } from "./receipt.js";
import { decodeReceipt } from "./receipt-file.js";
import { Refusal } from "./refusal.js";
import { printable } from "./text.js";

const MAX_BYTES = 2 ** 18;

onSubmit("check", async () => {
  clearErrors("receipt", "trust");
  byId("result").hidden = true;
  const [raw, trust] = [await chosen(), trusted()];
  if (raw === null || trust === undefined) {
    return;
  }
  try {
    showProven(checkReceipt(decodeReceipt(raw), trust), trust !== null);
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    verdict("bad", "Refused", inWords(error));
    fillFacts(byId("facts"), []);
  }
  byId("result").hidden = false;
  byId("verdict").focus();
});

/** The bytes to check: of the file, or what was pasted. @returns {Promise<Uint8Array | null>} */
async function chosen() {
  const [file] = byId("receipt").files;
  const pasted = byId("pasted").value;
  if (file === undefined && pasted === "") {
    showError("receipt", "Choose the file of a receipt, or paste what is in it.");
    byId("receipt").focus();
    return null;
  }
  if (file === undefined) {
    // What copies a file loses the line feed at its end.
    return new TextEncoder().encode(`${pasted.trim()}\n`);
  }
  // One byte more than any receipt is enough to see that it is none.
  return new Uint8Array(await file.slice(0, MAX_BYTES + 1).arrayBuffer());
}

/** The hash that the reader trusts: null for none, undefined where what was typed is none. */
function trusted() {
  const typed = byId("trust").value.trim().toLowerCase();
  const hash = typed === "" ? null : fromHex(typed);
  if (typed !== "" && hash?.length !== 32) {
    showError("trust", "A block's hash is 64 hexadecimal digits: copy it whole, or leave this empty.");
    byId("trust").focus();
    return undefined;
  }
  return hash;
}

/** @param {"good" | "warn" | "bad"} tone @param {string} title @param {string} text */
function verdict(tone, title, text) {
  byId("verdict").className = `notice ${tone}`;
  byId("verdict-title").textContent = title;
  byId("verdict-text").textContent = text;
}

/** @param {ReturnType<typeof checkReceipt>} proven @param {boolean} isTrusting */
function showProven(proven, isTrusting) {
  const { block, tip, anchor } = proven;
  const what =
    proven.entry === null
      ? `the book up to block ${block.height} was only added to`
      : "the entry is in its block";
  if (isTrusting) {
    const which = anchor === "tip" ? `block ${tip.height}, the last it names` : `block ${block.height}`;
    verdict(
      "good",
      "In order, and anchored",
      `It is proven that ${what}, in the book that holds the hash you trust: ${which}.`,
    );
  } else {
    const hint = `compare the hash of block ${tip.height} with a copy of the book that you trust, or type it above`;
    verdict(
      "warn",
      "Consistent, not anchored",
      `Within this file it is proven that ${what}. That this is everybody's book is not: ${hint}.`,
    );
  }
  fillFacts(byId("facts"), [...entryFacts(proven), ...blockFacts(proven)]);
}

/** @param {ReturnType<typeof checkReceipt>} proven @returns {[string, string | Node][]} */
function entryFacts({ entry, parameters }) {
  if (entry === null) {
    return [];
  }
  const units = (/** @type {number} */ amount) =>
    formatAmount(amount, parameters.decimals, printable(parameters.symbol));
  const address = (/** @type {Uint8Array} */ key) => code(encodeAddress(parameters.prefix, key));
  return [
    ["Amount", units(entry.amount)],
    ["To", address(entry.recipient)],
    ["From", entry.sender === null ? "new coins, for mining the block" : address(entry.sender)],
    ...(entry.isReward ? [] : [/** @type {[string, string]} */ (["Fee", units(entry.fee)])]),
    ["What for", entry.memo === "" ? "nothing said" : printable(entry.memo)],
    ["Time, by the payer", moment(entry.timestamp_ms)],
    ["Entry", code(toHex(entry.txid))],
  ];
}

/** @param {ReturnType<typeof checkReceipt>} proven @returns {[string, string | Node][]} */
function blockFacts({ block, tip, work, parameters, networkId }) {
  const hashes = `${work.toLocaleString()} hashes, those of ${tip === block ? "one header" : "two headers"}`;
  return [
    [`Block ${block.height}`, code(toHex(block.hash))],
    ["Time of the block", moment(block.timestamp_ms)],
    [`Tip, block ${tip.height}`, tip === block ? "the same block" : code(toHex(tip.hash))],
    ["Work it carries", hashes],
    ["Network", `${printable(parameters.name)} (${toHex(networkId).slice(0, 16)}…)`],
  ];
}

/** @param {number} milliseconds @returns {string | Node} local time, with UTC on hover */
function moment(milliseconds) {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) {
    return `${milliseconds} ms`;
  }
  const element = document.createElement("time");
  element.dateTime = date.toISOString();
  element.title = date.toISOString().replace("T", " ").replace("Z", " UTC");
  element.textContent = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
  return element;
}

for (const element of document.querySelectorAll("[data-served]")) {
  /** @type {HTMLElement} */ (element).hidden = location.protocol === "file:";
}
