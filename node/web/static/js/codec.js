/**
 * Canonical msgpack: one sequence of bytes for one value, and no other (docs/protocol.md, section 1). Pure.
 *
 * Four types exist: arrays, unsigned integers up to 2^53 - 1 (a number of JavaScript holds them exactly), bin
 * (Uint8Array) and text. What is not in its shortest form, of another type, cut short or followed by more
 * is refused, never repaired.
 */

import { Refusal } from "./refusal.js";

export const MAX_TEXT_BYTES = 256;
export const HASH_BYTES = 32;

const UTF8 = new TextEncoder();
const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Deeper than any record; a claim of more is refused before the call stack is in question. */
const MAX_DEPTH = 8;

const NOT_TEXT = /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u;

/** @param {string} why @returns {Refusal} */
function notCanonical(why) {
  return new Refusal("not-canonical", why);
}

/** @param {unknown} value @returns {value is number} an integer from 0 to 2^53 - 1 */
export function isUint(value) {
  return Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0 && !Object.is(value, -0);
}

/** @param {unknown} value @param {number} length @returns {value is Uint8Array} */
export function isBin(value, length) {
  return value instanceof Uint8Array && value.length === length;
}

/** @param {string} text @returns {number} bytes of UTF-8 */
export function utf8Length(text) {
  return UTF8.encode(text).length;
}

/**
 * Text of at most 256 bytes of UTF-8 without U+0000-001F and U+007F-009F, and without half a surrogate pair.
 * @param {unknown} value @returns {value is string}
 */
export function isText(value) {
  return typeof value === "string" && !NOT_TEXT.test(value) && utf8Length(value) <= MAX_TEXT_BYTES;
}

/**
 * The canonical bytes of arrays, integers, bytes and text. Throws TypeError for anything else: that is a
 * fault of the program, not of its input.
 * @param {unknown} value @returns {Uint8Array}
 */
export function encode(value) {
  /** @type {number[]} */
  const out = [];
  write(value, out);
  return Uint8Array.from(out);
}

/** @param {unknown} value @param {number[]} out */
function write(value, out) {
  if (isUint(value)) {
    writeUint(value, out);
  } else if (value instanceof Uint8Array) {
    writeHead(
      value.length,
      [
        [0xff, 0xc4, 1],
        [0xffff, 0xc5, 2],
        [0xffffffff, 0xc6, 4],
      ],
      out,
    );
    append(value, out);
  } else if (typeof value === "string" && !/\p{Surrogate}/u.test(value)) {
    const bytes = UTF8.encode(value);
    writeHead(
      bytes.length,
      [
        [31, 0xa0, 0],
        [0xff, 0xd9, 1],
        [0xffff, 0xda, 2],
        [0xffffffff, 0xdb, 4],
      ],
      out,
    );
    append(bytes, out);
  } else if (Array.isArray(value)) {
    writeHead(
      value.length,
      [
        [15, 0x90, 0],
        [0xffff, 0xdc, 2],
        [0xffffffff, 0xdd, 4],
      ],
      out,
    );
    for (const element of value) {
      write(element, out);
    }
  } else {
    throw new TypeError("no record holds a value of this type");
  }
}

/** @param {Uint8Array} bytes @param {number[]} out */
function append(bytes, out) {
  for (const byte of bytes) {
    out.push(byte);
  }
}

/** @param {number} value @param {number[]} out */
function writeUint(value, out) {
  if (value < 0x80) {
    out.push(value);
  } else {
    writeHead(
      value,
      [
        [0xff, 0xcc, 1],
        [0xffff, 0xcd, 2],
        [0xffffffff, 0xce, 4],
        [Infinity, 0xcf, 8],
      ],
      out,
    );
  }
}

/**
 * Write the shortest form that holds the number: its first byte (with the number in it where no bytes
 * follow), then the number, big-endian.
 * @param {number} number @param {[number, number, number][]} forms most it holds, first byte, bytes behind it
 * @param {number[]} out
 */
