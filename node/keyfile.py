"""The content of a wallet file: one key, in the clear or under a passphrase.

Bytes in, bytes out; opens no file and no socket. The file is JSON that a person can look at, in exactly one
form: it ends with a SHA-256 of the rest, and what is read is written again and compared, so that no byte of
it can change unnoticed. Under a passphrase the seed lies in a libsodium secretbox (XSalsa20-Poly1305) whose
key Argon2id (RFC 9106) derives; the cost stands in the file, and is bounded when read, because files come
from other places too.
"""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from nacl.bindings import crypto_pwhash_alg, crypto_pwhash_ALG_ARGON2ID13, crypto_pwhash_SALTBYTES
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from node.ledger import signature

VERSION: Final = 1
MAX_FILE_BYTES: Final = 4096
"""Twice and more what a file of this version takes."""

_SEED_BYTES: Final = 32
_KEY_BYTES: Final = 32
_BOX_BYTES: Final = SecretBox.NONCE_SIZE + SecretBox.MACBYTES + _SEED_BYTES


class Damaged(ValueError):
    """Bytes that are no wallet file, or no longer the one that was written."""


class NewerVersion(ValueError):
    """An intact wallet file of a version that this program does not know yet."""


class SeedRefused(ValueError):
    """The passphrase does not open the box; the box is as it was written, so the passphrase is wrong."""


@dataclass(frozen=True, slots=True)
class Strength:
    """The cost of Argon2id: what one guess at the passphrase takes."""

    operations: int
    memory: int
    """Bytes."""


MODERATE: Final = Strength(operations=3, memory=256 << 20)
"""libsodium's own middle setting: a second or so, once a payment."""

_MAX_OPERATIONS: Final = 16
_LEAST_MEMORY: Final = 8 << 10
"""libsodium's own least."""
_MAX_MEMORY: Final = 1 << 30
"""More would let a file from elsewhere bring the machine down."""


@dataclass(frozen=True, slots=True)
class PlainSeed:
    """The seed in the clear: whoever can read the file can pay with it."""

    seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedSeed:
    """The seed under a passphrase."""

    strength: Strength
    salt: bytes
    box: bytes
    """Nonce (24), authenticator (16) and the encrypted seed (32)."""


Secret: TypeAlias = PlainSeed | SealedSeed


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One key as its file holds it."""

    public_key: bytes
    secret: Secret


def seal(seed: bytes, passphrase: str, strength: Strength = MODERATE) -> SealedSeed:
    """Return the 32-byte seed encrypted under the passphrase, with fresh salt and nonce.

    Raises MemoryError when the machine cannot give Argon2id its memory.
    """
    salt = os.urandom(crypto_pwhash_SALTBYTES)
    box = SecretBox(_derived(passphrase, salt, strength)).encrypt(seed)
    return SealedSeed(strength, salt, bytes(box))


def unseal(sealed: SealedSeed, passphrase: str) -> bytes:
    """Return the seed; raises SeedRefused for another passphrase, MemoryError as `seal` does."""
    box = SecretBox(_derived(passphrase, sealed.salt, sealed.strength))
    try:
        return box.decrypt(sealed.box)
    except CryptoError:
        raise SeedRefused("the passphrase is wrong") from None


def render(key_file: KeyFile) -> bytes:
    """Return the one form of this file."""
    fields: dict[str, object] = {"indelible_wallet": VERSION, "public_key": key_file.public_key.hex()}
    secret = key_file.secret
    if isinstance(secret, PlainSeed):
        fields["seed"] = secret.seed.hex()
    else:
        fields["sealed_seed"] = {
            "kdf": "argon2id13",
            "operations": secret.strength.operations,
            "memory_bytes": secret.strength.memory,
            "salt": secret.salt.hex(),
            "box": secret.box.hex(),
        }
    return (json.dumps({**fields, "check": _check(fields)}, indent=2) + "\n").encode()


def parse(content: bytes) -> KeyFile:
    """Return the key in a wallet file; a seed in the clear has been seen to give the public key.

    Raises Damaged for any other bytes than `render` writes, NewerVersion for a later version's.
    """
    fields = _checked_fields(content)
    version = fields.get("indelible_wallet")
    if type(version) is int and version > VERSION:
        raise NewerVersion(f"it is of version {version}, and this program knows version {VERSION}")
    key_file = KeyFile(_hex(fields.get("public_key"), _KEY_BYTES), _secret(fields))
    if render(key_file) != content:
        raise Damaged("it is not in the form that was written")
    if isinstance(key_file.secret, PlainSeed):
        check_pair(key_file.secret.seed, key_file.public_key)
    return key_file


def check_pair(seed: bytes, public_key: bytes) -> None:
    """Raise Damaged unless the seed gives the public key."""
    if signature.public_key_of(seed) != public_key:
        raise Damaged("its secret key does not give its public key")


def _checked_fields(content: bytes) -> dict[str, object]:
    """Return the fields of the file but for its checksum, which fits them."""
    if len(content) > MAX_FILE_BYTES:
        raise Damaged(f"it is longer than {MAX_FILE_BYTES} bytes")
    try:
        fields = json.loads(content.decode())
        if not isinstance(fields, dict):
            raise Damaged("it is no JSON object")
        check = fields.pop("check", None)
        fits = check == _check(fields)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise Damaged("it is not the JSON that was written") from None
    if not fits:
        raise Damaged("its checksum does not fit its content")
    return fields


def _check(fields: dict[str, object]) -> str:
    """Return the checksum of a file's other fields, the same way for every version of the file."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _secret(fields: dict[str, object]) -> Secret:
    sealed = fields.get("sealed_seed")
    if not isinstance(sealed, dict):
        return PlainSeed(_hex(fields.get("seed"), _SEED_BYTES))
    operations, memory = sealed.get("operations"), sealed.get("memory_bytes")
    if type(operations) is not int or not 1 <= operations <= _MAX_OPERATIONS:
        raise Damaged(f"its Argon2id operations are not between 1 and {_MAX_OPERATIONS}")
    if type(memory) is not int or not _LEAST_MEMORY <= memory <= _MAX_MEMORY:
        raise Damaged(f"its Argon2id memory is not between {_LEAST_MEMORY} and {_MAX_MEMORY} bytes")
    salt = _hex(sealed.get("salt"), crypto_pwhash_SALTBYTES)
    return SealedSeed(Strength(operations, memory), salt, _hex(sealed.get("box"), _BOX_BYTES))


def _hex(value: object, length: int) -> bytes:
    try:
        decoded = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        decoded = b""
    if len(decoded) != length:
        raise Damaged("a field is missing or has another length")
    return decoded


def _derived(passphrase: str, salt: bytes, strength: Strength) -> bytes:
    """Return the secretbox key. Composed (NFC), because keyboards and systems spell an accent differently."""
    typed = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    try:
        return crypto_pwhash_alg(
            SecretBox.KEY_SIZE,
            typed,
            salt,
            strength.operations,
            strength.memory,
            crypto_pwhash_ALG_ARGON2ID13,
        )
    except RuntimeError:
        raise MemoryError(f"Argon2id needs {strength.memory >> 20} MiB of memory") from None
