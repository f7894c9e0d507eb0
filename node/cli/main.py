"""The group of all commands, and how each of them ends.

Loads a family of commands only when one of them is asked for: a command in a script should start at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TextIO, cast

import click

from node import __version__
from node.cli.errors import INTERRUPTED, PIPE_CLOSED, WRONG_USAGE, CommandError, tell, usage_error
from node.cli.invocation import Invocation
from node.cli.options import Group
from node.paths import UnsupportedPlatform, refuse_unsupported_platform

PROGRAM: Final = "indelible"
"""What the command is called where it is installed, and what completion completes."""
COMPLETION_VARIABLE: Final = "_INDELIBLE_COMPLETE"
"""Set by a shell that wants to know how a line goes on."""

_HELP: Final = """\
Ask a running node about the book, pay, and mine.

\b
Examples:
  python cli.py status                            the node on port 9000
  python cli.py --port 9001 balance               another one on this machine
  python cli.py mine 1                            mine a block; it pays you
  python cli.py send ADDRESS 7.50 --memo coffee   pay
  python cli.py watch                             the gossip, as it happens
  python cli.py history --json                    for programs

The options below may also stand behind the command.
"""

Family = Callable[[], Mapping[str, click.Command]]


def _pay() -> Mapping[str, click.Command]:
    from node.cli import pay  # noqa: PLC0415 - loaded when one of its commands is asked for; so are all below

    return {"send": pay.send, "bump": pay.bump, "cancel": pay.cancel}


def _look() -> Mapping[str, click.Command]:
    from node.cli import look, status  # noqa: PLC0415

    return {
        "balance": look.balance,
        "block": look.block,
        "blocks": look.blocks,
        "history": look.history,
        "pending": look.pending,
        "status": status.status,
        "tips": look.tips,
        "tx": look.tx,
        "watch": status.watch,
    }


def _counter() -> Mapping[str, click.Command]:
    from node.cli import counter  # noqa: PLC0415

    return {"today": counter.today}


def _requests() -> Mapping[str, click.Command]:
    from node.cli import requests  # noqa: PLC0415

    return {"request": requests.request, "requests": requests.requests}


def _mine() -> Mapping[str, click.Command]:
    from node.cli import mine  # noqa: PLC0415

    return {"mine": mine.mine, "stop": mine.stop}


def _peers() -> Mapping[str, click.Command]:
    from node.cli import peers  # noqa: PLC0415

    return {"peers": peers.peers, "peer": peers.peer}


def _wallets() -> Mapping[str, click.Command]:
    from node.cli import wallets  # noqa: PLC0415

    return {"wallet": wallets.wallet}


def _invite() -> Mapping[str, click.Command]:
    from node.cli import invite  # noqa: PLC0415

    return {"invite": invite.invite}


def _top() -> Mapping[str, click.Command]:
    from node.cli import top  # noqa: PLC0415

    return {"top": top.top}


def _networks() -> Mapping[str, click.Command]:
    from node.cli import networks  # noqa: PLC0415

    return {"network": networks.network, "config": networks.config}


def _books() -> Mapping[str, click.Command]:
    from node.cli import books  # noqa: PLC0415

    return {"verify": books.verify, "rebuild": books.rebuild}


def _healing() -> Mapping[str, click.Command]:
    from node.cli import healing  # noqa: PLC0415

    return {"heal": healing.heal}


def _contacts() -> Mapping[str, click.Command]:
    from node.cli import contacts  # noqa: PLC0415

    return {"contact": contacts.contact}


def _qr() -> Mapping[str, click.Command]:
    from node.cli import qr  # noqa: PLC0415

    return {"qr": qr.qr}


def _receipts() -> Mapping[str, click.Command]:
    from node.cli import receipts  # noqa: PLC0415

    return {
        "receipt": receipts.receipt,
        "check-receipt": receipts.check_receipt,
        "check-tip": receipts.check_tip,
    }


def _export() -> Mapping[str, click.Command]:
    from node.cli import export  # noqa: PLC0415

    return {"export": export.export}


def _statements() -> Mapping[str, click.Command]:
    from node.cli import statements  # noqa: PLC0415

    return {"statement": statements.make}


def _completion() -> Mapping[str, click.Command]:
    from node.cli import completion  # noqa: PLC0415

    return {"completion": completion.completion}


_LOOK: Final = ("balance", "block", "blocks", "history", "pending", "status", "tips", "tx", "watch")
_FAMILIES: Final[Mapping[str, Family]] = {
    **dict.fromkeys(("send", "bump", "cancel"), _pay),
    **dict.fromkeys(_LOOK, _look),
    **dict.fromkeys(("mine", "stop"), _mine),
    "today": _counter,
    "top": _top,
    "invite": _invite,
    **dict.fromkeys(("request", "requests"), _requests),
    **dict.fromkeys(("peers", "peer"), _peers),
    "wallet": _wallets,
    **dict.fromkeys(("network", "config"), _networks),
    **dict.fromkeys(("verify", "rebuild"), _books),
    "heal": _healing,
    "contact": _contacts,
    "export": _export,
    "statement": _statements,
    "qr": _qr,
    **dict.fromkeys(("receipt", "check-receipt", "check-tip"), _receipts),
    "completion": _completion,
}
"""Where each command is."""


class App(Group):
    """The group of all commands."""

    shows_common: ClassVar[bool] = True

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return sorted(_FAMILIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        family = _FAMILIES.get(cmd_name)
        return None if family is None else family()[cmd_name]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *_: Any,  # noqa: ANN401 - whatever else click's own takes
        **__: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Run the command that was typed and leave with its exit status."""
        words = list(sys.argv[1:] if args is None else args)
        instruction = os.environ.get(COMPLETION_VARIABLE)
        if instruction:
            # Here and not at the top: only a shell that completes a line needs it.
            from click.shell_completion import shell_complete  # noqa: PLC0415

            sys.exit(shell_complete(self, {}, PROGRAM, COMPLETION_VARIABLE, instruction))
        sys.exit(_run(self, words, prog_name or _typed_name()))


