"""Building books for tests: keys, signed entries and mined blocks, the same on every run; no I/O.

A `ChainBuilder` makes blocks on any parent, valid unless told otherwise. It takes from the law what it cannot
do without (encoding, hashing, signing, difficulty), and keeps accounts of its own, as a plain dict.

    chain = ChainBuilder()
    ann, bob = key("ann"), key("bob")
    first = chain.block(miner=ann)                              # on genesis; pays ann 50.00
    second = chain.block(first, [chain.entry(ann, bob, 7_00)])
    forged = chain.block(second, changes=Changes(coinbase_amount=1_000_000_00))
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from node import pow as proof_of_work
from node.ledger import difficulty, merkle, rules, signature
from node.ledger.block import (
    EXTENSION_ROOT,
    Block,
    Body,
    Coinbase,
    Header,
    encode_block,
    genesis_block,
)
from node.ledger.entry import Entry, assemble_entry, unsigned_message
from node.ledger.history import EMPTY, Frontier
from node.ledger.params import Parameters
from node.storage.port import BlockRecord, Standing

EASY: Final = Parameters(
    name="for-tests",
    prefix="test",
    symbol="TEST",
    decimals=2,
    interval_ms=1_000,
    half_life_ms=40_000,
    genesis_ms=1_700_000_000_000,
    genesis_bits=0x207FFFFF,  # half of all hashes meet it
    easiest_bits=0x207FFFFF,
    initial_reward=50_00,
    halving_interval=2_000_000,
    allocations=(),
    minimum_fee=1,
    maximum_block_bytes=1 << 20,
    drift_ms=30_000,
    lifetime_ms=14 * 86_400_000,
    maturity=0,
)
"""A network whose blocks cost nothing to mine."""


class Key(NamedTuple):
    """A key pair."""

    seed: bytes
    public: bytes


@lru_cache(maxsize=100_000)
def key(name: str | int) -> Key:
    """Return the key pair of this name: the same name, the same key."""
    seed = hashlib.sha256(f"key of {name}".encode()).digest()
    return Key(seed, signature.public_key_of(seed))


@dataclass(frozen=True, slots=True)
class Changes:
    """What to make wrong in a block; None leaves the right value."""

    version: int | None = None
    height: int | None = None
    previous: bytes | None = None
    body_root: bytes | None = None
    bits: int | None = None
    count: int | None = None
    entries_root: bytes | None = None
    history_root: bytes | None = None
    extension_root: bytes | None = None
    coinbase_height: int | None = None
    coinbase_amount: int | None = None
    first_leaf: bytes | None = None
    """Bytes in the place of the coinbase; must be msgpack of something."""
    mine: bool = True
    """False: nonce 0, whatever the hash."""


NO_CHANGES: Final = Changes()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Built:
    """A block with what came before it. Satisfies `rules.Placed`."""

    block: Block
    parent: Built | None
    coinbase: Coinbase | None
    """None in genesis."""
    entries: tuple[Entry, ...]
    """Those of its entries that were handed over as entries."""
    chain_time: int
    work: int
    """Cumulative."""
    history: Frontier = field(repr=False)
    """Over the hashes 0 to this block's own; its root is what the next block commits to."""
    history_nodes: bytes = field(repr=False)
    """What `BlockRecord.history_nodes` holds."""

    @property
    def header(self) -> Header:
        return self.block.header

    @property
    def hash(self) -> bytes:
        return self.block.header.hash

    @property
    def height(self) -> int:
        return self.block.header.height

    @property
    def timestamp_ms(self) -> int:
        return self.block.header.timestamp_ms

    @property
    def raw(self) -> bytes:
        return self.block.raw

    @property
    def coinbase_leaf(self) -> bytes:
        """Leaf hash of the coinbase: the txid of the reward."""
        return merkle.leaf_hash(self.block.first_leaf)

    def path(self) -> list[Built]:
        """Return the blocks from genesis to this one."""
        found: list[Built] = []
        at: Built | None = self
        while at is not None:
            found.append(at)
            at = at.parent
        return found[::-1]


