"""Keys, without a node and beside one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from node import keyfile, wallet
from node.cli import signing
from node.paths import wallets_folder
from node.remembered import network_of, remember
from node.storage.sqlite import BOOK_NAME
from tests.building import EASY
from tests.cli.conftest import Shell, address
from tests.cli.test_look import WIDTHS, widest
from tests.fake_node import OWNER, FakeNode


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases that take no second to work on."""
    weak = keyfile.Strength(operations=1, memory=8 << 10)
    for name in ("create", "import_"):
        function = getattr(wallet, name)
        monkeypatch.setattr(function, "__defaults__", (*function.__defaults__[:-1], weak))


def test_a_wallet_is_made_for_its_owner_alone(shell: Shell, node: FakeNode) -> None:
    made = shell.ask("wallet", "new", "till")
    assert set(made) == {"name", "address"}
    assert made["address"].startswith("test1")
    path = wallets_folder(node.folder) / "till.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert shell.ask("wallet", "show", "till") == made


def test_wallets_work_without_a_node(lonely: Shell) -> None:
    made = lonely.ask("wallet", "new", "till")
    assert made["address"].startswith("bean1")  # no book and no settings here: the built-in network
    assert [each["name"] for each in lonely.ask("wallet", "list")] == ["default", "till"]


def test_the_settings_name_the_network_where_there_is_no_book(lonely: Shell, tmp_path: Path) -> None:
    lonely.ask("network", "new", "shop", "--symbol", "CUP")
    made = lonely.ask("--config", "shop.toml", "wallet", "new", "till")
    assert made["address"].startswith("cup1")


def test_a_key_is_saved_from_beside_a_book_past_reading(lonely: Shell, tmp_path: Path) -> None:
    (lonely.folder / BOOK_NAME).write_bytes(b"no book any more")
    place = tmp_path / "stick"
    place.mkdir()
    assert lonely.ask("wallet", "backup", str(place))["address"].startswith("bean1")
    assert lonely.ask("wallet", "export")["secret"].startswith("secret1")
    assert lonely.ask("wallet", "list")[0]["name"] == "default"


def test_a_wallet_that_cannot_be_shown_is_not_made(lonely: Shell) -> None:
    (lonely.folder / BOOK_NAME).write_bytes(b"no book any more")
    remember(lonely.folder, network_of(EASY))
    assert lonely.fail("wallet", "new", "till")["code"] == "foreign-network"
    assert not (wallets_folder(lonely.folder) / "till.json").exists()


def test_the_default_wallet_is_shown_without_a_name(shell: Shell) -> None:
    assert shell.ask("wallet", "show") == {"name": "default", "address": address(OWNER)}
    shown = shell.type("wallet", "show").stdout
    assert OWNER.public.hex() in shown
    assert "none yet" in shown


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_list_fits_the_terminal_and_keeps_addresses_whole(shell: Shell, columns: int) -> None:
    shell.ask("wallet", "new", "a_long_name_of_thirty-two_letters"[:32])
    shown = shell.type("wallet", "list", columns=columns).stdout
    assert widest(shown) <= columns or address(OWNER) in shown
    assert address(OWNER) in shown


def test_a_broken_wallet_is_named_and_stops_no_other(shell: Shell, node: FakeNode) -> None:
    path = wallets_folder(node.folder) / "broken.json"
    path.write_text("{}")
    path.chmod(0o600)
    result = shell.type("wallet", "list", "--json")
    assert '"default"' in result.stdout
    assert "broken.json" in result.stderr
    assert shell.fail("wallet", "show", "broken")["code"] == "wallet-damaged"


@pytest.mark.parametrize("name", ["", "Bob", "../up", "a b", "x" * 33, "\x1b[2J", "ü"])
def test_a_name_is_a_plain_word(shell: Shell, name: str) -> None:
    assert shell.fail("wallet", "new", name, status=2)["code"] == "wallet-name"


def test_nothing_is_overwritten(shell: Shell) -> None:
    assert shell.fail("wallet", "new", "default")["code"] == "wallet-exists"
    assert shell.ask("wallet", "show")["address"] == address(OWNER)


# ----------------------------------------------------------------------------- export, import, backup


