"""Healing of a small book: who is asked and believed, what is kept, and what nobody can give back."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from node.audit_findings import Finding
from node.heal import Healed, heal
from node.storage.faults import DiskFull, ForeignNetwork, NotABook
from node.storage.sqlite import BOOK_NAME
from node.surviving import Spool
from tests.building import Built
from tests.healing.book import Neighbour, chain_of, changed, content, copy_of, write_book
from tests.storage.filling import PARAMETERS

HEIGHT = 5
"""Of the main chain's block that most edits are made to; its number is the same."""


@pytest.fixture(scope="module")
def arrived() -> list[Built]:
    return chain_of()


@pytest.fixture(scope="module")
def untouched(arrived: list[Built], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_book(tmp_path_factory.mktemp("untouched"), arrived)


@pytest.fixture
def path(untouched: Path, tmp_path: Path) -> Path:
    return copy_of(untouched, tmp_path)


def healed(path: Path, *neighbours: Neighbour) -> Healed:
    return heal(path.parent, PARAMETERS, lambda: neighbours, "then", lambda *_: None)


def edit(path: Path, *statements: str) -> None:
    with closing(changed(path)) as rows:
        for statement in statements:
            rows.execute(statement)


def lose_a_body(path: Path, block_id: int = HEIGHT) -> None:
    edit(path, f"DELETE FROM bodies WHERE id = {block_id}")  # noqa: S608 - a number of ours


def names_in(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_book_in_order_is_not_touched_and_nobody_is_asked(path: Path, arrived: list[Built]) -> None:
    before = path.read_bytes()
    neighbour = Neighbour(arrived)
    report = healed(path, neighbour)
    assert (report.ok, report.healed, report.evidence, neighbour.asked) == (True, False, None, [])
    assert path.read_bytes() == before


def test_a_balance_is_reckoned_anew_without_anybody(path: Path, untouched: Path) -> None:
    edit(path, "UPDATE accounts SET balance = balance + 5 WHERE key = (SELECT min(key) FROM accounts)")
    report = healed(path)
    assert report.ok
    (change,) = report.changes
    (field,) = change["fields"]
    assert (change["table"], field["name"]) == ("accounts", "balance")
    assert int(field["said"]) == int(field["proof"]) + 5
    assert content(path) == content(untouched)


def test_only_what_is_missing_is_asked_for(path: Path, arrived: list[Built], untouched: Path) -> None:
    lose_a_body(path)
    neighbour = Neighbour(arrived)
    report = healed(path, neighbour)
    assert report.ok
    assert neighbour.asked == [arrived[HEIGHT - 1].hash]
    assert report.fetched == {"bob": 1}
    assert content(path) == content(untouched)


def test_the_book_as_it_was_is_kept_with_both_versions_of_the_block(path: Path, arrived: list[Built]) -> None:
    with closing(changed(path)) as rows:
        raw = arrived[HEIGHT - 1].raw.replace(b"cup", b"tea")
        rows.execute("UPDATE bodies SET raw = ? WHERE id = ?", (raw, HEIGHT))
    before = path.read_bytes()
    report = healed(path, Neighbour(arrived))
    assert report.evidence == path.parent / "evidence" / "then"
    name = f"block-{HEIGHT}-{arrived[HEIGHT - 1].hash.hex()[:8]}"
    assert names_in(report.evidence) == [f"{name}.found", f"{name}.proven", BOOK_NAME, "report.json"]
    assert (report.evidence / BOOK_NAME).read_bytes() == before
    assert (report.evidence / f"{name}.proven").read_bytes() == arrived[HEIGHT - 1].raw
    told = json.loads((report.evidence / "report.json").read_bytes())
    assert told["findings"][0]["height"] == HEIGHT


def test_a_peer_that_gives_other_bytes_is_left_for_the_next(
    path: Path, arrived: list[Built], untouched: Path
) -> None:
    lose_a_body(path)
    report = healed(path, Neighbour(arrived, "mallory", forge=True), Neighbour(arrived))
    assert report.ok
    assert report.distrusted == ["mallory: it gave bytes that are not the block asked for"]
    assert report.fetched == {"bob": 1}
    assert content(path) == content(untouched)


def test_what_nobody_has_is_named_and_nothing_is_changed(path: Path, arrived: list[Built]) -> None:
    lose_a_body(path)
    edit(path, "UPDATE accounts SET balance = balance + 5")
    before = path.read_bytes()
    lost = arrived[HEIGHT - 1].hash
    report = healed(path, Neighbour(arrived, lacks=frozenset({lost})))
    assert not report.ok
    assert report.unhealed == [
        f"block {lost.hex()} at height {HEIGHT}: no peer has it; the book is as it was"
    ]
    assert path.read_bytes() == before
    beside = {f"{BOOK_NAME}-shm", f"{BOOK_NAME}-wal"}  # what reading it makes
    assert set(names_in(path.parent)) - beside == {BOOK_NAME}


def test_a_block_beside_the_chain_that_nobody_has_keeps_its_header(path: Path, arrived: list[Built]) -> None:
    last = len(arrived) - 2  # see chain_of
    assert arrived[last - 1] not in arrived[-1].path()
    lose_a_body(path, last)
    report = healed(path, Neighbour(arrived, lacks=frozenset({arrived[last - 1].hash})))
    assert report.healed
    assert not report.ok
    assert "of a side branch: no peer has it, its header stays" in report.unhealed[0]
    again = healed(path)
    assert (again.ok, again.findings) == (True, ())


def test_an_edited_header_is_known_by_the_block_after_it(
    path: Path, arrived: list[Built], untouched: Path
) -> None:
    edit(
        path,
        f"UPDATE blocks SET header = zeroblob(92) WHERE id = {HEIGHT}",  # noqa: S608 - a number of ours
        f"DELETE FROM bodies WHERE id = {HEIGHT}",  # noqa: S608 - the same
    )
    assert healed(path, Neighbour(arrived)).ok
    assert content(path) == content(untouched)


def test_an_end_that_was_cut_off_comes_from_peers(path: Path, arrived: list[Built], untouched: Path) -> None:
    gone = "(SELECT id FROM main WHERE height > 7)"
    edit(
        path,
        f"DELETE FROM bodies WHERE id IN {gone}",  # noqa: S608 - ours
        f"DELETE FROM blocks WHERE id IN {gone}",  # noqa: S608 - the same
        "DELETE FROM main WHERE height > 7",
    )
    assert healed(path, Neighbour(arrived)).ok
    assert content(path)["main"] == content(untouched)["main"]


def test_a_file_of_nothing_but_zeros_comes_back_from_peers(
    path: Path, arrived: list[Built], untouched: Path
) -> None:
    path.write_bytes(bytes(path.stat().st_size))
    report = healed(path, Neighbour(arrived))
    assert report.ok
    assert report.findings[0].rule == Finding.FILE
    assert content(path)["main"] == content(untouched)["main"]


def test_a_healing_that_was_cut_short_is_begun_again(
    path: Path, arrived: list[Built], untouched: Path
) -> None:
    lose_a_body(path)
    for name in ("new", "new-wal", "fetched", "salvage", "like"):
        path.with_name(f"{path.name}.{name}").write_bytes(b"half")
    assert healed(path, Neighbour(arrived)).ok
    assert content(path) == content(untouched)
    assert not path.with_name(f"{path.name}.new").exists()


def test_no_book_and_another_networks_book_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NotABook, match="its peers fill it"):
        heal(tmp_path / "elsewhere", PARAMETERS, list, "then", lambda *_: None)
    with pytest.raises(ForeignNetwork):
        heal(path.parent, replace(PARAMETERS, name="elsewhere"), list, "then", lambda *_: None)


def test_an_edited_name_of_the_network_is_mended(path: Path, untouched: Path) -> None:
    edit(path, "UPDATE meta SET value = zeroblob(32) WHERE name = 'network_id'")
    assert healed(path).ok
    assert content(path) == content(untouched)


def test_a_disk_that_fills_while_it_mends_is_named_and_leaves_the_book_as_it_was(
    path: Path, arrived: list[Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_a_body(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Spool, "put", full)
    with pytest.raises(DiskFull, match="is full: free some space"):
        healed(path, Neighbour(arrived))
    assert path.read_bytes() == before
    assert not [name for name in names_in(path.parent) if name.endswith((".new", ".fetched"))]
