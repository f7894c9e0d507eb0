"""The lab of each acceptance test, and what its nodes said in the report of a failure."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.nodes import Lab

_LAB = pytest.StashKey[Lab]()


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """A lab whose processes are ended with the test. None of them may have shown a traceback."""
    made = Lab(tmp_path)
    request.node.stash[_LAB] = made
    yield made
    made.close()
    broken = [node.name for node in made.nodes if "Traceback" in node.log()]
    assert not broken, f"a traceback in the log of {', '.join(broken)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs to the report of a failure."""
    report = yield
    made = item.stash.get(_LAB, None)
    if report.failed and made is not None:
        report.sections += [(f"log of {name}", text) for name, text in made.logs()]
    return report
