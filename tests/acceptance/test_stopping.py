"""How a daemon ends: in order when asked to, at once when asked twice, and its workers with it."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from tests.acceptance.nodes import QUICK, Lab, Node, connected, processes, until, within

pytestmark = pytest.mark.acceptance

WORKERS_END_S = 1.0
"""What the design gives workers whose daemon was killed."""


def mining(lab: Lab, name: str = "ann") -> Node:
    """Return a node on the built-in network whose worker is at work."""
    node = lab.node(name, "--mine", "on").start()
    until(node.workers, "a worker is there")
    return node


def gone(pids: list[int]) -> bool:
    """Tell whether none of these processes is there."""
    return processes().keys().isdisjoint(pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_node_in_order(lab: Lab, number: signal.Signals) -> None:
    node = mining(lab)
    workers, socket_path = node.workers(), node.socket_path()
    node.send_signal(number)
    assert node.wait() == 0
    assert gone(workers)
    assert not socket_path.exists()
    assert node.run("status").returncode == 3


def test_ctrl_c_in_a_terminal_reaches_workers_too_and_all_end_without_a_word(lab: Lab) -> None:
    node = mining(lab)
    os.killpg(node.pid, signal.SIGINT)
    assert node.wait() == 0
    assert "KeyboardInterrupt" not in node.log()


def test_the_stop_command_returns_when_the_node_is_gone(lab: Lab) -> None:
    node = lab.node("ann").start()
    node.cli("stop")
    assert node.run("stop").returncode == 3
    assert node.wait() == 0


def test_a_node_that_was_stopped_goes_on_where_it_was(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off", network=lab.network()).start()
    node.cli("mine", "3")
    txid = node.cli("send", node.status()["address"], "1")["txid"]
    tip = node.tip()
    node.stop()
    node.start()
    assert node.tip() == tip
    assert node.cli("tx", txid)["status"] == "pending"


def test_a_stop_that_cannot_save_what_is_pending_fails_and_says_what_to_do(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off").start()
    in_the_way = node.folder / "pending.dat"
    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    node.send_signal(signal.SIGTERM)
    assert node.wait() == 1
    assert f"cannot write {in_the_way} (Is a directory). Look at " in node.log()
    assert "Traceback" not in node.log()


def test_a_stop_does_not_wait_for_a_peer_that_is_silent(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off").start()
    with socket.create_connection(("127.0.0.1", node.port)) as silent:
        silent.settimeout(60)
        until(lambda: silent.recv(1), "the node has taken the connection")
        node.stop()


def test_a_second_signal_ends_the_node_at_once(lab: Lab) -> None:
    node = mining(lab)
    workers = node.workers()
    # Stopped by the system, so that both signals wait for it together.
    node.send_signal(signal.SIGSTOP)
    node.send_signal(signal.SIGTERM)
    node.send_signal(signal.SIGINT)
    node.send_signal(signal.SIGCONT)
    assert node.wait() != 0, "not in order: that would be 0"
    until(lambda: gone(workers), "the workers end")
    node.start()
    node.stop()


def test_workers_of_a_node_that_was_killed_end_within_a_second(lab: Lab) -> None:
    node = mining(lab)

    def killed() -> float:
        if not node.is_running():
            node.start()
            until(node.workers, "a worker is there")
        workers = node.workers()
        node.kill()
        began = time.monotonic()
        until(lambda: gone(workers), "the workers end")
        return time.monotonic() - began

    took = within(WORKERS_END_S + 0.5, killed, "the workers end")
    print(f"workers ended {took:.2f} s after their node was killed")


def test_no_worker_runs_while_there_is_nothing_to_mine(lab: Lab) -> None:
    node = lab.node("ann", network=lab.network(QUICK)).start()
    assert node.workers() == []
    node.cli("mine", "1")
    until(lambda: node.workers() == [], "the worker of `mine` has ended")
    node.cli("send", node.status()["address"], "1")
    until(lambda: node.status()["pending"] == 0, "the payment is mined")
    until(lambda: node.workers() == [], "the worker of the payment has ended")


def test_a_worker_that_dies_is_replaced_and_told_of(lab: Lab) -> None:
    node = mining(lab)
    (worker,) = node.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: node.workers() not in ([], [worker]), "another worker is there")
    until(lambda: "WARNING" in node.log() and "worker" in node.log(), "the log tells of it")
    node.stop()


def test_peers_of_a_node_that_was_killed_go_on_and_take_it_back(lab: Lab) -> None:
    network = lab.network(QUICK)
    ann, bob = lab.line("ann", "bob", network=network, flags=("--mine", "off"))
    ann.kill()
    connected(bob, 0)
    bob.cli("mine", "2")
    ann.start()
    until(lambda: ann.height() == 2, "ann has caught up")
