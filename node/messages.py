"""What peers say to each other: one record a message, its number and its bounds.

Pure. Their bytes are made and read in `node.frames`; when which may be said stands in `node.protocol`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

from node.ledger import codec
from node.ledger.block import ZERO_HASH, Body
from node.ledger.params import RULES_VERSIONS

PROTOCOL_VERSION: Final = 1

MAX_HASHES: Final = 1_000
"""In one INVENTORY, GET_DATA or NOT_FOUND."""
MAX_ENTRIES: Final = 1_000
"""In one ENTRIES: the answer to one GET_DATA."""
MAX_LOCATOR: Final = 101
"""Hashes in GET_HEADERS: some 11 recent ones, then doubling steps; enough for any height below 2^32."""
MAX_HEADERS: Final = 2_000
"""In one HEADERS: 184 kB."""
MAX_ADDRESSES: Final = 256
MAX_HOST_BYTES: Final = 253
"""The longest name of a host (RFC 1035 section 2.3.4, without the dots at its ends)."""
SHORT_ID_BYTES: Final = 6
"""Of an entry in COMPACT_BLOCK: with 50,000 pending entries and 7,000 in the block, two of them cannot be
told apart in one of 800,000 blocks."""
MAX_COINBASE_BYTES: Final = 512
"""No coinbase is longer: its four fields at their widest come to 312 bytes."""
MAX_AGENT_BYTES: Final = 64
NONCE_BYTES: Final = 16
WORK_BYTES: Final = 32


class Type(IntEnum):
    """The number of each message. Never changed, never used again."""

    HELLO = 1
    AUTH = 2
    PING = 3
    PONG = 4
    GET_ADDRESSES = 5
    ADDRESSES = 6
    REJECT = 7
    INVENTORY = 16
    GET_DATA = 17
    NOT_FOUND = 18
    ENTRIES = 19
    GET_HEADERS = 20
    HEADERS = 21
    BLOCK = 22
    COMPACT_BLOCK = 32
    GET_BLOCK_ENTRIES = 33
    BLOCK_ENTRIES = 34


class Feature(IntFlag):
    """Bits of HELLO's features. A message that needs one is a fault unless both sides have set it."""

    COMPACT_BLOCKS = 1 << 0
    VOTES = 1 << 1


FEATURES: Final = Feature.COMPACT_BLOCKS
"""What this program offers in its HELLO."""
NEEDS: Final[Mapping[int, Feature]] = {
    Type.COMPACT_BLOCK: Feature.COMPACT_BLOCKS,
    Type.GET_BLOCK_ENTRIES: Feature.COMPACT_BLOCKS,
    Type.BLOCK_ENTRIES: Feature.COMPACT_BLOCKS,
}
"""Types that exist on a connection only where both sides have set a feature."""

RESERVED: Final = (
    # number, name, the feature it will need; said and understood by nobody in protocol version 1
    (48, "GET_VOTES", Feature.VOTES),
    (49, "VOTES", Feature.VOTES),
)
FIRST_IGNORED: Final = 128
"""Types from here on are skipped when unknown, so that a later version can say more without asking first."""


class Kind(IntEnum):
    """What a hash of INVENTORY, GET_DATA and NOT_FOUND names."""

    ENTRY = 1
    """A txid."""
    BLOCK = 2
    """The hash of a header."""


# -------------------------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks, and on which network. First message of both sides; claims, but for what AUTH proves."""

    version: int
    """Of the protocol."""
    network_id: bytes
    rules_hash: bytes
    """See `rules_hash`."""
    identity: bytes
    """Ed25519 public key of the node; no wallet's key. AUTH proves it."""
    nonce: bytes
    """16 random bytes, fresh for each connection: AUTH is good for this one only, a node knows its own."""
    agent: str
    """Program and version, as shown to people; at most 64 bytes."""
    port: int
    """Where the node listens, on the host it speaks from; 0 where it does not."""
    height: int
    """Of its tip; u32."""
    work: int
    """Cumulative, of its tip; below 2^256, bin 32 big-endian on the wire."""
    time_ms: int
    """Its clock; Unix milliseconds UTC."""
    features: int = 0
    """Bits, see `Feature`; unknown ones mean nothing."""


@dataclass(frozen=True, slots=True)
class Auth:
    """Proof that HELLO came from the holder of its identity; see protocol.auth_message."""

    signature: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a PONG with the same token (0 to 2^53 - 1)."""

    token: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a PING."""

    token: int


@dataclass(frozen=True, slots=True)
class GetAddresses:
    """Asks for ADDRESSES."""


class Address(NamedTuple):
    """Where a node may be reached."""

    host: str
    """An IP address or a name; not checked beyond its length."""
    port: int
    """1 to 65535."""
    last_seen_s: int
    """When someone last spoke with it there; Unix seconds UTC."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Nodes that others may dial; at most 256."""

    items: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """Why something was not taken. Never answered."""

    code: str
    """Stable code of a rule or refusal: 1 to 48 of a-z, 0-9 and hyphen."""
    id: bytes
    """Hash of what was refused, or empty."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Tells of entries or blocks that the speaker has; 1 to 1,000 hashes."""

    kind: Kind
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class GetData:
    """Asks for entries (answered by ENTRIES) or blocks (by one BLOCK each), or by NOT_FOUND for the rest."""

    kind: Kind
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """What of a GET_DATA the speaker has not (any more)."""

    kind: Kind
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """Pending entries, 1 to 1,000; each the entry's own bytes, which may be anything yet."""

    raws: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class GetHeaders:
    """Asks for the headers after the first hash of the locator that is on the other's main chain."""

    locator: tuple[bytes, ...]
    """Hashes of the asker's chain, tip first; 1 to 101."""
    stop: bytes = ZERO_HASH
    """Last header wanted; 32 zero bytes for as many as one answer holds."""


@dataclass(frozen=True, slots=True)
class Headers:
    """Headers of the speaker's main chain, ascending; 0 to 2,000, of 92 bytes each. None: no more."""

    raws: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BlockMessage:
    """One block. The payload is the block's own bytes, which may be anything yet: the rules look at them."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class CompactBlock:
    """A block by the short ids of its entries, for whoever has most of them; see `node.compact`."""

    header: bytes
    """92 bytes."""
    body: Body
    coinbase: bytes
    """A well-formed coinbase's own bytes."""
    short_ids: bytes
    """6 bytes for each entry, in listed order."""


@dataclass(frozen=True, slots=True)
class GetBlockEntries:
    """Asks for entries of a block that came as COMPACT_BLOCK; answered by BLOCK_ENTRIES or NOT_FOUND."""

    block_hash: bytes
    positions: tuple[int, ...]
    """Among the entries, from 0; strictly ascending, at least one; each a u32."""


@dataclass(frozen=True, slots=True)
class BlockEntries:
    """The entries asked for, in the order asked; their bytes may be anything yet."""

    block_hash: bytes
    raws: tuple[bytes, ...]


Message = (
    Hello
    | Auth
    | Ping
    | Pong
    | GetAddresses
    | Addresses
    | Reject
    | Inventory
    | GetData
    | NotFound
    | Entries
    | GetHeaders
    | Headers
    | BlockMessage
    | CompactBlock
    | GetBlockEntries
    | BlockEntries
)


def rules_hash(rules: Sequence[tuple[int, int]] = RULES_VERSIONS) -> bytes:
    """Return SHA-256 of the upgrade list's canonical bytes: an array of [first height, rules version]."""
    return hashlib.sha256(codec.encode(tuple(rules))).digest()
