"""The storage port: what the core asks of whatever keeps its blocks and accounts.

Pure: types only. Reads are synchronous and deterministic. Writes are batches: the core *stages* a batch, so
that it reads its own writes at once, and hands it to its driver, which commits it on a thread of its own
and answers Persisted(number); then the core lets the store *settle* that number. Batches are committed in
the order of their numbers, each whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

from node.ledger.block import Coinbase, Header
from node.ledger.entry import Entry
from node.ledger.state import Account, AccountState


class Standing(IntEnum):
    """What is known of a block, apart from its header being valid in context."""

    HEADER = 0
    """Its header only."""
    STORED = 1
    """Its body is stored, the header's own, right in context; so are the bodies of all its ancestors."""
    PROVEN = 2
    """It was connected once, on the main chain or on the side: it is valid."""
    CONDEMNED = 3
    """It breaks a rule, or descends from a block that does; for good."""


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A block's place in the tree. Immutable: a new standing is a new record of the same id."""

    id: int
    """Order of arrival, from 0 (genesis) without gaps; never used again. The first seen wins a tie."""
    header: Header
    work: int
    """Cumulative, genesis (0) to here."""
    chain_time: int
    """See rules.chain_time_of; milliseconds."""
    parent_id: int
    """-1 for genesis."""
    skip_id: int
    """An ancestor further back, for walks in O(log height); see tree.skip_height. -1 for genesis."""
    first_seen_ms: int
    """When this node first saw the header; Unix milliseconds."""
    history_nodes: bytes
    """Inner nodes of the history tree that this block's hash completed, lowest first, 32 bytes each."""
    standing: Standing
    rule: str = ""
    """Code of the rule it broke, where it is condemned."""

    @property
    def hash(self) -> bytes:
        """Of the header, 32 bytes."""
        return self.header.hash

    @property
    def height(self) -> int:
        """Of the header."""
        return self.header.height


class Place(NamedTuple):
    """Where something stands on the main chain."""

    height: int
    position: int
    """Leaf index in the block: 0 is the coinbase, 1 the first entry."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A block that joins the main chain above the tip, with its parts, so that none is read again."""

    record: BlockRecord
    coinbase: Coinbase
    coinbase_leaf: bytes
    """Leaf hash of the coinbase: how history and `tx` name a reward."""
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Switch:
    """The main chain leaves its branch above `fork` and follows the one that ends in `new`.

    The blocks between are not all named, for they may be many: whoever commits this finds them in the tree,
    and reads the bodies of those that are not at hand; all are stored.
    """

    fork: BlockRecord
    new: BlockRecord
    """Above `fork`."""
    at_hand: Mapping[int, Connected] = field(default_factory=dict)
    """Some of those that join, by id, with their parts."""


@dataclass(slots=True)
class Batch:
    """What becomes durable together. Mutable until it is staged."""

    number: int
    records: list[BlockRecord] = field(default_factory=list)
    """New blocks of the tree, and new standings of known ones; later ones win."""
    bodies: list[tuple[int, bytes]] = field(default_factory=list)
    """(block id, raw block bytes)."""
    switch: Switch | None = None
    """From one branch to another."""
    connected: list[Connected] = field(default_factory=list)
    """Blocks joining the main chain after that, ascending."""
    accounts: dict[bytes, AccountState] = field(default_factory=dict)
    """New values; ABSENT removes."""
    scratch: Scratch | None = None
    """New values of a switch that may be too many for memory, written before `accounts`.

    Not changed after staging; closed by `settle`.
    """
    values: dict[str, bytes] = field(default_factory=dict)
    """Small named values."""
    journal: list[bytes] = field(default_factory=list)
    """Entries typed here, for the journal file; the driver syncs them before it says Persisted."""
    followed: bool = False
    """Blocks that come next are at hand already: it may wait a little, to be committed with them."""

    @property
    def touches_book(self) -> bool:
        """True where there is more to commit than the journal's entries."""
        return bool(
            self.records
            or self.bodies
            or self.switch is not None
            or self.connected
            or self.accounts
            or self.scratch is not None
            or self.values
        )


class Scratch(Protocol):
    """A copy of the accounts on the side, where a branch is proven; in bounded memory.

    Satisfies state.Accounts.
    """

    def __getitem__(self, key: bytes, /) -> AccountState:
        """Return the account as written here, else as the store has it."""

    def __setitem__(self, key: bytes, account: AccountState, /) -> None:
        """Set the account here; the store is not touched."""

    def keep(self, key: bytes, account: AccountState) -> None:
        """Set the account unless it was written here already: the store's own value is about to change."""

    def held(self, key: bytes) -> AccountState | None:
        """Return the account as written here, None where it was not."""

    def items(self) -> Iterator[tuple[bytes, AccountState]]:
        """Yield all that was written here, each key once."""

    def __len__(self) -> int:
        """Return how many keys were written here."""

    def close(self) -> None:
        """Free what it holds; nothing may be called after."""


class Store(Protocol):
    """The node's book, as the core sees it: durable state overlaid with the batches that are staged."""

    def tip(self) -> BlockRecord:
        """Return the last block of the main chain."""

    def durable_tip(self) -> BlockRecord:
        """Return the last block of the main chain as committed and settled."""

    def next_id(self) -> int:
        """Return the id for the next new block."""

    def record(self, block_id: int) -> BlockRecord:
        """Return the block of this id, which exists."""

    def find(self, block_hash: bytes) -> BlockRecord | None:
        """Return the block of this hash."""

    def main_at(self, height: int) -> BlockRecord | None:
        """Return the main chain's block at this height, None above the tip."""

    def main_headers(self, first: int, count: int) -> list[bytes]:
        """Return the raw headers of the main chain from height `first` on, at most `count`, ascending."""

    def body(self, block_id: int) -> bytes | None:
        """Return the raw bytes as stored, None where there are none. The caller hashes them again."""

    def account(self, key: bytes) -> Account:
        """Return the account at the tip."""

    def account_state(self, key: bytes) -> AccountState:
        """Return the same as the ledger keeps it."""

    def leaves(self) -> list[BlockRecord]:
        """Return the durable blocks without children, ascending by id. Asked for at start only."""

    def places_of(self, txid: bytes) -> list[Place]:
        """Return candidates (few; the index holds a prefix) for an entry or coinbase, durable only."""

    def history_of(self, key: bytes, before: Place, limit: int) -> list[Place]:
        """Return durable places before `before`, newest first, at most `limit`, that may touch it."""

    def value(self, name: str) -> bytes | None:
        """Return a small named value."""

    def scratch(self) -> Scratch:
        """Return an empty scratch copy over this store's accounts."""

    def stage(self, batch: Batch) -> None:
        """Make the batch visible to reads. Numbers ascend."""

    def settle(self, number: int) -> None:
        """Drop the overlay of a batch that is durable (and of all before it); close its scratch."""


class Writer(Protocol):
    """The other side, on a thread of its own."""

    def commit(self, batches: Iterable[Batch]) -> None:
        """Make the batches durable, in one transaction. Raises StorageFault: nothing was written then."""


class StorageFault(Exception):
    """This machine's disk or file failed us; never a peer's fault. The message says what to do next."""
