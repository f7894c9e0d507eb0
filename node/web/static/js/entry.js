/**
 * Entries: what is signed, the entry's bytes, its txid (docs/protocol.md, section 3). Pure.
 *
 * Whatever is shown of an entry comes from `decodeMessage` or `decodeEntry`, that is, from the bytes themselves.
 */

import { concat, equal } from "./bytes.js";
import * as codec from "./codec.js";
import { leafHash } from "./hashing.js";
import { Refusal } from "./refusal.js";
import { SIGNATURE_BYTES } from "./signature.js";

export const ENTRY_VERSION = 1;
export const MAX_ENTRY_BYTES = 512;

const TAG = new TextEncoder().encode("indelible/entry/1\0");
const ARRAY_OF_8 = 0x98;
const ARRAY_OF_9 = 0x99;

/**
 * @typedef {object} Fields what a signature covers, next to the network
 * @property {number} version
 * @property {Uint8Array} sender public key of the one who pays
 * @property {Uint8Array} recipient
 * @property {number} amount smallest units
 * @property {number} fee smallest units
 * @property {number} nonce
 * @property {number} timestamp_ms
 * @property {string} memo
 */

/**
 * The bytes to be signed. Throws Refusal where a field is out of its range.
 * @param {Uint8Array} networkId @param {Omit<Fields, "version">} fields @returns {Uint8Array}
 */
export function messageOf(networkId, { sender, recipient, amount, fee, nonce, timestamp_ms, memo }) {
  const values = [ENTRY_VERSION, sender, recipient, amount, fee, nonce, timestamp_ms, memo];
  checked(values);
  return concat(TAG, networkId, codec.encode(values));
}

/**
 * The fields in bytes that are to be signed for this network, strictly read. Throws Refusal for any others.
 * @param {Uint8Array} networkId @param {Uint8Array} message @returns {Fields}
 */
export function decodeMessage(networkId, message) {
  const start = TAG.length + networkId.length;
  if (!equal(message.slice(0, start), concat(TAG, networkId))) {
    throw new Refusal("entry-encoding", "these bytes are not to be signed as an entry of this network");
  }
  return checked(decoded(message.slice(start)));
}

/**
 * The entry made of the signed message and its signature.
 * @param {Uint8Array} networkId @param {Uint8Array} message @param {Uint8Array} signature
 */
export function assemble(networkId, message, signature) {
  const fields = message.slice(TAG.length + networkId.length + 1);
  return decodeEntry(concat(Uint8Array.of(ARRAY_OF_9), fields, codec.encode(signature)));
}

/**
 * The entry whose canonical bytes these are; its signature is not looked at. Throws Refusal: entry-encoding,
 * entry-version, entry-memo.
 * @param {Uint8Array} raw @returns {Fields & {signature: Uint8Array, raw: Uint8Array, txid: Uint8Array}}
 */
export function decodeEntry(raw) {
  if (raw.length > MAX_ENTRY_BYTES) {
    throw new Refusal("entry-encoding", `${raw.length} bytes, an entry has at most ${MAX_ENTRY_BYTES}`);
  }
  const values = decoded(raw);
  if (!Array.isArray(values) || values.length !== 9) {
    throw new Refusal("entry-encoding", "not an array of 9");
  }
  const signature = values.pop();
  if (!codec.isBin(signature, SIGNATURE_BYTES)) {
    throw new Refusal("entry-encoding", "the signature has the wrong type or length");
  }
  return { ...checked(values), signature, raw, txid: leafHash(raw) };
}

/**
 * What the signature of an entry covers: its own bytes without the signature, under tag and network.
 * @param {Uint8Array} networkId @param {Uint8Array} raw @returns {Uint8Array}
 */
export function signedMessage(networkId, raw) {
  const fields = raw.slice(1, raw.length - SIGNATURE_BYTES - 2);
  return concat(TAG, networkId, Uint8Array.of(ARRAY_OF_8), fields);
}

/** @param {Uint8Array} raw @returns {unknown} */
function decoded(raw) {
  try {
    return codec.decode(raw);
  } catch (error) {
    if (error instanceof Refusal) {
      throw new Refusal("entry-encoding", error.message);
    }
    throw error;
  }
}

/** Types first, then version, then memo: the order in which every node names what is wrong.
 * @param {unknown} values @returns {Fields} */
function checked(values) {
  if (!Array.isArray(values) || values.length !== 8) {
    throw new Refusal("entry-encoding", "not an array of 8");
  }
  const [version, sender, recipient, amount, fee, nonce, timestamp_ms, memo] = values;
  const numbers = [version, amount, fee, nonce, timestamp_ms];
  const keys = [sender, recipient];
  if (
    !numbers.every(codec.isUint) ||
    !keys.every((key) => codec.isBin(key, codec.HASH_BYTES)) ||
    typeof memo !== "string"
  ) {
    throw new Refusal("entry-encoding", "a field has the wrong type, length or range");
  }
  if (version !== ENTRY_VERSION) {
    throw new Refusal("entry-version", `version ${version}, known is ${ENTRY_VERSION}`);
  }
  if (!codec.isText(memo)) {
    throw new Refusal("entry-memo", "memo over 256 bytes, or with a control character", "shorten the memo");
  }
  return { version, sender, recipient, amount, fee, nonce, timestamp_ms, memo };
}
