/**
 * The check of a receipt or an extension: what its parts prove, without any node (docs/receipts.md, section 3).
 * Pure.
 *
 * Nothing in a file is taken on its word. That its last block is everybody's tip is not proven by two headers:
 * for that the reader compares a hash.
 */

import { equal, toHex } from "./bytes.js";
import { decode, isBin, isText, isUint } from "./codec.js";
import { bitsToTarget, workOf } from "./difficulty.js";
import { decodeEntry, signedMessage } from "./entry.js";
import { isConsistent, leafHash, rootFromInclusion } from "./hashing.js";
import { bodyRoot, decodeParameters, headerHash, networkIdOf, rewardAt, shortTarget } from "./parameters.js";
import { RECEIPT, ReceiptRefused } from "./receipt-file.js";
import { Refusal } from "./refusal.js";
import { verify } from "./signature.js";

const RULES_VERSION = 1;

/**
 * @typedef {object} Block a block whose header carries its work and whose body is the header's own
 * @property {number} version
 * @property {number} height
 * @property {Uint8Array} previous
 * @property {number} timestamp_ms
 * @property {number} bits
 * @property {bigint} target
 * @property {Uint8Array} hash
 * @property {number} count
 * @property {Uint8Array} entriesRoot
 * @property {Uint8Array} historyRoot
 * @property {Uint8Array} extensionRoot
 */

/**
 * What a file proves: `parameters`, `networkId`, `entry` (null in an extension), `block`, `tip`, `work` that it
 * carries, `anchor` ("block", "tip"; null where no hash is trusted). Throws ReceiptRefused.
 * @param {any} file from `decodeReceipt` @param {Uint8Array | null} trust hash of a block that is in the book
 */
export function checkReceipt(file, trust) {
  const parameters = decodeParameters(file.network.parameters);
  if (parameters === null) {
    throw new ReceiptRefused("network.parameters", "not the parameters of a network");
  }
  const networkId = networkIdOf(file.network.parameters, parameters);
  const later = file.tip === null ? null : mined(file.tip, "tip");
  const block = mined(file.block, "block");
  if (later !== null) {
    checkUnder(block, later, file.tip.proof);
  }
  const tip = later ?? block;
  // Bound to the block, and not to the tip, so that it is an anchor by itself.
  const first = inclusion(leafHash(networkId), 0, block.height, file.network.proof, "network.proof");
  if (!equal(first, block.historyRoot)) {
    throw new ReceiptRefused("network", "this history does not start with the genesis of these parameters");
  }
  checkRules(block, "block", parameters, networkId);
  if (later !== null) {
    checkRules(later, "tip", parameters, networkId);
    checkOrder(block, later);
  }
  checkConsistency(block, tip, file.consistency);
  const entry = file.format === RECEIPT ? held(file.entry, block, parameters, networkId) : null;
  const work = workOf(block.target) + (later === null ? 0n : workOf(later.target));
  return { parameters, networkId, entry, block, tip, work, anchor: anchorOf(trust, block, tip) };
}

/** @param {{header: Uint8Array, body: Uint8Array}} part @param {string} name @returns {Block} */
function mined({ header, body }, name) {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const [height, bits] = [view.getUint32(4), view.getUint32(80)];
  const [milliseconds, target] = [view.getBigUint64(72), bitsToTarget(bits)];
  if (milliseconds > BigInt(Number.MAX_SAFE_INTEGER) || target === null || height === 0) {
    throw new ReceiptRefused(`${name}.header`, "not a header of a block after genesis");
  }
  const hash = headerHash(header);
  if (BigInt(`0x${toHex(hash)}`) > target) {
    throw new ReceiptRefused(`${name}.header`, "its hash is above its own target");
  }
  if (!equal(bodyRoot(body), header.slice(40, 72))) {
    throw new ReceiptRefused(`${name}.body`, "it does not hash to the header's body root");
  }
  return {
    ...{
      version: view.getUint32(0),
      height,
      previous: header.slice(8, 40),
      timestamp_ms: Number(milliseconds),
    },
    ...{ bits, target, hash, count: new DataView(body.buffer, body.byteOffset).getUint32(0) },
    ...{
      entriesRoot: body.slice(4, 36),
      historyRoot: body.slice(36, 68),
      extensionRoot: body.slice(68, 100),
    },
  };
}

/** @param {Block} block @param {Block} tip @param {Uint8Array[]} proof */
function checkUnder(block, tip, proof) {
  if (tip.height <= block.height) {
    throw new ReceiptRefused("tip.header", `height ${tip.height} is not above the block's, ${block.height}`);
  }
  if (
    !equal(inclusion(leafHash(block.hash), block.height, tip.height, proof, "tip.proof"), tip.historyRoot)
  ) {
    throw new ReceiptRefused("tip", "the tip's history does not hold the block at its height");
  }
}

/** @param {Uint8Array} leaf @param {number} index @param {number} size @param {Uint8Array[]} proof @param {string} part */
function inclusion(leaf, index, size, proof, part) {
  const root = rootFromInclusion(leaf, index, size, proof);
  if (root === null) {
    throw new ReceiptRefused(part, "not as many hashes as the place calls for");
  }
  return root;
}