def test_what_is_exported_is_imported_again(shell: Shell) -> None:
    exported = shell.ask("wallet", "export")
    assert set(exported) == {"name", "address", "secret"}
    assert shell.type("wallet", "export").stdout == exported["secret"] + "\n"
    again = shell.ask("wallet", "import", "again", "-", typed=exported["secret"] + "\n")
    assert again == {"name": "again", "address": exported["address"]}
    assert shell.ask("wallet", "import", "third", exported["secret"])["address"] == exported["address"]


def test_a_backup_is_checked_and_restores_the_key(shell: Shell, node: FakeNode, tmp_path: Path) -> None:
    place = tmp_path / "stick"
    place.mkdir()
    saved = shell.ask("wallet", "backup", str(place))
    assert set(saved) == {"name", "address", "path"}
    assert Path(saved["path"]).parent == place
    assert "yes" in shell.type("wallet", "list", columns=120).stdout.splitlines()[-1]
    (wallets_folder(node.folder) / "default.json").unlink()
    assert shell.ask("wallet", "import", "back", saved["path"])["address"] == address(OWNER)


@pytest.mark.parametrize(
    "words, code",
    [
        (["import", "x", "secret1qqqq"], "import-refused"),
        (["import", "x", "/no/such/file"], "import-refused"),
        (["import", "default", "-"], "import-refused"),
        (["export", "nobody"], "wallet-missing"),
        (["backup", "nobody", "anywhere"], "wallet-missing"),
        (["backup", "default", "/no/such/folder/file"], "path"),
        (["show", "nobody"], "wallet-missing"),
    ],
)
def test_what_cannot_be_done_with_a_key_is_refused_by_name(shell: Shell, words: list[str], code: str) -> None:
    assert shell.fail("wallet", *words, typed="")["code"] == code


def test_a_backup_needs_a_place(shell: Shell) -> None:
    assert shell.fail("wallet", "backup", status=2)["code"] == "usage"
    assert shell.fail("wallet", "backup", "a", "b", "c", status=2)["code"] == "usage"


def test_a_backup_does_not_lie_beside_its_wallet(shell: Shell, node: FakeNode) -> None:
    beside = wallets_folder(node.folder) / "copy.json"
    assert shell.fail("wallet", "backup", "default", str(beside))["code"] == "wallet"


# ---------------------------------------------------------------------------------------- passphrases


@pytest.mark.usefixtures("quick")
def test_a_wallet_is_encrypted_with_a_passphrase_from_a_file(shell: Shell, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("open sesame\n")
    shell.ask("wallet", "new", "safe", "--passphrase-file", str(secret))
    assert shell.fail("wallet", "export", "safe")["code"] == "wallet-locked"
    exported = shell.ask("wallet", "export", "safe", "--passphrase-file", str(secret))
    assert exported["secret"].startswith("secret1")
    secret.write_text("wrong")
    assert (
        shell.fail("wallet", "export", "safe", "--passphrase-file", str(secret))["code"] == "wrong-passphrase"
    )
    secret.write_text("")
    assert shell.fail("wallet", "new", "empty", "--passphrase-file", str(secret))["code"] == "wallet-locked"


@pytest.mark.usefixtures("quick")
def test_a_passphrase_is_typed_twice_and_never_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_is_terminal", lambda: True)
    result = shell.type("wallet", "new", "safe", "--encrypt", typed="open sesame\nopen sesame\n")
    assert result.exit_code == 0
    assert "sesame" not in result.stdout + result.stderr
    assert shell.type("wallet", "export", "safe", typed="open sesame\n").exit_code == 0
    assert shell.type("wallet", "export", "safe", typed="wrong\n").exit_code == 1


def test_where_nobody_can_be_asked_nothing_is_made(shell: Shell) -> None:
    assert shell.fail("wallet", "new", "safe", "--encrypt")["code"] == "wallet-locked"
    assert shell.fail("wallet", "show", "safe")["code"] == "wallet-missing"


def test_two_keys_are_two_wallets(shell: Shell) -> None:
    assert shell.ask("wallet", "new", "one")["address"] != shell.ask("wallet", "new", "two")["address"]