function writeHead(number, forms, out) {
  const form = forms.find(([most]) => number <= most);
  if (form === undefined) {
    throw new TypeError("longer than any record");
  }
  const [, first, width] = form;
  out.push(width === 0 ? first + number : first);
  for (let place = width - 1; place >= 0; place -= 1) {
    out.push(Math.floor(number / 256 ** place) % 256);
  }
}

/** First byte: type, bytes of the value or length behind it, the most that a shorter form holds. */
const LONG_HEADS = new Map([
  [0xc4, { kind: "bin", width: 1, shorter: -1 }],
  [0xc5, { kind: "bin", width: 2, shorter: 0xff }],
  [0xc6, { kind: "bin", width: 4, shorter: 0xffff }],
  [0xcc, { kind: "uint", width: 1, shorter: 0x7f }],
  [0xcd, { kind: "uint", width: 2, shorter: 0xff }],
  [0xce, { kind: "uint", width: 4, shorter: 0xffff }],
  [0xcf, { kind: "uint", width: 8, shorter: 0xffffffff }],
  [0xd9, { kind: "text", width: 1, shorter: 0x1f }],
  [0xda, { kind: "text", width: 2, shorter: 0xff }],
  [0xdb, { kind: "text", width: 4, shorter: 0xffff }],
  [0xdc, { kind: "array", width: 2, shorter: 0x0f }],
  [0xdd, { kind: "array", width: 4, shorter: 0xffff }],
]);

/**
 * The value whose canonical form these bytes are. Throws Refusal("not-canonical") for any other bytes.
 * @param {Uint8Array} raw @returns {any}
 */
export function decode(raw) {
  const reader = new Reader(raw);
  const value = reader.value(0);
  if (reader.at !== raw.length) {
    throw notCanonical(`${raw.length - reader.at} bytes left over`);
  }
  return value;
}

class Reader {
  /** @param {Uint8Array} raw */
  constructor(raw) {
    this.raw = raw;
    this.at = 0;
  }

  /** @param {number} depth @returns {unknown} */
  value(depth) {
    const { kind, size } = this.head();
    if (kind === "uint") {
      return size;
    }
    if (kind === "array") {
      return this.elements(size, depth);
    }
    const content = this.content(size);
    return kind === "bin" ? content : text(content);
  }

  /** Nothing is made room for that the bytes do not hold. @param {number} count @param {number} depth */
  elements(count, depth) {
    if (depth === MAX_DEPTH) {
      throw notCanonical("nested too deep");
    }
    const elements = [];
    for (let made = 0; made < count; made += 1) {
      elements.push(this.value(depth + 1));
    }
    return elements;
  }

  /** @returns {{kind: string, size: number}} type, and value (integers), length or number of elements */
  head() {
    const first = this.content(1)[0];
    if (first < 0x80) {
      return { kind: "uint", size: first };
    }
    if ((first & 0xf0) === 0x90) {
      return { kind: "array", size: first & 0x0f };
    }
    if ((first & 0xe0) === 0xa0) {
      return { kind: "text", size: first & 0x1f };
    }
    const form = LONG_HEADS.get(first);
    if (form === undefined) {
      throw notCanonical(`a type that no record has (first byte 0x${first.toString(16)})`);
    }
    const size = this.content(form.width).reduce((sum, byte) => sum * 256 + byte, 0);
    if (size <= form.shorter) {
      throw notCanonical(`${form.kind} not in its shortest form`);
    }
    if (!Number.isSafeInteger(size)) {
      throw notCanonical("an integer above 2^53 - 1");
    }
    return { kind: form.kind, size };
  }

  /** @param {number} length @returns {Uint8Array} */
  content(length) {
    if (length > this.raw.length - this.at) {
      throw notCanonical("the end is missing");
    }
    this.at += length;
    return this.raw.slice(this.at - length, this.at);
  }
}

/** @param {Uint8Array} bytes @returns {string} */
function text(bytes) {
  try {
    return STRICT_UTF8.decode(bytes);
  } catch {
    throw notCanonical("text that is not UTF-8");
  }
}
