/**
 * Addresses: the public key as Bech32m text (BIP 350, BIP 173) that notices a typo. Pure.
 */

import { Refusal } from "./refusal.js";
import { hasSpaceAround, quoted } from "./text.js";

const KEY_BYTES = 32;
const ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const BECH32M = 0x2bc830a3;
const KEY_CHARACTERS = 52;
const CHECKSUM_CHARACTERS = 6;
const TAIL_CHARACTERS = KEY_CHARACTERS + CHECKSUM_CHARACTERS;

/** @param {string} prefix of the network @param {Uint8Array} key 32 bytes @returns {string} */
export function encodeAddress(prefix, key) {
  if (!/^[a-z-]{1,31}$/.test(prefix) || key.length !== KEY_BYTES) {
    throw new TypeError("an address is made of a prefix of a-z and a key of 32 bytes");
  }
  const values = quintets(key);
  const remainder = polymod([...expanded(prefix), ...values, 0, 0, 0, 0, 0, 0]) ^ BECH32M;
  for (let place = CHECKSUM_CHARACTERS - 1; place >= 0; place -= 1) {
    values.push((remainder >>> (5 * place)) & 31);
  }
  return `${prefix}1${values.map((value) => ALPHABET[value]).join("")}`;
}

/**
 * The key in an address of the network with this prefix. Throws Refusal("bad-address") naming what is wrong.
 * @param {string} prefix @param {string} text @returns {Uint8Array}
 */
export function decodeAddress(prefix, text) {
  checkCharacters(text);
  const tail = tailAfter(prefix, text);
  const values = Array.from(tail, (character, at) => {
    const value = ALPHABET.indexOf(character);
    return value < 0 ? refuse(foreign(text.length - tail.length + 1 + at, character)) : value;
  });
  if (tail.length !== TAIL_CHARACTERS) {
    const difference = tail.length - TAIL_CHARACTERS;
    const wrong = difference > 0 ? `${difference} too many` : `${-difference} missing`;
    const total = prefix.length + 1 + TAIL_CHARACTERS;
    refuse(`an address has ${total} characters, this one ${text.length} (${wrong})`);
  }
  if (polymod([...expanded(prefix), ...values]) !== BECH32M) {
    refuse("a typo: the checksum of the address does not fit");
  }
  return keyOf(values.slice(0, KEY_CHARACTERS));
}

/** @param {string} message @param {string} [hint] @returns {never} */
function refuse(message, hint = "copy the whole address again from its owner") {
  throw new Refusal("bad-address", message, hint);
}

/** @param {string} text */
function checkCharacters(text) {
  if (hasSpaceAround(text)) {
    refuse("the address has spaces around it", "type it without them");
  }
  Array.from(text).forEach((character, at) => {
    // Before any change of case: the Kelvin sign is no k, though its lower case is.
    if (!/^[!-~]$/.test(character)) {
      refuse(foreign(at + 1, character));
    }
  });
  if (text.toLowerCase() !== text && text.toUpperCase() !== text) {
    refuse("the address mixes upper and lower case");
  }
}

/** What follows the prefix and the separator, in lower case. @param {string} prefix @param {string} text */
function tailAfter(prefix, text) {
  const hint = `addresses of this network start with "${prefix}1"`;
  if (text === "") {
    refuse("the address is empty", hint);
  }
  const lowered = text.toLowerCase();
  if (lowered.startsWith(`${prefix}1`)) {
    return lowered.slice(prefix.length + 1);
  }
  const found = lowered.slice(0, Math.max(0, lowered.lastIndexOf("1")));
  // Without digits, so that no part of a secret can be meant.
  if (/^[a-z-]{1,16}$/.test(found)) {
    refuse(`"${found}1..." is an address of another network, or a typo`, hint);
  }
  return refuse("this is not an address", hint);
}

/** @param {number} position @param {string} character */
function foreign(position, character) {
  return `character ${position}, ${quoted(character)}, cannot stand in an address`;
}

/** 32 bytes as 52 values of 5 bits; the last 4 bits are zero. @param {Uint8Array} key @returns {number[]} */
function quintets(key) {
  const bits = Array.from(key, (byte) => byte.toString(2).padStart(8, "0")).join("") + "0000";
  return Array.from({ length: KEY_CHARACTERS }, (_, at) => parseInt(bits.slice(5 * at, 5 * at + 5), 2));
}

/** @param {number[]} values 52 of 5 bits @returns {Uint8Array} */
function keyOf(values) {
  const bits = values.map((value) => value.toString(2).padStart(5, "0")).join("");
  if (!bits.endsWith("0000")) {
    refuse("the address holds more than a key (its padding is not zero)");
  }
  return Uint8Array.from({ length: KEY_BYTES }, (_, at) => parseInt(bits.slice(8 * at, 8 * at + 8), 2));
}

/** The prefix as the checksum sees it (BIP 173): high bits, a zero, low bits. @param {string} prefix */
function expanded(prefix) {
  const codes = Array.from(prefix, (character) => character.charCodeAt(0));
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

/** The remainder of the BCH code of BIP 173 over GF(32). @param {number[]} values @returns {number} */
function polymod(values) {
  return values.reduce((remainder, value) => {
    const top = remainder >>> 25;
    const next = ((remainder & 0x1ffffff) << 5) ^ value;
    return GENERATOR.reduce((sum, part, place) => ((top >>> place) & 1 ? sum ^ part : sum), next);
  }, 1);
}
