"""More than a thousand edits, each found or harmless, and then healed from a peer: the book is as it was.

Every seed makes one edit to a fresh copy: to rows, as with the sqlite3 tool, or to the bytes of the file. The
book is the main chain and all that is reckoned from it; it must come back to the last byte. A branch beside
it is nobody's book, and its last block may be overwritten so that nothing names it any more: such a loss is
allowed, counted, and rare.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from node.audit import verify
from node.heal import heal
from node.storage.reading import open_read_only
from tests.healing.book import Neighbour, chain_of, content, copy_of, write_book
from tests.healing.edits import edit_bytes, edit_rows
from tests.storage.filling import PARAMETERS

pytestmark = pytest.mark.swarm

BESIDE: Final = ("blocks", "bodies", "leaves")
"""What of a book's content tells of the branches beside the chain too."""
OF_ROWS: Final = 250
OF_BYTES: Final = 150
PARTS: Final = 4

Edit = Callable[[random.Random, Path], str]
PLAN: Final = [
    *[(edit_rows, part * OF_ROWS, (part + 1) * OF_ROWS, part % 2 == 1) for part in range(PARTS)],
    *[(edit_bytes, part * OF_BYTES, (part + 1) * OF_BYTES, part % 2 == 1) for part in range(2)],
]
"""The edit, the seeds, and whether keys of the index share rows."""


def main_only(found: dict[str, Any]) -> dict[str, Any]:
    """Return the content without branches beside the chain."""
    main = [block_hash for _, block_hash in found["main"]]
    rest = {name: value for name, value in found.items() if name not in BESIDE}
    # Whether a block of the chain is the last of all depends on what follows it beside the chain.
    return rest | {"blocks": [found["blocks"][block_hash] for block_hash in main]}


def is_in_order(path: Path) -> bool:
    book = open_read_only(path)
    try:
        return verify(book, PARAMETERS, lambda *_: None).ok
    finally:
        book.close()


@pytest.fixture
def folder_in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder where syncing costs nothing, where the system has one: each case syncs some fifty times."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder of our own in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("edit,first,end,packed", PLAN)
def test_each_edit_is_found_or_harmless_and_is_healed(
    folder_in_memory: Path, edit: Edit, first: int, end: int, packed: bool
) -> None:
    arrived = chain_of()
    (folder_in_memory / "untouched").mkdir()
    untouched = write_book(folder_in_memory / "untouched", arrived, packed=packed)
    expected = content(untouched)
    seen: Counter[str] = Counter()
    for seed in range(first, end):
        folder = folder_in_memory / "copy"
        path = copy_of(untouched, folder)
        what = f"seed {seed}: {edit(random.Random(seed), path)}"
        healed = heal(folder, PARAMETERS, lambda: [Neighbour(arrived)], "now", lambda *_: None)
        assert healed.ok, (what, healed.unhealed)
        found = content(path)
        if healed.findings:
            assert healed.healed, what
            assert is_in_order(path), what
            assert healed.evidence is not None
            assert (healed.evidence / "report.json").is_file(), what
        assert main_only(found) == main_only(expected), what
        kind = "found and healed" if healed.findings else "harmless"
        seen[kind if found == expected else f"{kind}, but for a branch beside the chain"] += 1
        shutil.rmtree(folder)
    beside = sum(count for kind, count in seen.items() if "beside" in kind)
    assert beside <= (end - first) // 25, seen
    assert seen["found and healed"] > (end - first) // 3, seen
