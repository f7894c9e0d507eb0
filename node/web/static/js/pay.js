/**
 * The pay page: a key, a draft, a look at the bytes, a signature; then the entry is watched into the book.
 */

import { encodeAddress } from "./address.js";
import { formatAmount } from "./amount.js";
import { concat, equal, fromHex, toHex } from "./bytes.js";
import { byId, code, fillFacts, inWords, link, onSubmit, say } from "./dom.js";
import { assemble, decodeMessage, messageOf } from "./entry.js";
import { fillDraft, nameOf, readDraft } from "./pay-draft.js";
import { keySection } from "./pay-key.js";
import { accountOf, entryOf, follow, submit, whenever } from "./pay-node.js";
import { Refusal } from "./refusal.js";
import { sign, verify } from "./signature.js";
import { printable } from "./text.js";

const MAX_TRIES = 5;

const { dataset } = byId("pay");
const network = {
  name: dataset.network,
  networkId: dataset.networkId,
  id: /** @type {Uint8Array} */ (fromHex(dataset.networkId)),
  prefix: dataset.prefix,
  symbol: dataset.symbol,
  decimals: Number(dataset.decimals),
  minimumFee: Number(dataset.minimumFee),
};

/** What is being looked over: the bytes to sign. */
let reviewed = new Uint8Array();
let stopFollowing = () => {};
let stopCounting = () => {};

const units = (/** @type {number} */ amount) => formatAmount(amount, network.decimals, network.symbol);

const keys = keySection(network.prefix, (key) => {
  leaveReview();
  byId("draft-error").hidden = true;
  stopCounting();
  stopCounting = key === null ? () => {} : whenever(showBalance);
});

/** Do something whose refusal is shown in an error line. @param {string} id @param {() => Promise<void>} act */
async function guarded(id, act) {
  byId(id).hidden = true;
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    byId(id).textContent = inWords(error);
    byId(id).hidden = false;
  }
}

async function showBalance() {
  const key = keys.key();
  if (key === null) {
    return;
  }
  let shown;
  try {
    const { confirmed, pending } = await accountOf(encodeAddress(network.prefix, key.publicKey));
    const change = `${pending > 0 ? "+" : ""}${units(pending)}`;
    shown = units(confirmed) + (pending === 0 ? "" : ` (${change} pending)`);
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    shown = inWords(error);
  }
  byId("key-balance").textContent = shown;
}

// ------------------------------------------------------------------------------------------- look it over

onSubmit("draft", () =>
  guarded("draft-error", async () => {
    const draft = readDraft(network);
    if (draft === null) {
      return;
    }
    const key = keys.key();
    if (key === null) {
      byId("key-title").focus();
      throw new Refusal("no-key", "there is no key to sign with", "open or make one above");
    }
    const sender = key.publicKey;
    const account = await accountOf(encodeAddress(network.prefix, sender));
    const { recipient, amount, fee, memo } = draft;
    const said = {
      sender,
      recipient,
      amount,
      fee,
      memo,
      nonce: account.next_nonce,
      timestamp_ms: Date.now(),
    };
    reviewed = messageOf(network.id, said);
    showReview(account);
  }),
);

/** Show what the bytes say, read from the bytes. @param {{confirmed: number, pending: number}} account */
function showReview(account) {
  const fields = decodeMessage(network.id, reviewed);
  const total = fields.amount + fields.fee;
  byId("review-amount").textContent = units(fields.amount);
  fillFacts(byId("review-facts"), [
    ["To", whom(fields.recipient)],
    ["From", code(encodeAddress(network.prefix, fields.sender))],
    ["Fee", units(fields.fee)],
    ["Leaves your account", units(total)],
    ["What for", fields.memo === "" ? "nothing said" : bdi(printable(fields.memo))],
    ["Your entry number", String(fields.nonce)],
    ["Time", moment(fields.timestamp_ms)],
    ["Network", `${printable(network.name)} (${network.networkId.slice(0, 16)}…)`],
  ]);
  const free = account.confirmed + Math.min(0, account.pending);
  byId("review-short").hidden = total <= free;
  byId("review-short").textContent =
    `This takes ${units(total)}, and the account has ${units(free)} to give. The node will refuse it.`;
  byId("review-bytes").textContent = toHex(reviewed);
  byId("review-error").hidden = true;
  byId("review").hidden = false;
  byId("payment").hidden = true;
  byId("sign").disabled = false;
  byId("review-title").focus();
}

/** An address with the owner's name for it. @param {Uint8Array} key @returns {Node} */
function whom(key) {
  const name = nameOf(key, network.prefix);
  const address = code(encodeAddress(network.prefix, key));
  if (name === "") {
    return address;
  }
  const both = document.createElement("span");
  both.append(bdi(name), " ", address);
  return both;
}

/** @param {string} text of someone, which may run from right to left */
function bdi(text) {
  const element = document.createElement("bdi");
  element.textContent = text;
  return element;
}

