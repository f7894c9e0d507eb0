"""The command line of a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from node import __version__
from node.arguments import parse_arguments
from node.config import Arguments, LogFormat, LogLevel, MiningMode
from node.endpoint import Endpoint


def test_nothing_typed_is_nothing_given() -> None:
    assert parse_arguments([]) == Arguments()


def test_every_flag_arrives() -> None:
    typed = (
        "--port 9001 --data-dir d --config c.toml --peer 127.0.0.1:9000 --peer [::1]:9002 --mine off "
        "--host ::1 --no-discovery --log-format json --log-level debug --log-file l.log "
        "--no-web --web-host ::1 --web-port 9002"
    )
    assert parse_arguments(typed.split()) == Arguments(
        port=9001,
        data_dir=Path("d"),
        config=Path("c.toml"),
        peers=(Endpoint("127.0.0.1", 9000), Endpoint("::1", 9002)),
        mine=MiningMode.OFF,
        host="::1",
        discovery=False,
        log_format=LogFormat.JSON,
        log_level=LogLevel.DEBUG,
        log_file=Path("l.log"),
        web=False,
        web_host="::1",
        web_port=9002,
    )


@pytest.mark.parametrize(
    "typed, told",
    [
        ("--port 0", "argument --port: '0' is no port: a port is a number, 1 to 65535"),
        ("--port nine", "'nine' is no port"),
        ("--peer 127.0.0.1", "argument --peer: '127.0.0.1' is not HOST:PORT: write it as 127.0.0.1:9000"),
        ("--peer ::1:9000", "write IPv6 as [::1]:9000"),
        ("--host a/b", "argument --host: 'a/b' is no host"),
        ("--mine sometimes", "argument --mine: invalid choice: 'sometimes'"),
        ("--log-format xml", "argument --log-format: invalid choice"),
        ("--prot 9000", "unrecognized arguments: --prot"),
        ("--data 9000", "unrecognized arguments: --data"),
        ("--port", "argument --port: expected one argument"),
    ],
)
def test_wrong_usage_is_told_and_ends_with_status_2(
    typed: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        parse_arguments(typed.split())
    assert raised.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("flag, told", [("--version", f"indelible {__version__}\n"), ("--help", "examples:")])
def test_help_and_version_end_with_status_0(flag: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        parse_arguments([flag])
    assert raised.value.code == 0
    assert told in capsys.readouterr().out
