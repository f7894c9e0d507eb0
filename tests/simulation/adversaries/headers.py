"""Adversaries that send headers which lead nowhere."""

from __future__ import annotations

from typing import Final

from node.messages import GetData, Headers, Kind, Message
from tests.building import Built, Changes
from tests.simulation.adversaries.party import Adversary
from tests.simulation.adversaries.script import Line, Script

FLOOD: Final = 2_000
"""Headers of one flood, at most."""
BRANCHES: Final = 3


def low_work_flood(me: Adversary) -> Script:
    """Branches from genesis of many headers and little work, again and again, to whoever listens.

    Nothing of them is kept or followed; their bodies do not exist.
    """
    branches: list[list[Built]] = []

    def cheap() -> list[Built]:
        """Mine headers with times as far apart as the law counts, so that they get as easy as they may."""
        parameters = me.scene.parameters
        at = me.chain.genesis
        budget = me.view.tip.work // 3
        found: list[Built] = []
        while len(found) < FLOOD and at.work < budget:
            time_ms = min(at.timestamp_ms + 160 * parameters.interval_ms, me.wall_ms())
            at = me.build(at, timestamp_ms=max(at.timestamp_ms + 1, time_ms))
            found.append(at)
        return found

    def act() -> None:
        line = me.any_line()
        if line is None or me.view.tip.height < 3:
            return
        if len(branches) < BRANCHES:
            branches.append(cheap())
        branch = me.dice.choice(branches)
        if not branch:
            branches.clear()
            return
        me.shown = branch[-1]
        me.say(line, Headers(tuple(block.header.raw for block in branch)))
        me.did(f"{len(branch)} headers of work {branch[-1].work} to {line.host}")

    def answers(_: Line, message: Message) -> bool:
        return isinstance(message, GetData) and message.kind is Kind.BLOCK

    return Script(act=act, every_ms=1_500, answers=answers)


def endless_headers(me: Adversary) -> Script:
    """Headers that connect to nothing that anybody knows, each with its proof of work, one after the other.

    They are asked after, kept by nobody, and in the end charged for.
    """

    def act() -> None:
        line = me.any_line()
        if line is None:
            return
        nowhere = me.chain.block(
            me.view.tip, timestamp_ms=me.wall_ms() + 1, changes=Changes(previous=me.dice.randbytes(32))
        )
        me.say(line, Headers((nowhere.header.raw,)))
        me.did(f"a header that connects to nothing, to {line.host}")

    return Script(act=act, every_ms=700)