/** @param {number} milliseconds @returns {Node} local time, with UTC on hover */
function moment(milliseconds) {
  const date = new Date(milliseconds);
  const element = document.createElement("time");
  element.dateTime = date.toISOString();
  element.title = date.toISOString().replace("T", " ").replace("Z", " UTC");
  element.textContent = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
  return element;
}

byId("back").addEventListener("click", () => {
  leaveReview();
  byId("amount").focus();
});

function leaveReview() {
  byId("review").hidden = true;
  byId("payment").hidden = !byId("sent").hidden;
}

// ------------------------------------------------------------------------------------------ sign and send

byId("sign").addEventListener("click", async () => {
  byId("sign").disabled = true;
  await guarded("review-error", async () => {
    const entry = await signedAndSent();
    showSent(entry);
  });
  byId("sign").disabled = false;
});

/** Sign what was looked over, and hand it in; where the nonce went to another entry, with the next one. */
async function signedAndSent() {
  for (let tried = 1; ; tried += 1) {
    const entry = signed(reviewed);
    try {
      await submit(entry.raw);
      return entry;
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== "nonce-used") {
        throw error;
      }
      // An answer may have been lost on the way: then it is this very entry that has the nonce.
      if (await isKnown(entry.txid)) {
        return entry;
      }
      if (tried === MAX_TRIES) {
        throw error;
      }
      await takeNextNonce();
    }
  }
}

/** @param {Uint8Array} message */
function signed(message) {
  const key = keys.key();
  const { sender } = decodeMessage(network.id, message);
  if (key === null || !equal(key.publicKey, sender)) {
    throw new Refusal("no-key", "the key that pays is no longer open", "open it again");
  }
  const signature = sign(key.seed, message);
  if (!verify(sender, message, signature)) {
    throw new Refusal("entry-signature", "the signature made here is not valid", "load the page again");
  }
  return assemble(network.id, concat(message), signature);
}

/** @param {Uint8Array} txid @returns {Promise<boolean>} */
async function isKnown(txid) {
  return ["pending", "confirmed"].includes((await entryOf(txid)).status);
}

/** The same entry with the lowest nonce that is free now; nothing else of it changes. */
async function takeNextNonce() {
  const fields = decodeMessage(network.id, reviewed);
  const { next_nonce: nonce } = await accountOf(encodeAddress(network.prefix, fields.sender));
  reviewed = messageOf(network.id, { ...fields, nonce });
  say(`Another entry of yours came first; signed again as entry number ${nonce}.`);
}

// ---------------------------------------------------------------------------------------------- watch it

const STEPS = ["sent", "pending", "confirmed", "settled"];

/** @param {ReturnType<typeof assemble>} entry */
function showSent(entry) {
  byId("review").hidden = true;
  byId("payment").hidden = true;
  byId("sent").hidden = false;
  fillFacts(byId("sent-facts"), [
    ["Entry", link(`/tx/${toHex(entry.txid)}`, code(toHex(entry.txid)))],
    ["To", whom(entry.recipient)],
    ["Amount", units(entry.amount)],
    ["What for", entry.memo === "" ? "nothing said" : bdi(printable(entry.memo))],
  ]);
  byId("receipt").href = `/api/receipt/${toHex(entry.txid)}`;
  byId("receipt").hidden = true;
  step(1, "Handed in.");
  byId("sent-title").focus();
  stopFollowing();
  stopFollowing = follow(entry.txid, showFate);
}

/** @param {any} entry as the node tells it */
function showFate(entry) {
  if (entry.status === "pending") {
    step(2, "The node has it and tells the others; it waits for the next block.");
  } else if (entry.status === "confirmed") {
    showConfirmed(entry);
  } else {
    const taken = entry.status === "conflicted";
    step(
      1,
      taken
        ? "Another entry took its place: nothing was paid by this one."
        : "The node does not know it (yet).",
    );
    byId(`step-${taken ? "pending" : "sent"}`).dataset.state = taken ? "failed" : "now";
  }
}

/** @param {any} entry */
function showConfirmed({ height, confirmations, settled }) {
  const count = `${confirmations} confirmation${confirmations === 1 ? "" : "s"}`;
  const where = `In block ${height}, with ${count}.`;
  const isSettled = settled?.verdict === "yes";
  step(isSettled ? 4 : 3, settled === undefined ? where : `${where} ${sentence(settled.reason)}`);
  byId("receipt").hidden = false;
  if (isSettled) {
    stopFollowing();
  }
}

/** @param {string} text */
function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Show that so many steps are done. @param {number} done @param {string} text */
function step(done, text) {
  STEPS.forEach((name, at) => {
    const element = byId(`step-${name}`);
    element.dataset.state = at < done ? "done" : at === done ? "now" : "later";
    element.ariaCurrent = at === done ? "step" : null;
  });
  byId("sent-what").textContent = text;
  say(text);
}

byId("another").addEventListener("click", () => {
  stopFollowing();
  byId("sent").hidden = true;
  byId("payment").hidden = false;
  for (const id of ["to", "amount", "memo"]) {
    byId(id).value = "";
  }
  byId("to").focus();
});

fillDraft(network);
const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
byId("plain-http").hidden = location.protocol === "https:" || isHere;
