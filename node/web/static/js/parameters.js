/**
 * The parameters of a network, with all their bounds, and the network's id (docs/protocol.md, section 2). Pure.
 */

import { concat } from "./bytes.js";
import { decode, isBin, isText, isUint } from "./codec.js";
import { bitsToTarget, targetToBits } from "./difficulty.js";
import { leafHash, sha256 } from "./hashing.js";
import { Refusal } from "./refusal.js";

const MAX_HEIGHT = 2 ** 32 - 1;
const DAY = 86_400_000;
const NAMES = Object.freeze([
  ...["encoding", "name", "prefix", "symbol", "decimals", "interval_ms", "half_life_ms", "genesis_ms"],
  ...["genesis_bits", "easiest_bits", "initial_reward", "halving_interval", "allocations", "minimum_fee"],
  ...["maximum_block_bytes", "drift_ms", "lifetime_ms", "maturity", "members", "quorum"],
]);

/** @type {[string, number, number][]} name, least, most */
const BOUNDS = [
  ["encoding", 1, 1],
  ["decimals", 0, 8],
  ["interval_ms", 100, DAY],
  ["half_life_ms", 1_000, 365 * DAY],
  ["genesis_ms", 1_577_836_800_000, 4_102_444_800_000],
  ["initial_reward", 0, Number.MAX_SAFE_INTEGER],
  ["halving_interval", 0, MAX_HEIGHT],
  ["minimum_fee", 0, Number.MAX_SAFE_INTEGER],
  ["maximum_block_bytes", 2 ** 12, 2 ** 25],
  ["drift_ms", 1_000, 7_200_000],
  ["lifetime_ms", 60_000, 3_650 * DAY],
  ["maturity", 0, 10_000],
  ["quorum", 0, 0],
];

/**
 * The parameters in these bytes by name, null where they are none. Encoded as numbers, text and arrays.
 * @param {Uint8Array} raw @returns {Record<string, any> | null}
 */
export function decodeParameters(raw) {
  const values = decoded(raw);
  if (!Array.isArray(values) || values.length !== NAMES.length) {
    return null;
  }
  const parameters = Object.fromEntries(NAMES.map((name, at) => [name, values[at]]));
  return isValid(parameters) ? parameters : null;
}

/** @param {Uint8Array} raw @returns {unknown} */
function decoded(raw) {
  try {
    return decode(raw);
  } catch (error) {
    if (error instanceof Refusal) {
      return null;
    }
    throw error;
  }
}

/** @param {Record<string, any>} parameters @returns {boolean} */
function isValid(parameters) {
  const { name, symbol, prefix, allocations, members } = parameters;
  return (
    BOUNDS.every(([field, least, most]) => isBetween(parameters[field], least, most)) &&
    isName(name, 32) &&
    isName(symbol, 8) &&
    typeof prefix === "string" &&
    /^[a-z]{1,16}$/.test(prefix) &&
    areTargets(parameters.genesis_bits, parameters.easiest_bits) &&
    areAllocations(allocations) &&
    Array.isArray(members) &&
    members.length === 0 &&
    parameters.half_life_ms >= parameters.interval_ms &&
    parameters.lifetime_ms > parameters.drift_ms &&
    supplyOf(parameters) <= BigInt(Number.MAX_SAFE_INTEGER)
  );
}

/** @param {unknown} value @param {number} least @param {number} most */
function isBetween(value, least, most) {
  return isUint(value) && value >= least && value <= most;
}

/** @param {unknown} value @param {number} longest code points */
function isName(value, longest) {
  return isText(value) && value !== "" && Array.from(value).length <= longest && !/^ | $/.test(value);
}

/** @param {unknown} genesis @param {unknown} easiest */
function areTargets(genesis, easiest) {
  const [first, most] = [shortTarget(genesis), shortTarget(easiest)];
  return first !== null && most !== null && first <= most;
}

/** The target of bits in their shortest form, else null. @param {unknown} bits @returns {bigint | null} */
export function shortTarget(bits) {
  const target = isUint(bits) ? bitsToTarget(bits) : null;
  return target !== null && targetToBits(target) === bits ? target : null;
}

/** @param {unknown} allocations */
function areAllocations(allocations) {
  if (!Array.isArray(allocations) || allocations.length > 1_000) {
    return false;
  }
  return allocations.every((pair, at) => {
    const wellFormed =
      Array.isArray(pair) && pair.length === 2 && isBin(pair[0], 32) && isUint(pair[1]) && pair[1] > 0;
    return wellFormed && (at === 0 || isBefore(allocations[at - 1][0], pair[0]));
  });
}

/** @param {Uint8Array} one @param {Uint8Array} other of the same length @returns {boolean} */
function isBefore(one, other) {
  const at = one.findIndex((byte, place) => byte !== other[place]);
  return at >= 0 && one[at] < other[at];
}

/** All that can exist up to height 2^32 - 1. @param {Record<string, any>} parameters @returns {bigint} */
function supplyOf({ allocations, initial_reward, halving_interval }) {
  let supply = allocations.reduce((/** @type {bigint} */ sum, [, amount]) => sum + BigInt(amount), 0n);
  let left = BigInt(MAX_HEIGHT);
  let reward = BigInt(initial_reward);
  const interval = BigInt(halving_interval);
  while (reward > 0n && left > 0n) {
    const blocks = interval === 0n || interval > left ? left : interval;
    supply += reward * blocks;
    left -= blocks;
    reward >>= 1n;
  }
  return supply;
}

/** What a block creates, without fees. @param {Record<string, any>} parameters @param {number} height 1 or more */
export function rewardAt({ initial_reward, halving_interval }, height) {
  const halvings = halving_interval === 0 ? 0 : Math.floor((height - 1) / halving_interval);
  return Number(BigInt(initial_reward) >> BigInt(halvings));
}

/**
 * The hash of the genesis block, which follows from the parameters.
 * @param {Uint8Array} raw parameter bytes @param {Record<string, any>} parameters @returns {Uint8Array}
 */
export function networkIdOf(raw, parameters) {
  const none = new Uint8Array(32);
  const body = concat(Uint8Array.of(0, 0, 0, 1), leafHash(raw), sha256(new Uint8Array(0)), none);
  const header = new Uint8Array(92);
  const view = new DataView(header.buffer);
  view.setUint32(0, 1);
  header.set(bodyRoot(body), 40);
  view.setBigUint64(72, BigInt(parameters.genesis_ms));
  view.setUint32(80, parameters.genesis_bits);
  return headerHash(header);
}

/** @param {Uint8Array} body count and three roots, 100 bytes @returns {Uint8Array} SHA-256(0x02 || body) */
export function bodyRoot(body) {
  return sha256(concat(Uint8Array.of(2), body));
}

/** @param {Uint8Array} header 92 bytes @returns {Uint8Array} SHA-256(SHA-256(header)) */
export function headerHash(header) {
  return sha256(sha256(header));
}
