"""The swarm begins when the tests of a run are known, and ends with the run at the latest."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.simulation.swarm import Swarm

_SWARM = pytest.StashKey[Swarm]()
_FEW = 1_000
"""Where fewer tests run, nothing else keeps the cores busy for long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask for the result last: nobody waits then while there is more to do, nor until it looks hung."""
    items.sort(key=_asks)


def _asks(item: pytest.Item) -> bool:
    return "swarm" in getattr(item, "fixturenames", ())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin, where somebody will ask and this is no worker of pytest-xdist, of which there are several."""
    wanted = any(map(_asks, session.items))
    if wanted and not session.config.option.collectonly and not hasattr(session.config, "workerinput"):
        cores = os.cpu_count() or 1
        session.config.stash[_SWARM] = Swarm(cores if len(session.items) < _FEW else max(1, cores // 2))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End it where the run ended before."""
    swarm = session.config.stash.get(_SWARM, None)
    if swarm is not None:
        swarm.end()


@pytest.fixture
def swarm(request: pytest.FixtureRequest) -> Iterator[Swarm]:
    """The one that was begun, else a new one."""
    begun = request.config.stash.get(_SWARM, None)
    if begun is not None:
        yield begun
        return
    made = Swarm(1)
    yield made
    made.end()
