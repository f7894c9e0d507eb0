"""What goes wrong in a command: one kind of error, its exit status, and how it is told.

Writes to standard error; touches nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

REFUSED: Final = 1
"""Refused by the ledger, or not found."""
WRONG_USAGE: Final = 2
NO_NODE: Final = 3
"""Nobody answers on the node's socket."""
INTERRUPTED: Final = 130
"""Ctrl-C, as shells count signals."""
PIPE_CLOSED: Final = 141
"""Whoever read our output has gone; the same."""

_WRONG: Final = ("wallet-name", "entry-memo")
"""Codes of slips of the hand, besides those that start with `bad-`."""


class CommandError(Exception):
    """A command that cannot do what it was asked, and what to do next."""

    def __init__(self, code: str, message: str, hint: str = "", status: int | None = None) -> None:
        """`code` is stable. The exit status follows from it where none is given."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        if status is None:
            status = WRONG_USAGE if code.startswith("bad-") or code in _WRONG else REFUSED
        self.status = status


def told_as(error: Exception) -> CommandError:
    """Return a refusal of any layer below as a command's: those with `code`, `message` and `hint`."""
    parts = (getattr(error, name, None) for name in ("code", "message", "hint"))
    code, message, hint = (str(part) if part is not None else "" for part in parts)
    return CommandError(code or "failed", message or str(error), hint)


def usage_error(error: click.ClickException, program: str) -> CommandError:
    """Return click's complaint as a command's."""
    path = program
    if isinstance(error, click.UsageError) and error.ctx is not None:
        path = error.ctx.command_path
    hint = getattr(error, "hint", "") or f"see `{path} --help`"
    return CommandError("usage", error.format_message(), hint, WRONG_USAGE)


def tell(error: CommandError, *, as_json: bool) -> None:
    """Write it on standard error: one line of JSON, or a sentence or two for people."""
    if as_json:
        line = json.dumps({"code": error.code, "message": error.message, "hint": error.hint})
    else:
        # Here and not at the top: programs that want JSON do not wait for it.
        from node.cli.text import printable  # noqa: PLC0415

        said = printable(f"{error.message} ({error.code})")
        line = click.style("Error: ", fg="red", bold=True) + said
        if error.hint:
            line += "\n" + click.style("Next: ", bold=True) + printable(error.hint)
    # None: colours where it is a terminal (https://no-color.org).
    click.echo(line, err=True, color=False if os.environ.get("NO_COLOR") else None)


@contextmanager
def refusals(*kinds: type[Exception]) -> Iterator[None]:
    """Raise these kinds of error, which have `code`, `message` and `hint`, as CommandError."""
    try:
        yield
    except kinds as error:
        raise told_as(error) from None
