/**
 * Compact targets and work (docs/protocol.md, section 7.1). Pure.
 */

const LARGEST_TARGET = 2n ** 256n - 1n;

/** The target that compact bits mean; null where they mean none. @param {number} bits @returns {bigint | null} */
export function bitsToTarget(bits) {
  if (!Number.isInteger(bits) || bits < 0 || bits >= 2 ** 32) {
    return null;
  }
  const size = Math.floor(bits / 2 ** 24);
  const mantissa = BigInt(bits & 0x7fffff);
  const target = size > 3 ? mantissa << BigInt(8 * (size - 3)) : mantissa >> BigInt(8 * (3 - size));
  const isNegative = (bits & 0x800000) !== 0;
  return target === 0n || isNegative || target > LARGEST_TARGET ? null : target;
}

/** The one form that the rule compares with. @param {bigint} target 1 to 2^256 - 1 @returns {number} */
export function targetToBits(target) {
  let size = Math.ceil(target.toString(16).length / 2);
  let mantissa = Number(size > 3 ? target >> BigInt(8 * (size - 3)) : target << BigInt(8 * (3 - size)));
  if ((mantissa & 0x800000) !== 0) {
    mantissa >>= 8;
    size += 1;
  }
  return size * 2 ** 24 + mantissa;
}

/** How many hashes a block of this target takes on average. @param {bigint} target @returns {bigint} */
export function workOf(target) {
  return 2n ** 256n / (target + 1n);
}
