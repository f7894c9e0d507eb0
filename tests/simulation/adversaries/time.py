"""Adversaries that lie about the time: in blocks, which they mine and the law allows, and in greetings."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from node.messages import Hello
from tests.simulation.adversaries.party import Adversary
from tests.simulation.adversaries.script import Script

_LATEST_MS: Final = 25_000


def from_future(me: Adversary) -> Script:
    """Blocks whose time comes in a while: nobody's fault; they wait, and are taken when it has come.

    Who mines on one of them earlier than that is not followed either.
    """

    def find() -> None:
        ahead_ms = me.scene.parameters.drift_ms + 1_000 + me.dice.randrange(_LATEST_MS)
        block = me.build(me.view.tip, timestamp_ms=max(me.wall_ms(), me.view.tip.timestamp_ms) + ahead_ms)
        me.publish(block, me.open_lines())
        me.did(f"block {block.height} {block.hash.hex()[:8]}, {ahead_ms} ms ahead")

    return Script(find=find, mines=True)


def timestamp_bomb(me: Adversary) -> Script:
    """Blocks at the edges of time: as late as the drift lets them in, or 1 ms after their parent.

    The rule of difficulty must stay near the hash rate, and the honest must still find their times in order.
    """

    def find() -> None:
        parent = me.view.tip
        latest = me.wall_ms() + me.scene.parameters.drift_ms
        is_late = me.dice.randrange(2) == 0 and latest > parent.timestamp_ms
        block = me.build(parent, timestamp_ms=latest if is_late else parent.timestamp_ms + 1)
        me.view.add(block)
        me.publish(block, me.open_lines())
        me.did(f"block {block.height}, {block.timestamp_ms - me.wall_ms():+} ms")

    return Script(find=find, mines=True)


def wrong_clocks(me: Adversary) -> Script:
    """Says in each greeting that it is an hour later, as all others of its kind do.

    However many of them call, an honest node whose clock is right goes on mining.
    """

    def greets(hello: Hello) -> Hello:
        me.did("says that it is an hour later")
        return replace(hello, time_ms=hello.time_ms + 3_600_000)

    return Script(greets=greets)
