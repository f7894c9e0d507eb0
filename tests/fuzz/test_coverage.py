"""The command of the coverage-guided search: what it lists and says. The search itself needs atheris."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from node.ledger import codec
from tests.fuzz import coverage
from tests.fuzz.reshaping import packed
from tests.fuzz.targets import TARGETS


def test_the_list_names_every_target_with_its_invariant(capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(TARGETS)
    assert {"frames", "block"} <= set(TARGETS)
    assert all(len(line.split()) > 5 for line in lines)


def test_without_atheris_one_line_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert coverage.main(["frames", "-runs=1"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["atheris is not installed; with it: pip install -e '.[fuzz]'"]


def test_a_search_needs_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        coverage.main([])
    assert "--list" in capsys.readouterr().err


def test_seeds_are_files_each_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "corpus"
    assert coverage.write_seeds([b"a", b"b", b"a", b""], folder) == 3
    assert sorted(path.read_bytes() for path in folder.iterdir()) == [b"", b"a", b"b"]


def test_half_of_the_changes_keep_the_form_and_none_is_too_long() -> None:
    def mutate(data: bytes, most: int) -> bytes:
        return (data + b"\xc1" * 9)[:most]

    change = coverage.mutator(packed, mutate)
    raw = codec.encode((1, b"one", (2, "two")))
    made = [change(raw, 20, seed) for seed in range(200)]
    plain = made.count(mutate(raw, 20))
    assert 50 < plain < 150
    assert max(map(len, made)) <= 20
    assert len(set(made)) > 10
