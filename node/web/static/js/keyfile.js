/**
 * The content of a wallet file, as `node/keyfile.py` reads and writes it: one key, in the clear or under a
 * passphrase. Bytes in, bytes out; the work of Argon2id is handed in, for it takes seconds (`derive.js`).
 *
 * The file has exactly one form: it ends with a SHA-256 of the rest, and what is read is written again and
 * compared.
 */

import { xsalsa20poly1305 } from "../vendor/noble-ciphers/salsa.js";
import { concat, equal, fromHex, toHex } from "./bytes.js";
import { sha256 } from "./hashing.js";
import { Refusal } from "./refusal.js";
import { SEED_BYTES, publicKeyOf } from "./signature.js";

export const MAX_FILE_BYTES = 4096;
/** libsodium's middle setting, the node's own. */
export const MODERATE = Object.freeze({ operations: 3, memory: 256 * 2 ** 20 });

const VERSION = 1;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const NONCE_BYTES = 24;
const BOX_BYTES = NONCE_BYTES + 16 + SEED_BYTES;
const MAX_OPERATIONS = 16;
const LEAST_MEMORY = 8 * 2 ** 10;
const MAX_MEMORY = 2 ** 30;

const UTF8 = new TextEncoder();

/**
 * @typedef {{operations: number, memory: number}} Strength cost of Argon2id; memory in bytes
 * @typedef {{strength: Strength, salt: Uint8Array, box: Uint8Array}} Sealed nonce, authenticator, encrypted seed
 * @typedef {{publicKey: Uint8Array, seed?: Uint8Array, sealed?: Sealed}} KeyFile one of the two is there
 * @typedef {(passphrase: Uint8Array, salt: Uint8Array, strength: Strength) => Promise<Uint8Array>} Derive
 */

/**
 * The seed encrypted under the passphrase, with fresh salt and nonce.
 * @param {Uint8Array} seed @param {string} passphrase @param {Derive} derive @param {Strength} [strength]
 * @returns {Promise<Sealed>}
 */
export async function seal(seed, passphrase, derive, strength = MODERATE) {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const key = await derive(typed(passphrase), salt, strength);
  return { strength, salt, box: concat(nonce, xsalsa20poly1305(key, nonce).encrypt(seed)) };
}

/**
 * The seed of a file. Throws Refusal: wrong-passphrase, wallet-damaged.
 * @param {KeyFile} file @param {string} passphrase @param {Derive} derive @returns {Promise<Uint8Array>}
 */
export async function unseal(file, passphrase, derive) {
  if (file.sealed === undefined) {
    return /** @type {Uint8Array} */ (file.seed);
  }
  const { strength, salt, box } = file.sealed;
  const key = await derive(typed(passphrase), salt, strength);
  const seed = opened(key, box);
  checkPair(seed, file.publicKey);
  return seed;
}

/** @param {Uint8Array} key @param {Uint8Array} box @returns {Uint8Array} */
function opened(key, box) {
  try {
    return xsalsa20poly1305(key, box.slice(0, NONCE_BYTES)).decrypt(box.slice(NONCE_BYTES));
  } catch {
    throw new Refusal("wrong-passphrase", "the passphrase is wrong", "try again");
  }
}

/** Composed (NFC), because keyboards and systems spell an accent differently. @param {string} passphrase */
function typed(passphrase) {
  return UTF8.encode(passphrase.normalize("NFC"));
}

/** The one form of this file. @param {KeyFile} file @returns {Uint8Array} */
export function render({ publicKey, seed, sealed }) {
  const fields = {
    indelible_wallet: VERSION,
    public_key: toHex(publicKey),
    ...(sealed === undefined
      ? { seed: toHex(/** @type {Uint8Array} */ (seed)) }
      : { sealed_seed: boxed(sealed) }),
  };
  return UTF8.encode(`${JSON.stringify({ ...fields, check: checkOf(fields) }, null, 2)}\n`);
}

