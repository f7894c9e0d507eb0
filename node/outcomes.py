"""What the chain tells of itself: a block connected, a branch left, a block put aside or condemned. Pure."""

from __future__ import annotations

from typing import NamedTuple

from node.ledger.entry import Entry
from node.ledger.errors import RuleBroken
from node.ledger.rules import SaneBlock
from node.noted import LoudSwitch
from node.storage.port import BlockRecord


class BlockConnected(NamedTuple):
    """The tip has a child now."""

    record: BlockRecord
    entries: list[Entry]
    credited: tuple[bytes, ...]
    """Who got coins beside the entries: see `Chain.credited_by`."""
    origin: int
    batch: int
    sane: SaneBlock


class Switched(NamedTuple):
    """The main chain is another branch now."""

    old: BlockRecord
    new: BlockRecord
    fork: BlockRecord
    batch: int
    at_ms: int
    """When, by our clock; Unix milliseconds."""
    loud: bool
    """True for a switch that was deep or late; it is remembered, and the old branch stays as evidence."""

    @property
    def remembered(self) -> LoudSwitch:
        """What is remembered of a loud one."""
        old, new = self.old, self.new
        return LoudSwitch(self.at_ms, self.fork.height, old.height, old.hash, new.height, new.hash)


class BlockStored(NamedTuple):
    """A block was put aside: its branch is not heavier than the tip, or there is no room in memory."""

    record: BlockRecord
    batch: int


class BlockCondemned(NamedTuple):
    """A block breaks a rule."""

    record: BlockRecord
    broken: RuleBroken
    origin: int
    """The connection that sent the body and answers for it, or OURSELVES."""
    came_from: int
    """The connection that sent the body, whether it answers for it or not, or OURSELVES."""


Outcome = BlockConnected | Switched | BlockStored | BlockCondemned
