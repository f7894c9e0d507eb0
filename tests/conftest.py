"""What holds for every test: how Hypothesis searches, and that the run says what it tests and leaves out."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from node.pow import KERNELS
from tests.sources import chromium

settings.register_profile(
    "indelible",
    deadline=None,  # a busy machine is no failure
    suppress_health_check=[HealthCheck.too_slow],  # the same
    derandomize="CI" in os.environ,  # a run of CI says the same twice; elsewhere each run searches anew
    print_blob=True,
)
settings.load_profile("indelible")

NEEDS: Mapping[str, Callable[[], bool]] = {
    "official": lambda: bool(os.environ.get("OFFICIAL_VECTORS")),
    "browser": lambda: chromium() is not None,
}
"""Marks whose tests need something from outside, and whether it is there; without it they are left out."""

LEFT_OUT: Mapping[str, str] = {
    "official": "official vectors (set OFFICIAL_VECTORS to the folder)",
    "browser": "the page in a browser (needs Chromium: installed, or where CHROMIUM says)",
    "swarm": "hundreds of seeded worlds and edited books (they run when nothing is deselected)",
    "acceptance": "acceptance tests, with real processes and sockets (they run when nothing is deselected)",
    "others": "tests without such a mark (they run when nothing is deselected)",
}
"""What the end of a run says when tests with these marks did not run, whoever deselected them; and others."""

_COUNTS = pytest.StashKey[Counter[str]]()
_LEFT_OUT = "left_out"
"""What a worker of pytest-xdist hands to the process that reports."""


def pytest_configure() -> None:
    """Let what the tests start hear Ctrl-C, which whatever a script begins in the background ignores."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say which ways to search for a nonce this machine has: its tests can try no others."""
    return f"kernels tested here: {', '.join(KERNELS)}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests whose needs are not met."""
    missing = [mark for mark, is_there in NEEDS.items() if not is_there()]
    unmet = [item for item in items if any(item.get_closest_marker(mark) for mark in missing)]
    if unmet:
        config.hook.pytest_deselected(items=unmet)
        items[:] = [item for item in items if item not in unmet]


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count what is left out, by mark."""
    for item in items:
        counts = item.config.stash.setdefault(_COUNTS, Counter())
        marks = [mark for mark in LEFT_OUT if item.get_closest_marker(mark)]
        counts.update(marks or ["others"])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was left out to the process that reports, where this is a worker of pytest-xdist."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        counts: Counter[str] = session.config.stash.get(_COUNTS, Counter())
        output[_LEFT_OUT] = dict(counts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - of a plugin that need not be there
    """Take what a worker left out; each of them looks at all tests, and leaves out the same."""
    counts: Counter[str] = node.config.stash.setdefault(_COUNTS, Counter())
    counts |= Counter(getattr(node, "workeroutput", {}).get(_LEFT_OUT, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, and what would bring it in."""
    for mark, count in config.stash.get(_COUNTS, Counter()).items():
        terminalreporter.write_line(f"left out: {LEFT_OUT[mark]}: {count}")