/** @param {Sealed} sealed */
function boxed({ strength, salt, box }) {
  return {
    kdf: "argon2id13",
    operations: strength.operations,
    memory_bytes: strength.memory,
    salt: toHex(salt),
    box: toHex(box),
  };
}

/**
 * The key in a wallet file. Throws Refusal("wallet-damaged") for any other bytes than `render` writes.
 * @param {Uint8Array} content @returns {KeyFile}
 */
export function parse(content) {
  const fields = checkedFields(content);
  const version = fields.indelible_wallet;
  if (Number.isInteger(version) && version > VERSION) {
    throw damaged(`it is of version ${version}, and this page knows version ${VERSION}`, "upgrade Indelible");
  }
  /** @type {KeyFile} */
  const file = { publicKey: bytesOf(fields.public_key, KEY_BYTES), ...secretOf(fields) };
  if (!equal(render(file), content)) {
    throw damaged("it is not in the form that was written");
  }
  if (file.seed !== undefined) {
    checkPair(file.seed, file.publicKey);
  }
  return file;
}

/** The fields of the file but for its checksum, which fits them. @param {Uint8Array} content */
function checkedFields(content) {
  if (content.length > MAX_FILE_BYTES) {
    throw damaged(`it is longer than ${MAX_FILE_BYTES} bytes`);
  }
  const fields = jsonOf(content);
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw damaged("it is no JSON object");
  }
  const { check, ...others } = fields;
  if (check !== checkOf(others)) {
    throw damaged("its checksum does not fit its content");
  }
  return others;
}

/** @param {Uint8Array} content @returns {any} */
function jsonOf(content) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
  } catch {
    throw damaged("it is not the JSON that was written");
  }
}

/** @param {Record<string, unknown>} fields @returns {string} the same for every version of the file */
function checkOf(fields) {
  return toHex(sha256(UTF8.encode(sorted(fields))));
}

/**
 * JSON with its keys sorted, a space behind each comma and colon, and all but ASCII escaped.
 * @param {unknown} value @returns {string}
 */
function sorted(value) {
  if (Array.isArray(value)) {
    return `[${value.map(sorted).join(", ")}]`;
  }
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
    return `{${members.map(([name, member]) => `${sorted(name)}: ${sorted(member)}`).join(", ")}}`;
  }
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** @param {Record<string, any>} fields @returns {{seed: Uint8Array} | {sealed: Sealed}} */
function secretOf(fields) {
  const box = fields.sealed_seed;
  if (typeof box !== "object" || box === null || Array.isArray(box)) {
    return { seed: bytesOf(fields.seed, SEED_BYTES) };
  }
  const { operations, memory_bytes: memory } = box;
  if (!Number.isInteger(operations) || operations < 1 || operations > MAX_OPERATIONS) {
    throw damaged(`its Argon2id operations are not between 1 and ${MAX_OPERATIONS}`);
  }
  if (!Number.isInteger(memory) || memory < LEAST_MEMORY || memory > MAX_MEMORY) {
    throw damaged(`its Argon2id memory is not between ${LEAST_MEMORY} and ${MAX_MEMORY} bytes`);
  }
  const salt = bytesOf(box.salt, SALT_BYTES);
  return { sealed: { strength: { operations, memory }, salt, box: bytesOf(box.box, BOX_BYTES) } };
}

/** @param {unknown} text @param {number} length @returns {Uint8Array} */
function bytesOf(text, length) {
  const bytes = fromHex(text);
  if (bytes === null || bytes.length !== length) {
    throw damaged("a field is missing or has another length");
  }
  return bytes;
}

/** @param {Uint8Array} seed @param {Uint8Array} publicKey */
function checkPair(seed, publicKey) {
  if (!equal(publicKeyOf(seed), publicKey)) {
    throw damaged("its secret key does not give its public key");
  }
}

/** @param {string} why @param {string} [hint] @returns {Refusal} */
function damaged(why, hint = "take a backup of it") {
  return new Refusal("wallet-damaged", `this is no whole wallet file: ${why}`, hint);
}
