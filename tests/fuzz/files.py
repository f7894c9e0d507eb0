"""Fuzz targets over what a node reads from its disk: one for each kind of file, and the rows of its book.

Bytes in, nothing out: a target that returns has seen its invariant hold. Some write the bytes to a file of a
temporary folder first, as their reader takes a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from node import config, identity, keyfile, paths
from node.endpoint import Endpoint
from node.keyfile import KeyFile, PlainSeed, SealedSeed, Strength
from node.ledger import codec
from node.ledger.codec import NotCanonical
from node.mempool.pool import Pending
from node.mempool.saved import dump, load_dump
from node.network_file import format_network
from node.peers import PeerBook
from node.private import PathError
from node.remembered import Forgotten, remember, remembered
from node.sealed import Unreadable, seal, unseal
from node.settings import ConfigError
from node.storage.journal import Journal
from node.storage.rows import BadRow, account_of_row, record_of_row, row_of_record
from tests.building import ChainBuilder, Key, key, record_of, with_allocations

_BUILDER: Final = ChainBuilder()
_NETWORK: Final = _BUILDER.network_id
_ANN: Final[Key] = key("ann")
_ENTRIES: Final = tuple(_BUILDER.entry(_ANN, key("bob"), 5_00, nonce=n, memo="tea") for n in range(3))
_WALL_MS: Final = 1_700_000_000_000
_JOURNAL_HEAD: Final = struct.Struct(">II")


# ------------------------------------------------------------------------------------- entries typed here


def journal(data: bytes) -> None:
    """Any bytes open as a journal of the entries that are whole in them, and it works from there on.

    What is read stands in the bytes in this order; nothing is missing where nothing was said, but zeros at
    the end; opened again it is the same without a word, and what is appended then comes last.
    """
    with _file("pending.journal", data) as path:
        first, said = _read_journal(path)
        assert said or b"".join(map(_journal_frame, first)).ljust(len(data), b"\0") == data
        at = 0
        for raw in first:
            at = data.index(_journal_frame(raw), at) + _JOURNAL_HEAD.size + len(raw)
        assert _read_journal(path) == (first, False)
        opened = Journal(path)
        opened.append([b"one more"])
        opened.close()
        assert _read_journal(path) == ([*first, b"one more"], False)


def journal_seeds() -> list[bytes]:
    """Return journals: empty, whole, torn, and with a broken entry between good ones."""
    frames = [_journal_frame(entry.raw) for entry in _ENTRIES]
    whole = b"".join(frames)
    broken = frames[0] + frames[1][:-1] + b"?" + frames[2]
    short = b"".join(map(_journal_frame, (b"", b"a", b"bc")))
    return [b"", short, short[:-1], short + bytes(20), whole, whole[:-3], broken, b"\xff" * 9 + whole]


def _journal_frame(raw: bytes) -> bytes:
    length = len(raw).to_bytes(4, "big")
    return length + zlib.crc32(length + raw).to_bytes(4, "big") + raw


def _read_journal(path: Path) -> tuple[list[bytes], bool]:
    opened = Journal(path)
    try:
        return opened.read(), bool(opened.notices)
    finally:
        opened.close()


# --------------------------------------------------------------------------------- pending entries, peers


def pending(data: bytes) -> None:
    """Any bytes are a file of pending entries, which is written as them again, or Unreadable."""
    with contextlib.suppress(Unreadable):
        rows = [(one.raw, int(one.own), one.received_ms) for one in load_dump(data, _NETWORK)]
        assert seal(1, (_NETWORK, rows)) == data


def pending_body(data: bytes) -> None:
    """Any bytes behind a check that fits are such a file, or Unreadable; chance would never find a check."""
    pending(_checked(data))


def pending_seeds() -> list[bytes]:
    """Return files of pending entries, and of other things."""
    waiting = [Pending(one, own=bool(one.nonce), received_ms=_WALL_MS) for one in _ENTRIES]
    return [dump([], _NETWORK), dump(waiting, _NETWORK), dump(waiting, bytes(32)), seal(2, (_NETWORK, ()))]


def pending_body_seeds() -> list[bytes]:
    """Return what lies behind the checks of those files."""
    return list(map(_body_of, pending_seeds()))


def peers(data: bytes) -> None:
    """Any bytes are a peers file, whose content comes back from a dump, or Unreadable, taking nothing.

    Of a peer that was added by hand it is the address that comes back: who told of it does not matter then.
    """
    book = _peer_book()
    before = book.dump(0)
    try:
        book.load(data)
    except Unreadable:
        assert book.dump(0) == before
        return
    assert seal(1, unseal(1, data)) == data
    written = book.dump(0)
    again = _peer_book()
    again.load(written)
    assert _sorted(again.dump(0)) == _sorted(written)
    book.next_dials(_WALL_MS, _WALL_MS)
    book.addresses.sample(100, "203.0.113.9", _WALL_MS)


def peers_body(data: bytes) -> None:
    """Any bytes behind a check that fits are such a file, or Unreadable; chance would never find a check."""
    peers(_checked(data))


def peers_seeds() -> list[bytes]:
    """Return peers files: empty, full, and with bans, names and addresses of every kind."""
    book = _peer_book()
    book.ban("192.0.2.66", "by hand", _WALL_MS)
    book.charge("198.51.100.66", b"\x0e" * 32, 100, "bad-payload", mono_ms=0, wall_ms=_WALL_MS)
    book.configure(Endpoint("2001:db8::7", 9000), by_hand=True)
    book.names.remember(Endpoint("203.0.113.1", 9000), b"\x0a" * 32)
    told = [(f"203.0.113.{number}", 9000) for number in range(1, 6)]
    book.addresses.hear(told, "198.51.100.1", "198.51.100.1", _WALL_MS)
    book.addresses.worked(Endpoint("203.0.113.1", 9000), _WALL_MS)
    return [_peer_book().dump(_WALL_MS), book.dump(_WALL_MS), seal(1, ((), ()))]


def peers_body_seeds() -> list[bytes]:
    """Return what lies behind the checks of those files."""
    return list(map(_body_of, peers_seeds()))


class _Low:
    """Dice that always fall on 0."""

    def randrange(self, stop: int, /) -> int:
        assert stop > 0
        return 0


def _peer_book() -> PeerBook:
    book = PeerBook(_Low(), loopback_only=False)
    book.configure(Endpoint("203.0.113.1", 9000), "first")
    return book


def _sorted(content: bytes) -> list[list[bytes]]:
    bans, met, addresses = codec.decode(_body_of(content), 3_000)
    kept = [row[:3] if row[2] else row for row in addresses]
    return [sorted(map(codec.encode, part)) for part in (bans, met, kept)]


def _checked(body: bytes) -> bytes:
    return codec.encode((1, hashlib.sha256(body).digest(), body))


def _body_of(content: bytes) -> bytes:
    body: bytes = codec.decode(content)[2]
    return body


# ---------------------------------------------------------------------------------------------- its keys


def wallet(data: bytes) -> None:
    """Any bytes are a wallet file, which is written as them again, or Damaged, or of a newer version."""
    with contextlib.suppress(keyfile.Damaged, keyfile.NewerVersion):
        found = keyfile.parse(data)
        assert keyfile.render(found) == data
        assert len(found.public_key) == 32
        if isinstance(found.secret, SealedSeed):
            assert 1 <= found.secret.strength.operations <= 16
            assert 8 << 10 <= found.secret.strength.memory <= 1 << 30


def wallet_seeds() -> list[bytes]:
    """Return wallet files in the clear and sealed; and sealed at a cost that no machine should pay."""
    sealed = SealedSeed(Strength(3, 256 << 20), bytes(16), bytes(72))
    costly = replace(sealed, strength=Strength(1_000, 1 << 40))
    secrets = (PlainSeed(_ANN.seed), PlainSeed(bytes(32)), sealed, costly)
    return [keyfile.render(KeyFile(_ANN.public, secret)) for secret in secrets]


def node_identity(data: bytes) -> None:
    """Any bytes are the node's identity, the same each time, or a PathError; they stay as they are."""
    with _file("identity", data) as path:
        try:
            found = identity.load_or_create(path.parent)
        except PathError as caught:
            refused: PathError | None = caught
        else:
            refused = None
            assert found.public_key == identity.load_or_create(path.parent).public_key
            assert len(found.sign(b"")) == 64
        assert path.read_bytes() == data
        assert refused is None or (str(path) in refused.message and refused.hint)


