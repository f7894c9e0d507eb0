"""top on a real pseudo-terminal: it draws, follows the window's size, and leaves the terminal as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.cli.conftest import Shell
from tests.fake_node import FakeNode, Served
from tests.sources import ROOT

PATIENCE_S = 60
_HOME = b"\x1b[H"
"""Before each drawing."""


@dataclass
class Terminal:
    """A terminal with `top` on it."""

    keyboard: int
    process: subprocess.Popen[bytes]
    before: list[object]
    own: int
    """The terminal's other end, kept open."""
    shown: bytes = b""

    def read_until(self, text: bytes) -> None:
        """Return once the text was drawn since the last look."""
        self._read_until(lambda: text in self.shown)

    def read_until_drawn(self, text: bytes, *, without: bytes) -> None:
        """Return once one whole drawing since the last look has the one text and not the other."""
        self._read_until(
            lambda: any(text in one and without not in one for one in self.shown.split(_HOME)[1:-1])
        )

    def _read_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.shown[-2_000:]
            if select.select([self.keyboard], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.keyboard, 65_536)
                except OSError:  # the process is gone, and its end of the terminal with it
                    assert condition(), self.shown[-2_000:]

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.shown = b""

    def leaves_in_order(self) -> None:
        """The exit status is 0, the old screen and the cursor are back, and so is the keyboard."""
        self.read_until(b"\x1b[?1049l")
        self.read_until(b"\x1b[?25h")
        assert self.process.wait(PATIENCE_S) == 0
        assert termios.tcgetattr(self.own) == self.before


@pytest.fixture
def terminal(node: FakeNode, serving: Served) -> Iterator[Terminal]:
    """A terminal of 100 columns with `top` on it, beside a running node."""
    assert serving.node is node
    keyboard, own = pty.openpty()
    fcntl.ioctl(keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    before = termios.tcgetattr(own)
    words = [sys.executable, str(ROOT / "cli.py"), "--data-dir", str(node.folder), "top"]
    process = subprocess.Popen(
        words,
        stdin=own,
        stdout=own,
        stderr=own,
        env=os.environ | {"TERM": "xterm-256color"},
        start_new_session=True,
    )
    made = Terminal(keyboard, process, before, own)
    yield made
    if process.poll() is None:
        process.kill()
        process.wait()
    os.close(own)
    os.close(keyboard)


def test_it_draws_follows_the_window_and_q_leaves(terminal: Terminal) -> None:
    terminal.read_until(b"\x1b[?1049h")
    terminal.read_until("╭─ pending 1".encode())
    terminal.read_until(b"later")
    terminal.resize(50, 10)
    terminal.read_until_drawn(b"q leaves", without=b"later")  # no room for it
    terminal.resize(120, 40)
    terminal.read_until(b"later")
    os.write(terminal.keyboard, b"q")
    terminal.leaves_in_order()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_as_q_does(terminal: Terminal, number: signal.Signals) -> None:
    terminal.read_until(b"in sync")
    terminal.process.send_signal(number)
    terminal.leaves_in_order()


def test_a_node_that_goes_away_ends_it_in_order(terminal: Terminal, serving: Served) -> None:
    terminal.read_until(b"in sync")
    serving.stop()
    terminal.read_until(b"\x1b[?1049l")
    terminal.read_until(b"went away")
    assert terminal.process.wait(PATIENCE_S) == 3
    assert termios.tcgetattr(terminal.own) == terminal.before


def test_on_a_pipe_it_says_what_to_use_instead(shell: Shell) -> None:
    error = shell.fail("top")
    assert error["code"] == "no-terminal"
    assert "status --json" in error["hint"]
    assert "watch" in error["hint"]
