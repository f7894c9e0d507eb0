"""A daemon is killed while it starts, syncs, switches or stops: it opens, and lost nothing that it told of.

A seed of its own draws the moment of each round: so many bytes through the line, so many lines of the log, or
so many milliseconds. `ACCEPTANCE_SEED=N ACCEPTANCE_KILL_POINTS=1` does the round of one seed again.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from node.storage.sqlite import BOOK_NAME
from tests.acceptance.nodes import SWIFT, Lab, Node, agreed
from tests.acceptance.proxy import Proxy

pytestmark = pytest.mark.acceptance

SEED: Final = int(os.environ.get("ACCEPTANCE_SEED", "1"))
ROUNDS: Final = int(os.environ.get("ACCEPTANCE_KILL_POINTS", "16"))

COMMON, LIGHT, HEAVY = 2, 5, 60
"""Heights: of the common beginning, of the branch of who is killed, and of everybody else's."""
LONGEST_WAIT_S: Final = 3.0
"""A moment that has not come by then never does: death comes all the same."""


class Made(NamedTuple):
    """What each round begins with."""

    network: Path
    folder: Path
    """Of a node on the light branch, with one payment in it and one that waits; to be copied."""
    txids: tuple[str, ...]
    address: str
    friend: Node
    """On the heavy branch; runs."""


@pytest.fixture(scope="module")
def made(shared_lab: Lab) -> Made:
    """A book with two branches at two nodes."""
    network = shared_lab.network(SWIFT)
    ann = shared_lab.node("ann", "--mine", "off", network=network).start()
    friend = shared_lab.node("friend", "--mine", "off", network=network)
    ann.call("mine", count=COMMON)
    ann.stop()
    friend.folder.mkdir(mode=0o700)
    shutil.copy(ann.folder / BOOK_NAME, friend.folder / BOOK_NAME)
    friend.start()
    friend.call("mine", count=HEAVY - COMMON)

    ann.start()
    address = ann.status()["address"]
    first = ann.cli("send", address, "1", "--memo", "in the lighter branch")["txid"]
    ann.call("mine", count=LIGHT - COMMON)
    second = ann.cli("send", address, "2", "--memo", "waits")["txid"]
    ann.stop()
    return Made(network, ann.folder, (first, second), address, friend)


class Round:
    """A node that is killed once or more, at moments that a seed draws."""

    def __init__(self, lab: Lab, made: Made, seed: int, *, fresh: bool) -> None:
        self.dice = random.Random(seed)
        self.made = made
        self.txids = [] if fresh else [*made.txids]
        self.line = Proxy(target=made.friend.port).__enter__()
        self.node = lab.node(
            f"killed-{seed}",
            *("--mine", "off", "--log-level", "debug"),
            network=made.network,
            peers=[f"127.0.0.1:{self.line.port}"],
        )
        if not fresh:
            shutil.copytree(made.folder, self.node.folder)

    def close(self) -> None:
        """Close the line."""
        self.line.__exit__(None, None, None)

    def killed_starting(self) -> None:
        """Kill it anywhere between its first instruction and its first answers."""
        before = len(self.node.log().splitlines())
        self.node.launch()
        self._kill(self.dice.choice((self._time(0.4), self._lines(before, 9))))

    def killed_syncing(self) -> None:
        """Kill it while blocks come in; where it has a branch of its own, that is while it switches too."""
        before = len(self.node.log().splitlines())
        way = self.dice.randrange(3)
        if way == 0:
            moment = self._bytes(25_000)
        else:
            moment = self._time(0.6) if way == 1 else self._lines(before + 8, HEAVY)
        self.node.launch()
        self._kill(moment)
        self.line.after(1, lambda: None)  # it dies of this once at most

    def killed_stopping(self) -> None:
        """Kill it after it was asked to stop, with a payment that was typed right before."""
        self.line.part()
        self.node.start()
        self.txids.append(
            self.node.cli("send", self.made.address, "3", "--memo", "at the last moment")["txid"]
        )
        moment = self.dice.choice((self._time(0.05), self._lines(len(self.node.log().splitlines()), 3)))
        self.node.send_signal(signal.SIGTERM)
        self._kill(moment)
        self.line.join()

    def check(self) -> None:
        """It opens, knows what it told of, agrees with the others, and its book is in order."""
        if self.dice.random() < 1 / 3:
            self.killed_starting()
        self.node.start()
        self._knows_all()
        agreed([self.node, self.made.friend], HEAVY)
        self._knows_all()
        if self.txids:
            assert self.node.status()["address"] == self.made.address
        self.node.stop()
        assert self.node.cli("verify")["ok"]

    def _knows_all(self) -> None:
        for txid in self.txids:
            status = self.node.call("tx", txid=txid)["status"]
            assert status in {"pending", "confirmed"}, f"{txid[:8]} was taken, and now it is {status}"

    def _kill(self, moment: Callable[[], bool]) -> None:
        latest = time.monotonic() + LONGEST_WAIT_S
        while not moment() and time.monotonic() < latest and self.node.is_running():
            time.sleep(0.001)  # a moment is waited for, and nothing depends on its being met
        self.node.kill()

    def _time(self, longest_s: float) -> Callable[[], bool]:
        wait_s = self.dice.uniform(0, longest_s)
        begun: list[float] = []

        def is_due() -> bool:
            begun.append(time.monotonic())
            return begun[-1] >= begun[0] + wait_s

        return is_due

    def _lines(self, already: int, most: int) -> Callable[[], bool]:
        wanted = already + self.dice.randint(1, most)
        return lambda: self.node.log().count("\n") >= wanted

    def _bytes(self, most: int) -> Callable[[], bool]:
        passed: list[bool] = []
        self.line.after(self.dice.randint(1, most), lambda: self._end_at_once(passed))
        return lambda: bool(passed)

    def _end_at_once(self, passed: list[bool]) -> None:
        passed.append(True)
        if self.node.is_running():
            self.node.send_signal(signal.SIGKILL)  # before the next byte


KINDS: Final[dict[str, tuple[bool, Callable[[Round], None]]]] = {
    "start": (False, Round.killed_starting),
    "first start": (True, Round.killed_starting),
    "sync": (True, Round.killed_syncing),
    "reorganisation": (False, Round.killed_syncing),
    "stop": (False, Round.killed_stopping),
}
"""What it is killed in the middle of; whether on an empty folder."""
_WEIGHTS: Final = (2, 1, 4, 5, 4)


def test_a_node_killed_at_any_point_opens_and_goes_on(lab: Lab, made: Made) -> None:
    for seed in range(SEED, SEED + ROUNDS):
        # Which kind is the turn's, so that few rounds have all of them.
        turns = [kind for kind, weight in zip(KINDS, _WEIGHTS, strict=True) for _ in range(weight)]
        kind = turns[seed * 7 % len(turns)]
        fresh, kill = KINDS[kind]
        one = Round(lab, made, seed, fresh=fresh)
        try:
            kill(one)
            one.check()
        except BaseException as error:
            error.add_note(f"killed during {kind}: ACCEPTANCE_SEED={seed} ACCEPTANCE_KILL_POINTS=1")
            raise
        finally:
            one.close()
