"""Each file of the data folder is lost, damaged or closed, one by one: what the node says, and what helps.

`TABLE` is the list: a file, what happens to it, the node's words to the letter, and the way back, which leads
to the same tip, the same wallet, the same balance and, but where it says so, the same pending payments.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.acceptance.nodes import QUICK, Lab, Node, until

pytestmark = pytest.mark.acceptance

HEIGHT: Final = 5
OBEDIENT: Final = """\
import ctypes, os, sys
if sys.platform == "linux" and os.geteuid() == 0:
    # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, out of what the next program may have (prctl(2), 24).
    for capability in (1, 2):
        if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "cannot give up the rights of root over all files")
os.execv(sys.executable, [sys.executable, "-m", "node", *sys.argv[1:]])
"""
"""Runs the program so that permissions hold for it, as they do not for root."""


class Harm(Enum):
    """What happens to a file."""

    DELETED = auto()
    EMPTIED = auto()
    FIRST = auto()
    """Its first byte changes."""
    MIDDLE = auto()
    """A byte in its middle changes."""
    HALVED = auto()
    GARBAGE = auto()
    """Other bytes are in its place."""
    FOLDER = auto()
    """A folder is in its place."""
    UNREADABLE = auto()
    """Its permissions are gone."""


class State(Enum):
    """How the node had ended."""

    STOPPED = auto()
    KILLED = auto()
    """With all blocks in the write-ahead file, and payments in the journal alone."""


class Mend(Enum):
    """What brings the node back; NOTHING: it starts as it is."""

    NOTHING = auto()
    MOVE_AWAY = auto()
    PERMIT = auto()
    REBUILD = auto()
    IMPORT = auto()


class Row(NamedTuple):
    """One row of the table."""

    state: State
    harm: Harm
    says: str
    """Its warning or its last words, empty where it is silent; `*` for words of SQLite and msgpack."""
    mend: Mend = Mend.NOTHING
    needs_peer: bool = False
    """Blocks are gone, and peers give them."""
    loses_pending: int = 0
    """Of the payments that were pending in this state."""


BOOK: Final = "book.sqlite"
WAL: Final = "book.sqlite-wal"
SHM: Final = "book.sqlite-shm"
IDENTITY: Final = "identity"
LOCK: Final = "lock"
NETWORK: Final = "network"
PEERS: Final = "peers.dat"
PENDING: Final = "pending.dat"
JOURNAL: Final = "pending.journal"
WALLET: Final = "wallets/default.json"
BACKED_UP: Final = "wallets/default.backed-up"
SOCKET: Final = "node.sock"
LOG: Final = "node.log"

_DENIED = "(Permission denied): look at its owner and permissions"
_ANEW = "is gone: a new one begins at genesis, and peers fill it; or put back a copy"
_BROKEN = "{path} is damaged (*): remake it with: python cli.py --data-dir {folder} rebuild"
_NO_FILE = "{path} is no regular file: move it away or name another place"
_IDENTITY = "move it away: a new identity is made, and peers who name this node by it must be told"
_CANNOT = (
    "cannot use {folder}/book.sqlite (*): look at it, and at book.sqlite-wal and book.sqlite-shm beside it: "
)
_BESIDE = _CANNOT + "their owner and permissions"
_MEMORY = "{path} was damaged; it is written anew, as the book is of 'acceptance' (*)"
_PEERS = "the file of peers cannot be used (*); starting without it"
_ASIDE = "{path} cannot be used (*); it was set aside as {path.name}.bad-1"
_CUT = "{path}: * broken bytes were cut out, * entries are whole; the file as it was is {path}.bad-1 now"
_WALLET = (
    "the wallet file {path} is damaged (*): move it away and bring it back from a backup: "
    "`wallet import NAME BACKUP`"
)
_WALLET_GONE = (
    "the wallet file {path} is gone: put it back, or restore a backup: `wallet import default {backup}`; "
    "`wallet new default` begins with a new key, and what the lost one held stays lost"
)
_REMINDER = (
    "the wallet default has no backup: lost is lost. Make one: "
    "python cli.py --data-dir {folder} wallet backup default PLACE"
)
_SOCKET = "{path} is in the place of the node's socket: move it away"


_FOLDER = "{path} is a folder: move it away and put a copy of the book there, or start without: peers fill it"
_CLOSED = "cannot open {path} (Permission denied): look at its owner, its permissions and the disk"
_LOCK = "cannot open {path} (*): move it away, or look at its owner and permissions"
_UNREAD = "{path} could not be read (*); it is {path}.bad-1 now"
_LOG = "cannot write the log to {path} (*): name another file with --log-file, or leave it out"
_GARBLED: Final = (Harm.EMPTIED, Harm.FIRST, Harm.MIDDLE, Harm.HALVED, Harm.GARBAGE)
_REPLACED: Final = (Harm.FOLDER, Harm.UNREADABLE)
_STOPPED, _KILLED = State.STOPPED, State.KILLED

TABLE: Final[Mapping[str, Sequence[Row]]] = {
    BOOK: (
        *(Row(state, Harm.DELETED, "{path} " + _ANEW, needs_peer=True) for state in State),
        *(Row(_STOPPED, harm, _BROKEN, Mend.REBUILD, needs_peer=True) for harm in _GARBLED),
        Row(_KILLED, Harm.EMPTIED, _BROKEN, Mend.REBUILD, needs_peer=True),
        Row(_KILLED, Harm.GARBAGE, ""),  # all of it stands in the write-ahead file
        Row(_STOPPED, Harm.FOLDER, _FOLDER, Mend.MOVE_AWAY, needs_peer=True),
        Row(_STOPPED, Harm.UNREADABLE, _CLOSED, Mend.PERMIT),
    ),
    WAL: (
        # SQLite takes what is whole of it; nothing tells that there was more.
        *(Row(_KILLED, harm, "", needs_peer=True) for harm in (Harm.DELETED, Harm.MIDDLE, Harm.HALVED)),
        Row(_KILLED, Harm.FOLDER, _BESIDE, Mend.MOVE_AWAY, needs_peer=True),
        Row(_KILLED, Harm.UNREADABLE, _BESIDE, Mend.PERMIT),
    ),
    SHM: (
        *(Row(_KILLED, harm, "") for harm in (Harm.DELETED, Harm.GARBAGE)),  # an index, made again
        Row(_KILLED, Harm.UNREADABLE, _BESIDE, Mend.PERMIT),
    ),
    IDENTITY: (
        Row(_STOPPED, Harm.DELETED, ""),  # another one is made
        *(
            Row(_STOPPED, harm, "{path} is damaged: " + _IDENTITY, Mend.MOVE_AWAY)
            for harm in (Harm.EMPTIED, Harm.FIRST, Harm.MIDDLE)
        ),
        Row(_STOPPED, Harm.HALVED, ""),  # the seed is its first half
        Row(_STOPPED, Harm.GARBAGE, "{path} is longer than 130 bytes: " + _IDENTITY, Mend.MOVE_AWAY),
        Row(_STOPPED, Harm.FOLDER, "{path} is no regular file: " + _IDENTITY, Mend.MOVE_AWAY),
        Row(_STOPPED, Harm.UNREADABLE, "cannot read {path} " + _DENIED, Mend.PERMIT),
    ),
    LOCK: (
        *(Row(_KILLED, harm, "") for harm in (Harm.DELETED, Harm.GARBAGE)),
        Row(_STOPPED, Harm.FOLDER, _LOCK, Mend.MOVE_AWAY),
        Row(_STOPPED, Harm.UNREADABLE, _LOCK, Mend.PERMIT),
    ),
    NETWORK: (
        Row(_STOPPED, Harm.DELETED, ""),
        *(Row(_STOPPED, harm, _MEMORY) for harm in _GARBLED if harm is not Harm.MIDDLE),
        Row(_STOPPED, Harm.FOLDER, "cannot write {path} (*): look at its owner and space", Mend.MOVE_AWAY),
        Row(_STOPPED, Harm.UNREADABLE, "cannot read {path} " + _DENIED, Mend.PERMIT),
    ),
    PEERS: (
        Row(_STOPPED, Harm.DELETED, ""),
        *(Row(_STOPPED, harm, _PEERS) for harm in (Harm.EMPTIED, Harm.MIDDLE)),
        *(Row(_STOPPED, harm, _ASIDE) for harm in _REPLACED),
    ),
    PENDING: (
        Row(_STOPPED, Harm.DELETED, "", loses_pending=2),
        *(Row(_STOPPED, harm, _ASIDE, loses_pending=2) for harm in (*_GARBLED, *_REPLACED)),
    ),
    JOURNAL: (
        Row(_KILLED, Harm.DELETED, "", loses_pending=2),
        *(Row(_KILLED, harm, _CUT, loses_pending=1) for harm in (Harm.FIRST, Harm.MIDDLE)),
        Row(_KILLED, Harm.GARBAGE, _CUT, loses_pending=2),
        *(Row(_KILLED, harm, _UNREAD, loses_pending=2) for harm in _REPLACED),
    ),
    WALLET: (
        Row(_STOPPED, Harm.DELETED, _WALLET_GONE, Mend.IMPORT),
        *(Row(_STOPPED, harm, _WALLET, Mend.IMPORT) for harm in _GARBLED),
        Row(_STOPPED, Harm.FOLDER, _NO_FILE, Mend.IMPORT),
        Row(_STOPPED, Harm.UNREADABLE, "cannot read {path} " + _DENIED, Mend.PERMIT),
    ),
    BACKED_UP: tuple(Row(_STOPPED, harm, _REMINDER) for harm in (Harm.DELETED, Harm.GARBAGE, Harm.FOLDER)),
    SOCKET: tuple(Row(_STOPPED, harm, _SOCKET, Mend.MOVE_AWAY) for harm in (Harm.GARBAGE, Harm.FOLDER)),
    LOG: (
        Row(_STOPPED, Harm.GARBAGE, ""),
        Row(_STOPPED, Harm.FOLDER, _LOG, Mend.MOVE_AWAY),
        Row(_STOPPED, Harm.UNREADABLE, _LOG, Mend.PERMIT),
    ),
}


class Made(NamedTuple):
    """A node that ended twice: its folders, and what it had told of."""

    folders: Mapping[State, Path]
    pending: Sequence[str]
    network: Path
    backup: Path
    address: str
    balance: int
    tip: str
    friend: Node
    """Runs, and has all blocks."""


@pytest.fixture(scope="module")
def made(shared_lab: Lab) -> Made:
    """What all rows begin with, to be copied."""
    network = shared_lab.network(QUICK)
    node = shared_lab.node("ann", "--mine", "off", network=network).start()
    node.call("mine", count=HEIGHT)
    backup = shared_lab.folder / "backup.json"
    node.cli("wallet", "backup", "default", str(backup))
    address = node.status()["address"]
    txids = [node.cli("send", address, amount)["txid"] for amount in ("1", "2")]
    made = Made(
        folders={state: shared_lab.folder / state.name.lower() for state in State},
        pending=txids,
        network=network,
        backup=backup,
        address=address,
        balance=node.call("balance")["confirmed"],
        tip=node.tip(),
        friend=shared_lab.node("bob", "--mine", "off", network=network),
    )
    node.kill()
    node.socket_path().unlink()
    shutil.copytree(node.folder, made.folders[State.KILLED])
    node.start()
    node.stop()
    shutil.copytree(node.folder, made.folders[State.STOPPED])
    for state, names in FILES.items():
        found = {str(path.relative_to(made.folders[state])) for path in made.folders[state].rglob("*")}
        assert found == names, "a file that the table does not know"
    made.friend.folder.mkdir(mode=0o700)
    shutil.copy(node.folder / BOOK, made.friend.folder / BOOK)
    made.friend.start()
    return made


_ALWAYS = frozenset({BOOK, IDENTITY, LOCK, NETWORK, JOURNAL, "wallets", WALLET, BACKED_UP})
FILES: Final = {State.KILLED: _ALWAYS | {WAL, SHM}, State.STOPPED: _ALWAYS | {PENDING, PEERS}}
"""All that there is, but for the socket of a node that runs, and a log where one is asked for."""


def harmed(path: Path, harm: Harm) -> None:
    """Do it."""
    dice = random.Random(path.name)
    content = bytearray(path.read_bytes()) if path.exists() else bytearray()
    if harm in {Harm.FIRST, Harm.MIDDLE}:
        used = len(content.rstrip(b"\0")) if path.name == JOURNAL else len(content)  # zeros are free room
        content[used // 2 if harm is Harm.MIDDLE else 0] ^= 0x55
        path.write_bytes(content)
    elif harm is Harm.HALVED:
        path.write_bytes(content[: len(content) // 2])
    elif harm is Harm.EMPTIED:
        path.write_bytes(b"")
    elif harm is Harm.GARBAGE:
        path.touch(mode=0o600)
        path.write_bytes(dice.randbytes(max(300, len(content))))
    elif harm is Harm.UNREADABLE:
        path.touch()
        path.chmod(0)
    else:
        path.unlink(missing_ok=True)
        if harm is Harm.FOLDER:
            path.mkdir(mode=0o700)
            (path / "letter").write_text("somebody's")


def warnings(said: str) -> list[str]:
    """Return what a log says above the ordinary, and the last words of a node that did not start."""
    found = (
        re.fullmatch(r"(?:\S+ \S+ (?:WARNING|ERROR)|indelible:) (.*)", line) for line in said.splitlines()
    )
    return [match[1] for match in found if match]


def as_written(says: str, **names: object) -> str:
    """Return the pattern of what the table says."""
    return re.escape(says.format(**names)).replace(r"\*", ".*")


def mended(node: Node, path: Path, mend: Mend, made: Made) -> None:
    """Do what the node said."""
    if mend is Mend.PERMIT:
        path.chmod(0o600)
    if mend in {Mend.MOVE_AWAY, Mend.IMPORT} and path.exists():
        path.rename(path.with_name(path.name + ".away"))
    if mend is Mend.IMPORT:
        node.cli("wallet", "import", "default", str(made.backup))
    if mend is Mend.REBUILD:
        node.run("--config", str(made.network), "rebuild")  # 1 where a block was lost: peers give it


def begun(lab: Lab, made: Made, file: str, row: Row) -> Node:
    """Return a node, not started, one of whose files has come to harm."""
    folder = lab.folder / f"{row.state.name}-{row.harm.name}".lower()
    launcher = lab.folder / "obedient.py"
    launcher.write_text(OBEDIENT)
    node = lab.node(
        folder.name,
        *("--mine", "off"),
        *(("--log-file", str(folder / LOG)) if file == LOG else ()),
        network=made.network,
        peers=[made.friend.address] if row.needs_peer else (),
        before=[sys.executable, str(launcher)] if row.harm is Harm.UNREADABLE else (),
    )
    shutil.copytree(made.folders[row.state], node.folder)
    harmed(node.folder / file, row.harm)
    return node


def holds(lab: Lab, made: Made, file: str, row: Row) -> None:
    """Check one row; a way back that moves the file away is the same for all with the same words."""
    node = begun(lab, made, file, row)
    path = node.folder / file
    if row.mend is Mend.NOTHING:
        node.start()
    else:
        node.launch()
        assert node.wait() == 1, node.log()
    if row.says and row.mend is Mend.NOTHING and file != LOG:
        # What was pending is read once the socket answers.
        until(lambda: bool(warnings(node.log())), f"{file} is named in the log")
    told = node.log() + (path.read_text(errors="replace") if file == LOG and row.mend is Mend.NOTHING else "")
    said = warnings(told)
    expected = as_written(row.says, path=path, folder=node.folder, backup=made.backup)
    assert len(said) == bool(row.says), said
    assert all(re.fullmatch(expected, text) for text in said), said
    if row.mend in {Mend.MOVE_AWAY, Mend.IMPORT}:
        alike = [one for one in TABLE[file] if (one.says, one.mend) == (row.says, row.mend)]
        if row is not alike[0]:
            return
    if row.mend is not Mend.NOTHING:
        mended(node, path, row.mend, made)
        node.start()

    until(lambda: node.height() == HEIGHT, "the tip is the one that was told of")
    status = node.status()
    assert (status["tip"], status["address"]) == (made.tip, made.address)
    assert node.call("balance")["confirmed"] == made.balance
    kept = [txid for txid in made.pending if node.call("tx", txid=txid)["status"] == "pending"]
    assert len(kept) == len(made.pending) - row.loses_pending
    node.stop()
    if row.mend is Mend.REBUILD:
        assert node.cli("verify")["ok"]


@pytest.mark.parametrize("file", TABLE)
def test_a_file_that_is_lost_or_damaged_is_named_and_the_node_comes_back(
    lab: Lab, made: Made, file: str
) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as several:
        checks = {row: several.submit(holds, lab, made, file, row) for row in TABLE[file]}
    for row, check in checks.items():
        error = check.exception()
        if error is not None:
            error.add_note(f"{file}: {row}")
            raise error
