"""Two books side by side: what differs is what they say, not how they keep it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from node.storage.comparing import Row, differing_rows
from tests.storage.filling import filled_book, pack_index, sample_chain


def test_the_same_keys_in_other_rows_are_the_same(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(9))
    other = tmp_path / "packed.sqlite"
    shutil.copy(path, other)
    pack_index(other)
    assert list(differing_rows(path, other, 10)) == list(differing_rows(other, path, 10)) == []


def test_a_key_that_differs_is_told_alone(tmp_path: Path) -> None:
    path = filled_book(tmp_path, *sample_chain(9))
    other = tmp_path / "packed.sqlite"
    shutil.copy(path, other)
    pack_index(other)
    with closing(sqlite3.connect(path)) as connection, connection:
        ((key,),) = connection.execute("SELECT key FROM history ORDER BY key LIMIT 1 OFFSET 20").fetchall()
        connection.execute("DELETE FROM history WHERE key = ?", (key,))
    assert list(differing_rows(path, other, 10)) == [Row("history", {"key": key}, None, {})]
