"""A start that cannot be is refused by name, with what to do next, and harms nothing."""

from __future__ import annotations

import json
import shutil
import socket
import stat
import sys
from pathlib import Path

import pytest

from tests.acceptance.nodes import QUICK, ROOT, Lab, Node, agreed, connected, until
from tests.ports import free_port

pytestmark = pytest.mark.acceptance

SHIFTED = """\
import runpy, sys, time
real, shift_ns = time.time_ns, int(sys.argv.pop(1)) * 10**9
time.time_ns = lambda: real() + shift_ns
runpy.run_module("node", run_name="__main__", alter_sys=True)
"""
"""Runs the program on a clock that is wrong by so many seconds."""


def refuses(node: Node, status: int) -> str:
    """Start a node that must refuse with this status; return its one line."""
    node.launch()
    assert node.wait() == status
    lines = node.log().splitlines()
    assert len(lines) == 1, node.log()
    return lines[0]


def test_a_taken_port_is_named(lab: Lab) -> None:
    node = lab.node("ann")
    with socket.socket() as other:
        other.bind(("127.0.0.1", node.port))
        other.listen()
        node.launch()
        assert node.wait() == 1
    assert f"port {node.port} on 127.0.0.1 is taken" in node.log().splitlines()[-1]
    node.start()


def test_a_second_node_on_a_folder_is_refused_by_the_name_of_the_folder(lab: Lab) -> None:
    first = lab.node("ann").start()
    second = lab.node("second")
    second.command[second.command.index("--data-dir") + 1] = str(first.folder)
    said = refuses(second, 1)
    assert f"{first.folder} is in use by another node (process {first.pid})" in said
    assert first.status()["height"] == 0


def test_a_folder_of_another_network_is_refused_by_both_names(lab: Lab) -> None:
    node = lab.node("ann").start()
    node.stop()
    node.command += ["--config", str(lab.network(QUICK))]
    node.launch()
    assert node.wait() == 1
    said = node.log().splitlines()[-1]
    assert "indelible-tryout" in said
    assert "acceptance" in said


def test_a_missing_settings_file_is_named(lab: Lab) -> None:
    said = refuses(lab.node("ann", "--config", "nowhere.toml"), 2)
    assert "there is no file nowhere.toml" in said


@pytest.mark.parametrize(
    "content, named",
    [
        (b"[node]\nprot = 9000\n", ("{file}:2", "prot", "port")),
        (b"[node]\nport = 9000\nport = 9001\n", ("{file}",)),
        (b"[node]\nmine = 'sometimes'\n", ("{file}:2", "sometimes")),
        (b"port 9000", ("{file}:1",)),
        (b"\xff\xfe\x00", ("{file}",)),
        (b'[[peers]]\naddress = "nowhere"\n', ("{file}:2", "nowhere")),
        (b"#" * 20_000_000, ("{file}",)),
    ],
    ids=["unknown key", "key twice", "unknown value", "no TOML", "no text", "no address", "too long"],
)
def test_what_is_wrong_in_a_settings_file_is_named_with_its_line(
    lab: Lab, content: bytes, named: tuple[str, ...]
) -> None:
    path = lab.folder / "shop.toml"
    path.write_bytes(content)
    said = refuses(lab.node("ann", "--config", str(path)), 2)
    for part in named:
        assert part.format(file=path) in said


def test_a_settings_file_that_is_a_folder_is_refused(lab: Lab) -> None:
    said = refuses(lab.node("ann", "--config", str(lab.folder)), 2)
    assert str(lab.folder) in said


def test_a_folder_that_cannot_be_made_is_named(lab: Lab) -> None:
    node = lab.node("ann")
    node.folder.write_text("a file is in its place")
    assert str(node.folder) in refuses(node, 1)


def test_a_folder_with_other_things_in_it_is_not_taken_over(lab: Lab) -> None:
    node = lab.node("ann")
    node.folder.mkdir(mode=0o755)
    (node.folder / "thesis.txt").write_text("years of work")
    assert "holds other things" in refuses(node, 1)
    assert [path.name for path in node.folder.iterdir()] == ["thesis.txt"]


