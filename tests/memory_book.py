"""A book in memory with the reads that questions need, written apart from the real stores; for tests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from node.ledger.state import Account
from node.storage.port import BlockRecord, Place, Standing
from tests.building import Built, ChainBuilder, record_of


class MemoryBook:
    """A main chain and its side branches, in lists. Satisfies `methods.ReadBook`."""

    def __init__(self, chain: ChainBuilder, tip: Built) -> None:
        self.main = tip.path()
        self.records = [record_of(block, number) for number, block in enumerate(self.main)]
        self.bodies = {record.id: block.raw for record, block in zip(self.records, self.main, strict=True)}
        self.accounts = chain.accounts_at(tip)
        self.ends = [self.records[-1]]

    def add_branch(self, blocks: Sequence[Built], standing: Standing, *, bodies: bool = True) -> None:
        fork = blocks[0].parent
        assert fork is not None
        parent_id = fork.height
        for block in blocks:
            record = record_of(block, len(self.records), parent_id=parent_id, standing=standing)
            self.records.append(record)
            if bodies:
                self.bodies[record.id] = block.raw
            parent_id = record.id
        self.ends.append(self.records[-1])

    def tip(self) -> BlockRecord:
        return self.records[len(self.main) - 1]

    def record(self, block_id: int) -> BlockRecord:
        return self.records[block_id]

    def find(self, block_hash: bytes) -> BlockRecord | None:
        return next((record for record in self.records if record.hash == block_hash), None)

    def main_at(self, height: int) -> BlockRecord | None:
        return self.records[height] if 0 <= height < len(self.main) else None

    def body(self, block_id: int) -> bytes | None:
        return self.bodies.get(block_id)

    def snapshot(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        """Nothing is held."""

    def account(self, key: bytes) -> Account:
        return Account(*self.accounts.get(key, (0, 0)))

    def accounts_after(self, key: bytes, limit: int) -> list[tuple[bytes, Account]]:
        found = sorted((each, Account(*account)) for each, account in self.accounts.items() if each > key)
        return found[:limit]

    def part_of_body(self, block_id: int, start: int, length: int) -> bytes | None:
        raw = self.body(block_id)
        return None if raw is None else raw[start : start + length]

    def leaves(self, limit: int | None = None) -> list[BlockRecord]:
        return self.ends if limit is None else self.ends[-limit:]

    def places_of(self, txid: bytes) -> list[Place]:
        """Candidates, like those of an index of one-byte prefixes."""
        return [
            Place(height, position)
            for height in range(1, len(self.main))
            for position, leaf in enumerate(self.main[height].block.leaves())
            if leaf[:1] == txid[:1]
        ]

    def history_of(self, key: bytes, before: Place, limit: int) -> list[Place]:
        found = []
        for height in range(1, len(self.main)):
            block = self.main[height]
            assert block.coinbase is not None
            touched = [block.coinbase.miner == key, *(key in (e.sender, e.recipient) for e in block.entries)]
            found += [Place(height, position) for position, touches in enumerate(touched) if touches]
        return [place for place in reversed(found) if place < before][:limit]
