"""Real daemons for benchmarks: started, asked over their local socket, and ended by their process id.

Processes, sockets and temporary folders; loopback only.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.books import lay
from node.ledger.params import Parameters
from node.network_file import format_network
from node.paths import find_socket

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENCE_S: Final = 600.0
"""How long anything may take before the benchmark gives up."""
_LOOK_AGAIN_S: Final = 1.0
"""An event may be the last one and say too little: then `status` is asked this often."""


class GaveUp(Exception):
    """A node did not do what was waited for; the message has the end of its log."""


class Client:
    """One connection to a node's local socket."""

    def __init__(self, path: Path) -> None:
        """Connect; OSError where nobody listens."""
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.wire.connect(str(path))
        except OSError:
            self.wire.close()
            raise
        self._buffer = bytearray()
        self._last_id = 0

    def call(self, method: str, **params: Any) -> Any:  # noqa: ANN401 - JSON
        """Return the result; a refusal is a RuntimeError. Events that come meanwhile are dropped."""
        self._last_id += 1
        self.wire.sendall(request(self._last_id, method, params))
        while True:
            told = self.read(PATIENCE_S)
            if told is not None and told.get("id") == self._last_id:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return told["result"]

    def read(self, seconds: float) -> Any:  # noqa: ANN401 - JSON
        """Return the next message, None where there is none in that time; ConnectionError at the end."""
        deadline = time.monotonic() + seconds
        while (end := self._buffer.find(b"\n")) < 0:
            self.wire.settimeout(max(0.0001, deadline - time.monotonic()))
            try:
                data = self.wire.recv(1 << 18)
            except TimeoutError:
                return None
            finally:
                self.wire.settimeout(None)
            if not data:
                raise ConnectionError("the node closed its socket")
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return json.loads(line)

    def close(self) -> None:
        """Hang up."""
        self.wire.close()


def request(number: int, method: str, params: object) -> bytes:
    """Return one call as a line."""
    call = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(call, separators=(",", ":")).encode() + b"\n"


