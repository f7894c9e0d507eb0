"""The port in memory, for the simulator and tests: the same overlay over plain dicts, and a writer to them.

No disk of its own. The one it plays survives a crash: `open_memory` on the same one is a restart, with what
was committed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from node.ledger.block import decode_block, decode_coinbase, genesis_block
from node.ledger.entry import decode_entry
from node.ledger.merkle import leaf_hash
from node.ledger.params import Parameters
from node.ledger.state import ABSENT, Account, AccountState, genesis_accounts
from node.storage.genesis import genesis_record
from node.storage.overlay import OverlaidStore
from node.storage.port import Batch, BlockRecord, Connected, Place, Switch
from node.storage.scratch import SpillingScratch


@dataclass(slots=True)
class MemoryDisk:
    """What is durable. Satisfies overlay.Durable."""

    records: list[BlockRecord]
    """By id."""
    ids: dict[bytes, int]
    bodies: dict[int, bytes]
    main: list[int]
    """Ids by height."""
    accounts: dict[bytes, AccountState]
    children: set[int] = field(default_factory=set)
    """Ids of blocks that have children."""
    txids: dict[bytes, list[Place]] = field(default_factory=dict)
    history: dict[bytes, list[Place]] = field(default_factory=dict)
    """Key to places, ascending."""
    values: dict[str, bytes] = field(default_factory=dict)

    def tip(self) -> BlockRecord:
        return self.records[self.main[-1]]

    def next_id(self) -> int:
        return len(self.records)

    def record(self, block_id: int) -> BlockRecord:
        return self.records[block_id]

    def find(self, block_hash: bytes) -> BlockRecord | None:
        block_id = self.ids.get(block_hash)
        return None if block_id is None else self.records[block_id]

    def main_id(self, height: int) -> int | None:
        return self.main[height] if 0 <= height < len(self.main) else None

    def main_headers(self, first: int, count: int) -> list[bytes]:
        return [self.records[block_id].header.raw for block_id in self.main[first : first + count]]

    def body(self, block_id: int) -> bytes | None:
        return self.bodies.get(block_id)

    def account(self, key: bytes) -> Account:
        return Account(*self.accounts.get(key, ABSENT))

    def leaves(self) -> list[BlockRecord]:
        return [record for record in self.records if record.id not in self.children]

    def places_of(self, txid: bytes) -> list[Place]:
        return list(self.txids.get(txid, ()))

    def history_of(self, key: bytes, before: Place, limit: int) -> list[Place]:
        places = self.history.get(key, [])
        end = bisect_left(places, before)
        return places[max(0, end - limit) : end][::-1]

    def value(self, name: str) -> bytes | None:
        return self.values.get(name)


def memory_disk(parameters: Parameters) -> MemoryDisk:
    """Return a new disk with genesis."""
    genesis, record = genesis_block(parameters), genesis_record(parameters)
    return MemoryDisk([record], {record.hash: 0}, {0: genesis.raw}, [0], genesis_accounts(parameters))


def open_memory(disk: MemoryDisk) -> tuple[OverlaidStore, MemoryWriter]:
    """Return the port's two sides over this disk."""
    return OverlaidStore(disk, SpillingScratch), MemoryWriter(disk)


class MemoryWriter:
    """Satisfies port.Writer."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk

    def commit(self, batches: Iterable[Batch]) -> None:
        """Take the batches to the disk. Raises AssertionError where a block's parts are not its body's."""
        for batch in batches:
            self._commit(batch)

    def _commit(self, batch: Batch) -> None:
        disk = self._disk
        for record in batch.records:
            if record.id < len(disk.records):
                disk.records[record.id] = record
            else:
                disk.records.append(record)
                disk.ids[record.hash] = record.id
                disk.children.add(record.parent_id)
        disk.bodies.update(batch.bodies)
        if batch.switch is not None:
            self._follow(batch.switch)
        for connected in batch.connected:
            self._join(connected.record, connected)
        changed = dict(batch.scratch.items()) if batch.scratch is not None else {}
        changed.update(batch.accounts)
        for key, account in changed.items():
            if account == ABSENT:
                disk.accounts.pop(key, None)
            else:
                disk.accounts[key] = account
        disk.values.update(batch.values)

    def _follow(self, switch: Switch) -> None:
        while self._disk.main[-1] != switch.fork.id:
            self._leave(self._disk.tip())
        branch = [switch.new]
        while branch[-1].parent_id != switch.fork.id:
            branch.append(self._disk.record(branch[-1].parent_id))
        for record in reversed(branch):
            self._join(record, switch.at_hand.get(record.id))

    def _join(self, record: BlockRecord, given: Connected | None) -> None:
        """Let a block join; `given` are its parts, where they were handed over."""
        parts = self._parts(record)
        if given is not None:
            _hold_against(given, parts)
        self._disk.main.append(record.id)
        for txid, place, keys in _touched(parts):
            self._disk.txids.setdefault(txid, []).append(place)
            for key in keys:
                insort(self._disk.history.setdefault(key, []), place)

    def _leave(self, record: BlockRecord) -> None:
        self._disk.main.pop()
        for txid, place, keys in _touched(self._parts(record)):
            self._disk.txids[txid].remove(place)
            for key in keys:
                self._disk.history[key].remove(place)

    def _parts(self, record: BlockRecord) -> Connected:
        """Return a block's parts as its stored body has them."""
        block = decode_block(self._disk.bodies[record.id])
        first = block.first_leaf
        return Connected(
            record, decode_coinbase(first), leaf_hash(first), [decode_entry(raw) for raw in block.entries]
        )


def _hold_against(given: Connected, stored: Connected) -> None:
    """Raise AssertionError where parts that were handed over are not those of the block's stored body.

    The book on disk believes them; in the worlds that are simulated here somebody looks.
    """
    for name, one, other in (
        ("coinbase", given.coinbase, stored.coinbase),
        ("coinbase leaf", given.coinbase_leaf, stored.coinbase_leaf),
        ("entries", list(given.entries), stored.entries),
    ):
        if one != other:
            raise AssertionError(f"block {stored.record.height}: {name} handed over, and other {name} stored")


def _touched(parts: Connected) -> list[tuple[bytes, Place, list[bytes]]]:
    """Return each leaf's txid, its place and the keys that it touches."""
    height = parts.record.height
    touched = [(parts.coinbase_leaf, Place(height, 0), [parts.coinbase.miner])]
    for position, entry in enumerate(parts.entries, 1):
        keys = [entry.sender, entry.recipient] if entry.sender != entry.recipient else [entry.sender]
        touched.append((entry.txid, Place(height, position), keys))
    return touched
