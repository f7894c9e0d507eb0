/**
 * What the pay page asks of the node and tells it: addresses, txids and signed entries, never anything secret.
 */

import { toHex } from "./bytes.js";
import { Refusal } from "./refusal.js";

/** At most one question about the same thing in this time, however many events come. */
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
  return whenever(async () => tell(await entryOf(txid)));
}

/** Who looks again when something happens; they share one stream, for a browser has few to a server. */
const lookers = new Set();
/** @type {EventSource | null} */
let events = null;

/**
 * Look now and whenever something happens at the node; returns how to stop it.
 * @param {() => Promise<void>} look @returns {() => void}
 */
export function whenever(look) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  const once = async () => {
    waiting = undefined;
    try {
      await look();
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      // The node is away for a moment: its next event asks again.
    }
  };
  const soon = () => {
    waiting ??= setTimeout(once, LOOK_AGAIN_MS);
  };
  lookers.add(soon);
  if (events === null) {
    events = new EventSource("/events");
    events.onopen = events.onmessage = () => {
      for (const looker of lookers) {
        looker();
      }
    };
  }
  once();
  return () => {
    clearTimeout(waiting);
    lookers.delete(soon);
    if (lookers.size === 0) {
      events?.close();
      events = null;
    }
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
