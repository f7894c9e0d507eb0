"""Inviting a friend: one file to start a node with that is connected to this one. Holds no key that pays."""

from __future__ import annotations

import json
import re
import shlex
import socket
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from node.cli.errors import CommandError, refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.new_file import write_new
from node.cli.offline import book_path, parameters_of
from node.cli.options import Command, examples
from node.cli.text import printable
from node.endpoint import Endpoint, is_loopback, parse_endpoint, parse_host
from node.ledger.params import BUILT_IN, Parameters
from node.network_file import format_network
from node.settings import ConfigError
from node.storage.faults import BookFault
from node.storage.reading import open_read_only

Json = dict[str, Any]

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_ANY: Final = ("0.0.0.0", "::")  # noqa: S104 - to be recognised, nothing listens on it here
_FAR: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses of nobody (RFC 5737, RFC 3849): which of ours would be used to reach the world."""
_NO_PORT: Final = 9


@click.command(
    cls=Command,
    epilog=examples(
        "invite ann                              writes ann.toml",
        "invite ann -o for-ann.toml --me shop",
        "invite ann --address shop.example:9000  where you are",
    ),
)
@click.argument("name")
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="NAME.toml without.")
@click.option(
    "--me", default="inviter", show_default=True, metavar="NAME", help="What your node is called there."
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="HOST:PORT",
    help="Where your friend reaches this node; may be repeated. Found out without.",
)
@pass_invocation
def invite(
    invocation: Invocation, name: str, output: Path | None, me: str, addresses: tuple[str, ...]
) -> None:
    """Write a file for a friend called NAME: the network, and the way to this node.

    Your friend starts with `python -m node --config NAME.toml` and is connected to you, by a name that your
    node proves. There is no key in it.
    """
    for text in (name, me):
        if not _NAME.fullmatch(text):
            hint = "use 1 to 32 of a-z, A-Z, 0-9, _, . and -"
            raise CommandError("bad-name", f"{text[:40]!a} cannot be a name", hint)
    settings = {each["name"]: each["value"] for each in invocation.client().call("config")}
    reached = _given(addresses) or _found(str(settings["host"]), int(settings["port"]))
    if not reached:
        hint = "say where your friend reaches this machine: --address HOST:PORT"
        raise CommandError("no-address", "this machine has no address in a network", hint)
    parameters = _parameters(invocation)
    path = (output or Path(f"{name}.toml")).absolute()
    text = _text(parameters, name, path.name, me, str(settings["node_id"]), reached)
    write_new(path, text.encode())
    warnings = _warnings(parameters, str(settings["host"]), reached, has_given=bool(addresses))
    answer = {
        "file": str(path),
        "network": parameters.name,
        "addresses": [str(endpoint) for endpoint in reached],
        "node_id": settings["node_id"],
        "warnings": warnings,
    }
    invocation.answer(answer, lambda: _say(answer))


def _given(addresses: tuple[str, ...]) -> list[Endpoint]:
    try:
        return [parse_endpoint(text) for text in addresses]
    except ValueError as error:
        raise CommandError("bad-endpoint", str(error), "write HOST:PORT") from None


def _found(host: str, port: int) -> list[Endpoint]:
    """Return where this node is reached, as far as this machine knows."""
    if host not in _ANY:
        return [Endpoint(host, port)]
    return [Endpoint(parse_host(own), port) for own in _own_addresses(host)]


def _own_addresses(host: str) -> list[str]:
    """Return this machine's addresses towards the world; nothing is sent to find out."""
    found = []
    for family, far in _FAR:
        if host == _ANY[0] and family is socket.AF_INET6:
            continue
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            try:
                probe.connect((far, _NO_PORT))
            except OSError:  # no way there: not connected, or no IPv6
                continue
            own = str(probe.getsockname()[0])
        if not is_loopback(own):
            found.append(own)
    return found


def _parameters(invocation: Invocation) -> Parameters:
    with refusals(BookFault, ConfigError), closing(open_read_only(book_path(invocation))) as book:
        return parameters_of(invocation, book)


def _text(
    parameters: Parameters, name: str, file: str, me: str, node_id: str, reached: list[Endpoint]
) -> str:
    """Return a settings file with what to do next in its comments."""
    trying = (
        ["The coins of this network are worth nothing: it is for trying out.", ""]
        if parameters == BUILT_IN
        else []
    )
    file = shlex.quote(printable(file))
    comments = [
        f"For {name}, from {me}: the way into the network {parameters.name}. There is no key in this file.",
        "",
        *trying,
        "What to do next:",
        f"  1. python -m node --config {file}",
        "     It makes your own key, fetches the book, and connects. Add --port 9100 where 9000 is taken.",
        f"  2. python cli.py --config {file} wallet show",
        f"     Your address: tell it to {me}, and others can pay you. The same --port here.",
        f"  3. python cli.py --config {file} wallet backup",
        "     Whoever loses the key loses the coins.",
    ]
    peers = [
        "\n[[peers]]\n"
        f"name = {json.dumps(me if not number else f'{me[:29]}-{number + 1}')}\n"
        f"address = {json.dumps(str(endpoint))}\n"
        f'identity = "{node_id}"  # what that node proves to be {me}\n'
        for number, endpoint in enumerate(reached)
    ]
    return format_network(parameters, comments) + "".join(peers)


def _warnings(parameters: Parameters, host: str, reached: list[Endpoint], *, has_given: bool) -> list[str]:
    found = []
    if is_loopback(host):
        found.append(
            f"this node listens on {host} only, so nobody on another machine reaches it: start it with "
            '--host 0.0.0.0, or write host = "0.0.0.0" under [node] in its settings file, then invite again'
        )
    elif not has_given and all(_is_private(endpoint.host) for endpoint in reached):
        found.append(
            "the address is of your own network: a friend elsewhere needs the one of your router, which must "
            "pass the port on; name it with --address"
        )
    if parameters == BUILT_IN:
        found.append(
            "this is the network for trying out, whose coins are worth nothing: `network new` makes one"
        )
    return found


def _is_private(host: str) -> bool:
    return re.match(r"10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|f[cd]|fe80", host) is not None


def _say(answer: Json) -> None:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

    click.echo(f"wrote {answer['file']}\nhand it to your friend: what to do next stands in it")
    for address in answer["addresses"]:
        click.echo(f"it leads to {address}")
    for warning in answer["warnings"]:
        show.warn(f"But {warning}")
