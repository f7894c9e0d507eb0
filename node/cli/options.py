"""Commands and groups that take the common options wherever they are typed, and name the nearest command.

`python cli.py --json status` and `python cli.py status --json` are the same. Reads and prints nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import click

from node.cli.invocation import Invocation


class UnknownCommand(click.UsageError):
    """A word in the place of a command that is none."""

    def __init__(self, name: str, known: Sequence[str], ctx: click.Context) -> None:
        super().__init__(f"there is no command {name[:40]!a}", ctx)
        near = difflib.get_close_matches(name, known, 1)
        self.hint = f"did you mean `{near[0]}`?" if near else f"see `{ctx.command_path} --help`"


def _noting(field: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def note(ctx: click.Context, _: click.Parameter, value: object) -> None:
        # A default says nothing: the option may stand before the command, and not behind it.
        if value is not None and value is not False:
            setattr(ctx.ensure_object(Invocation), field, value)

    return note


def _common(*, hidden: bool) -> list[click.Parameter]:
    """Return the options that every command takes."""

    def option(name: str, field: str, text: str, **more: Any) -> click.Option:  # noqa: ANN401 - click's own
        return click.Option(
            [name], help=text, callback=_noting(field), expose_value=False, hidden=hidden, **more
        )

    path = click.Path(path_type=Path)
    return [
        option("--port", "port", "The node on this port (default 9000).", type=click.IntRange(1, 65_535)),
        option("--data-dir", "data_dir", "The node with this folder.", type=path, metavar="DIR"),
        option("--socket", "socket", "The node with this socket.", type=path, metavar="PATH"),
        option("--config", "config", "The settings file the node has.", type=path, metavar="FILE"),
        option("--json", "as_json", "Print one JSON value, and errors as JSON.", is_flag=True),
        option(
            "--wait",
            "wait_s",
            "Wait this long for the node to answer.",
            type=click.FloatRange(0, 86_400),
            metavar="SECONDS",
        ),
    ]


def examples(*lines: str) -> str:
    """Return the end of a command's help: lines to type, kept as they are."""
    return "\b\nExamples:\n" + "".join(f"  python cli.py {line}\n" for line in lines)


class Command(click.Command):
    """A command that takes the common options too; its help does not repeat them."""

    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - click's own
        more["params"] = [*(more.get("params") or []), *_common(hidden=True)]
        super().__init__(*args, **more)


class Group(click.Group):
    """A group of commands that takes the common options too."""

    command_class = Command
    shows_common: ClassVar[bool] = False

    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - click's own
        more["params"] = [*(more.get("params") or []), *_common(hidden=not self.shows_common)]
        super().__init__(*args, **more)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            raise UnknownCommand(args[0], self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)