/** Whatever the rules say of a block that needs no other block.
 * @param {Block} block @param {string} name @param {Record<string, any>} parameters @param {Uint8Array} networkId */
function checkRules(block, name, parameters, networkId) {
  const easiest = /** @type {bigint} */ (bitsToTarget(parameters.easiest_bits));
  const isFirst = block.height === 1;
  const wrong = [
    [block.version !== RULES_VERSION, `version ${block.version}, in force is ${RULES_VERSION}`],
    [shortTarget(block.bits) === null, "its bits are not in their shortest form"],
    [block.target > easiest, "its bits are easier than the network's easiest"],
    [
      block.timestamp_ms < parameters.genesis_ms + block.height,
      "too early: every block is later than the last",
    ],
    [isFirst && !equal(block.previous, networkId), "block 1 follows genesis"],
    [isFirst && block.bits !== parameters.genesis_bits, "block 1 has the bits of genesis"],
  ].find(([broken]) => broken);
  if (wrong !== undefined) {
    throw new ReceiptRefused(`${name}.header`, String(wrong[1]));
  }
  if (block.count === 0 || block.extensionRoot.some((byte) => byte !== 0)) {
    throw new ReceiptRefused(`${name}.body`, "no leaf at all, or an extension root that is not zero");
  }
}

/** @param {Block} block @param {Block} tip */
function checkOrder(block, tip) {
  const between = tip.height - block.height;
  if (tip.timestamp_ms < block.timestamp_ms + between) {
    throw new ReceiptRefused("tip.header", "too early: every block is later than the last");
  }
  if (between === 1 && !equal(tip.previous, block.hash)) {
    throw new ReceiptRefused("tip.header", "it is the next block, but names another before it");
  }
}

/** @param {{raw: Uint8Array, position: number, proof: Uint8Array[]}} part @param {Block} block
 * @param {Record<string, any>} parameters @param {Uint8Array} networkId */
function held({ raw, position, proof }, block, parameters, networkId) {
  if (position >= block.count) {
    throw new ReceiptRefused("entry.position", `${position}, but the block has ${block.count} leaves`);
  }
  const content =
    position === 0 ? rewardIn(raw, block, parameters) : entryIn(raw, block, parameters, networkId);
  const txid = leafHash(raw);
  if (!equal(inclusion(txid, position, block.count, proof, "entry.proof"), block.entriesRoot)) {
    throw new ReceiptRefused("entry", "the block does not hold these bytes at this position");
  }
  return { ...content, position, txid };
}

/** @param {Uint8Array} raw @param {Block} block @param {Record<string, any>} parameters @param {Uint8Array} networkId */
function entryIn(raw, block, parameters, networkId) {
  const entry = inEntryBytes(() => decodeEntry(raw));
  const late = block.timestamp_ms - entry.timestamp_ms;
  if (late > parameters.lifetime_ms || -late > parameters.drift_ms || entry.fee < parameters.minimum_fee) {
    throw new ReceiptRefused(
      "entry.bytes",
      "too old, from the future or without its fee: no block may hold it",
    );
  }
  if (!verify(entry.sender, signedMessage(networkId, raw), entry.signature)) {
    throw new ReceiptRefused("entry.bytes", "the signature is not the sender's");
  }
  return { isReward: false, ...entry };
}

/** @param {Uint8Array} raw @param {Block} block @param {Record<string, any>} parameters */
function rewardIn(raw, block, parameters) {
  const fields = inEntryBytes(() => decode(raw));
  const [height, miner, amount, note] = Array.isArray(fields) && fields.length === 4 ? fields : [];
  if (!isUint(height) || !isBin(miner, 32) || !isUint(amount) || !isText(note)) {
    throw new ReceiptRefused("entry.bytes", "not a reward");
  }
  const due = rewardAt(parameters, block.height);
  if (height !== block.height || amount < due || (amount > due && block.count === 1)) {
    throw new ReceiptRefused("entry.bytes", "a reward of another height, or of another amount than is due");
  }
  return {
    isReward: true,
    sender: null,
    recipient: miner,
    amount,
    fee: 0,
    memo: note,
    timestamp_ms: block.timestamp_ms,
  };
}

/** @template T @param {() => T} read @returns {T} */
function inEntryBytes(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) {
      throw new ReceiptRefused("entry.bytes", error.message);
    }
    throw error;
  }
}

/** @param {Block} block @param {Block} tip @param {Uint8Array[]} proof */
function checkConsistency(block, tip, proof) {
  if (isConsistent(block.height, tip.height, block.historyRoot, tip.historyRoot, proof) !== true) {
    throw new ReceiptRefused("consistency", "the tip's history is not the block's with more added to it");
  }
}

/** @param {Uint8Array | null} trust @param {Block} block @param {Block} tip @returns {"block" | "tip" | null} */
function anchorOf(trust, block, tip) {
  if (trust === null) {
    return null;
  }
  if (equal(trust, block.hash)) {
    return "block";
  }
  if (equal(trust, tip.hash)) {
    return "tip";
  }
  const hint = `ask for one whose tip is that block; this one's is block ${tip.height}, ${toHex(tip.hash)}`;
  throw new ReceiptRefused("trust", `nothing here is anchored to ${toHex(trust)}`, hint);
}