class ChainBuilder:
    """Makes blocks and entries of one network. Deterministic: the same calls, the same bytes."""

    def __init__(self, parameters: Parameters = EASY) -> None:
        self.parameters = parameters
        block = genesis_block(parameters)
        self.network_id = block.header.hash
        history, nodes = EMPTY.append(self.network_id)
        time = rules.genesis_chain_time(parameters)
        self.genesis = Built(block, None, None, (), time, 0, history, b"".join(nodes))
        self._nonces: dict[bytes, int] = {}

    def entry(
        self,
        sender: Key,
        recipient: Key | bytes,
        amount: int,
        *,
        fee: int | None = None,
        nonce: int | None = None,
        timestamp_ms: int | None = None,
        memo: str = "",
        signed: bool = True,
    ) -> Entry:
        """Return a signed entry; not given, the fee is the minimum and the time one interval after genesis.

        The nonce counts this sender's entries made here, in one line: give it where branches part. Not
        `signed` has 64 zero bytes for a signature, which is many times faster to make.
        """
        if nonce is None:
            nonce = self._nonces.get(sender.public, 0)
        self._nonces[sender.public] = nonce + 1
        parameters = self.parameters
        message = unsigned_message(
            self.network_id,
            sender=sender.public,
            recipient=recipient if isinstance(recipient, bytes) else recipient.public,
            amount=amount,
            fee=parameters.minimum_fee if fee is None else fee,
            nonce=nonce,
            timestamp_ms=parameters.genesis_ms + parameters.interval_ms
            if timestamp_ms is None
            else timestamp_ms,
            memo=memo,
        )
        proof = signature.sign(sender.seed, message) if signed else bytes(64)
        return assemble_entry(self.network_id, message, proof)

    def block(
        self,
        parent: Built | None = None,
        entries: Sequence[Entry | bytes] = (),
        *,
        timestamp_ms: int | None = None,
        miner: Key | bytes | None = None,
        note: str = "",
        changes: Changes = NO_CHANGES,
    ) -> Built:
        """Return a mined block on `parent` (None: genesis), one interval after it where no time is given.

        Entries may be raw bytes, which pay no fee here. Pays `key("miner")` where no miner is named. Whether
        the entries are valid is not looked at.
        """
        parent = parent or self.genesis
        height = parent.height + 1
        known = tuple(entry for entry in entries if isinstance(entry, Entry))
        coinbase = Coinbase(
            height=_or(changes.coinbase_height, height),
            miner=miner if isinstance(miner, bytes) else (miner or key("miner")).public,
            amount=_or(
                changes.coinbase_amount, self.parameters.reward(height) + sum(entry.fee for entry in known)
            ),
            note=note,
        )
        first_leaf = _or(changes.first_leaf, coinbase.encode())
        raws = tuple(entry.raw if isinstance(entry, Entry) else entry for entry in entries)
        body = _body(first_leaf, raws, parent.history.root(), changes)
        time = parent.timestamp_ms + self.parameters.interval_ms if timestamp_ms is None else timestamp_ms
        header = self._mined(parent, body, time, changes)
        history, nodes = parent.history.append(header.hash)
        return Built(
            block=encode_block(header, body, first_leaf, raws),
            parent=parent,
            coinbase=coinbase,
            entries=known,
            chain_time=rules.chain_time_of(header, parent, self.parameters),
            work=parent.work + header.work,
            history=history,
            history_nodes=b"".join(nodes),
        )

    def blocks(self, parent: Built | None, count: int, *, miner: Key | bytes | None = None) -> list[Built]:
        """Return `count` blocks without entries, one on the other. Other miners make other branches."""
        found: list[Built] = []
        for _ in range(count):
            parent = self.block(parent, miner=miner)
            found.append(parent)
        return found

    def accounts_at(self, block: Built) -> dict[bytes, tuple[int, int]]:
        """Return key -> (balance, nonce) after `block`, worked out from genesis; (0, 0) is left out."""
        accounts: dict[bytes, tuple[int, int]] = {k: (amount, 0) for k, amount in self.parameters.allocations}
        path = block.path()
        for at in path:
            for entry in at.entries:
                balance, nonce = accounts.get(entry.sender, (0, 0))
                accounts[entry.sender] = (balance - entry.amount - entry.fee, nonce + 1)
                balance, nonce = accounts.get(entry.recipient, (0, 0))
                accounts[entry.recipient] = (balance + entry.amount, nonce)
            matured = at.height - self.parameters.maturity
            coinbase = path[matured].coinbase if matured >= 1 else None
            if coinbase is not None:
                balance, nonce = accounts.get(coinbase.miner, (0, 0))
                accounts[coinbase.miner] = (balance + coinbase.amount, nonce)
        return {k: account for k, account in accounts.items() if account != (0, 0)}

    def _mined(self, parent: Built, body: Body, timestamp_ms: int, changes: Changes) -> Header:
        height = parent.height + 1
        header = Header(
            version=_or(changes.version, 1),
            height=_or(changes.height, height),
            previous=_or(changes.previous, parent.hash),
            body_root=_or(changes.body_root, body.root()),
            timestamp_ms=timestamp_ms,
            bits=_or(changes.bits, rules.required_bits(parent, self.parameters)),
            nonce=0,
        )
        if not changes.mine:
            return header
        target = difficulty.bits_to_target(header.bits)
        nonce = proof_of_work.search(header.raw[: proof_of_work.PREFIX_BYTES], target, 0, 1 << 32)
        assert nonce is not None, "no nonce in 2^32: make the target of this test easier"
        return replace(header, nonce=nonce)


def record_of(
    block: Built,
    block_id: int,
    *,
    parent_id: int | None = None,
    skip_id: int | None = None,
    first_seen_ms: int = 0,
    standing: Standing = Standing.PROVEN,
    rule: str = "",
) -> BlockRecord:
    """Return the record under which a store keeps this block; its parent is the id before where not given."""
    parent_id = block_id - 1 if parent_id is None else parent_id
    return BlockRecord(
        id=block_id,
        header=block.header,
        work=block.work,
        chain_time=block.chain_time,
        parent_id=parent_id,
        skip_id=parent_id if skip_id is None else skip_id,
        first_seen_ms=first_seen_ms,
        history_nodes=block.history_nodes,
        standing=standing,
        rule=rule,
    )


def with_allocations(amounts: Mapping[Key, int], parameters: Parameters = EASY) -> Parameters:
    """Return the parameters with these keys holding these amounts at genesis."""
    allocations = sorted((owner.public, amount) for owner, amount in amounts.items())
    return replace(parameters, allocations=tuple(allocations))


def _body(first_leaf: bytes, raws: tuple[bytes, ...], history_root: bytes, changes: Changes) -> Body:
    leaves = [merkle.leaf_hash(leaf) for leaf in (first_leaf, *raws)]
    return Body(
        count=_or(changes.count, len(leaves)),
        entries_root=_or(changes.entries_root, merkle.tree_root(leaves)),
        history_root=_or(changes.history_root, history_root),
        extension_root=_or(changes.extension_root, EXTENSION_ROOT),
    )


def _or(given: T | None, right: T) -> T:
    return right if given is None else given
