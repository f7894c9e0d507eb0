/**
 * Receipts and extensions as files: one JSON object in exactly one form (docs/receipts.md, section 2). Pure.
 *
 * What is refused, here or in `receipt.js`, is refused with its part named.
 */

import { fromHex } from "./bytes.js";
import { Refusal } from "./refusal.js";

const MAX_FILE_BYTES = 2 ** 18;
const MAX_PARAMETERS = 2 ** 16;
const MAX_ENTRY = 512;
const MAX_PROOF = 64;
const MAX_POSITION = 2 ** 32 - 1;
const HEADER_BYTES = 92;
const BODY_BYTES = 100;

export const RECEIPT = "indelible-receipt-1";
const EXTENSION = "indelible-extension-1";
const KEYS = new Map([
  [RECEIPT, "format,network,entry,block,tip,consistency"],
  [EXTENSION, "format,network,block,tip,consistency"],
]);

/** A receipt that is not in order: `part` says in which part. */
export class ReceiptRefused extends Refusal {
  /** @param {string} part @param {string} why @param {string} [hint] */
  constructor(part, why, hint = "get the file again from whoever made it, unchanged") {
    super(part === "trust" ? "not-anchored" : "receipt-refused", `${part}: ${why}`, hint);
    this.part = part;
  }
}

/**
 * What a file holds, well-formed and unchecked: `format`, `network`, `entry` (of a receipt), `block`, `tip`,
 * `consistency`.
 * @param {Uint8Array} raw @returns {any}
 */
export function decodeReceipt(raw) {
  const value = parsed(raw);
  const keys = typeof value.format === "string" ? KEYS.get(value.format) : undefined;
  if (keys === undefined) {
    const hint = "if a newer version of Indelible made it, check it with that version";
    throw new ReceiptRefused("format", "no receipt or extension of a kind that is known here", hint);
  }
  if (Object.keys(value).join() !== keys) {
    throw new ReceiptRefused("file", "other keys than its format has, or in another order");
  }
  const network = group(value, "network", "parameters,proof");
  const read = {
    format: value.format,
    network: {
      parameters: bin(network, "network.parameters", 1, MAX_PARAMETERS),
      proof: hashes(network, "network.proof"),
    },
  };
  const held = value.format === RECEIPT ? { entry: entryPart(value) } : {};
  return {
    ...read,
    ...held,
    block: blockPart(value),
    tip: tipPart(value),
    consistency: hashes(value, "consistency"),
  };
}

/** @param {Uint8Array} raw @returns {Record<string, any>} */
function parsed(raw) {
  if (raw.length > MAX_FILE_BYTES) {
    throw new ReceiptRefused("file", `${raw.length} bytes, at most ${MAX_FILE_BYTES}`);
  }
  const text = raw.every((byte) => byte < 0x80) ? new TextDecoder().decode(raw) : "";
  const { value, again } = json(text);
  // One form: no space, no second spelling, no key twice; and so nothing that nobody looks at.
  if (again !== text) {
    throw new ReceiptRefused("file", "not in its one form: something in it was written anew");
  }
  if (!isObject(value)) {
    throw new ReceiptRefused("file", "not an object");
  }
  return value;
}

/** @param {string} text @returns {{value: any, again: string}} */
function json(text) {
  try {
    const value = JSON.parse(text, (_, inner) => {
      if (typeof inner === "number" && !Number.isSafeInteger(inner)) {
        throw new SyntaxError("no number of a receipt");
      }
      return inner;
    });
    // Half a surrogate pair would be written as an escape again, which is no second spelling here either.
    return { value, again: /\\u[dD]/.test(text) ? "" : `${JSON.stringify(value)}\n` };
  } catch {
    throw new ReceiptRefused("file", "not the JSON that a receipt is made of");
  }
}

/** @param {unknown} value @returns {value is Record<string, any>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {Record<string, any>} parent @param {string} name @param {string} keys @returns {Record<string, any>} */
function group(parent, name, keys) {
  const value = parent[name];
  if (!isObject(value) || Object.keys(value).join() !== keys) {
    throw new ReceiptRefused(name, `not an object of ${keys.replaceAll(",", ", ")}`);
  }
  return value;
}

/** @param {Record<string, any>} value */
function entryPart(value) {
  const entry = group(value, "entry", "bytes,position,proof");
  return {
    raw: bin(entry, "entry.bytes", 1, MAX_ENTRY),
    position: position(entry),
    proof: hashes(entry, "entry.proof"),
  };
}

/** @param {Record<string, any>} value */
function blockPart(value) {
  return headerAndBody(group(value, "block", "header,body"), "block");
}

/** @param {Record<string, any>} value */
function tipPart(value) {
  if (value.tip === null) {
    return null;
  }
  const tip = group(value, "tip", "header,body,proof");
  return { ...headerAndBody(tip, "tip"), proof: hashes(tip, "tip.proof") };
}

/** @param {Record<string, any>} fields @param {string} name */
function headerAndBody(fields, name) {
  return {
    header: bin(fields, `${name}.header`, HEADER_BYTES, HEADER_BYTES),
    body: bin(fields, `${name}.body`, BODY_BYTES, BODY_BYTES),
  };
}

/** @param {Record<string, any>} fields @param {string} part @returns {unknown} */
function valueOf(fields, part) {
  return fields[part.slice(part.lastIndexOf(".") + 1)];
}

/** @param {Record<string, any>} fields @param {string} part @param {number} least @param {number} most */
function bin(fields, part, least, most) {
  const bytes = fromHex(valueOf(fields, part));
  if (bytes === null || bytes.length < least || bytes.length > most) {
    const expected = least === most ? `${most}` : `${least} to ${most}`;
    throw new ReceiptRefused(part, `not ${expected} bytes in lower-case hex`);
  }
  return bytes;
}

/** @param {Record<string, any>} fields @param {string} part @returns {Uint8Array[]} */
function hashes(fields, part) {
  const values = valueOf(fields, part);
  if (!Array.isArray(values) || values.length > MAX_PROOF) {
    throw new ReceiptRefused(part, `not a list of at most ${MAX_PROOF} hashes`);
  }
  return values.map((value) => {
    const bytes = fromHex(value);
    if (bytes === null || bytes.length !== 32) {
      throw new ReceiptRefused(part, "not hashes of 32 bytes in lower-case hex");
    }
    return bytes;
  });
}

/** @param {Record<string, any>} fields @returns {number} */
function position(fields) {
  const value = valueOf(fields, "entry.position");
  if (
    !Number.isInteger(value) ||
    /** @type {number} */ (value) < 0 ||
    /** @type {number} */ (value) > MAX_POSITION
  ) {
    throw new ReceiptRefused("entry.position", `not an integer from 0 to ${MAX_POSITION}`);
  }
  return /** @type {number} */ (value);
}
