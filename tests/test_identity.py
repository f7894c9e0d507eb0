"""The node's own key: made once, kept, refused when damaged."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from node.identity import FILE_NAME, load_or_create
from node.ledger import signature
from node.private import PathError


def test_a_first_start_makes_an_identity_for_its_owner_alone(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_the_next_start_finds_the_same_identity(tmp_path: Path) -> None:
    assert load_or_create(tmp_path).public_key == load_or_create(tmp_path).public_key


def test_two_folders_have_two_identities(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert load_or_create(tmp_path / "a").public_key != load_or_create(tmp_path / "b").public_key


def test_what_an_identity_signs_verifies_by_its_public_key(tmp_path: Path) -> None:
    identity = load_or_create(tmp_path)
    assert signature.verify(identity.public_key, b"hello", identity.sign(b"hello"))


@pytest.mark.parametrize("content", [b"", b"zz" * 32, b"00" * 31, b"00" * 33, b"\xff" * 64])
def test_a_damaged_identity_is_refused_with_the_next_thing_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(PathError, match="identity"):
        load_or_create(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_an_identity_open_to_others_is_tightened(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    (tmp_path / FILE_NAME).chmod(0o644)
    load_or_create(tmp_path)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_digit_that_changed_is_noticed(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    path = tmp_path / FILE_NAME
    text = path.read_text()
    for at in range(len(text) - 1):
        if text[at] != " ":
            path.write_text(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])
            with pytest.raises(PathError, match="move it away"):
                load_or_create(tmp_path)


def test_a_file_of_the_seed_alone_is_still_read(tmp_path: Path) -> None:
    made = load_or_create(tmp_path)
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text().split()[0] + "\n")
    assert load_or_create(tmp_path).public_key == made.public_key


def test_something_else_in_its_place_is_refused_with_the_next_thing_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(PathError, match="no regular file: move it away: a new identity"):
        load_or_create(tmp_path)
