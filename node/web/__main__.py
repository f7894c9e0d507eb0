"""`python -m node.web`: the page of one data folder, as the daemon starts it or by hand.

Started by the daemon (`--child`) it ends when its standard input closes: that is when the daemon is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import uvicorn

from node.endpoint import parse_host, parse_port
from node.ledger.block import genesis_block
from node.listeners import CannotListen, open_listeners
from node.storage.faults import damaged
from node.storage.network import parameters_of_bytes
from node.storage.port import StorageFault
from node.storage.reading import open_read_only
from node.storage.sqlite import BOOK_NAME
from node.web.app import create_app
from node.web.books import Books
from node.web.context import Context
from node.web.hub import Hub
from node.web.local_socket import LocalSocket

EXIT_FAILED: Final = 1
GRACE_S: Final = 1
"""For requests under way when the page ends."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped; return the exit status."""
    given = _parser().parse_args(argv)
    try:
        asyncio.run(_serve(given))
    except (CannotListen, StorageFault) as error:
        sys.stderr.write(f"indelible: {error}\n")
        return EXIT_FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m node.web", description="Serve the page of a node.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, metavar="DIR", help="folder of the node")
    add("--host", type=parse_host, default="127.0.0.1", metavar="ADDR", help="where to listen")
    add("--port", type=parse_port, default=10_000, metavar="N", help="TCP port (10000)")
    add("--child", action="store_true", help="end when standard input closes")
    return parser


async def _serve(given: argparse.Namespace) -> None:
    listeners = await open_listeners(given.host, given.port)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(make_context(given.data_dir)),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    if given.child:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop, server)
    await server.serve(listeners)


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


def make_context(data_dir: Path) -> Context:
    """Return the context of a data folder. Raises StorageFault where its book cannot be read."""
    path = data_dir / BOOK_NAME
    with closing(open_read_only(path)) as book:
        parameters = parameters_of_bytes(book.parameters())
    if parameters is None:
        raise damaged(path, "it does not name a network that can be")
    return Context(
        parameters=parameters,
        network_id=genesis_block(parameters).header.hash,
        data_dir=data_dir,
        books=Books(path, parameters),
        socket=LocalSocket(data_dir),
        events=Hub(data_dir),
    )


if __name__ == "__main__":
    sys.exit(main())
