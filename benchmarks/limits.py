"""What nothing on this machine could beat, measured beside each figure: libsodium, hashlib, SQLite, imports.

Worker processes, and files in the temporary folder.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

SECONDS: Final = 1.0
_VERIFYING: Final = """
import sys, time
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

public_key, secret_key = crypto_sign_seed_keypair(bytes(32))
signed = [crypto_sign(n.to_bytes(150, "big"), secret_key) for n in range(256)]  # as long as an entry's
print("ready", flush=True)
sys.stdin.readline()
count, began, spent = 0, time.perf_counter(), 0.0
while spent < float(sys.argv[1]):
    for message in signed:
        crypto_sign_open(message, public_key)
    count += len(signed)
    spent = time.perf_counter() - began
print(count / spent, flush=True)
"""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def verify_rate(processes: int, seconds: float = SECONDS) -> float:
    """Return signatures per second of libsodium and nothing else, in so many processes side by side."""
    command = [sys.executable, "-c", _VERIFYING, str(seconds)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    ends = [_ends_of(process) for process in running]
    for _, told in ends:
        told.readline()  # it has made its signatures
    for go, _ in ends:
        go.write("go\n")
        go.flush()
    rates = [float(told.readline()) for _, told in ends]
    for process in running:
        process.communicate()
    return sum(rates)


def _ends_of(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("both were asked for")
    return process.stdin, process.stdout


def import_s() -> float:
    """Return how long a fresh Python takes to import what any node needs."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import asyncio, sqlite3, msgpack, nacl.bindings"], check=True)
    return time.perf_counter() - began


def import_bytes() -> int:
    """Return what a fresh Python has resident that imported what any node needs; 0 where nobody says."""
    program = "import asyncio, sqlite3, msgpack, nacl.bindings; print(open('/proc/self/status').read())"
    if not Path("/proc/self/status").exists():
        return 0
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    return next(int(line.split()[1]) * 1024 for line in told.splitlines() if line.startswith("VmRSS"))


def rows_per_s(rows: int = 200_000) -> float:
    """Return how many small rows with random keys SQLite takes a second, in one transaction."""
    made = [(secrets.token_bytes(32), n) for n in range(rows)]
    with tempfile.TemporaryDirectory(prefix="indelible-") as folder:
        connection = sqlite3.connect(Path(folder) / "rows.sqlite", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE rows (key BLOB PRIMARY KEY, value INTEGER) WITHOUT ROWID")
        began = time.perf_counter()
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO rows VALUES (?, ?)", made)
        connection.execute("COMMIT")
        spent = time.perf_counter() - began
        connection.close()
    return rows / spent


def append_s(times: int = 200) -> float:
    """Return how long it takes to append an entry's bytes to a file and have them on the disk."""
    with tempfile.TemporaryFile(prefix="indelible-", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(times):
            file.write(bytes(200))
            os.fsync(file.fileno())
        return (time.perf_counter() - began) / times


def carry_s(raws: Sequence[bytes]) -> float:
    """Return how long these bytes take over a loopback connection, each hashed, all in one synced row."""
    data = b"".join(raws)
    with (
        tempfile.TemporaryDirectory(prefix="indelible-") as folder,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        connection = sqlite3.connect(Path(folder) / "row.sqlite", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE blocks (id INTEGER PRIMARY KEY, raw BLOB)")
        with socket.create_connection(server.getsockname()) as there, server.accept()[0] as here:
            sending = threading.Thread(target=there.sendall, args=(data,))
            began = time.perf_counter()
            sending.start()
            came = b""
            while len(came) < len(data):
                came += here.recv(1 << 20)
            for raw in raws:
                hashlib.sha256(raw).digest()
            connection.execute("INSERT INTO blocks VALUES (1, ?)", (came,))
            spent = time.perf_counter() - began
            sending.join()
        connection.close()
    return spent
