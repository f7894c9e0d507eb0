"""Commands about names for addresses: contact add, list, remove. They work without a node."""

from __future__ import annotations

import click

from node.cli.errors import refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.named import contacts_of
from node.cli.options import Group, examples
from node.contacts import ContactError
from node.private import PathError
from node.settings import ConfigError


@click.group(cls=Group)
def contact() -> None:
    """Name addresses, for you alone: what takes an address takes the name too."""


@contact.command(epilog=examples("contact add ann bean1...", "send ann 7.50 --memo 'two coffees'"))
@click.argument("name")
@click.argument("address")
@pass_invocation
def add(invocation: Invocation, name: str, address: str) -> None:
    """Call ADDRESS by a NAME of 1 to 32 letters, digits, _, . and -."""
    with refusals(ConfigError, ContactError, PathError):
        contacts = contacts_of(invocation)
        shown = contacts.add(name, address)
    invocation.answer({"name": name, "address": shown}, lambda: click.echo(f"{name}  {shown}"))


@contact.command(name="list")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List the names, in the order of the file."""
    with refusals(ConfigError):
        found = contacts_of(invocation).items()
    answer = [{"name": name, "address": address} for name, address in found]
    invocation.answer(answer, lambda: _show(found))


def _show(found: list[tuple[str, str]]) -> None:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

    columns = [show.Column("name"), show.Column("address")]
    show.table(columns, found, "no contacts yet: `contact add NAME ADDRESS` makes one")


@contact.command(epilog=examples("contact remove ann"))
@click.argument("name")
@pass_invocation
def remove(invocation: Invocation, name: str) -> None:
    """Forget a NAME; the book and its entries stay as they are."""
    with refusals(ConfigError, ContactError, PathError):
        address = contacts_of(invocation).remove(name)
    answer = {"name": name, "address": address}
    invocation.answer(answer, lambda: click.echo(f"removed {name}  {address}"))
