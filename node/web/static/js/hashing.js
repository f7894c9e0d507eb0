/**
 * SHA-256 and the trees made of it (RFC 6962; docs/protocol.md, section 5). Pure.
 *
 * From a file of this project and not from WebCrypto, which browsers lock away on plain HTTP.
 */

import { sha256 } from "../vendor/noble-hashes/sha2.js";
import { concat } from "./bytes.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export { sha256 };

/** @param {Uint8Array} data @returns {Uint8Array} SHA-256(0x00 || data) */
export function leafHash(data) {
  return sha256(concat(LEAF, data));
}

/** @param {Uint8Array} left @param {Uint8Array} right @returns {Uint8Array} SHA-256(0x01 || left || right) */
export function nodeHash(left, right) {
  return sha256(concat(NODE, left, right));
}

/**
 * The root of a tree of `size` leaves with this leaf hash at `index`, folded up from the proof; null where
 * there is no such leaf, or the proof is not as long as its path.
 * @param {Uint8Array} leaf @param {number} index @param {number} size @param {Uint8Array[]} proof
 * @returns {Uint8Array | null}
 */
export function rootFromInclusion(leaf, index, size, proof) {
  const sides = index >= 0 && index < size ? pathSides(index, size) : null;
  if (sides === null || sides.length !== proof.length) {
    return null;
  }
  return proof.reduce(
    (root, sibling, at) => (sides[at] === "right" ? nodeHash(root, sibling) : nodeHash(sibling, root)),
    leaf,
  );
}

/**
 * On which side of the path to the leaf its siblings stand, the lowest first.
 * @param {number} index @param {number} size @returns {string[]}
 */
function pathSides(index, size) {
  const sides = [];
  let start = 0;
  let width = size;
  while (width > 1) {
    const left = leftWidth(width);
    if (index < start + left) {
      sides.push("right");
      width = left;
    } else {
      sides.push("left");
      start += left;
      width -= left;
    }
  }
  return sides.reverse();
}

/** The largest power of two below the size, without the 32 bits of shifts. @param {number} size */
function leftWidth(size) {
  let width = 1;
  while (width * 2 < size) {
    width *= 2;
  }
  return width;
}