@dataclass(slots=True)
class Node:
    """A running daemon."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    client: Client
    ready_s: float
    """From its start to the first answer on its socket."""

    @property
    def address(self) -> str:
        """Where peers reach it."""
        return f"127.0.0.1:{self.port}"

    def status(self) -> dict[str, Any]:
        """Return the fields of `status`: durable facts only."""
        status: dict[str, Any] = self.client.call("status")
        return status

    def join(self, other: Node) -> None:
        """Tell it to connect to another node."""
        self.client.call("peer", action="add", target=other.address)

    def submit(self, raws: Sequence[bytes]) -> None:
        """Hand over signed entries in arrays of 100; each must be taken."""
        for start in range(0, len(raws), 100):
            calls = [
                {"jsonrpc": "2.0", "id": n, "method": "submit", "params": [raw.hex()]}
                for n, raw in enumerate(raws[start : start + 100])
            ]
            self.client.wire.sendall(json.dumps(calls).encode() + b"\n")
            answers = self.client.read(PATIENCE_S)
            refused = [answer for answer in answers if "result" not in answer]
            if refused:
                raise GaveUp(f"a node refused an entry: {refused[0]}")

    def peak_bytes(self) -> int:
        """Return the most memory that it and its processes had resident; 0 where the system does not say."""
        # Each thread has the processes that it started.
        started = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(pid) for children in started for pid in children.read_text(encoding="ascii").split()]
        return sum(_memory_of(pid, "VmHWM") for pid in (self.process.pid, *pids))

    def resident_bytes(self) -> int:
        """Return the memory that its own process has resident now; 0 where the system does not say."""
        return _memory_of(self.process.pid, "VmRSS")

    def log(self) -> str:
        """Return the end of its log."""
        return (self.folder / "benchmark.log").read_text(encoding="utf-8", errors="replace")[-2000:]

    def stop(self) -> float:
        """End it in good order; return how long that took, in seconds."""
        began = time.perf_counter()
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        spent = time.perf_counter() - began
        self.client.close()
        if status:
            raise GaveUp(f"a node ended with status {status}: {self.log()}")
        return spent


class Lab:
    """A temporary folder with a network's nodes in it; all of them are ended at its end."""

    def __init__(self, parameters: Parameters, folder: Path) -> None:
        self.parameters = parameters
        self._folder = folder
        self._config = folder / "network.toml"
        self._config.write_text(format_network(parameters), encoding="utf-8")
        self._nodes: list[Node] = []
        self._books: dict[tuple[bytes, ...], Path] = {}
        self._made = 0

    def folder(self, blocks: Sequence[bytes] = ()) -> Path:
        """Return a new data folder whose book holds the blocks."""
        folder = self._folder / f"n{self._made}"
        self._made += 1
        if blocks:
            kept = self._books.get(tuple(blocks))
            if kept is None:
                kept = self._books[tuple(blocks)] = self._folder / f"book{len(self._books)}"
                lay(self.parameters, blocks, kept)
            shutil.copytree(kept, folder)
        return folder

    def start(self, folder: Path, peers: Sequence[Node] = (), *, web_port: int | None = None) -> Node:
        """Start a daemon that mines only when asked, with a page if a port is given; wait for its socket."""
        port = free_port()
        command = [sys.executable, "-m", "node", "--config", str(self._config), "--data-dir", str(folder)]
        command += ["--port", str(port), "--mine", "off", "--no-discovery"]
        command += ["--no-web"] if web_port is None else ["--web-port", str(web_port)]
        for peer in peers:
            command += ["--peer", peer.address]
        folder.mkdir(mode=0o700, exist_ok=True)
        with (folder / "benchmark.log").open("ab") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            client = _connected(process, folder)
            client.call("status")
        except (OSError, GaveUp) as error:
            process.kill()
            process.wait()
            text = (folder / "benchmark.log").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise GaveUp(f"a node did not start ({error}): {text}") from error
        node = Node(process, port, folder, client, time.perf_counter() - began)
        self._nodes.append(node)
        return node

    def end(self) -> None:
        """End the nodes that are left."""
        for node in self._nodes:
            if node.process.poll() is None:
                node.process.kill()
                node.process.wait()
            node.client.close()


@contextlib.contextmanager
def lab(parameters: Parameters) -> Iterator[Lab]:
    """Make a lab for the nodes of one network."""
    folder = Path(tempfile.mkdtemp(prefix="indelible-"))
    made = Lab(parameters, folder)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(folder)


def until_height(node: Node, height: int, watcher: Client) -> float:
    """Wait until the node tells of a durable tip at `height`; return when, by the performance counter.

    `watcher` has subscribed to the node's events.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        told = watcher.read(_LOOK_AGAIN_S)
        when = time.perf_counter()
        if told is not None and told.get("params", {}).get("fields", {}).get("height", 0) < height:
            continue
        if node.status()["height"] >= height:
            return when
    raise GaveUp(f"height {height} was not reached, status is {node.status()}: {node.log()}")


def watch(node: Node) -> Client:
    """Return a connection of its own that is told of the node's events, as `watch` shows them."""
    found = find_socket(node.folder)
    assert found is not None
    client = Client(found)
    client.call("subscribe")
    return client


def _memory_of(pid: int, wanted: str) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == wanted:
                return int(value.split()[0]) * 1024
    return 0


def _connected(process: subprocess.Popen[bytes], folder: Path) -> Client:
    """Return a connection to the socket as soon as it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise GaveUp(f"it ended with status {process.returncode}")
        path = find_socket(folder)
        if path is not None:
            with contextlib.suppress(OSError):
                return Client(path)
        time.sleep(0.001)
    raise GaveUp("its socket does not answer")


def _environment() -> dict[str, str]:
    """Return ours; but byte code is kept, as it is for a node that was installed: else a start compiles."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
