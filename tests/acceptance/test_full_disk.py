"""A disk that is really full, at moments that a seed draws: the node stops in order, and goes on with room.

The disk is a small file system in memory where this process may mount one (root on Linux). Elsewhere no file
of the node may grow beyond a size that the seed draws, which the system holds it to (setrlimit).
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.nodes import SWIFT, CallRefused, Lab, Node, Payer, agreed, until, with_coins
from tests.acceptance.proxy import Proxy
from tests.acceptance.test_disk import LIMITED
from tests.building import ChainBuilder, key

pytestmark = pytest.mark.acceptance

SEED: Final = int(os.environ.get("ACCEPTANCE_SEED", "1"))
ROUNDS: Final = int(os.environ.get("ACCEPTANCE_FULL_DISKS", "1"))
MIB: Final = 1 << 20
DISK_BYTES: Final = 96 * MIB
PARAMETERS: Final = with_coins(SWIFT, key("payer"))
LONG: Final = 60

SAYS: Final = """\
the disk of FOLDER/(book.sqlite|pending.journal) is full. Free some space, then start the node again
cannot write FOLDER/(pending.dat|peers.dat) \\(No space left on device\\). Look at its owner and space
only \\d+ MiB are free on the disk of FOLDER; 50 MiB are needed. Make room, then start the node again: .*
"""
"""Its last words, a pattern a line: whatever it was that it could not write, or that it noticed before."""
SAYS_OF_A_LIMIT: Final = """\
cannot use FOLDER/book.sqlite \\(disk I/O error\\). Look at its disk, .*
cannot write FOLDER/(pending.journal|pending.dat|peers.dat) \\(File too large\\). Look at .*
"""


class Disk:
    """What a node's folder lies on."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        """Mount a disk on a new folder, or fall back to a limit."""
        self.folder = folder
        self._dice = dice
        self._filler = folder / "filler"
        folder.mkdir(mode=0o700)
        size = f"size={DISK_BYTES},mode=0700"
        words = ["mount", "-t", "tmpfs", "-o", size, "indelible-test", str(folder)]
        self.is_mounted = sys.platform == "linux" and os.geteuid() == 0 and _runs(words)

    def before(self, launcher: Path) -> list[str]:
        """Return what runs the program: nothing special on a disk of its own."""
        if self.is_mounted:
            return []
        launcher.write_text(LIMITED)
        return [sys.executable, str(launcher), str(self._dice.randrange(130_000, 220_000))]

    def fill(self) -> None:
        """Leave no room but for a few pages; a limit is there from the start."""
        if not self.is_mounted:
            return
        page = os.statvfs(self.folder).f_frsize
        with self._filler.open("wb", buffering=0) as file:
            for size in (MIB, page):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
            file.truncate(max(0, file.tell() - self._dice.randrange(0, 4) * page))

    def make_room(self, node: Node) -> None:
        """Take all that away."""
        self._filler.unlink(missing_ok=True)
        node.command[: node.command.index("--port")] = [sys.executable, "-m", "node"]

    def close(self) -> None:
        """Unmount it."""
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def _runs(words: list[str]) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Told:
    """What a node told of, until it stopped."""

    def __init__(self) -> None:
        self.txids: list[str] = []
        self.blocks: dict[int, str] = {}

    def pay(self, node: Node, payer: Payer, address: str) -> None:
        """Hand over an entry; its txid counts once it comes back."""
        nonce = payer.nonce
        try:
            self.txids.append(node.call("submit", entry=payer.entry(address, 1, memo="m" * 200))["txid"])
        except CallRefused:
            payer.nonce = nonce
            node.call("mine", count=1)  # so many may wait, and no more

    def look(self, node: Node) -> None:
        """Note the tip."""
        status = node.status()
        self.blocks[status["height"]] = status["tip"]

    def check(self, node: Node) -> None:
        """All of it is still there."""
        for height, told in self.blocks.items():
            assert node.call("block", name=height)["hash"] == told
        for txid in self.txids:
            status = node.call("tx", txid=txid)["status"]
            assert status in {"pending", "confirmed"}, f"{txid[:8]} was taken, and now it is {status}"