def test_two_nodes_started_with_nothing_but_their_ports_find_each_other(lab: Lab) -> None:
    home = lab.folder / "home"
    home.mkdir()
    ports = free_port(), free_port()
    shipped = (ROOT / "peers.toml").read_text(encoding="utf-8")
    for default, own in zip((9000, 9001), ports, strict=True):
        assert f"127.0.0.1:{default}" in shipped
        shipped = shipped.replace(f"127.0.0.1:{default}", f"127.0.0.1:{own}")
    (lab.folder / "peers.toml").write_text(shipped, encoding="utf-8")

    nodes = []
    for port in ports:
        node = lab.node(f"node-{port}", environment={"HOME": str(home), "XDG_DATA_HOME": str(home / "data")})
        node.command = [sys.executable, "-m", "node", "--port", str(port)]
        node.port = port
        nodes.append(node)
        node.launch()
    for node in nodes:
        told = node.run("--json", "--wait", "60", "status", by_port=True)
        assert told.returncode == 0, told.stderr
        found = list(home.rglob(f"{node.port}/lock"))
        assert len(found) == 1, "each has a folder of its own"
        node.folder = found[0].parent
        connected(node, 1)


def test_programs_read_the_log_line_by_line_from_a_file_for_its_owner_alone(lab: Lab) -> None:
    path = lab.folder / "node.log"
    flags = ("--mine", "off", "--log-format", "json", "--log-file", str(path))
    node = lab.node("ann", *flags, network=lab.network(QUICK)).start()
    (block,) = node.cli("mine", "1")
    node.stop()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(set(line) >= {"time_ms", "kind", "level", "text", "fields"} for line in told)
    assert told[0]["fields"]["listens"] == node.address
    (connected_block,) = [line for line in told if line["kind"] == "block-connected"]
    assert connected_block["fields"]["hash"] == block
    seen = [json.loads(line) for line in node.log().splitlines()]
    assert {line["kind"] for line in seen} <= {"start", "backup-missing", "stop"}, "the rest is in the file"


def test_without_a_node_a_command_says_how_to_start_one(lab: Lab) -> None:
    node = lab.node("ann")
    refused = node.refused("status")
    assert (refused.status, refused.code) == (3, "no-node")
    assert "python -m node --data-dir" in refused.hint


def test_a_wrong_flag_shows_the_usage(lab: Lab) -> None:
    node = lab.node("ann", "--prot", "9000")
    node.launch()
    assert node.wait() == 2
    assert "--prot" in node.log().splitlines()[-1]


@pytest.mark.parametrize("seconds", [3_600, -3_600])
def test_a_node_whose_clock_is_wrong_by_an_hour_does_not_mine_and_says_so(
    lab: Lab, tmp_path: Path, seconds: int
) -> None:
    launcher = tmp_path / "shifted.py"
    launcher.write_text(SHIFTED)
    network = lab.network(QUICK)
    ann, bob = lab.line("ann", "bob", network=network, flags=("--mine", "off"))
    carol = lab.node(
        "carol",
        "--mine",
        "on",
        network=network,
        peers=[ann.address, bob.address],
        before=[sys.executable, str(launcher), str(seconds)],
    ).start()
    connected(carol, 2)
    until(lambda: abs(carol.status()["clock_offset_ms"] + seconds * 1000) < 60_000, "she knows by how much")
    until(lambda: carol.workers() == [], "she does not mine")
    until(lambda: "WARNING not mining: this machine's clock is" in carol.log(), "she says so")
    assert carol.refused("mine", "1").code == "mining-held"
    ann.cli("mine", "2")
    assert agreed([ann, bob], 2), "who has one peer with a right clock goes on"
    assert not ann.log().count("not mining")


def test_a_damaged_file_of_pending_entries_is_set_aside_and_the_node_starts(lab: Lab) -> None:
    node = lab.node("ann", network=lab.network(QUICK)).start()
    node.stop()
    for name in ("pending.dat", "peers.dat"):
        (node.folder / name).write_bytes(b"\x93 this is no such file")
    (node.folder / "pending.journal").write_bytes(b"\xff" * 1_000)
    node.start()
    assert node.status()["pending"] == 0
    until(lambda: "set aside" in node.log(), "the log tells of it")


def test_a_copied_folder_runs_as_a_node_of_its_own(lab: Lab) -> None:
    network = lab.network(QUICK)
    ann = lab.node("ann", "--mine", "off", network=network).start()
    ann.cli("mine", "2")
    ann.stop()
    bob = lab.node("bob", "--mine", "off", network=network)
    shutil.copytree(ann.folder, bob.folder)
    ann.start()
    bob.start()
    assert ann.tip() == bob.tip()
    assert bob.cli("status")["height"] == 2
