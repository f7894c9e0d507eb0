"""Pictures of each page for people to look at: `python -m tests.web.screenshots`, into docs/screenshots.

Starts the shop's node and two friends', all on loopback in a temporary folder, and ends them.
The book is made up; the browser is the machine's Chromium.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from tests.acceptance.nodes import Lab, Node, connected, until
from tests.building import key
from tests.sources import ROOT
from tests.web.browser import chromium
from tests.web.cafe import CAFE, Cafe, cafe, edit, with_audit

FOLDER: Final = ROOT / "docs" / "screenshots"
DESK: Final = (1120, 800)
PHONE: Final = (390, 844)
TALLEST: Final = 1500
"""Pixels; what is further down is left out."""
QUALITY: Final = 82
BLOCKS: Final = 96
DARK: Final = ("home", "entry", "counter", "pay")
ON_PHONE: Final = ("home", "entry", "account", "counter", "pay")


def paths_of(book: Cafe, node: Node) -> Mapping[str, str]:
    """Return the pages to be shown, by the name of their picture."""
    own = book.address(CAFE)
    entry = next(one for one in reversed(book.parts[-1][-3].entries) if one.memo)
    return {
        "home": "/",
        "block": f"/block/{book.parts[-1][-3].height}",
        "entry": f"/tx/{entry.txid.hex()}",
        "account": f"/account/{book.contacts()['anna']}",
        "accounts": "/accounts",
        "pending": "/pending",
        "peers": "/peers",
        "branches": "/tips",
        "plots": "/plots",
        "log": "/log",
        "health": "/health",
        "search": "/search?q=croissant",
        "pay": f"/pay?to={own}&amount=4.20&memo=one+flat+white",
        "counter": "/counter",
        "request": f"/request?to={own}&amount=12.50&memo=lunch+for+two",
        "statement": f"/statement/{own}",
        "check": "/check",
        "api": "/api/",
    }


@contextmanager
def shop(folder: Path) -> Iterator[tuple[Node, Cafe]]:
    """Run the shop's node with its page, two peers, and three entries that wait."""
    lab = Lab(folder)
    try:
        book = cafe(BLOCKS, is_hard=True)
        network = lab.network(book.parameters)
        friends = []
        for name in ("anna", "ben"):
            friend = lab.node(name, "--mine", "off", network=network)
            book.lay(friend.folder, key(name))
            friends.append(friend.start())
        named = "".join(
            f'\n[[peers]]\nname = "{friend.name}"\naddress = "{friend.address}"\n' for friend in friends
        )
        known = folder / "shop.toml"
        with_audit(network, "5s")
        known.write_text(network.read_text(encoding="utf-8") + named, encoding="utf-8")
        node = lab.node("shop", "--mine", "off", network=known, web=True)
        book.lay(node.folder)
        node.start()
        connected(node, len(friends))
        until(lambda: node.status()["page"], "the page is there")
        for name, memo, amount in (
            ("chiara", "cappuccino, oat", 4_60),
            ("deniz", "two flat whites", 8_40),
            ("grace", "cheesecake, two forks", 6_50),
        ):
            node.call("submit", entry=book.pay(name, memo, amount))
        yield node, book
    finally:
        lab.close()


def taken(browser: Browser, url: str, path: Path, size: tuple[int, int], *, dark: bool = False) -> None:
    """Take a picture of a page as a new reader sees it."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Lisbon",
    )
    page = context.new_page()
    page.goto(url)
    _is_drawn(page)
    whole = int(page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": width, "height": max(height, min(whole, TALLEST))})
    asked = {"format": path.suffix[1:]} | ({"quality": QUALITY} if path.suffix == ".webp" else {})
    picture = context.new_cdp_session(page).send("Page.captureScreenshot", asked)
    path.write_bytes(base64.b64decode(picture["data"]))
    context.close()
    sys.stdout.write(f"{path.name}: {path.stat().st_size >> 10} kB\n")


def _is_drawn(page: Page) -> None:
    """Wait for what scripts draw: the plots, and the fields that are filled from the address."""
    page.evaluate("document.fonts.ready")
    if page.locator("[data-plot]").count():
        page.locator("[data-plot] canvas").first.wait_for()
    page.wait_for_timeout(300)


def edited_shop(node: Node, book: Cafe) -> str:
    """Have someone edit the shop's copy while its node rests; return the page's address when it was found."""
    at = book.parts[0][40]
    node.stop()
    edit(node.folder, next(one for one in at.entries if one.memo), at.height)
    node.start()
    until(lambda: node.status()["audit"]["findings"], "the audit finds it")
    return str(until(lambda: node.status()["page"], "the page is back")).rstrip("/")


def main() -> None:
    """Take all pictures anew, or some."""
    parser = argparse.ArgumentParser(prog="python -m tests.web.screenshots", description="Take the pictures.")
    parser.add_argument("names", nargs="*", help="of the pages (default: all)")
    parser.add_argument(
        "--into", type=Path, default=FOLDER, metavar="FOLDER", help="default docs/screenshots"
    )
    parser.add_argument("--format", choices=("webp", "png"), default="webp", help="default webp")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="indelible-"))
    try:
        with shop(folder) as (node, book), chromium() as browser:
            url = str(node.status()["page"]).rstrip("/")
            for name, path in paths_of(book, node).items():
                if options.names and name not in options.names:
                    continue
                taken(browser, url + path, options.into / f"{name}.{options.format}", DESK)
                if name in DARK:
                    taken(
                        browser, url + path, options.into / f"{name}-dark.{options.format}", DESK, dark=True
                    )
                if name in ON_PHONE:
                    taken(browser, url + path, options.into / f"{name}-phone.{options.format}", PHONE)
            if not options.names or "edited" in options.names:
                url = edited_shop(node, book)
                taken(browser, f"{url}/health", options.into / f"edited.{options.format}", DESK)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
