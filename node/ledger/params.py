"""The parameters of a network: what cannot be changed once a book exists.

Pure. One frozen object per network; its canonical bytes are leaf 0 of the genesis block, so that two
networks that differ in any of them have different ids and cannot connect. Network files come from others:
every value is bounded, and the relations between them are checked by `validate`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from node.ledger import codec, difficulty

ENCODING_VERSION: Final = 1
"""First element of the encoded parameters; another number means other fields."""

MAX_HEIGHT: Final = 2**32 - 1
"""Height is a u32 of the header."""

RULES_VERSIONS: Final = ((0, 1),)
"""Upgrades, outside genesis: (first height, rules version in force from there), heights ascending."""

_SECOND: Final = 1_000
_DAY: Final = 86_400 * _SECOND


class ParametersError(ValueError):
    """A network whose parameters are out of bounds or contradict each other; the message names which."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything that two nodes must share to keep one book."""

    name: str
    """Shown to people; 1 to 32 characters."""
    prefix: str
    """Human-readable part of addresses (BIP 350): lower-case ASCII letters, 1 to 16."""
    symbol: str
    """Of the currency, as shown; 1 to 8 characters."""
    decimals: int
    """Digits behind the point in what people type and read; the book holds integers only."""
    interval_ms: int
    """T, the time between blocks that the difficulty rule aims at; milliseconds."""
    half_life_ms: int
    """Of the difficulty rule (ASERT): this much ahead of schedule doubles the work; milliseconds."""
    genesis_ms: int
    """Time of the genesis block; Unix milliseconds UTC."""
    genesis_bits: int
    """Compact target of genesis, where the difficulty rule starts."""
    easiest_bits: int
    """Compact form of the easiest target that the rule ever gives."""
    initial_reward: int
    """Of block 1, smallest units."""
    halving_interval: int
    """Blocks after which the reward halves; 0 is never."""
    allocations: tuple[tuple[bytes, int], ...]
    """State of genesis: (public key, amount above 0), keys ascending."""
    minimum_fee: int
    """The least an entry may offer, smallest units."""
    maximum_block_bytes: int
    """Of the canonical block."""
    drift_ms: int
    """How far an entry's time may be ahead of its block's, and a block's ahead of our clock; milliseconds."""
    lifetime_ms: int
    """How far an entry's time may lie behind its block's; milliseconds."""
    maturity: int
    """Blocks after which a coinbase is credited; 0 is in its own block."""
    members: tuple[bytes, ...] = ()
    """Co-signers; none in encoding version 1."""
    quorum: int = 0
    """How many of the members must sign; 0 in encoding version 1."""

    def encode(self) -> bytes:
        """Return the canonical bytes: a fixed-order array of 20."""
        return codec.encode(
            (
                ENCODING_VERSION,
                self.name,
                self.prefix,
                self.symbol,
                self.decimals,
                self.interval_ms,
                self.half_life_ms,
                self.genesis_ms,
                self.genesis_bits,
                self.easiest_bits,
                self.initial_reward,
                self.halving_interval,
                self.allocations,
                self.minimum_fee,
                self.maximum_block_bytes,
                self.drift_ms,
                self.lifetime_ms,
                self.maturity,
                self.members,
                self.quorum,
            )
        )

    def reward(self, height: int) -> int:
        """Return what the block at `height` (1 or more) creates, without fees; smallest units."""
        if self.halving_interval == 0:
            return self.initial_reward
        return self.initial_reward >> ((height - 1) // self.halving_interval)


BUILT_IN: Final = Parameters(
    name="indelible-tryout",
    prefix="bean",
    symbol="BEAN",
    decimals=2,
    interval_ms=15 * _SECOND,
    half_life_ms=40 * 15 * _SECOND,
    genesis_ms=1_735_689_600_000,  # 2025-01-01T00:00:00Z, behind any clock that a node may run by
    genesis_bits=0x1E03FFFF,
    easiest_bits=0x1E03FFFF,  # 2^22 hashes: a second or two with hashlib
    initial_reward=50_00,
    halving_interval=2_000_000,
    allocations=(),
    minimum_fee=1,
    maximum_block_bytes=1 << 20,
    drift_ms=30 * _SECOND,
    lifetime_ms=14 * _DAY,
    maturity=0,
)
"""The network for trying out. A real book starts with `cli.py network new`."""

_BOUNDS: Final = (
    # field, least, most, unit: bounds wide enough for any book, narrow enough that no sum or shift overflows
    ("decimals", 0, 8, "digits"),
    ("interval_ms", 100, _DAY, "milliseconds"),
    ("half_life_ms", 1_000, 365 * _DAY, "milliseconds"),
    ("genesis_ms", 1_577_836_800_000, 4_102_444_800_000, "Unix milliseconds, the years 2020 to 2100"),
    ("initial_reward", 0, codec.MAX_UINT, "smallest units"),
    ("halving_interval", 0, MAX_HEIGHT, "blocks"),
    ("minimum_fee", 0, codec.MAX_UINT, "smallest units"),
    ("maximum_block_bytes", 1 << 12, 1 << 25, "bytes"),
    ("drift_ms", 1_000, 2 * 3_600 * _SECOND, "milliseconds"),
    ("lifetime_ms", 60 * _SECOND, 3_650 * _DAY, "milliseconds"),
    ("maturity", 0, 10_000, "blocks"),
)

_PREFIX: Final = re.compile("[a-z]{1,16}")
_MAX_ALLOCATIONS: Final = 1_000
"""Keeps the parameter bytes, which every node holds in memory, below 50 kB."""


def total_supply(parameters: Parameters) -> int:
    """Return all that can exist up to height 2^32 - 1: allocations and rewards; smallest units."""
    allocated = sum(amount for _, amount in parameters.allocations)
    if parameters.halving_interval == 0:
        return allocated + parameters.initial_reward * MAX_HEIGHT
    mined, height, reward = 0, 0, parameters.initial_reward
    while reward and height < MAX_HEIGHT:
        blocks = min(parameters.halving_interval, MAX_HEIGHT - height)
        mined, height, reward = mined + reward * blocks, height + blocks, reward >> 1
    return allocated + mined


def validate(parameters: Parameters) -> None:
    """Raise ParametersError, naming the parameter, unless all bounds and relations hold."""
    _validate_names(parameters)
    for field, least, most, unit in _BOUNDS:
        value = getattr(parameters, field)
        if type(value) is not int or not least <= value <= most:
            raise ParametersError(f"{field} = {value!r} is not between {least} and {most} {unit}")
    _validate_targets(parameters)
    _validate_allocations(parameters)
    if parameters.half_life_ms < parameters.interval_ms:
        raise ParametersError("half_life_ms is shorter than interval_ms: the difficulty would swing wildly")
    if parameters.lifetime_ms <= parameters.drift_ms:
        raise ParametersError(
            "lifetime_ms must be longer than drift_ms, or honest entries could never be mined"
        )
    if parameters.members or parameters.quorum:
        raise ParametersError("members and quorum are kept for later and must be empty and 0")
    if total_supply(parameters) > codec.MAX_UINT:
        raise ParametersError(
            "allocations and rewards together pass 2^53 - 1: lower the reward or let it halve"
        )


def _validate_names(parameters: Parameters) -> None:
    for field, longest in (("name", 32), ("symbol", 8)):
        value = getattr(parameters, field)
        # Only U+0020 counts as a space: what else looks like one is in a table that changes over the years.
        if not codec.is_text(value) or not 1 <= len(value) <= longest or value != value.strip(" "):
            raise ParametersError(
                f"{field} = {value!r} must be 1 to {longest} characters, none of them a control character, "
                "without spaces around"
            )
    prefix = parameters.prefix
    if type(prefix) is not str or _PREFIX.fullmatch(prefix) is None:
        raise ParametersError(f"prefix = {prefix!r} must be 1 to 16 lower-case ASCII letters")


def _validate_targets(parameters: Parameters) -> None:
    targets = {}
    for field in ("genesis_bits", "easiest_bits"):
        bits = getattr(parameters, field)
        try:
            targets[field] = difficulty.bits_to_target(bits)
        except (difficulty.BadBits, TypeError) as error:
            raise ParametersError(f"{field} = {bits!r}: {error}") from None
        if difficulty.target_to_bits(targets[field]) != bits:
            raise ParametersError(f"{field} = {bits:#010x} is not in its shortest compact form")
    if targets["genesis_bits"] > targets["easiest_bits"]:
        raise ParametersError("genesis_bits is easier than easiest_bits")


def _validate_allocations(parameters: Parameters) -> None:
    if len(parameters.allocations) > _MAX_ALLOCATIONS:
        raise ParametersError(f"allocations: at most {_MAX_ALLOCATIONS}")
    for key, amount in parameters.allocations:
        if not codec.is_bin(key, codec.HASH_BYTES):
            raise ParametersError("allocations: a key is not 32 bytes")
        if not codec.is_uint(amount) or amount == 0:
            raise ParametersError(f"allocations: {amount!r} is not an amount above 0")
    if any(left >= right for (left, _), (right, _) in pairwise(parameters.allocations)):
        raise ParametersError("allocations must be in ascending order of the key, each key once")


def rules_version(height: int) -> int:
    """Return the rules version in force at `height`: what `header.version` must equal."""
    version = RULES_VERSIONS[0][1]
    for first_height, introduced in RULES_VERSIONS:
        if height >= first_height:
            version = introduced
    return version
