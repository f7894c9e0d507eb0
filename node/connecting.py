"""What a block does to accounts, as a whole, and its exact reverse; in slices.

Pure. Whether the accounts are those at the tip or a copy on the side is the caller's business.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from node.bodies import Bodies, Held
from node.ledger import rules, state
from node.ledger.block import Coinbase
from node.ledger.params import Parameters
from node.storage.port import BlockRecord
from node.tree import Tree

SLICE: Final = 500
"""Entries handled before others get a turn."""
BLOCK_COST: Final = 20
"""What a block costs besides its entries, in entries."""
_COINBASES: Final = 256
"""Coinbases kept at hand for networks with maturity."""


class Connecting:
    """Applies blocks, and takes them back."""

    def __init__(self, parameters: Parameters, tree: Tree, bodies: Bodies) -> None:
        self._parameters = parameters
        self._tree = tree
        self._bodies = bodies
        self._coinbases: OrderedDict[int, Coinbase] = OrderedDict()

    def apply(self, held: Held, accounts: state.Accounts) -> Iterator[int]:
        """Apply a prepared block whose signatures were answered; yields what was done, in entries.

        Raises RuleBroken; then the accounts are of no more use.
        """
        if held.bad:
            raise rules.signature_broken(held.bad[0])
        fees = 0
        for start in range(0, len(held.entries), SLICE):
            part = held.entries[start : start + SLICE]
            fees += state.apply_entries(accounts, part, start)
            yield len(part)
        rules.check_coinbase_amount(held.sane.coinbase, fees, self._parameters)
        credited = self.credited_by(held.record, held.sane.coinbase)
        if credited is not None:
            state.apply_coinbase(accounts, credited)
        yield BLOCK_COST

    def undo(self, record: BlockRecord, accounts: state.Accounts) -> Iterator[int]:
        """Take a block back that was applied last; bytes that are read are hashed to their header first.

        Yields what was done, in entries. Raises StorageFault and StateMismatch: this machine's faults.
        """
        held = self._bodies.recall(record)
        yield from held.take_apart(SLICE)
        credited = self.credited_by(record, held.sane.coinbase)
        if credited is not None:
            state.undo_coinbase(accounts, credited)
        for end in range(len(held.entries), 0, -SLICE):
            start = max(0, end - SLICE)
            for entry in reversed(held.entries[start:end]):
                state.undo_entry(accounts, entry)
            yield end - start
        yield BLOCK_COST

    def credited_by(self, record: BlockRecord, own: Coinbase) -> Coinbase | None:
        """Return the coinbase that is credited when `record` connects, whose own is `own`; None for none."""
        if self._parameters.maturity == 0:
            return own
        self._keep(record.id, own)
        height = rules.matured_height(record.height, self._parameters)
        if height is None:
            return None
        block = self._tree.ancestor(record, height)
        coinbase = self._coinbases.get(block.id)
        if coinbase is None:
            held = self._bodies.get(block.id)
            coinbase = held.sane.coinbase if held is not None else self._bodies.recall(block).sane.coinbase
            self._keep(block.id, coinbase)
        return coinbase

    def _keep(self, block_id: int, coinbase: Coinbase) -> None:
        self._coinbases[block_id] = coinbase
        if len(self._coinbases) > _COINBASES:
            self._coinbases.popitem(last=False)
