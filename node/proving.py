"""A branch proven on the side: the accounts as they are after one of its blocks, over those at the tip.

Pure. The scratch copy is brought from block to block, up and down; it stays as it is while the tip moves on
below it, and is handed over when the branch becomes the main chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from node.bodies import Held
from node.connecting import Connecting
from node.ledger import state
from node.ledger.errors import RuleBroken
from node.storage.port import BlockRecord, Scratch, Store
from node.tree import Tree

PROOF_KEPT_BLOCKS: Final = 100
"""Extensions of the tip that a proof outlives without being used: each one adds to its scratch copy."""


@dataclass(slots=True)
class _Proof:
    """The accounts as they are after block `at`."""

    scratch: Scratch
    at: BlockRecord
    idle: int = 0
    """Extensions of the tip since it was used."""


class Proving:
    """The one proof that is kept."""

    def __init__(self, store: Store, tree: Tree, connecting: Connecting) -> None:
        self._store = store
        self._tree = tree
        self._connecting = connecting
        self._proof: _Proof | None = None

    def towards(self, target: BlockRecord) -> BlockRecord:
        """Choose the accounts nearest to `target`: those kept from before, or new ones at the tip.

        Returns the block after which they are.
        """
        tip, proof = self._store.tip(), self._proof
        if proof is not None:
            kept = self._tree.fork_point(proof.at, target)
            fresh = self._tree.fork_point(tip, target)
            if proof.at.height - 2 * kept.height > tip.height - 2 * fresh.height:
                self._drop()
        proof = self._proof = self._proof or _Proof(self._store.scratch(), tip)
        proof.idle = 0
        return proof.at

    def descend(self) -> Iterator[int]:
        """Take the last block back; yields what was done, in entries. Raises StorageFault, StateMismatch."""
        proof = self._take()  # for good, should this fail: half undone it is of no use
        yield from self._connecting.undo(proof.at, proof.scratch)
        proof.at = self._tree.parent(proof.at)
        self._proof = proof

    def climb(self, held: Held) -> Iterator[int]:
        """Apply a child of the last block; yields what was done, in entries.

        Raises RuleBroken: then the accounts are as before.
        """
        proof = self._take()
        changes = state.Changes(proof.scratch.__getitem__)
        try:
            yield from self._connecting.apply(held, changes)
        except RuleBroken:
            self._proof = proof
            raise
        for key, account in changes.items():
            proof.scratch[key] = account
        proof.at = held.record
        self._proof = proof

    def keep(self, changes: state.Changes) -> None:
        """Stay as it is, though the accounts below are about to change."""
        proof = self._proof
        if proof is None:
            return
        proof.idle += 1
        if proof.idle > PROOF_KEPT_BLOCKS:
            self._drop()
            return
        for key in changes:
            proof.scratch.keep(key, self._store.account_state(key))

    def hand_over(self) -> Scratch:
        """Return the accounts, for a switch; whoever takes them closes them."""
        return self._take().scratch

    def _take(self) -> _Proof:
        proof, self._proof = self._proof, None
        if proof is None:
            raise AssertionError("there is no proof")
        return proof

    def _drop(self) -> None:
        if self._proof is not None:
            self._proof.scratch.close()
            self._proof = None
