"""Headers, bodies, coinbases, blocks: their bytes and hashes.

Pure. Decoding here is about form; what a block must satisfy beyond its form stands in `rules`.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from node.ledger import codec, difficulty, merkle
from node.ledger.codec import HASH_BYTES
from node.ledger.entry import MIN_ENTRY_BYTES, txid_of
from node.ledger.errors import Rule, RuleBroken
from node.ledger.history import EMPTY
from node.ledger.params import Parameters, rules_version

HEADER_BYTES: Final = 92
PREFIX_BYTES: Final = 84
"""The header without its nonce: what a miner is given."""
ZERO_HASH: Final = bytes(HASH_BYTES)
EXTENSION_ROOT: Final = ZERO_HASH
"""In rules version 1."""

_HEADER: Final = struct.Struct(">II32s32sQIQ")
_COUNT: Final = struct.Struct(">I")
MAX_COUNT: Final = 2**32 - 1
LEAST_IN_BLOCK: Final = 2 + MIN_ENTRY_BYTES
"""Bytes that an entry takes in a block at least: bin 8 header and the entry."""
_ARRAY_OF_4: Final = b"\x94"
_BODY_PREFIX: Final = b"\x02"
"""Domain of body roots, beside 0x00 for leaves and 0x01 for inner nodes."""


@dataclass(frozen=True)
class Header:
    """The 92 bytes that are mined. Not slotted, so that hash and target are worked out once and kept."""

    version: int
    height: int
    previous: bytes
    """Hash of the block before, 32 bytes."""
    body_root: bytes
    timestamp_ms: int
    bits: int
    """Compact target (Bitcoin's nBits)."""
    nonce: int

    @cached_property
    def raw(self) -> bytes:
        """Canonical bytes, big-endian."""
        return _HEADER.pack(
            self.version, self.height, self.previous, self.body_root, self.timestamp_ms, self.bits, self.nonce
        )

    @cached_property
    def hash(self) -> bytes:
        """SHA-256(SHA-256(header)), 32 bytes; as a big-endian number it must not pass the target."""
        return hash_header(self.raw)

    @cached_property
    def work(self) -> int:
        """Expected number of hashes: floor(2^256 / (target + 1)); genesis has none, by definition."""
        return difficulty.work_of(difficulty.bits_to_target(self.bits)) if self.height else 0


def hash_header(raw: bytes) -> bytes:
    """Return SHA-256(SHA-256(raw))."""
    return hashlib.sha256(hashlib.sha256(raw).digest()).digest()


def decode_header(raw: bytes) -> Header:
    """Return the header of these 92 bytes. Raises RuleBroken(header-encoding)."""
    if len(raw) != HEADER_BYTES:
        raise RuleBroken(Rule.HEADER_ENCODING, f"{len(raw)} bytes, a header has {HEADER_BYTES}")
    header = Header(*_HEADER.unpack(raw))
    if header.timestamp_ms > codec.MAX_UINT:
        raise RuleBroken(Rule.HEADER_ENCODING, "timestamp over 2^53 - 1")
    try:
        difficulty.bits_to_target(header.bits)
    except difficulty.BadBits as error:
        raise RuleBroken(Rule.HEADER_ENCODING, str(error)) from None
    # The bytes are at hand and the hash is always asked for.
    header.__dict__["raw"] = raw
    return header


@dataclass(frozen=True, slots=True)
class Body:
    """What the header's body root commits to, apart from the leaves themselves."""

    count: int
    """Leaves of the entries tree: the coinbase and the entries; u32."""
    entries_root: bytes
    """RFC 6962 root over the coinbase (index 0) and the entries."""
    history_root: bytes
    """RFC 6962 root over the hashes of all earlier blocks, 0 to height - 1."""
    extension_root: bytes
    """32 zero bytes in rules version 1."""

    def root(self) -> bytes:
        """Return SHA-256(0x02 || count u32 || the three roots)."""
        parts = (
            _BODY_PREFIX,
            _COUNT.pack(self.count),
            self.entries_root,
            self.history_root,
            self.extension_root,
        )
        return hashlib.sha256(b"".join(parts)).digest()

    def fields(self) -> tuple[int, bytes, bytes, bytes]:
        """Return the array that is encoded."""
        return (self.count, self.entries_root, self.history_root, self.extension_root)


@dataclass(frozen=True, slots=True)
class Coinbase:
    """What the block creates, and for whom: leaf 0."""

    height: int
    miner: bytes
    """Any 32 bytes."""
    amount: int
    """reward(height) + all fees, exactly; smallest units."""
    note: str

    def encode(self) -> bytes:
        """Return the canonical bytes: an array of four."""
        return codec.encode((self.height, self.miner, self.amount, self.note))


def decode_coinbase(raw: bytes) -> Coinbase:
    """Return the coinbase of these bytes. Raises RuleBroken(coinbase-encoding)."""
    try:
        fields = codec.decode(raw)
    except codec.NotCanonical as error:
        raise RuleBroken(Rule.COINBASE_ENCODING, str(error)) from None
    if type(fields) is not tuple or len(fields) != len(Coinbase.__slots__):
        raise RuleBroken(Rule.COINBASE_ENCODING, "not an array of 4")
    height, miner, amount, note = fields
    if not (
        codec.is_uint(height)
        and codec.is_bin(miner, HASH_BYTES)
        and codec.is_uint(amount)
        and codec.is_text(note)
    ):
        raise RuleBroken(Rule.COINBASE_ENCODING, "a field has the wrong type, length or range")
    return Coinbase(height, miner, amount, note)


@dataclass(frozen=True, slots=True)
class Block:
    """A block whose outer form is canonical; nothing is said yet of its roots, coinbase or entries.

    The entries stay bytes: they are read in slices by whoever checks or shows them.
    """

    header: Header
    body: Body
    first_leaf: bytes
    """Bytes of the coinbase; of the parameters in the genesis block."""
    entries: tuple[bytes, ...]
    raw: bytes

    def leaves(self) -> list[bytes]:
        """Return the leaf hashes of the entries tree; those behind the first are the txids."""
        return [merkle.leaf_hash(self.first_leaf), *map(txid_of, self.entries)]


def encode_block(header: Header, body: Body, first_leaf: bytes, entries: tuple[bytes, ...]) -> Block:
    """Return the block made of these parts, with its canonical bytes."""
    leaf = first_leaf if header.height else codec.encode(first_leaf)
    parts = (codec.encode(header.raw), codec.encode(body.fields()), leaf, codec.encode(entries))
    return Block(header, body, first_leaf, entries, b"".join((_ARRAY_OF_4, *parts)))


def decode_block(raw: bytes) -> Block:
    """Return the block of these bytes. Raises RuleBroken: block-encoding, header-encoding."""
    reader = codec.Reader(raw)
    try:
        _read_array_of_4(reader, "the block")
        header_raw = reader.bin()
        body = _read_body(reader)
        # The header's height says what the third part is, and the outer form is judged first.
        is_genesis = header_raw[4:8] == bytes(4)
        first_leaf = reader.bin() if is_genesis else reader.flat_array()
        entries = tuple(reader.bins())
        reader.end()
    except codec.NotCanonical as error:
        raise RuleBroken(Rule.BLOCK_ENCODING, str(error)) from None
    return Block(decode_header(header_raw), body, first_leaf, entries, raw)


def _read_array_of_4(reader: codec.Reader, what: str) -> None:
    if reader.array() != 4:
        raise codec.NotCanonical(f"{what} is not an array of 4")


def _read_body(reader: codec.Reader) -> Body:
    _read_array_of_4(reader, "the body")
    count = reader.uint(MAX_COUNT)
    roots = (reader.bin(), reader.bin(), reader.bin())
    if any(len(root) != HASH_BYTES for root in roots):
        raise codec.NotCanonical("a root is not of 32 bytes")
    return Body(count, *roots)


def genesis_block(parameters: Parameters) -> Block:
    """Return block 0 of the network: no proof of work, no entries, its parameters as leaf 0."""
    leaf = parameters.encode()
    body = Body(1, merkle.tree_root([merkle.leaf_hash(leaf)]), EMPTY.root(), EXTENSION_ROOT)
    header = Header(
        version=rules_version(0),
        height=0,
        previous=ZERO_HASH,
        body_root=body.root(),
        timestamp_ms=parameters.genesis_ms,
        bits=parameters.genesis_bits,
        nonce=0,
    )
    return encode_block(header, body, leaf, ())


def network_id(parameters: Parameters) -> bytes:
    """Return the hash of the genesis block: the network's name for machines, 32 bytes."""
    return genesis_block(parameters).header.hash