@pytest.fixture(params=range(SEED, SEED + ROUNDS))
def dice(request: pytest.FixtureRequest) -> random.Random:
    """The seed stands in the name of the test."""
    return random.Random(request.param)


@pytest.fixture
def disk(dice: random.Random) -> Iterator[Disk]:
    with tempfile.TemporaryDirectory(prefix="disk-") as parent:  # its socket's path is short
        made = Disk(Path(parent) / "d", dice)
        try:
            yield made
        finally:
            made.close()


def node_on(disk: Disk, lab: Lab, **options: object) -> Node:
    """Return a node whose folder is the disk."""
    peers = options.get("peers", ())
    assert isinstance(peers, tuple)
    node = lab.node(
        "full",
        *("--mine", "off"),
        network=lab.network(PARAMETERS),
        peers=peers,
        before=disk.before(lab.folder / "limited.py"),
    )
    node.command[node.command.index("--data-dir") + 1] = str(disk.folder)
    node.folder = disk.folder
    return node


def goes_on_until_stopped(node: Node, act: Callable[[], None]) -> None:
    """Do this again and again, until the node says that it has no room and stops."""

    def acted() -> bool:
        with contextlib.suppress(OSError):
            act()
        return not node.is_running()

    until(acted, "the node stops when it can write no more")


def says_why(node: Node, disk: Disk) -> None:
    """It ended in order, with a status and a sentence."""
    assert node.wait() == 1
    last = node.log().splitlines()[-1]
    known = (SAYS if disk.is_mounted else SAYS_OF_A_LIMIT).replace("FOLDER", re.escape(str(node.folder)))
    assert any(re.fullmatch(f"indelible: {pattern}", last) for pattern in known.splitlines()), last


def test_a_disk_that_fills_while_payments_come_loses_none_of_them(
    lab: Lab, disk: Disk, dice: random.Random
) -> None:
    node, told = node_on(disk, lab).start(), Told()
    payer = Payer(key("payer"), ChainBuilder(PARAMETERS))
    address = node.status()["address"]
    for _ in range(dice.randrange(0, 40) if disk.is_mounted else 0):
        told.pay(node, payer, address)
    disk.fill()
    goes_on_until_stopped(node, lambda: told.pay(node, payer, address))
    says_why(node, disk)
    disk.make_room(node)
    node.start()
    told.check(node)
    node.call("mine", count=1)
    told.check(node)
    node.stop()
    assert node.cli("verify")["ok"]


def test_a_disk_that_fills_while_blocks_are_mined_loses_none_that_was_told_of(
    lab: Lab, disk: Disk, dice: random.Random
) -> None:
    node, told = node_on(disk, lab).start(), Told()
    for _ in range(dice.randrange(1, 6) if disk.is_mounted else 0):
        node.call("mine", count=1)
    disk.fill()

    def mine() -> None:
        told.look(node)
        node.call("mine", count=1)

    goes_on_until_stopped(node, mine)
    says_why(node, disk)
    disk.make_room(node)
    node.start()
    told.check(node)
    node.call("mine", count=1)
    node.stop()
    assert node.cli("verify")["ok"]


def test_a_disk_that_fills_while_blocks_come_in_is_no_peers_fault(
    lab: Lab, disk: Disk, dice: random.Random
) -> None:
    friend = lab.node("friend", "--mine", "off", network=lab.network(PARAMETERS)).start()
    friend.call("mine", count=LONG)
    with Proxy(target=friend.port) as line:
        node = node_on(disk, lab, peers=(f"127.0.0.1:{line.port}",))
        line.after(dice.randrange(8_000, 15_000), disk.fill)
        node.launch()
        says_why(node, disk)
        disk.make_room(node)
        node.start()
        agreed([node, friend], LONG)
        assert "(cost " not in node.log() + friend.log()
        node.stop()
        assert node.cli("verify")["ok"]