def node_identity_seeds() -> list[bytes]:
    """Return the file as it is and was written, and with slips of the hand."""
    seed, public_key = _ANN.seed.hex().encode(), _ANN.public.hex().encode()
    whole = seed + b" " + public_key + b"\n"
    slips = [
        whole.upper(),
        whole[:-2] + b"0\n",
        seed[:-1],
        seed[:32] + b" " + seed[32:],
        b"\xc3\xa9" * 32,
        b"",
    ]
    return [whole, seed + b"\n", seed, *slips]


def memory(data: bytes) -> None:
    """Any bytes are the network that a folder remembers, written as them again, or Forgotten."""
    with _file("network", data) as path:
        try:
            found = remembered(path.parent)
        except Forgotten:
            return
        assert found is not None
        path.unlink()
        remember(path.parent, found)
        assert path.read_bytes() == data


def memory_seeds() -> list[bytes]:
    """Return what is written for a network, and with slips of the hand."""
    named = _NETWORK.hex().encode()
    return [
        named + b" for-tests\n",
        named + " Büchlein\n".encode(),
        named + b"\n",
        named.upper() + b" x\n",
        b"",
    ]


def socket_record(data: bytes) -> None:
    """Any bytes lead to a socket that is this folder's own, by a path that a system takes, or to none.

    An @ among them stands for what the names of this folder's short places begin with.
    """
    with _file("node.sock.path", data) as path:
        folder = path.parent
        own = f"indelible-{hashlib.sha256(bytes(folder.resolve())).hexdigest()[:8]}-"
        path.write_bytes(data.replace(b"@", own.encode()))
        with contextlib.suppress(PathError):
            found = paths.find_socket(folder)
            assert found is not None
            with contextlib.suppress(OSError):
                found.lstat()
            assert found.parent == folder.absolute() or found.parent.name.startswith(own)


