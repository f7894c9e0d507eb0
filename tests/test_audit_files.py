"""The files beside the book: each edit is found that a check can find, and mended where that is possible."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from node import identity, mending, wallet
from node.audit_files import bad_files
from node.config import Arguments, Config, load
from node.heal_report import last_report
from node.ledger.block import network_id
from node.mempool import dump
from node.network_file import format_network
from node.paths import wallets_folder
from node.peers import PeerBook
from node.remembered import FILE_NAME as MEMORY_NAME
from node.remembered import correct, network_of
from node.storage.journal import Journal
from tests.healing.book import chain_of, write_book
from tests.storage.filling import PARAMETERS

NAMES = ("peers.dat", "pending.dat", "pending.journal", "identity", MEMORY_NAME, "wallets/default.json")
EDITS_EACH = 25


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a data folder, by name."""
    folder = tmp_path_factory.mktemp("made")
    peers = PeerBook(random.Random(1), loopback_only=False)
    peers.addresses.hear([("192.0.2.1", 9000)], "192.0.2.9", "192.0.2.9", 1)
    (folder / "peers.dat").write_bytes(peers.dump(0))
    entries = [entry for block in chain_of() for entry in block.entries]
    (folder / "pending.dat").write_bytes(dump([], network_id(PARAMETERS)))
    journal = Journal(folder / "pending.journal")
    journal.append([entry.raw for entry in entries[:3]])
    journal.close()
    identity.load_or_create(folder)
    correct(folder, network_of(PARAMETERS))
    wallet.ensure(wallets_folder(folder))
    return {name: (folder / name).read_bytes() for name in NAMES}


@pytest.fixture
def folder(tmp_path: Path, made: dict[str, bytes]) -> Path:
    data = tmp_path / "data"
    (data / "wallets").mkdir(parents=True, mode=0o700)
    data.chmod(0o700)
    for name, content in made.items():
        (data / name).write_bytes(content)
        (data / name).chmod(0o600)
    return data


def flip(dice: random.Random, content: bytes) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << dice.randrange(8)]) + content[at + 1 :]


def cut(dice: random.Random, content: bytes) -> bytes:
    return content[: dice.randrange(len(content))]


def swap(dice: random.Random, content: bytes) -> bytes:
    one, other = sorted(dice.sample(range(len(content)), 2))
    changed = bytearray(content)
    changed[one], changed[other] = changed[other], changed[one]
    return bytes(changed)


def append(dice: random.Random, content: bytes) -> bytes:
    return content + dice.randbytes(dice.randrange(1, 30))


def test_files_in_order_are_said_to_be(folder: Path) -> None:
    assert bad_files(folder, PARAMETERS, live=False) == []


@pytest.mark.parametrize("name", NAMES)
def test_each_edit_of_a_file_is_found_or_says_the_same(
    folder: Path, made: dict[str, bytes], name: str
) -> None:
    dice = random.Random(name)
    edits: tuple[Callable[[random.Random, bytes], bytes], ...] = (flip, cut, swap, append)
    for _ in range(EDITS_EACH):
        content = dice.choice(edits)(dice, made[name])
        (folder / name).write_bytes(content)
        found = [bad.path for bad in bad_files(folder, PARAMETERS, live=False)]
        assert found == [folder / name] or content == made[name] or _says_the_same(folder, name, made[name])


def _says_the_same(folder: Path, name: str, before: bytes) -> bool:
    """Tell whether an edit that no check finds changed no meaning: a shorter journal, space in a key file."""
    content = (folder / name).read_bytes()
    if name == "pending.journal":
        return before.startswith(content.rstrip(b"\0"))  # whole entries fewer, as after a save; or free room
    if name == "identity":
        seed_and_key = bytes.fromhex(before.decode())  # files of the first versions hold the seed alone
        return bytes.fromhex(content.decode()) in {seed_and_key, seed_and_key[:32]}
    return name.endswith(".json") and json.loads(content) == json.loads(before)


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> Config:
    write_book(folder, chain_of())
    network = tmp_path / "network.toml"
    network.write_text(format_network(PARAMETERS), encoding="utf-8")
    return load(Arguments(data_dir=folder, config=network), tmp_path)


def test_what_a_node_makes_anew_is_set_aside_and_kept(settings: Config, folder: Path) -> None:
    for name in ("peers.dat", "pending.dat", MEMORY_NAME):
        (folder / name).write_bytes(b"rubbish")
    (folder / "pending.journal").write_bytes(b"rubbish" + (folder / "pending.journal").read_bytes())
    report = mending.mend(settings, PARAMETERS, lambda *_: None)
    assert report["ok"]
    assert bad_files(folder, PARAMETERS, live=False) == []
    kept = Path(report["evidence"])
    assert (kept / "peers.dat").read_bytes() == b"rubbish"
    journal = Journal(folder / "pending.journal")
    assert len(journal.read()) == 3
    journal.close()
    assert last_report(folder) == report


def test_a_wallet_is_named_and_nobody_can_mend_it(settings: Config, folder: Path) -> None:
    path = folder / "wallets/default.json"
    path.write_bytes(path.read_bytes()[:-9])
    report = mending.mend(settings, PARAMETERS, lambda *_: None)
    assert not report["ok"]
    assert str(path) in report["unhealed"][0]
    assert "put back a copy" in report["unhealed"][0]
    assert path.exists()
