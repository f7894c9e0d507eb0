"""Adversaries that mine valid blocks and choose whom they show them to, and when; all by the law."""

from __future__ import annotations

from typing import Final

from node.ledger.entry import Entry
from node.messages import Headers, Inventory, Kind
from tests.building import Built
from tests.simulation.adversaries.party import Adversary
from tests.simulation.adversaries.script import Script

MAX_SECRET: Final = 6
"""Blocks kept back, at most."""


def selfish(me: Adversary) -> Script:
    """Keeps the blocks that it mines to itself, and shows them when that makes others lose theirs.

    After Eyal and Sirer, "Majority is not enough" (2014): one block ahead and met, all is shown at once; two
    ahead and the lead shrinks to one, all is shown; further ahead, as much as the others have. It pays with
    the same coins in public and in secret. The law allows all this: the nodes must agree all the same.
    """
    secret: list[Built] = []
    """Blocks that only it knows of, on a block that is public."""

    def show(count: int, why: str) -> None:
        part = secret[:count]
        del secret[:count]
        if not part:
            return
        for block in part:
            me.serves[block.hash] = block.raw
            me.view.add(block)
        me.shown = part[-1]
        for line in me.open_lines():
            me.say(line, Headers(tuple(block.header.raw for block in part)))
        me.did(f"shows {len(part)} blocks up to {part[-1].height}, {why}")

    def find() -> None:
        parent = secret[-1] if secret else me.view.tip
        is_tie = not secret and me.shown is not None and me.shown.work == parent.work
        if is_tie and me.shown is not None:
            parent = me.shown
        nonce = None if secret else me.nonce_at(parent)
        twice: list[Entry] = []
        if nonce is not None:
            in_public, in_secret = me.entry(nonce), me.entry(nonce, 2)
            me.pocket[in_public.txid] = in_public.raw
            for line in me.open_lines():
                me.say(line, Inventory(Kind.ENTRY, (in_public.txid,)))
            twice = [in_secret]
        block = me.build(parent, twice)
        secret.append(block)
        if is_tie:
            show(1, "to win the tie")
        elif len(secret) > MAX_SECRET:
            show(len(secret), "for it has enough")

    def learnt() -> None:
        if not secret:
            return
        ahead = secret[-1].height - me.view.tip.height
        if ahead < 0:
            secret.clear()  # the others have won
        elif ahead <= 1:
            show(len(secret), "before the others overtake it")
        else:
            show(sum(block.height <= me.view.tip.height for block in secret), "as many as the others have")

    def rests() -> None:
        show(len(secret), "for it gives up")

    return Script(find=find, mines=True, learnt=learnt, rests=rests, wants_bodies=True)


def ties(me: Adversary) -> Script:
    """Two blocks of the same work on the same parent, shown to one half of the nodes each at the same moment.

    Which one is followed is open until somebody mines on one of them; under mining on demand that takes a
    payment. The nodes must be on one tip soon after.
    """

    def find() -> None:
        lines = me.open_lines()
        if len(lines) < 2:
            return
        parent = me.view.tip
        first = me.build(parent)
        rivals = [first, me.build(parent, timestamp_ms=first.timestamp_ms + 1)]
        me.dice.shuffle(lines)
        half = len(lines) // 2
        for block, part in zip(rivals, (lines[:half], lines[half:]), strict=True):
            me.publish(block, part)
            me.view.add(block)
        me.did(f"blocks {rivals[0].hash.hex()[:8]} and {rivals[1].hash.hex()[:8]} on {parent.height}")

    return Script(find=find, mines=True)