def socket_record_seeds() -> list[bytes]:
    """Return what is written where a data folder's own path is too long, and with slips of the hand."""
    return [b"/tmp/@x1/node.sock", b"@x/node.sock", b"/tmp/@/other.sock", b"/tmp/indelible-0-/node.sock", b""]


# ------------------------------------------------------------------------------------------ its settings


def settings(data: bytes) -> None:
    """Any bytes are settings, or a ConfigError that begins with the file's name and says what to do.

    The network in them, where there is one, comes back from the file that is written of it.
    """
    with _file("peers.toml", data) as path:
        try:
            found = config.load(config.Arguments(), path.parent)
        except ConfigError as caught:
            refused = caught
        else:
            path.write_text(format_network(found.parameters), encoding="utf-8")
            assert config.load(config.Arguments(), path.parent).parameters == found.parameters
            return
        assert refused.message.startswith(("peers.toml", str(path)))
        assert refused.hint


def settings_seeds() -> list[bytes]:
    """Return settings files: every key, a network, peers; and with slips of the hand."""
    network = format_network(with_allocations({_ANN: 1_000_00, key("bob"): 1}))
    texts = (_NODE, network, network.replace('"1000.00"', '"1e3"'), _NODE.replace("9001", '"9001"'), _ODD)
    return [text.encode() for text in texts]


_NODE: Final = """\
[node]
port = 9001
host = "0.0.0.0"
data_dir = "~/books/shop"
wallet = "shop"
mine = "off"
threads = 2
discovery = false
max_peers = 8
log_format = "json"
log_level = "debug"
log_file = "node.log"

[[peers]]
name = "first"
address = "127.0.0.1:9000"
identity = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

[[peers]]
address = "[2001:db8::7]:9000"
"""
_ODD: Final = 'a."b c".d = [1, {x = 1979-05-27T07:32:00Z, y = nan}, """\nz"""]\n[[node]]\nport = 0x10\n'


# ---------------------------------------------------------------------------------------------- its book


def row(data: bytes) -> None:
    """Any row of a block or an account in the book's tables is one, written as it was, or BadRow.

    The bytes are msgpack of the columns, which may hold anything.
    """
    try:
        columns = codec.decode(data)
    except NotCanonical:
        return
    if not isinstance(columns, tuple):
        return
    with contextlib.suppress(BadRow):
        if len(columns) == 2:
            assert tuple(account_of_row(columns)) == columns
        if len(columns) == 11:
            found = record_of_row(columns)
            written = row_of_record(found, leaf=False)[:11]
            assert [type(column) for column in written] == [type(column) for column in columns]
            work = 2  # its bytes may have zeros ahead
            assert written[:work] + written[work + 1 :] == columns[:work] + columns[work + 1 :]


def row_seeds() -> list[bytes]:
    """Return rows of blocks and of accounts."""
    block = _BUILDER.block(None, [_ENTRIES[0]])
    rows = [row_of_record(record_of(built, at), leaf=False)[:11] for at, built in ((1, block), (7, block))]
    return [codec.encode(columns) for columns in (*rows, (5_00, 3), (0, 0), (2**53, 0), (None, 1))]


@contextlib.contextmanager
def _file(name: str, content: bytes) -> Iterator[Path]:
    """Hold the content in a file of this name in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        path.chmod(0o600)
        yield path
