"""The page that checks receipts, saved and opened from the disk: it needs no network and no node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from node.web.check import check_page
from tests.vectors.read import read
from tests.web.browser import PATIENCE_MS, listen

pytestmark = pytest.mark.acceptance


def good(why: str = "a payment, far below the tip") -> dict[str, Any]:
    """Return a golden receipt."""
    found: dict[str, Any] = next(row for row in read("receipts.json")["good"] if row["why"] == why)
    return found


@pytest.fixture
def saved(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The saved page, in a browser that is offline."""
    path = tmp_path / "check.html"
    path.write_bytes(check_page().body)
    context = browser.new_context(offline=True)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints = listen(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]


def give(page: Page, tmp_path: Path, text: str, trust: str = "") -> str:
    """Check a file; return the title of the verdict."""
    path = tmp_path / "receipt.json"
    path.write_text(text, encoding="utf-8")
    page.set_input_files("#receipt", path)
    page.fill("#trust", trust)
    page.click("text=Check >> nth=-1")
    page.wait_for_selector("#result:not([hidden])")
    return page.inner_text("#verdict-title")


def test_a_receipt_is_checked_offline_with_and_without_a_trusted_hash(saved: Page, tmp_path: Path) -> None:
    receipt = good()
    assert give(saved, tmp_path, receipt["file"]) == "Consistent, not anchored"
    assert receipt["txid"] in saved.inner_text("#facts")
    for hash_ in (receipt["tip"], receipt["block"].upper(), f" {receipt['tip']} "):
        assert give(saved, tmp_path, receipt["file"], hash_) == "In order, and anchored"
    assert give(saved, tmp_path, receipt["file"], "00" * 32) == "Refused"
    assert "nothing here is anchored" in saved.inner_text("#verdict-text").lower()


def test_a_forged_receipt_is_refused_with_its_part(saved: Page, tmp_path: Path) -> None:
    text = good()["file"]
    for name, change in {
        "file": text.replace(":", ": ", 1),
        "block.body": flipped(text, '"body":"'),
    }.items():
        assert give(saved, tmp_path, change) == "Refused"
        assert saved.inner_text("#verdict-text").lower().startswith(f"{name}: ")
        assert saved.inner_text("#facts") == ""


def flipped(text: str, before: str) -> str:
    """Return the text with another hexadecimal digit ten characters behind a mark."""
    at = text.index(before) + len(before) + 30
    return text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :]


def test_rewards_and_extensions_are_shown_too(saved: Page, tmp_path: Path) -> None:
    for row in read("receipts.json")["good"]:
        assert give(saved, tmp_path, row["file"], row["tip"]) == "In order, and anchored"


def test_a_pasted_receipt_and_a_hash_that_is_none(saved: Page) -> None:
    receipt = good()
    saved.click("summary")
    saved.fill("#pasted", receipt["file"].strip())
    saved.fill("#trust", receipt["tip"][:-1])
    saved.press("#trust", "Enter")
    expect(saved.locator("#trust-error")).to_contain_text("64 hexadecimal digits")
    expect(saved.locator("#trust")).to_be_focused()
    saved.fill("#trust", receipt["tip"])
    saved.press("#trust", "Enter")
    saved.wait_for_selector("#result:not([hidden])")
    assert saved.inner_text("#verdict-title") == "In order, and anchored"
    expect(saved.locator("#verdict")).to_be_focused()
