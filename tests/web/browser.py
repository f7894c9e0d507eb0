"""A real browser for tests: the machine's Chromium without a window, and the page's scripts served to it.

Starts Chromium, and a file server on loopback; downloads nothing. One Chromium serves all tests of a module
and not of the session: Playwright keeps an event loop running in the thread that uses it, and tests of
asyncio code could not have theirs beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.sources import ROOT
from tests.sources import chromium as installed

QUIET: Final = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Names of this reserved domain (RFC 6761) are this machine: a browser treats it as one far away then.
    "--host-resolver-rules=MAP *.test 127.0.0.1",
)
PATIENCE_MS: Final = 60_000
"""How long a page may take to show what is expected of it; Playwright by itself waits five seconds."""
STATIC: Final = ROOT / "node" / "web" / "static"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; worker-src 'self'; connect-src 'self'"
)
"""As strict as the page's own, so that scripts which need more fail here first."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a Chromium; it and all its pages are gone at the end."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Without a sandbox, which containers do not allow; it shows this project's own pages only.
        browser = playwright.chromium.launch(
            executable_path=installed(), chromium_sandbox=False, args=QUIET, timeout=3 * PATIENCE_MS
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the page's static files as /static/, and those of the folder; gives the origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def scripts_page(browser: Browser, folder: Path) -> Iterator[Page]:
    """Open an empty page whose scripts can be imported from /static/js; no complaint may come of it."""
    (folder / "index.html").write_text("<!doctype html><title>scripts</title>", encoding="utf-8")
    with served(folder) as origin:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        complaints = listen(page)
        page.goto(f"{origin}/index.html")
        yield page
        page.close()
    assert complaints == []


def listen(page: Page) -> list[str]:
    """Return the list of errors and warnings that the page will have shown: it grows."""
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


class _Handler(SimpleHTTPRequestHandler):
    """Files under the policy, without a line on stderr for each."""

    def translate_path(self, path: str) -> str:
        if path.startswith("/static/"):
            inside = (STATIC / path.removeprefix("/static/").partition("?")[0]).resolve()
            return str(inside if inside.is_relative_to(STATIC) else STATIC / "missing")
        return super().translate_path(path)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class has it so
        """Say nothing."""
