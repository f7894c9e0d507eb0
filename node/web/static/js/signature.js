/**
 * Ed25519 under the one rule of the book (docs/protocol.md, section 4). Pure.
 *
 * The curve's arithmetic is the library's; the rule is written out here, because libraries judge the edges
 * differently, and this page must not call good what every node refuses.
 */

import { Point, getPublicKey, hashes, sign as signWith } from "../vendor/noble-ed25519/index.js";
import { sha512 } from "../vendor/noble-hashes/sha2.js";
import { concat, equal } from "./bytes.js";

hashes.sha512 = (message) => sha512(message);

export const SEED_BYTES = 32;
export const SIGNATURE_BYTES = 64;
const ORDER = Point.CURVE().n;

/** @param {Uint8Array} seed 32 secret bytes @returns {Uint8Array} the public key */
export function publicKeyOf(seed) {
  return getPublicKey(seed);
}

/** @param {Uint8Array} seed @param {Uint8Array} message @returns {Uint8Array} 64 bytes */
export function sign(seed, message) {
  return signWith(message, seed);
}

/** A fresh secret seed. `getRandomValues` is there on plain HTTP too. @returns {Uint8Array} */
export function newSeed() {
  return crypto.getRandomValues(new Uint8Array(SEED_BYTES));
}

/**
 * Whether the signature of the message is valid under the public key: S < L, A and R canonical and not of
 * small order, and R = S*B - h*A without the cofactor.
 * @param {Uint8Array} publicKey @param {Uint8Array} message @param {Uint8Array} signature
 */
export function verify(publicKey, message, signature) {
  if (publicKey.length !== 32 || signature.length !== SIGNATURE_BYTES) {
    return false;
  }
  const [encodedR, encodedS] = [signature.slice(0, 32), signature.slice(32)];
  const [a, r, s] = [pointOf(publicKey), pointOf(encodedR), littleEndian(encodedS)];
  if (a === null || r === null || s >= ORDER || a.isSmallOrder() || r.isSmallOrder()) {
    return false;
  }
  const h = littleEndian(sha512(concat(encodedR, publicKey, message))) % ORDER;
  const expected = Point.BASE.multiply(s, false).add(a.multiply(h, false).negate());
  return equal(expected.toBytes(), encodedR);
}

/**
 * Whether a secret key can belong to these bytes: a point of the main subgroup, not the identity, in its
 * canonical encoding. What is paid to anything else could never be spent.
 * @param {Uint8Array} key
 */
export function isPayablePoint(key) {
  const point = key.length === 32 ? pointOf(key) : null;
  return point !== null && !point.isSmallOrder() && point.isTorsionFree();
}

/** The point of a canonical encoding, else null. @param {Uint8Array} bytes */
function pointOf(bytes) {
  try {
    return Point.fromBytes(bytes, false);
  } catch {
    return null;
  }
}

/** @param {Uint8Array} bytes @returns {bigint} */
function littleEndian(bytes) {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}
