"""How commands start and end: options, help, statuses, errors, interruptions, closed pipes, completion."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from node import __version__
from node.cli import main
from tests.cli.conftest import Shell
from tests.fake_node import FakeNode, Served
from tests.sources import ROOT

COMMANDS = {
    *("balance", "block", "blocks", "bump", "cancel", "check-receipt", "check-tip", "completion"),
    *("config", "contact", "export", "heal", "history", "invite", "mine", "network", "peer", "peers"),
    *("pending", "qr", "rebuild", "receipt", "request", "requests", "send", "statement", "status"),
    *("stop", "tips", "today", "top", "tx", "verify", "wallet", "watch"),
}
CLI = [sys.executable, str(ROOT / "cli.py")]


def run(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Run cli.py as a process."""
    return subprocess.run([*CLI, *words], capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload,no-any-return]


# --------------------------------------------------------------------------------------- help, version


@pytest.mark.parametrize("words", [("wallet", "list"), ("status",)])
def test_the_home_of_nobody_is_an_error_like_any_other(shell: Shell, words: tuple[str, ...]) -> None:
    shell.folder = Path("~nobody-here/book")
    assert "no home folder" in shell.fail(*words)["message"]


def test_help_lists_every_command_and_shows_examples(lonely: Shell) -> None:
    shown = lonely.type("--help").stdout
    assert set(main.list_commands(None)) == COMMANDS  # type: ignore[arg-type]  # it does not look
    assert all(f"\n  {name} " in shown for name in COMMANDS)
    assert "python cli.py mine 1" in shown
    for option in ("--port", "--data-dir", "--socket", "--json", "--wait", "--version"):
        assert option in shown


FAMILIES = {
    "wallet": "new list show import export backup",
    "contact": "add list remove",
    "peer": "add remove ban unban",
    "network": "new",
}


@pytest.mark.parametrize(
    "words",
    [[name] for name in sorted(COMMANDS)]
    + [[family, word] for family, names in FAMILIES.items() for word in names.split()],
    ids=" ".join,
)
def test_every_command_has_help_that_fits_and_says_what_it_does(lonely: Shell, words: list[str]) -> None:
    result = lonely.type(*words, "--help", columns=80)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert len(result.stdout.splitlines()) > 4


def test_the_version_is_told(lonely: Shell) -> None:
    assert lonely.type("--version").stdout == f"indelible {__version__}\n"


def test_without_a_command_the_help_is_shown_as_an_error() -> None:
    result = CliRunner().invoke(main, [])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage:" in result.stderr
    assert json.loads(CliRunner().invoke(main, ["--json"]).stderr)["code"] == "usage"


# ------------------------------------------------------------------------------------------- bad words


