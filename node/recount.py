"""An account worked out anew from the blocks that touched it, where the stored one may have been edited.

Pure. Asked for when a block with all its proof of work seems to overspend: before it is condemned for good
and its sender charged, the fault must not be this disk's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from itertools import groupby
from typing import Final

from node.ledger.entry import Entry, decode_entry
from node.ledger.params import Parameters
from node.ledger.rules import SaneBlock, sane_entries
from node.ledger.state import Account
from node.storage.port import BlockRecord, Place, Store
from node.tree import Tree

_PLACES: Final = 256
"""Places read from the index at a time."""
MOST_BLOCKS: Final = 2_000
"""Blocks read for one account, at most: whoever mines one bad block must not stop the node for long."""
_BLOCK_COST: Final = 20
"""What reading a block costs besides its entries, in entries."""


def recount(
    parameters: Parameters, store: Store, tree: Tree, load: Callable[[BlockRecord], SaneBlock], key: bytes
) -> Generator[int, None, Account | None]:
    """Return the account at the tip as the main chain's blocks give it; yields what was done, in entries.

    None where it cannot be told: a switch is on its way to the disk, and the index with it, or too many
    blocks touched the account. Raises StorageFault where a block was edited too.
    """
    tip, durable = store.tip(), store.durable_tip()
    if not tree.is_ancestor(durable, tip):
        return None
    balance, nonce = dict(parameters.allocations).get(key, 0), 0
    before = Place(durable.height + 1, 0)
    blocks = 0
    while places := store.history_of(key, before, _PLACES):
        for height, group in groupby(places, key=lambda place: place.height):
            record = store.main_at(height)
            blocks += 1
            if record is None or blocks > MOST_BLOCKS:
                return None
            sane = load(record)
            positions = [place.position for place in group]
            raws = [sane.block.entries[at - 1] for at in positions if 0 < at <= len(sane.block.entries)]
            paid, signed = _moved(key, [decode_entry(raw) for raw in raws])
            balance += paid
            nonce += signed
            if 0 in positions:
                balance += _credited(key, sane, tip.height, parameters)
            yield _BLOCK_COST + len(sane.block.entries)
        before = places[-1]
    for record in tree.path(durable, tip):
        sane = load(record)
        entries = sane_entries(sane)
        paid, signed = _moved(key, entries)
        balance += paid + _credited(key, sane, tip.height, parameters)
        nonce += signed
        yield _BLOCK_COST + len(entries)
    return Account(balance, nonce)


def _moved(key: bytes, entries: Sequence[Entry]) -> tuple[int, int]:
    """Return what entries add to a balance, and how many of them the key has signed."""
    balance = nonce = 0
    for entry in entries:
        if entry.recipient == key:
            balance += entry.amount
        if entry.sender == key:
            balance -= entry.amount + entry.fee
            nonce += 1
    return balance, nonce


def _credited(key: bytes, sane: SaneBlock, tip_height: int, parameters: Parameters) -> int:
    """Return what a block's coinbase has added to a balance by the time of the tip."""
    is_mature = sane.header.height + parameters.maturity <= tip_height
    return sane.coinbase.amount if sane.coinbase.miner == key and is_mature else 0
