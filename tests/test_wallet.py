"""Wallets: never overwritten, never half written, never shown; each trouble by its name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from node import keyfile, wallet
from node.keyfile import Strength
from node.ledger.signature import public_key_of, verify
from node.private import PathError
from node.wallet import (
    BrokenWallet,
    ImportRefused,
    Wallet,
    WalletDamaged,
    WalletError,
    WalletExists,
    WalletLocked,
    WalletMissing,
    WalletNameRefused,
    WrongPassphrase,
)

SEED = bytes(range(32))
PASSPHRASE = "open sesame"
QUICK = Strength(operations=1, memory=8192)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "wallets"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    place = tmp_path / "elsewhere"
    place.mkdir()
    return place


def sealed(folder: Path, name: str = "shop") -> Wallet:
    return wallet.create(folder, name, PASSPHRASE, SEED, strength=QUICK)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_wallet_is_one_file_for_its_owner_alone(folder: Path) -> None:
    made = wallet.create(folder, "shop")
    assert [path.name for path in folder.iterdir()] == ["shop.json"]
    assert mode(folder) == 0o700
    assert mode(folder / "shop.json") == 0o600
    assert wallet.load(folder, "shop") == made
    assert not made.encrypted
    assert not made.backed_up
    assert made.notice is None


def test_every_new_wallet_has_a_key_of_its_own(folder: Path) -> None:
    assert wallet.create(folder, "a").public_key != wallet.create(folder, "b").public_key


def test_an_unlocked_wallet_signs_for_its_public_key(folder: Path) -> None:
    made = wallet.create(folder, "shop", seed=SEED)
    key = wallet.unlock(made)
    assert key.public_key == made.public_key == public_key_of(SEED)
    assert verify(made.public_key, b"message", key.sign(b"message"))
    assert SEED.hex() not in repr(key) + str(key) + repr(made)


def test_a_passphrase_encrypts_and_opens(folder: Path) -> None:
    made = sealed(folder)
    assert made.encrypted
    assert SEED.hex().encode() not in made.path.read_bytes()
    assert wallet.unlock(made, PASSPHRASE).public_key == public_key_of(SEED)
    with pytest.raises(WalletLocked, match="'shop' is encrypted: give its passphrase"):
        wallet.unlock(made)
    with pytest.raises(WrongPassphrase, match="passphrase of 'shop' is wrong"):
        wallet.unlock(made, "another")


def test_the_usual_strength_opens_too(folder: Path) -> None:
    made = wallet.create(folder, "shop", PASSPHRASE)
    assert b'"memory_bytes": 268435456' in made.path.read_bytes()
    assert wallet.unlock(made, PASSPHRASE).public_key == made.public_key


def test_an_empty_passphrase_is_no_passphrase_and_no_wallet(folder: Path) -> None:
    with pytest.raises(WalletLocked, match="passphrase is empty"):
        wallet.create(folder, "shop", "")
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"anything"])
def test_an_existing_file_is_never_overwritten(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "shop.json").write_bytes(content)
    with pytest.raises(WalletExists, match=r"shop\.json exists already and is not overwritten"):
        wallet.create(folder, "shop")
    assert (folder / "shop.json").read_bytes() == content


def test_of_two_who_make_one_wallet_one_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = wallet.create(folder, "shop")
    monkeypatch.setattr("os.path.lexists", lambda _: False)  # as if both had looked before either wrote
    with pytest.raises(WalletExists):
        wallet.create(folder, "shop")
    monkeypatch.undo()
    assert wallet.load(folder, "shop") == first


@pytest.mark.parametrize("name", ["", "Shop", "a b", "../shop", "a/b", ".hidden", "x" * 33, "caf\xe9", "a\n"])
def test_a_name_that_is_no_file_name_is_refused(folder: Path, name: str) -> None:
    for act in (wallet.create, wallet.load):
        with pytest.raises(WalletNameRefused, match="use 1 to 32"):
            act(folder, name)
    assert not folder.exists()


def test_a_missing_wallet_is_named_with_what_to_do(folder: Path) -> None:
    with pytest.raises(WalletMissing, match=r"no wallet 'shop'.*wallet new"):
        wallet.load(folder, "shop")


def test_a_damaged_file_is_named_with_what_to_do(folder: Path) -> None:
    made = wallet.create(folder, "shop")
    content = bytearray(made.path.read_bytes())
    content[100] ^= 1
    made.path.write_bytes(content)
    with pytest.raises(WalletDamaged, match=r"shop\.json is damaged.*backup"):
        wallet.load(folder, "shop")


def test_a_seed_that_gives_another_key_is_named_when_it_is_unlocked(folder: Path) -> None:
    forged = keyfile.KeyFile(public_key_of(bytes(32)), keyfile.seal(SEED, PASSPHRASE, QUICK))
    folder.mkdir(mode=0o700)
    (folder / "shop.json").write_bytes(keyfile.render(forged))
    with pytest.raises(WalletDamaged, match="does not give its public key"):
        wallet.unlock(wallet.load(folder, "shop"), PASSPHRASE)


def test_what_was_open_to_others_is_closed_and_told(folder: Path) -> None:
    made = wallet.create(folder, "shop")
    folder.chmod(0o755)
    made.path.chmod(0o644)
    notice = wallet.load(folder, "shop").notice
    assert notice is not None
    assert "0755" in notice
    assert "0644" in notice
    assert (mode(folder), mode(made.path)) == (0o700, 0o600)
    assert wallet.load(folder, "shop").notice is None


def test_a_list_names_the_broken_ones_and_shows_the_others(folder: Path) -> None:
    assert wallet.list_wallets(folder) == ()
    wallet.create(folder, "b-good")
    wallet.create(folder, "c-good")
    (folder / "a-torn.json").write_bytes(b"{")
    (folder / "Strange Name.json").write_bytes(b"{}")
    (folder / "d-folder.json").mkdir()
    (folder / "e-dangling.json").symlink_to(folder / "nowhere")
    (folder / ".b-good.json.0123.tmp").write_bytes(b"left by a crash")
    listed = {found.name: found for found in wallet.list_wallets(folder)}
    assert list(listed) == ["Strange Name", "a-torn", "b-good", "c-good", "d-folder", "e-dangling"]
    assert [name for name, found in listed.items() if isinstance(found, Wallet)] == ["b-good", "c-good"]
    torn = listed["a-torn"]
    assert isinstance(torn, BrokenWallet)
    assert "a-torn.json is damaged" in str(torn.error)


def test_the_first_start_makes_a_wallet_and_the_next_finds_it(folder: Path) -> None:
    made = wallet.ensure(folder)
    assert made.name == "default"
    assert wallet.ensure(folder) == made


def test_a_slip_in_a_configured_name_makes_no_second_wallet(folder: Path) -> None:
    wallet.create(folder, "shop")
    with pytest.raises(WalletMissing, match="'shpo'"):
        wallet.ensure(folder, "shpo")


def test_a_wallet_that_is_gone_is_not_replaced_by_a_new_one(folder: Path, elsewhere: Path) -> None:
    made = wallet.ensure(folder)
    (folder / "default.json").unlink()
    with pytest.raises(WalletMissing, match=r"default.json is gone: .* `wallet import default BACKUP`"):
        wallet.ensure(folder, begun=True)
    wallet.import_(folder, "default", wallet.export(made))
    copy = wallet.backup(wallet.load(folder, "default"), elsewhere)
    (folder / "default.json").unlink()
    with pytest.raises(WalletMissing, match=f"wallet import default {copy}"):
        wallet.ensure(folder)
    assert not list(folder.glob("*.json"))


def test_an_exported_key_comes_back(folder: Path) -> None:
    made = wallet.create(folder, "shop", seed=SEED)
    text = wallet.export(made)
    assert text.startswith("secret1")
    again = wallet.import_(folder, "again", f" {text.upper()}\n")
    assert again.public_key == made.public_key
    encrypted = wallet.import_(folder, "encrypted", text, PASSPHRASE, strength=QUICK)
    assert encrypted.encrypted
    assert wallet.export(encrypted, PASSPHRASE) == text
    with pytest.raises(WalletLocked):
        wallet.export(encrypted)


def test_a_typo_in_an_exported_key_is_refused_without_repeating_it(folder: Path) -> None:
    text = wallet.export(wallet.create(folder, "shop"))
    typo = text[:-1] + ("q" if text[-1] != "q" else "p")
    with pytest.raises(ImportRefused, match="a typo") as raised:
        wallet.import_(folder, "again", typo)
    assert text[10:30] not in str(raised.value)
    with pytest.raises(WalletExists):
        wallet.import_(folder, "shop", text)


@pytest.mark.parametrize("source", ["", "   ", "nothing-there.json"])
def test_a_source_that_is_neither_key_nor_file_is_refused(folder: Path, source: str) -> None:
    with pytest.raises(ImportRefused, match="wallet export"):
        wallet.import_(folder, "again", source)


def test_a_backup_is_checked_and_remembered(folder: Path, elsewhere: Path) -> None:
    made = sealed(folder)
    path = wallet.backup(made, elsewhere, PASSPHRASE)
    assert path == elsewhere / f"shop-{made.public_key.hex()[:8]}.json"
    assert path.read_bytes() == made.path.read_bytes()
    assert mode(path) == 0o600
    assert wallet.load(folder, "shop").backed_up
    assert wallet.check_backup(path).public_key == made.public_key
    assert wallet.list_wallets(folder) == (wallet.load(folder, "shop"),)


def test_a_backup_restores_the_wallet_as_it_was(folder: Path, elsewhere: Path) -> None:
    made = sealed(folder)
    path = wallet.backup(made, elsewhere / "copy.json")
    content = made.path.read_bytes()
    shutil.rmtree(folder)
    with pytest.raises(WrongPassphrase):
        wallet.import_(folder, "again", str(path), "another")
    restored = wallet.import_(folder, "again", str(path), PASSPHRASE)
    assert restored.path.read_bytes() == content
    assert restored.backed_up
    assert wallet.load(folder, "again").backed_up
    with pytest.raises(WalletExists):
        wallet.import_(folder, "again", str(path))


def test_a_backup_in_the_clear_can_be_encrypted_when_it_comes_back(folder: Path, elsewhere: Path) -> None:
    path = wallet.backup(wallet.create(folder, "shop", seed=SEED), elsewhere)
    restored = wallet.import_(folder, "again", str(path), PASSPHRASE, strength=QUICK)
    assert restored.encrypted
    assert wallet.unlock(restored, PASSPHRASE).public_key == public_key_of(SEED)


def test_a_new_key_of_an_old_name_is_not_covered_by_the_old_backup(folder: Path, elsewhere: Path) -> None:
    made = wallet.create(folder, "shop")
    wallet.backup(made, elsewhere)
    made.path.unlink()
    assert not wallet.create(folder, "shop").backed_up
    (folder / "shop.backed-up").write_bytes(b"\xff" * 9000)
    assert not wallet.load(folder, "shop").backed_up


def test_a_backup_that_failed_overwrote_nothing_and_is_not_remembered(folder: Path, elsewhere: Path) -> None:
    made = wallet.create(folder, "shop")
    (elsewhere / "copy.json").write_bytes(b"precious")
    with pytest.raises(WalletExists, match=r"copy\.json exists already"):
        wallet.backup(made, elsewhere / "copy.json")
    with pytest.raises(PathError, match="cannot write"):
        wallet.backup(made, elsewhere / "no" / "such" / "folder.json")
    with pytest.raises(WalletError, match="lost with it"):
        wallet.backup(made, folder / "copy.json")
    assert (elsewhere / "copy.json").read_bytes() == b"precious"
    assert not wallet.load(folder, "shop").backed_up


def test_a_copy_that_went_wrong_is_noticed(
    folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wallet.create(folder, "shop")

    def torn(path: Path, content: bytes) -> None:
        path.write_bytes(content[:-20])

    monkeypatch.setattr(wallet, "create_private_file", torn)
    with pytest.raises(WalletDamaged, match="is damaged"):
        wallet.backup(made, elsewhere)
    assert not wallet.load(folder, "shop").backed_up


def test_a_copy_of_another_key_is_noticed(
    folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, other = wallet.create(folder, "shop"), wallet.create(folder, "other")

    def mistaken(path: Path, _: bytes) -> None:
        path.write_bytes(other.path.read_bytes())

    monkeypatch.setattr(wallet, "create_private_file", mistaken)
    with pytest.raises(WalletDamaged, match="holds another key"):
        wallet.backup(made, elsewhere)


def test_a_backup_is_checked_again_later(folder: Path, elsewhere: Path) -> None:
    path = wallet.backup(sealed(folder), elsewhere)
    assert wallet.check_backup(path, PASSPHRASE).encrypted
    with pytest.raises(WrongPassphrase):
        wallet.check_backup(path, "another")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WalletDamaged):
        wallet.check_backup(path)
    path.unlink()
    with pytest.raises(WalletMissing):
        wallet.check_backup(path)


def test_a_machine_without_the_memory_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sealed(folder)

    def refused(*_: object) -> bytes:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(keyfile, "crypto_pwhash_alg", refused)
    with pytest.raises(WalletError, match=r"MiB of memory.*close other programs"):
        wallet.unlock(made, PASSPHRASE)
    with pytest.raises(WalletError, match="256 MiB of memory"):
        wallet.create(folder, "another", PASSPHRASE)