main: Final = App(name=PROGRAM, help=_HELP)
"""All commands."""
main.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        help="Show the version and leave.",
        callback=lambda ctx, _, value: _show_version(ctx) if value and not ctx.resilient_parsing else None,
    )
)


def _show_version(ctx: click.Context) -> None:
    click.echo(f"{PROGRAM} {__version__}")
    ctx.exit()


def _typed_name() -> str:
    name = Path(sys.argv[0]).name
    return f"python {name}" if name.endswith(".py") else name


def _run(app: App, words: Sequence[str], program: str) -> int:
    """Run a command and return its exit status; what went wrong has been told by then."""
    as_json = "--json" in words  # as typed, for words that do not parse can have asked for it too
    for stream in (sys.stdout, sys.stderr):  # no character that a terminal lacks may end a command
        cast("Any", stream).reconfigure(errors="backslashreplace")
    try:
        status = _invoke(app, list(words), program, as_json=as_json)
        sys.stdout.flush()
    except CommandError as error:
        tell(error, as_json=as_json)
        return error.status
    except (KeyboardInterrupt, EOFError, click.Abort):
        return INTERRUPTED
    except OSError as error:
        _drop(sys.stdout)
        if error.errno == errno.EPIPE:
            return PIPE_CLOSED
        hint = "look at the disk and its space"
        tell(
            CommandError("output", f"cannot write the answer ({error.strerror or error})", hint),
            as_json=as_json,
        )
        return 1
    return status


def _invoke(app: App, words: list[str], program: str, *, as_json: bool) -> int:
    try:
        refuse_unsupported_platform()
        with app.make_context(program, words) as context:
            context.call_on_close(context.ensure_object(Invocation).close)
            app.invoke(context)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        if as_json:
            raise CommandError(
                "usage", "no command was named", f"see `{program} --help`", WRONG_USAGE
            ) from None
        click.echo(error.format_message(), err=True)
        return WRONG_USAGE
    except click.ClickException as error:
        raise usage_error(error, program) from None
    except UnsupportedPlatform as error:
        raise CommandError(error.code, str(error)) from None
    return 0


def _drop(stream: TextIO) -> None:
    """Send what is left to write nowhere: it would fail again when Python leaves."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, stream.fileno())
    os.close(sink)
