"""What is typed behind `python -m node`. Reads no file: words become `Arguments`, or usage is shown."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from node import __version__
from node.config import DEFAULT_PORT, FILE_NAME, WEB_PORTS_ON, Arguments, LogFormat, LogLevel, MiningMode
from node.endpoint import EndpointError, parse_endpoint, parse_host, parse_port

T = TypeVar("T")
Option = TypeVar("Option", bound=StrEnum)

_EXAMPLES: Final = """\
examples:
  python -m node                                   a node on port 9000, on the built-in network for trying out
  python -m node --port 9001 --peer 127.0.0.1:9000 a second one beside it
  python -m node --config shop.toml --host 0.0.0.0 a network of one's own, open to other machines
  python -m node --mine on --log-format json       mine all the time, and log lines for programs

While it runs, in another terminal: python cli.py status
"""


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Return what was typed, without the program's name.

    `--help` and `--version` print and leave with SystemExit 0; wrong usage prints what is wrong on standard
    error and leaves with SystemExit 2.
    """
    given = _parser().parse_args(argv)
    return Arguments(
        port=given.port,
        data_dir=given.data_dir,
        config=given.config,
        peers=tuple(given.peer),
        mine=_member(MiningMode, given.mine),
        host=given.host,
        discovery=False if given.no_discovery else None,
        log_format=_member(LogFormat, given.log_format),
        log_level=_member(LogLevel, given.log_level),
        log_file=given.log_file,
        web=False if given.no_web else None,
        web_host=given.web_host,
        web_port=given.web_port,
        heal=given.heal,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m node",
        description="Run a node: it keeps a copy of the book, checks every entry, and talks to its peers.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # a script that shortens a flag would break when another one is added
    )
    add = parser.add_argument
    add(
        "--port",
        type=_reader(parse_port),
        metavar="N",
        help=f"TCP port to listen on ({DEFAULT_PORT})",
    )
    add("--data-dir", type=Path, metavar="DIR", help="folder of the node (default: one for each port)")
    add("--config", type=Path, metavar="FILE", help=f"settings file (default: {FILE_NAME} in this folder)")
    add(
        "--peer",
        type=_reader(parse_endpoint),
        metavar="HOST:PORT",
        action="append",
        default=[],
        help="a node to connect to, besides the file's; may be repeated",
    )
    add("--mine", choices=_values(MiningMode), help="when to mine (default on-demand)")
    add("--host", type=_reader(parse_host), metavar="ADDR", help="address to listen on (default 127.0.0.1)")
    add("--no-discovery", action="store_true", help="connect to no nodes but those that are named")
    add("--log-format", choices=_values(LogFormat), help="lines for people or for programs")
    add("--log-level", choices=_values(LogLevel), help="the least to log (default info)")
    add("--log-file", type=Path, metavar="FILE", help="log to a file, rotated, instead of standard error")
    add(
        "--web-port",
        type=_reader(parse_port),
        metavar="N",
        help=f"TCP port of the page (default: {WEB_PORTS_ON} above the node's)",
    )
    add(
        "--web-host",
        type=_reader(parse_host),
        metavar="ADDR",
        help="address that the page listens on (default 127.0.0.1)",
    )
    add("--no-web", action="store_true", help="show no page")
    add("--heal", action="store_true", help="mend a damaged book before it starts, with the help of peers")
    add("--version", action="version", version=f"indelible {__version__}")
    return parser


def _reader(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return a reader whose refusal argparse shows as it was written."""

    def reader(text: str) -> T:
        try:
            return read(text)
        except EndpointError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reader


def _values(options: type[StrEnum]) -> list[str]:
    return [option.value for option in options]


def _member(options: type[Option], value: str | None) -> Option | None:
    return None if value is None else options(value)
