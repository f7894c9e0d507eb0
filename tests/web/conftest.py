"""A Chromium for the tests of a module, and an empty page in it that can import the page's scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.web.browser import chromium, scripts_page


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that use a browser, whatever module they stand in."""
    if "browser" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a module."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def scripts(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """An empty page; `import("/static/js/...")` works in it."""
    with scripts_page(browser, tmp_path_factory.mktemp("scripts")) as page:
        yield page
