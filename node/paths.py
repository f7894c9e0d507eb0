"""Where things lie on this machine: the data folder of a node, and its local socket.

Touches the disk; opens no socket. The daemon chooses and records, the commands find: both through here.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import Final

from node.private import (
    PathError,
    make_private_folder,
    read_bounded,
    replace_private_file,
    trouble,
)

APPLICATION: Final = "indelible"
_WALLETS: Final = "wallets"
_SOCKET: Final = "node.sock"
_RECORD: Final = "node.sock.path"
"""Names the socket where the data folder's own path is too long for one."""

MAX_SOCKET_PATH: Final = 103
"""Bytes that fit a Unix socket's address beside its final zero on macOS (104); Linux would take 107.

The smaller one everywhere, so that both take the same way."""

_MAX_RECORD: Final = 4096


class UnsupportedPlatform(Exception):
    """The system is one that Indelible does not run on."""

    code: Final = "unsupported-platform"


def refuse_unsupported_platform(platform: str = sys.platform) -> None:
    """Raise UnsupportedPlatform on a system without what the node needs (`sys.platform` names it)."""
    if platform in {"win32", "cygwin"}:
        raise UnsupportedPlatform(
            "Indelible does not run on Windows: its local socket and file permissions need Linux or macOS. "
            "WSL (https://learn.microsoft.com/windows/wsl) runs it on a Windows machine."
        )


def default_data_dir(port: int) -> Path:
    """Return the folder of the node on `port`, in the platform's data directory; nothing is made."""
    # Here and not at the top: whoever names a folder does not wait for the import.
    import platformdirs  # noqa: PLC0415

    return platformdirs.user_data_path(APPLICATION, appauthor=False) / str(port)


def contacts_file(folder: Path) -> Path:
    """Return where the owner's names for addresses are, below a data folder; it may not be there."""
    return folder / "contacts.toml"


def wallets_folder(data_dir: Path) -> Path:
    """Return where the key files of a node lie."""
    return data_dir / _WALLETS


def prepare_data_dir(data_dir: Path) -> str | None:
    """Make the data folder for its owner alone; return a sentence when it had been open to others.

    A folder with other things in it is never closed to others unasked (it may be /tmp): PathError.
    """
    try:
        is_open = data_dir.is_dir() and bool(stat.S_IMODE(data_dir.stat().st_mode) & 0o077)
        surprising = is_open and not _is_ours(data_dir)
    except OSError as error:
        raise trouble("use", data_dir, error, "name another folder with --data-dir") from None
    if surprising:
        raise PathError(
            f"others can read {data_dir}, and it holds other things than a node's",
            f"name a folder of its own with --data-dir, or run: chmod 700 {data_dir}",
        )
    return make_private_folder(data_dir)


def choose_socket(data_dir: Path) -> Path:
    """Return where the daemon's socket goes, recorded for `find_socket`; the data folder exists already.

    `node.sock` in the data folder; where that path is too long, a short one in a private folder of the
    runtime or temporary directory. Raises PathError when there is no place for one.
    """
    record = data_dir / _RECORD
    inside = data_dir.absolute() / _SOCKET
    try:
        if _fits(inside):
            record.unlink(missing_ok=True)
            return inside
        chosen = _recorded(data_dir)
        if chosen is None or not _is_private(chosen.parent):
            chosen = _short_folder(data_dir) / _SOCKET
            replace_private_file(record, os.fsencode(chosen))
    except OSError as error:
        raise trouble("place the socket of", data_dir, error) from None
    return chosen


def find_socket(data_dir: Path) -> Path | None:
    """Return where the socket of the node on `data_dir` is when it runs; None when it cannot have one."""
    recorded = _recorded(data_dir)
    if recorded is not None:
        return recorded
    inside = data_dir.absolute() / _SOCKET
    return inside if _fits(inside) else None


def forget_socket(data_dir: Path) -> None:
    """Remove the socket, and its short folder and record if it had them; what is gone already is fine."""
    path = find_socket(data_dir)
    try:
        if path is not None:
            if path.is_socket():  # what someone else put in its place is theirs
                path.unlink(missing_ok=True)
            if path.parent != data_dir.absolute() and path.parent.is_dir():
                path.parent.rmdir()
        (data_dir / _RECORD).unlink(missing_ok=True)
    except OSError as error:
        raise trouble("remove the socket of", data_dir, error) from None


def _recorded(data_dir: Path) -> Path | None:
    """Return the short path that the data folder names; None without one, or when it is a copy's."""
    try:
        written = read_bounded(data_dir / _RECORD, _MAX_RECORD)
    except FileNotFoundError:
        return None
    # A copied data folder brings the record of the original, whose socket is not its own.
    path = Path(os.fsdecode(written))
    is_socket = path.is_absolute() and path.name == _SOCKET and b"\0" not in written  # which no system takes
    return path if is_socket and path.parent.name.startswith(_folder_prefix(data_dir)) else None


def _short_folder(data_dir: Path) -> Path:
    # Here and not at the top: only a long path needs it, and a node should start fast.
    import tempfile  # noqa: PLC0415

    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108  mkdtemp is safe
        if not base or not os.access(base, os.W_OK | os.X_OK):
            continue
        folder = Path(tempfile.mkdtemp(prefix=_folder_prefix(data_dir), dir=Path(base).absolute()))
        if _fits(folder / _SOCKET):
            return folder
        folder.rmdir()
    raise PathError(
        f"the path of {data_dir} is too long for a socket, and so is that of the temporary directory",
        "set TMPDIR to a short path that you can write to, such as /tmp",
    )


def _folder_prefix(data_dir: Path) -> str:
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()
    return f"{APPLICATION}-{digest[:8]}-"


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH


def _is_private(folder: Path) -> bool:
    """Return whether it is a folder, no link, that belongs to this user alone."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    owned = found.st_uid == os.geteuid()
    return stat.S_ISDIR(found.st_mode) and owned and not stat.S_IMODE(found.st_mode) & 0o077


def _is_ours(data_dir: Path) -> bool:
    """Return whether closing the folder can surprise nobody: a node made it, or nothing is in it."""
    return wallets_folder(data_dir).is_dir() or not any(data_dir.iterdir())
