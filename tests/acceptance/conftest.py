"""The labs of acceptance tests, and what their nodes said in the report of a failure."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.nodes import Lab

_LAB = pytest.StashKey[Lab]()


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """A lab for one test."""
    yield from _opened(request, tmp_path)


@pytest.fixture(scope="module")
def shared_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab for all tests of a module."""
    yield from _opened(request, tmp_path_factory.mktemp("lab"))


def _opened(request: pytest.FixtureRequest, folder: Path) -> Iterator[Lab]:
    """Make a lab; at its end its processes are ended. None of them may have shown a traceback."""
    made = Lab(folder)
    request.node.stash[_LAB] = made
    yield made
    made.close()
    broken = [node.name for node in made.nodes if "Traceback" in node.log()]
    assert not broken, f"a traceback in the log of {', '.join(broken)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs to the report of a failure."""
    report = yield
    if report.failed:
        labs = [node.stash[_LAB] for node in item.listchain() if _LAB in node.stash]
        report.sections += [(f"log of {name}", text) for made in labs for name, text in made.logs()]
    return report
