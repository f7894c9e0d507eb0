"""A disk that is full, or takes nothing more: the node stops in order and says so, and nothing is lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.acceptance.nodes import QUICK, CallRefused, Lab, Node, Payer, until, with_coins
from tests.building import ChainBuilder, key

pytestmark = pytest.mark.acceptance

LIMITED = """\
import resource, runpy, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
runpy.run_module("node", run_name="__main__", alter_sys=True)
"""
"""Runs the program where no file may grow beyond so many bytes."""

CROWDED = """\
import os, pathlib, runpy, sys
flag, real = pathlib.Path(sys.argv.pop(1)), os.statvfs
def statvfs(path):
    found = real(path)
    if not flag.exists():
        return found
    blocks = 20_000_000 // found.f_frsize
    return os.statvfs_result((*found[:3], blocks, blocks, *found[5:]))
os.statvfs = statvfs
runpy.run_module("node", run_name="__main__", alter_sys=True)
"""
"""Runs the program on a disk that has 20 MB left while a file is there."""


def crowded(lab: Lab, tmp_path: Path) -> tuple[Node, Path]:
    """Return a node, and the file that fills its disk."""
    launcher, flag = tmp_path / "crowded.py", tmp_path / "full"
    launcher.write_text(CROWDED)
    before = [sys.executable, str(launcher), str(flag)]
    return lab.node("ann", "--mine", "off", network=lab.network(QUICK), before=before), flag


def test_a_node_stops_in_order_when_its_disk_gets_full_and_says_so(lab: Lab, tmp_path: Path) -> None:
    node, flag = crowded(lab, tmp_path)
    node.start()
    node.cli("mine", "2")
    txid = node.cli("send", node.status()["address"], "1")["txid"]
    flag.touch()
    assert node.wait() == 1
    assert "MiB are free" in node.log().splitlines()[-1]
    flag.unlink()
    node.start()
    assert node.height() == 2
    assert node.cli("tx", txid)["status"] == "pending"


def test_a_node_does_not_start_on_a_full_disk(lab: Lab, tmp_path: Path) -> None:
    node, flag = crowded(lab, tmp_path)
    flag.touch()
    node.launch()
    assert node.wait() == 1
    assert "MiB are free" in node.log()


def test_a_write_that_fails_stops_the_node_and_loses_nothing_that_it_told_of(
    lab: Lab, tmp_path: Path
) -> None:
    launcher = tmp_path / "limited.py"
    launcher.write_text(LIMITED)
    parameters = with_coins(QUICK, key("payer"))
    payer = Payer(key("payer"), ChainBuilder(parameters))
    before = [sys.executable, str(launcher), "300000"]
    node = lab.node("ann", network=lab.network(parameters), before=before).start()
    address, txids = node.status()["address"], []
    blocks: dict[int, str] = {}

    def pay_and_look() -> bool:
        try:
            status = node.status()
            blocks[status["height"]] = status["tip"]
            for _ in range(50):
                nonce = payer.nonce
                raw = payer.entry(address, 1, memo="m" * 200)
                try:
                    txids.append(node.call("submit", entry=raw)["txid"])
                except CallRefused:
                    payer.nonce = nonce
                    return False
        except OSError:
            return not node.is_running()
        return False

    until(pay_and_look, "the node stops when it can write no more")
    assert node.wait() == 1
    assert str(node.folder) in node.log().splitlines()[-1], "it says where"
    node.command[: len(before)] = [sys.executable, "-m", "node"]
    node.start()
    for height, told in blocks.items():
        assert node.call("block", name=height)["hash"] == told
    for txid in txids:
        assert node.call("tx", txid=txid)["status"] in {"pending", "confirmed"}
    assert node.cli("verify")["ok"]
