"""The page over a large book, and how soon a block is on it: `python -m benchmarks.page`.

A real daemon and its page, asked as a browser asks: the first page with all that it links, over one
connection, packed. Then Chromium shows that page while blocks are mined: from the moment that the local
socket tells of a block until the block is in the document. All of them share the cores.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import statistics
import threading
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin

from playwright.sync_api import Page

from benchmarks import books
from benchmarks.nodes import PATIENCE_S, Client, GaveUp, Node, free_port, lab, request, watch
from benchmarks.options import parser_of
from benchmarks.report import Result, Series, emit
from tests.web.browser import chromium

ENTRIES: Final = 1_000_000
BLOCKS: Final = 10
"""That are mined in a run while the browser looks."""
_LINKED: Final = re.compile(rb"""(?:href="|src="|from "|import ")((?:/static/|\./)[^"]+)""")
_SEEN: Final = """() => {
    window.seen = {};
    const look = () => document.querySelectorAll("#strip > li").forEach((one) => {
        window.seen[one.dataset.key] ??= performance.timeOrigin + performance.now();
    });
    new MutationObserver(look).observe(document.getElementById("strip"), { childList: true });
}"""


def measure(entries: int = ENTRIES, accounts: int = books.ACCOUNTS, runs: int = 5) -> list[Result]:
    """Return milliseconds of the first page, and from a block's event to its place on the page."""
    book = books.book_of(entries, accounts)
    with lab(book.parameters) as nodes:
        folder = nodes.folder(book.blocks)
        port = free_port()
        node = nodes.start(folder, web_port=port)
        _until_up(port)
        cold = _fetched(port, "/")
        sizes = _sizes(port)
        took = [_first_page_ms(port, sizes) for _ in range(runs)]
        bare = [_bare_ms(sizes) for _ in range(runs)]
        shown, html = _shown_ms(node, port, runs)
        node.stop()
    details: dict[str, int | float | str] = {"entries": entries, "accounts": accounts}
    return [
        Result(
            benchmark="page first",
            unit="ms",
            figure=Series("the first page and all it links, packed", tuple(round(ms, 2) for ms in took)),
            limit=Series("the same bytes over loopback", tuple(round(ms, 3) for ms in bare)),
            details=details
            | {"bytes": sum(sizes.values()), "requests": len(sizes), "cold_ms": round(cold[1], 1)},
        ),
        Result(
            benchmark="page block",
            unit="ms",
            figure=Series("from the event to the document", tuple(round(ms, 1) for ms in shown)),
            limit=Series("the first page fetched by a bare client", tuple(round(ms, 2) for ms in html)),
            details=details | {"blocks": BLOCKS},
        ),
    ]


def _until_up(port: int) -> None:
    """Wait until the page's process answers, by a file: nothing of the book is read for it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            _fetched(port, "/static/icon.svg")
            return
        time.sleep(0.05)
    raise GaveUp("the page does not answer")


def _fetched(port: int, path: str) -> tuple[bytes, float]:
    """Return the packed bytes of an answer, and its milliseconds, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        return _asked(connection, path)
    finally:
        connection.close()


def _asked(connection: http.client.HTTPConnection, path: str, encoding: str = "gzip") -> tuple[bytes, float]:
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    content = answer.read()
    spent = (time.perf_counter() - began) * 1e3
    if answer.status != http.client.OK:
        raise GaveUp(f"{path} was answered with {answer.status}")
    return content, spent


def _sizes(port: int) -> Mapping[str, int]:
    """Return the paths that a browser fetches for the first page, with their packed bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    sizes: dict[str, int] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop(0)
        if path in sizes:
            continue
        sizes[path] = len(_asked(connection, path)[0])
        plain = _asked(connection, path, "identity")[0]
        waiting += [urljoin(path, found.decode()) for found in _LINKED.findall(plain)]
    connection.close()
    return sizes


def _first_page_ms(port: int, sizes: Mapping[str, int]) -> float:
    """Return the milliseconds of a visit: a new connection, and everything over it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    spent = sum(_asked(connection, path)[1] for path in sizes)
    connection.close()
    return spent


def _bare_ms(sizes: Mapping[str, int]) -> float:
    """Return the milliseconds of so many questions and answers of these bytes, with nothing behind them."""

    def answer(listening: socket.socket) -> None:
        served, _ = listening.accept()
        with served:
            for size in sizes.values():
                served.recv(4096)
                served.sendall(bytes(size))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        began = time.perf_counter()
        with socket.create_connection(listening.getsockname()) as asking:
            for size in sizes.values():
                asking.sendall(bytes(200))
                left = size
                while left:
                    left -= len(asking.recv(left))
        spent = time.perf_counter() - began
        thread.join()
    return spent * 1e3


def _shown_ms(node: Node, port: int, runs: int) -> tuple[list[float], list[float]]:
    """Return the median of each run's blocks, and beside it what fetching the first page took meanwhile."""
    watcher = watch(node)
    shown, fetched = [], []
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.evaluate(_SEEN)
        _shown_once(node, watcher, page)
        for _ in range(runs):
            shown.append(statistics.median(_shown_once(node, watcher, page) for _ in range(BLOCKS)))
            fetched.append(statistics.median(_fetched(port, "/")[1] for _ in range(BLOCKS)))
        page.close()
    watcher.close()
    return shown, fetched


def _shown_once(node: Node, watcher: Client, page: Page) -> float:
    """Mine a block; return the milliseconds from its event to its place in the document."""
    node.client.wire.sendall(request(0, "mine", {"count": 1}))
    while (watcher.read(PATIENCE_S) or {}).get("params", {}).get("kind") != "block-connected":
        pass
    told_ms = time.time() * 1e3
    (name,) = node.client.read(PATIENCE_S)["result"]
    page.wait_for_function("(name) => window.seen[name]", arg=name, timeout=PATIENCE_S * 1e3)
    return float(page.evaluate("(name) => window.seen[name]", name)) - told_ms


def main() -> None:
    """Measure and print."""
    options = parser_of("page", "Measure the page.", entries=ENTRIES, accounts=books.ACCOUNTS).parse_args()
    for result in measure(options.entries, options.accounts, options.runs):
        emit(result)


if __name__ == "__main__":
    main()
