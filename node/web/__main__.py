"""`python -m node.web`: the page of one data folder, as the daemon starts it or by hand.

As the daemon's child (`--child`) it says `ready` on standard output once it can be opened, runs at low
priority, and ends when its standard input closes: that is when the daemon ends it, or is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import uvicorn

from node.contacts import Contacts
from node.endpoint import Endpoint, EndpointError, parse_host, parse_port
from node.ledger.block import genesis_block
from node.listeners import CannotListen, open_listeners
from node.paths import contacts_file
from node.storage.faults import damaged
from node.storage.network import parameters_of_bytes
from node.storage.page_index import NAME as INDEX_NAME
from node.storage.page_index import IndexFault, PageIndex
from node.storage.port import StorageFault
from node.storage.reading import open_read_only
from node.storage.sqlite import BOOK_NAME
from node.web.app import create_app
from node.web.books import Books
from node.web.context import Context
from node.web.hub import Hub
from node.web.index import Indexer
from node.web.live import keep_streams_to_the_end
from node.web.local_socket import LocalSocket
from node.web.security import Hosts

T = TypeVar("T")

log = logging.getLogger(__name__)

EXIT_FAILED: Final = 1
END_S: Final = 1
"""For requests under way when the page ends."""
LAST_S: Final = 1.5
"""After which a page that should have ended ends all the same."""
LOOK_AGAIN_S: Final = 0.1
PRIORITY: Final = 5
"""Added to the daemon's niceness: the book comes before its looks."""
DEFAULT_PORT: Final = 10_000
MAX_CONNECTIONS: Final = 512
"""Of all viewers; beyond it requests are answered with 503."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped; return the exit status."""
    given = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")  # on standard error
    signal.signal(signal.SIGTERM, _leave)  # once the server, which handles it first, is down
    try:
        return asyncio.run(_serve(given))
    except (CannotListen, StorageFault) as error:
        sys.stderr.write(f"indelible: {error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m node.web", description="Serve the page of a node.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, metavar="DIR", help="folder of the node")
    add(
        "--host",
        type=_reader(parse_host),
        default="127.0.0.1",
        metavar="ADDR",
        help="address to listen on (default 127.0.0.1)",
    )
    add(
        "--port",
        type=_reader(parse_port),
        default=DEFAULT_PORT,
        metavar="N",
        help=f"TCP port to listen on ({DEFAULT_PORT})",
    )
    add(
        "--name",
        type=_reader(parse_host),
        metavar="HOST",
        action="append",
        default=[],
        help="a name that it may be asked for by; may be repeated",
    )
    add("--child", action="store_true", help="end when standard input closes")
    return parser


def _reader(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return a reader whose refusal argparse shows as it was written."""

    def reader(text: str) -> T:
        try:
            return read(text)
        except EndpointError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reader


async def _serve(given: argparse.Namespace) -> int:
    """Serve until stopped, or until something of it dies; return the exit status."""
    deaths: list[BaseException] = []

    def end(error: BaseException) -> None:
        log.error("a part of the page died, and so does the page", exc_info=error)
        deaths.append(error)
        server.should_exit = True

    context = make_context(given.data_dir, Hosts(given.host, given.port, tuple(given.name)))
    listeners = await open_listeners(given.host, given.port)
    for listener in listeners:
        # Connections have it from here: asyncio sets it only where the protocol is named. Without it, the
        # second write of an answer waits for the first one's acknowledgement, 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(context, end),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=END_S,
        )
    )
    if given.child:
        os.nice(PRIORITY)
        threading.Thread(target=_watch_parent, args=(server,), daemon=True).start()
    _say_ready(given)  # who comes before the server is up waits in the listeners' queue
    keep_streams_to_the_end()
    ending = asyncio.create_task(_end_streams(server, context.events))
    await server.serve(listeners)
    ending.cancel()
    return EXIT_FAILED if deaths else 0


async def _end_streams(server: uvicorn.Server, events: Hub) -> None:
    """End the streams of events as soon as the server is to end: it would wait for them."""
    while not server.should_exit:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(LOOK_AGAIN_S)
    events.end()


def _say_ready(given: argparse.Namespace) -> None:
    url = f"http://{Endpoint(given.host, given.port)}/"
    with suppress(OSError):
        sys.stdout.write("ready\n" if given.child else f"the page is at {url}\n")
        sys.stdout.flush()


def _watch_parent(server: uvicorn.Server) -> None:
    """End when standard input closes: in good order, and where that does not come about, at once."""
    while os.read(sys.stdin.fileno(), 1 << 10):
        pass
    server.should_exit = True
    threading.Event().wait(LAST_S)
    os._exit(0)  # nothing is kept here that an abrupt end could spoil


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def make_context(data_dir: Path, hosts: Hosts) -> Context:
    """Return the context of a data folder. Raises StorageFault where its book cannot be read."""
    path = data_dir / BOOK_NAME
    with closing(open_read_only(path)) as book:
        parameters = parameters_of_bytes(book.parameters())
    if parameters is None:
        raise damaged(path, "it does not name a network that can be")
    identity = genesis_block(parameters).header.hash
    books = Books(path, parameters)
    return Context(
        parameters=parameters,
        network_id=identity,
        data_dir=data_dir,
        books=books,
        socket=LocalSocket(data_dir),
        events=Hub(data_dir),
        hosts=hosts,
        contacts=Contacts(contacts_file(data_dir), parameters.prefix),
        index=_indexer(data_dir, identity, books),
    )


def _indexer(data_dir: Path, identity: bytes, books: Books) -> Indexer | None:
    """Return what keeps the page's index, None where the folder cannot hold one: lists are empty then."""
    try:
        return Indexer(PageIndex(data_dir / INDEX_NAME, identity), books)
    except IndexFault as fault:
        sys.stderr.write(f"indelible: {fault}\n")
        return None


if __name__ == "__main__":
    sys.exit(main())
