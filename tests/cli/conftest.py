"""A fake node whose socket is served, and a way to type commands at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from node import wallet
from node.cli import main
from node.ledger.address import encode_address
from node.paths import wallets_folder
from tests.building import ChainBuilder, Key, key
from tests.fake_node import OWNER, FakeNode, Served, served

ANN = key("ann")
BOB = key("bob")


def address(owner: Key) -> str:
    """Return the address on the network of these tests."""
    return encode_address("test", owner.public)


class Shell:
    """Types commands at the node in a folder."""

    def __init__(self, folder: Path, working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._runner = CliRunner()
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(working_folder)
        monkeypatch.setenv("TZ", "UTC")

    def type(self, *words: str, columns: int = 80, typed: str | None = None) -> Result:
        """Run a command, as people do."""
        env = {"COLUMNS": str(columns), "NO_COLOR": None, "FORCE_COLOR": None, "TERM": "xterm"}
        return self._runner.invoke(main, ["--data-dir", str(self.folder), *words], input=typed, env=env)

    def ask(self, *words: str, status: int = 0, typed: str | None = None) -> Any:  # noqa: ANN401 - JSON
        """Run a command with --json and return what it prints."""
        result = self.type("--json", *words, typed=typed)
        assert (result.exit_code, result.stderr) == (status, ""), result.stderr
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    def fail(self, *words: str, status: int = 1, typed: str | None = None) -> dict[str, str]:
        """Run a command with --json that is refused, and return the error."""
        result = self.type("--json", *words, typed=typed)
        assert (result.exit_code, result.stdout) == (status, ""), (result.stdout, result.stderr)
        error: dict[str, str] = json.loads(result.stderr)
        assert set(error) == {"code", "message", "hint"}
        assert result.stderr.count("\n") == 1
        # The same for people.
        said = self.type(*words, typed=typed)
        assert said.exit_code == status
        assert "Traceback" not in said.stderr
        assert error["code"] in said.stderr
        return error


@pytest.fixture
def chain() -> ChainBuilder:
    return ChainBuilder()


@pytest.fixture
def node(chain: ChainBuilder, tmp_path: Path) -> FakeNode:
    """Three blocks to the owner, a fourth of Bob's with two entries, and one entry pending."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    wallet.create(wallets_folder(folder), "default", seed=OWNER.seed)
    block = chain.blocks(None, 3, miner=OWNER)[-1]
    entries = [
        chain.entry(OWNER, BOB, 7_50, memo="coffee [bold]x[/] ☕ 日本"),
        chain.entry(
            OWNER, OWNER, 0, memo="a record of something long that was said over the counter on Monday"
        ),
    ]
    node = FakeNode(chain, chain.block(block, entries, miner=BOB), folder)
    waiting = chain.entry(OWNER, BOB, 1_00, memo="later")
    node.entries[waiting.sender, waiting.nonce] = waiting
    return node


@pytest.fixture
def serving(node: FakeNode) -> Iterator[Served]:
    """The node with its socket served."""
    with served(node) as found:
        yield found


@pytest.fixture
def shell(node: FakeNode, serving: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell beside a running node."""
    return Shell(node.folder, tmp_path, monkeypatch)


@pytest.fixture
def lonely(node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell on the folder of a node that does not run."""
    return Shell(node.folder, tmp_path, monkeypatch)
