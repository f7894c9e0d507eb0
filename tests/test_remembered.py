"""What a folder remembers of its network: found again, and refused where it is not what was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.private import PathError
from node.remembered import FILE_NAME, Forgotten, correct, network_of, remember, remembered
from tests.building import EASY

OURS = network_of(EASY)


def test_a_new_folder_remembers_nothing(tmp_path: Path) -> None:
    assert remembered(tmp_path) is None


def test_what_was_noted_is_found_again(tmp_path: Path) -> None:
    remember(tmp_path, OURS)
    assert remembered(tmp_path) == OURS
    assert str(OURS) == f"{EASY.name!a} ({OURS.network_id.hex()[:8]})"


def test_a_memory_is_never_overwritten_unasked(tmp_path: Path) -> None:
    remember(tmp_path, OURS)
    with pytest.raises(FileExistsError):
        remember(tmp_path, OURS)


@pytest.mark.parametrize(
    "content",
    [b"", b"00" * 32, b"00" * 32 + b" a\nb\n", b"zz" * 32 + b" a\n", b"00" * 32 + b" \xfc\n", b"x" * 300],
)
def test_what_was_not_written_so_is_named_and_can_be_corrected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(Forgotten, match=FILE_NAME):
        remembered(tmp_path)
    correct(tmp_path, OURS)
    assert remembered(tmp_path) == OURS


def test_a_folder_in_its_place_is_named_and_not_removed(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(Forgotten, match=FILE_NAME):
        remembered(tmp_path)
    with pytest.raises(PathError, match=FILE_NAME):
        correct(tmp_path, OURS)