@pytest.mark.parametrize(
    "words, said",
    [
        (["stats"], "did you mean `status`?"),
        (["blokcs"], "did you mean `blocks`?"),
        (["wallet", "lst"], "did you mean `list`?"),
        (["peer", "bann", "x"], "did you mean `ban`?"),
        (["\x1b[31mred"], "--help"),
        (["status", "extra"], "--help"),
        (["blocks", "--limt", "3"], "--limit"),
        (["--port", "0", "status"], "--help"),
        (["--port", "70000", "status"], "--help"),
        (["--port", "http", "status"], "--help"),
        (["--wait", "-1", "status"], "--help"),
        (["--wait", "soon", "status"], "--help"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_how_it_is_meant(lonely: Shell, words: list[str], said: str) -> None:
    error = lonely.fail(*words, status=2)
    assert error["code"] == "usage"
    assert said in error["hint"] + error["message"]
    assert "\x1b" not in error["message"]


# ------------------------------------------------------------------------------------- common options


def test_json_is_asked_for_before_or_behind_the_command(shell: Shell) -> None:
    before, behind = shell.type("--json", "balance"), shell.type("balance", "--json")
    assert before.stdout == behind.stdout
    assert json.loads(before.stdout)["confirmed"] == 142_48


def test_every_common_option_may_stand_behind_the_command(shell: Shell, tmp_path: Path) -> None:
    runner = CliRunner()
    folder = str(shell.folder)
    for words in (
        ["balance", "--data-dir", folder, "--json", "--wait", "1"],
        ["balance", "--socket", str(shell.folder / "node.sock"), "--json"],
        ["--wait", "1", "--socket", str(shell.folder / "node.sock"), "balance", "--json"],
        ["wallet", "list", "--json", "--data-dir", folder],
        ["wallet", "--json", "list", "--data-dir", folder],
    ):
        result = runner.invoke(main, words)
        assert result.exit_code == 0, result.stderr
        json.loads(result.stdout)


# ------------------------------------------------------------------------------------------- no node


def test_where_no_node_runs_the_status_is_3_and_the_hint_starts_one(lonely: Shell) -> None:
    for words in (["status"], ["mine"], ["send", "x", "1"], ["stop"], ["watch"], ["peer", "add", "a:1"]):
        error = lonely.fail(*words, status=3)
        assert error["code"] == "no-node"
        assert error["hint"] == f"start one: python -m node --data-dir {lonely.folder}"


@pytest.mark.parametrize(
    "words, hint",
    [
        (["status"], "python -m node --port 9000"),
        (["--port", "9123", "status"], "python -m node --port 9123"),
        (["--config", "shop.toml", "status"], "python -m node --config shop.toml"),
    ],
)
def test_the_hint_starts_the_node_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    (tmp_path / "shop.toml").write_text("[node]\nport = 9200\n")
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == 3
    assert json.loads(result.stderr)["hint"] == f"start one: {hint}"


def test_the_settings_file_says_where_the_node_is(
    node: FakeNode, serving: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "peers.toml").write_text(f'[node]\ndata_dir = "{node.folder}"\n')
    assert CliRunner().invoke(main, ["balance"]).exit_code == 0
    (tmp_path / "peers.toml").write_text("[node]\nprot = 9000\n")
    result = CliRunner().invoke(main, ["balance", "--json"])
    assert result.exit_code == 2
    error = json.loads(result.stderr)
    assert error["code"] == "bad-config"
    assert "peers.toml:2" in error["message"]
    assert "port" in error["hint"]


def test_a_dead_socket_is_no_node(lonely: Shell) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(lonely.folder / "node.sock"))
    assert lonely.fail("status", status=3)["code"] == "no-node"


def test_a_file_in_the_place_of_the_socket_is_no_node(lonely: Shell) -> None:
    (lonely.folder / "node.sock").write_text("hello")
    assert lonely.fail("status", status=3)["code"] == "no-node"


def test_a_node_may_be_waited_for(node: FakeNode, lonely: Shell) -> None:
    from tests.fake_node import served  # noqa: PLC0415 - started behind the command

    with subprocess.Popen(
        [*CLI, "--data-dir", str(node.folder), "--wait", "60", "balance", "--json"], stdout=subprocess.PIPE
    ) as waiting:
        with served(node):
            output, _ = waiting.communicate(timeout=60)
        assert json.loads(output)["confirmed"] == 142_48


def test_a_node_that_goes_away_in_the_middle_is_named(node: FakeNode, shell: Shell, serving: Served) -> None:
    node.answers = False

    def stop_at_once(_: object) -> None:
        node.stop()

    node.post = stop_at_once  # type: ignore[method-assign,assignment]  # a node that breaks down
    assert shell.type("--json", "mine").exit_code == 3


# ---------------------------------------------------------------------------- interruptions and pipes


def test_ctrl_c_ends_with_130_and_says_nothing(node: FakeNode, serving: Served) -> None:
    with subprocess.Popen(
        [*CLI, "--data-dir", str(node.folder), "watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        serving.wait_for_subscriber()
        watching.send_signal(signal.SIGINT)
        output, error = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert (output, error) == ("", "watching; Ctrl-C ends it\n")


def test_a_closed_pipe_is_silent(node: FakeNode, serving: Served) -> None:
    words = [*CLI, "--data-dir", str(node.folder), "block", "4"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writing:
        assert writing.stdout is not None
        assert writing.stderr is not None
        writing.stdout.close()
        error = writing.stderr.read()
    assert (writing.returncode, error) == (141, b"")


def test_an_output_that_cannot_be_written_is_named(node: FakeNode, serving: Served, tmp_path: Path) -> None:
    with (tmp_path / "full").open("w") as full:
        result = subprocess.run(
            [*CLI, "--data-dir", str(node.folder), "balance", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        )
    assert result.returncode == 1
    assert json.loads(result.stderr)["code"] == "output"


def test_a_terminal_without_a_character_gets_it_escaped(node: FakeNode, serving: Served) -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "120"}
    result = run("--data-dir", str(node.folder), "history", env=env)
    assert result.returncode == 0
    assert "\\u2615" in result.stdout


# -------------------------------------------------------------------------------------------- colours


def test_colours_are_for_terminals_and_not_where_they_are_not_wanted(node: FakeNode, serving: Served) -> None:
    words = ["--data-dir", str(node.folder), "tips"]
    plain = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    assert "\x1b" not in run(*words, env=plain).stdout
    assert "\x1b[32m" in run(*words, env=plain | {"FORCE_COLOR": "1", "TERM": "xterm"}).stdout
    no_colour = run(*words, env=plain | {"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"}).stdout
    assert "\x1b[32m" not in no_colour


# --------------------------------------------------------------------------------------------- start


def test_json_is_printed_without_loading_what_draws_or_what_runs_the_node(
    node: FakeNode, serving: Served
) -> None:
    heavy = ("rich", "asyncio", "sqlite3", "nacl", "node.core", "node.daemon", "node.config")
    program = (
        "import sys\nfrom node.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print(*(name for name in {heavy} if name in sys.modules), file=sys.stderr)"
    )
    words = ["--data-dir", str(node.folder), "--json", "status"]
    result = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert json.loads(result.stdout)["height"] == 4
    assert result.stderr.strip() == ""


# ----------------------------------------------------------------------------------------- completion


def test_completion_scripts_are_printed_for_three_shells(lonely: Shell) -> None:
    for shell in ("bash", "zsh", "fish"):
        script = lonely.type("completion", shell).stdout
        assert "_INDELIBLE_COMPLETE" in script
        assert "indelible" in script
    assert lonely.fail("completion", "tcsh", status=2)["code"] == "usage"


def test_bash_completes_commands_and_options_with_the_script() -> None:
    script = run("completion", "bash").stdout
    ask = (
        'complete_for() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        "_indelible_completion; echo ${COMPREPLY[@]}; }\n"
        "complete_for indelible bl\ncomplete_for indelible wallet im\ncomplete_for indelible send --me\n"
        "complete -p indelible\nindelible --version\n"
    )
    result = subprocess.run(["bash", "-c", script + ask], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [
        "block blocks",
        "import",
        "--memo",
        "complete -F _indelible_completion indelible",
        f"indelible {__version__}",
    ]
