/**
 * SHA-256 and the trees made of it (RFC 6962; docs/protocol.md, section 5). Pure.
 *
 * From a file of this project and not from WebCrypto, which browsers lock away on plain HTTP.
 */

import { sha256 } from "../vendor/noble-hashes/sha2.js";
import { concat, equal } from "./bytes.js";

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

/**
 * Whether the proof shows that the tree of the first leaves is a prefix of the larger one (RFC 9162, section
 * 2.1.4.2); null where it is not made of as many hashes as the sizes call for.
 * @param {number} oldSize at least 1 @param {number} newSize @param {Uint8Array} oldRoot @param {Uint8Array} newRoot
 * @param {Uint8Array[]} proof @returns {boolean | null}
 */
export function isConsistent(oldSize, newSize, oldRoot, newRoot, proof) {
  if (oldSize < 1 || oldSize > newSize) {
    return null;
  }
  const subtrees = consistencySubtrees(oldSize, newSize);
  if (subtrees.length !== proof.length) {
    return null;
  }
  let [before, after] = [oldRoot, oldRoot];
  subtrees.forEach(([start, end], at) => {
    if (at === 0 && end === oldSize) {
      [before, after] = [proof[at], proof[at]];
    } else if (start >= oldSize) {
      after = nodeHash(after, proof[at]);
    } else {
      [before, after] = [nodeHash(proof[at], before), nodeHash(proof[at], after)];
    }
  });
  return equal(before, oldRoot) && equal(after, newRoot);
}

/** The leaf ranges whose roots make a consistency proof, lowest first. @param {number} oldSize @param {number} newSize */
function consistencySubtrees(oldSize, newSize) {
  /** @type {[number, number][]} */
  const subtrees = [];
  let [start, end] = [0, newSize];
  while (end !== oldSize) {
    const split = start + leftWidth(end - start);
    if (oldSize <= split) {
      subtrees.push([split, end]);
      end = split;
    } else {
      subtrees.push([start, split]);
      start = split;
    }
  }
  if (start > 0) {
    subtrees.push([start, end]);
  }
  return subtrees.reverse();
}

/** The largest power of two below the size, without the 32 bits of shifts. @param {number} size */
function leftWidth(size) {
  let width = 1;
  while (width * 2 < size) {
    width *= 2;
  }
  return width;
}
