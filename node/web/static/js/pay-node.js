/**
 * What the pay page asks of the node and tells it: addresses, txids and signed entries, never anything secret.
 */

import { toHex } from "./bytes.js";
import { Refusal } from "./refusal.js";

/** At most one question for the same entry in this time, however many events come. */
const LOOK_AGAIN_MS = 250;

/**
 * @param {string} address
 * @returns {Promise<{confirmed: number, pending: number, next_nonce: number}>}
 */
export function accountOf(address) {
  return asked(`/pay/account/${encodeURIComponent(address)}`);
}

/** @param {Uint8Array} txid @returns {Promise<any>} what became of the entry; docs/socket.md, `tx` */
export function entryOf(txid) {
  return asked(`/pay/entry/${toHex(txid)}`);
}

/** Hand over a signed entry: its bytes and nothing else. @param {Uint8Array} raw */
export async function submit(raw) {
  const headers = { "Content-Type": "application/octet-stream" };
  await asked("/api/tx", { method: "POST", body: raw, headers });
}

/**
 * Tell what became of an entry now and whenever something happens at the node; returns how to stop it.
 * @param {Uint8Array} txid @param {(entry: any) => void} tell @returns {() => void}
 */
export function follow(txid, tell) {
  const events = new EventSource("/events");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  const look = async () => {
    waiting = undefined;
    try {
      tell(await entryOf(txid));
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      // The node is away for a moment: its next event asks again.
    }
  };
  const soon = () => {
    waiting ??= setTimeout(look, LOOK_AGAIN_MS);
  };
  events.onopen = soon;
  events.onmessage = soon;
  look();
  return () => {
    clearTimeout(waiting);
    events.close();
  };
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
async function asked(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "omit", ...options });
  } catch {
    throw new Refusal(
      "no-page",
      "the node's page does not answer",
      "look whether the node runs, then try again",
    );
  }
  const text = await response.text();
  if (!response.ok) {
    throw refusalIn(text, response.status);
  }
  return response.headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : text;
}

/** @param {string} text @param {number} status @returns {Refusal} */
function refusalIn(text, status) {
  try {
    const { code, message, hint } = JSON.parse(text);
    if (typeof code === "string" && typeof message === "string") {
      return new Refusal(code, message, hint ?? "");
    }
  } catch {
    // Not the node's own words.
  }
  return new Refusal("refused", `the page answered with status ${status}`, "try again in a moment");
}
