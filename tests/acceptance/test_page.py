"""The page of a real daemon: it comes back when it dies, and goes when the daemon goes."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.nodes import PATIENCE_S, QUICK, Lab, Node, processes, until, within
from tests.ports import PAGE, free_port

pytestmark = pytest.mark.acceptance

END_S = 4.0
"""What a page whose daemon was killed may take to end."""

PATIENT = """\
import functools, runpy
import node.daemon, node.page
page = (
    "import sys; sys.path.append(sys.argv[1]); import node.web.__main__ as page; "
    "page.END_S = page.LAST_S = 60; sys.exit(page.main(sys.argv[2:]))"
)
*words, _, root = node.page.COMMAND
node.page.CHOSEN_PORT_S = node.page.END_GRACE_S = 60.0
node.daemon.Page = functools.partial(node.page.Page, command=(*words, page, root))
runpy.run_module("node", run_name="__main__", alter_sys=True)
"""
"""Runs the program with time for a page that is slow to end, on a machine that is."""


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


def page_of(node: Node) -> str:
    return str(until(lambda: node.status()["page"], "the page is there"))


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - ours
        return str(answer.read().decode())


def page_process(node: Node) -> int:
    """Return its number, once it is the only process that the node has: a worker may be on its way out."""
    (pid,) = until(lambda: found if len(found := node.workers()) == 1 else None, "the page is alone")
    return pid


def patient(lab: Lab, *flags: str) -> Node:
    """Return a node that shows its page and gives it more time to end."""
    launcher = lab.folder / "patient.py"
    launcher.write_text(PATIENT)
    before = [sys.executable, str(launcher)]
    return lab.node("ann", *flags, network=lab.network(QUICK), before=before, web=True)


def gone(pid: int) -> bool:
    return pid not in processes()


def test_the_page_shows_the_book_and_ends_with_its_node(lab: Lab) -> None:
    node = patient(lab, "--mine", "off").start()
    url = page_of(node)
    until(lambda: f"page {url}" in node.log(), "the log tells of the page")
    (block,) = node.cli("mine", "1")
    assert fetched(f"{url}api/blocks/tip/hash") == block
    pid = page_process(node)
    with urllib.request.urlopen(f"{url}events", timeout=PATIENCE_S) as stream:  # noqa: S310 - ours
        node.stop()
        stream.read()  # to its end, which it has: an answer that is cut off raises
    assert gone(pid)
    assert "WARNING page" not in node.log()


def test_a_page_that_is_killed_is_told_of_and_comes_back(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off", network=lab.network(QUICK), web=True).start()
    url = page_of(node)
    killed = page_process(node)
    os.kill(killed, signal.SIGKILL)
    until(lambda: "the page died (killed by signal 9)" in node.log(), "its death is told of")
    until(lambda: node.workers() not in ([], [killed]), "another one starts")
    assert page_of(node) == url
    assert fetched(f"{url}api/blocks/tip/height") == "0"


def test_a_page_whose_node_is_killed_ends(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off", network=lab.network(QUICK), web=True)

    def killed() -> float:
        node.start()
        page_of(node)
        pid = page_process(node)
        node.kill()
        began = time.monotonic()
        until(lambda: gone(pid), "the page ends")
        return time.monotonic() - began

    within(END_S, killed, "the page ends")


def test_a_node_whose_page_finds_no_port_runs_without_until_there_is_one(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off", network=lab.network(QUICK), web=True)
    with taken(node.port + PAGE):
        node.start()
        until(lambda: "there is no page" in node.log(), "it says so")
        assert re.search(rf"WARNING there is no page: port {node.port + PAGE} .*--web-port", node.log())
        assert node.status()["page"] is None
        assert node.workers() == []
    assert page_of(node) == f"http://127.0.0.1:{node.port + PAGE}/"


def test_a_port_that_was_named_for_the_page_and_is_taken_ends_the_start(lab: Lab) -> None:
    port = free_port()
    node = lab.node("ann", "--web-port", str(port), network=lab.network(QUICK), web=True)
    with taken(port):
        node.launch()
        assert node.wait() == 1
    assert f"port {port} on 127.0.0.1 is taken by another program: give another --web-port" in node.log()
    assert not node.folder.exists(), "nothing was made"


def test_a_node_started_again_right_after_it_was_killed_gets_its_page_back(lab: Lab) -> None:
    port = free_port()
    node = patient(lab, "--web-port", str(port)).start()
    page_of(node)
    node.kill()
    node.start()
    assert page_of(node) == f"http://127.0.0.1:{port}/"
