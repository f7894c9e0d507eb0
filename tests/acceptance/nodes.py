"""Real daemons and commands for acceptance tests, each with what it said kept for the report of a failure.

Starts processes, and ends those that it started, by their number. All on loopback, in temporary folders.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

from node.ledger.address import decode_address, encode_address
from node.ledger.params import Parameters
from node.network_file import format_network
from node.paths import find_socket
from tests.building import ChainBuilder, Key
from tests.ports import free_port

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PATIENCE_S: Final = 180.0
"""How long anything may take before the test fails, with the logs: generous, for machines that are busy."""
_LOOK_AGAIN_S: Final = 0.05
_LAST_LINES: Final = 60

QUICK: Final = Parameters(
    name="acceptance",
    prefix="test",
    symbol="TEST",
    decimals=2,
    interval_ms=1_000,
    half_life_ms=3_600_000,
    genesis_ms=1_735_689_600_000,
    genesis_bits=0x1F01FFFF,
    easiest_bits=0x1F01FFFF,  # 2^15 hashes: a block takes a few hundredths of a second
    initial_reward=50_00,
    halving_interval=2_000_000,
    allocations=(),
    minimum_fee=1,
    maximum_block_bytes=1 << 20,
    drift_ms=30_000,
    lifetime_ms=14 * 86_400_000,
    maturity=0,
)
"""A network whose blocks come at once."""
SWIFT: Final = replace(QUICK, genesis_bits=0x207FFFFF, easiest_bits=0x207FFFFF)
"""The same with two hashes a block, for long chains."""


class Refused(NamedTuple):
    """A command that was refused: its exit status and the line that says why."""

    status: int
    code: str
    message: str
    hint: str


class CallRefused(Exception):
    """The node's answer to a call is an error; `code` is the node's."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error))
        self.code = str(error["data"]["code"])


def until(condition: Callable[[], T | None], what: str, seconds: float = PATIENCE_S) -> T:
    """Return what the condition gives once that is something; fails when it takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(_LOOK_AGAIN_S)


def within(seconds: float, attempt: Callable[[], float], what: str, tries: int = 5) -> float:
    """Return the seconds that an attempt took, once one took no longer than this.

    What is promised is promised of a machine that has time for it; one that stands still gets another try.
    """
    took: list[float] = []
    for _ in range(tries):
        took.append(attempt())
        if took[-1] <= seconds:
            return took[-1]
    raise AssertionError(f"{what} within {seconds:.1f} s: each try took longer: {took}")


class Process(NamedTuple):
    """A process of the system."""

    parent: int
    resident_bytes: int


def processes() -> dict[int, Process]:
    """Return all processes by their number, but for dead ones that nobody has collected."""
    if Path("/proc/self/stat").exists():
        return _processes_of_linux()
    words = ["ps", "-A", "-o", "pid=,ppid=,rss=,stat="]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows = (row.split(maxsplit=3) for row in listed.splitlines())
    return {
        int(pid): Process(int(parent), int(resident) * 1024)
        for pid, parent, resident, state in rows
        if not state.startswith("Z")
    }


def _processes_of_linux() -> dict[int, Process]:
    """Read them where Linux has them: `ps` is not everywhere (proc(5))."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            # Behind the name, which may hold anything: state, parent, ...; resident pages are the 24th field.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if fields[0] != "Z":
                resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
                found[int(path.parent.name)] = Process(int(fields[1]), resident)
    return found


@dataclass(slots=True)
class Node:
    """A daemon, running or not, and its folder."""

    name: str
    port: int
    folder: Path
    command: list[str]
    working: Path
    """The folder that it is started from."""
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def address(self) -> str:
        """Where its peers reach it."""
        return f"127.0.0.1:{self.port}"

    @property
    def log_path(self) -> Path:
        """What it wrote on standard output and standard error, all starts together."""
        return self.working / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        """Return all that it said."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.starts else ""

    # ------------------------------------------------------------------------------------------- running

    def launch(self) -> None:
        """Start the process; it may take a while until it answers, or refuse."""
        assert not self.is_running()
        self.starts += 1
        with self.log_path.open("ab") as log:
            # A group of its own, as the shell gives one: what Ctrl-C reaches.
            self.process = subprocess.Popen(
                self.command,
                cwd=self.working,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> Node:
        """Start it, and return it when its socket answers."""
        self.launch()
        until(self._answers_or_ended, f"{self.name} answers on its socket")
        return self

    def is_running(self) -> bool:
        """Tell whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """Return its exit status, once it has ended."""
        assert self.process is not None
        return self.process.wait(seconds)

    def send_signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Ask it to stop, as `kill` does; it must end in order."""
        self.send_signal(signal.SIGTERM)
        status = self.wait()
        assert status == 0, f"{self.name} ended with {status}"

    def kill(self) -> None:
        """End it hard, in the middle of whatever it does; its workers must end by themselves."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def clean_up(self) -> None:
        """End what is left, workers too."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _answers_or_ended(self) -> bool:
        assert self.process is not None
        status = self.process.poll()
        assert status is None, f"{self.name} ended with {status} instead of starting:\n{self.log()}"
        try:
            with self.connect() as client:
                client.call("status")
        except OSError:
            return False
        return True

    # -------------------------------------------------------------------------------------------- asking

    def run(
        self, *words: str, seconds: float = PATIENCE_S, by_port: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command against this node, as people type it; the node named by its folder or its port."""
        done = subprocess.run(
            self._words(words, by_port=by_port),
            cwd=self.working,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert "Traceback" not in done.stderr, f"{words}: {done.stderr}"
        return done

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start a command against this node, whose output is read as it comes."""
        return subprocess.Popen(
            self._words(words),
            cwd=self.working,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _words(self, words: Sequence[str], *, by_port: bool = False) -> list[str]:
        which = ["--port", str(self.port)] if by_port else ["--data-dir", str(self.folder)]
        return [sys.executable, str(ROOT / "cli.py"), *which, *words]

    def cli(self, *words: str, status: int = 0) -> Any:  # noqa: ANN401 - JSON
        """Run a command, which must end with this status; return the JSON that it prints."""
        done = self.run("--json", *words)
        assert done.returncode == status, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def refused(self, *words: str) -> Refused:
        """Run a command that must not succeed; return why."""
        done = self.run("--json", *words)
        assert done.returncode != 0, f"{words} was not refused: {done.stdout}"
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        return Refused(done.returncode, **json.loads(lines[0]))

    def socket_path(self) -> Path:
        """Return where its socket is, or will be. Raises FileNotFoundError when it is not known yet."""
        path = find_socket(self.folder)
        if path is None:
            raise FileNotFoundError("no socket yet")
        return path

    def connect(self) -> Client:
        """Connect to its socket. Raises OSError."""
        return Client(self.socket_path())

    def call(self, method: str, **params: object) -> Any:  # noqa: ANN401 - JSON
        """Ask over the socket, without the time that a command takes to start."""
        with self.connect() as client:
            return client.call(method, **params)

    def status(self) -> dict[str, Any]:
        """Return the fields of `status`."""
        found: dict[str, Any] = self.call("status")
        return found

    def height(self) -> int:
        """Return the height of its durable tip."""
        return int(self.status()["height"])

    def tip(self) -> str:
        """Return the hash of its durable tip."""
        return str(self.status()["tip"])

    def workers(self) -> list[int]:
        """Return the processes that it started, by number."""
        return [pid for pid, process in processes().items() if process.parent == self.pid]


class Client:
    """A connection to a node's local socket; a node that does not answer in time fails the test."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where nobody listens."""
        self._wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._wire.settimeout(PATIENCE_S)
        try:
            self._wire.connect(os.fspath(path))
        except OSError:
            self._wire.close()
            raise
        self._lines = self._wire.makefile("rb")
        self._number = 0

    def call(self, method: str, **params: object) -> Any:  # noqa: ANN401 - JSON
        """Return the result. Raises CallRefused; ConnectionError when the node goes away."""
        self.send(method, **params)
        return self.answer()

    def send(self, method: str, **params: object) -> None:
        """Ask, and do not wait for the answer."""
        self._number += 1
        call = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self._wire.sendall(json.dumps(call).encode() + b"\n")

    def answer(self) -> Any:  # noqa: ANN401 - JSON
        """Return the result of the last call; what was told before it is dropped."""
        while True:
            told = self.read()
            if told.get("id") == self._number:
                if "error" in told:
                    raise CallRefused(told["error"])
                return told["result"]

    def read(self) -> dict[str, Any]:
        """Return the next message. Raises ConnectionError at the end."""
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the node went away")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(slots=True)
class Payer:
    """Signs entries of a key of its own, one nonce after the other, without a command for each."""

    key: Key
    chain: ChainBuilder
    nonce: int = 0
    """Of the next entry."""

    @property
    def address(self) -> str:
        """Where it is paid."""
        return encode_address(self.chain.parameters.prefix, self.key.public)

    def entry(self, address: str, amount: int, memo: str = "") -> str:
        """Return a signed entry to an address, in hex; smallest units."""
        recipient = decode_address(self.chain.parameters.prefix, address)
        now_ms = time.time_ns() // 1_000_000
        nonce, self.nonce = self.nonce, self.nonce + 1
        made = self.chain.entry(self.key, recipient, amount, nonce=nonce, timestamp_ms=now_ms, memo=memo)
        return made.raw.hex()


@dataclass(slots=True)
class Lab:
    """A temporary folder and the nodes in it."""

    folder: Path
    nodes: list[Node] = field(default_factory=list)

    def network(self, parameters: Parameters = QUICK, name: str = "network.toml") -> Path:
        """Write a network's file, as friends hand it on; return where."""
        path = self.folder / name
        path.write_text(format_network(parameters), encoding="utf-8")
        return path

    def node(
        self,
        name: str,
        *flags: str,
        network: Path | None = None,
        peers: Sequence[str] = (),
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        web: bool = False,
    ) -> Node:
        """Return a node that talks to these addresses alone; without a file, on the built-in network.

        `before`: what runs the program, in the place of `python -m node`. `web`: whether it shows its page,
        whose process takes half a second of a core to start.
        """
        node = Node(
            name=name,
            port=free_port(),
            folder=self.folder / name,
            command=[],
            working=self.folder,
            environment=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"} | dict(environment or {}),
        )
        node.command = [*(before or (sys.executable, "-m", "node")), "--port", str(node.port)]
        node.command += ["--data-dir", str(node.folder), "--no-discovery", *flags]
        if not web:
            node.command.append("--no-web")
        if network is not None:
            node.command += ["--config", str(network)]
        for peer in peers:
            node.command += ["--peer", peer]
        self.nodes.append(node)
        return node

    def line(self, *names: str, network: Path | None = None, flags: Sequence[str] = ()) -> list[Node]:
        """Start nodes in a line: each was told of the one before it alone, and is connected to it."""
        nodes: list[Node] = []
        for name in names:
            before = nodes[-1:]
            nodes.append(self.node(name, *flags, network=network, peers=[node.address for node in before]))
            nodes[-1].start()
        for at, node in enumerate(nodes):
            neighbours = (at > 0) + (at + 1 < len(nodes))
            connected(node, neighbours)
        return nodes

    def logs(self) -> list[tuple[str, str]]:
        """Return each node's name with the end of what it said."""
        return [(node.name, "\n".join(node.log().splitlines()[-_LAST_LINES:])) for node in self.nodes]

    def close(self) -> None:
        """End what still runs."""
        for node in self.nodes:
            node.clean_up()


def connected(node: Node, peers: int) -> None:
    """Wait until a node has this many peers."""
    until(lambda: node.status()["peers"] == peers, f"{node.name} has {peers} peers")


def agreed(nodes: Sequence[Node], height: int = 0, seconds: float = PATIENCE_S) -> str:
    """Return the hash of the tip that all these nodes tell of, at this height at least, once they do."""

    def same() -> str | None:
        found = [node.status() for node in nodes]
        tips = {status["tip"] for status in found}
        return str(found[0]["tip"]) if len(tips) == 1 and found[0]["height"] >= height else None

    try:
        return until(same, "one tip", seconds)
    except AssertionError:
        seen = {node.name: (node.height(), node.tip()[:8]) for node in nodes}
        raise AssertionError(f"no common tip after {seconds:.0f} s: {seen}") from None


def confirmed(node: Node, txid: str, seconds: float = PATIENCE_S) -> dict[str, Any]:
    """Return the fields of `tx`, once the entry is confirmed there."""

    def looked() -> dict[str, Any] | None:
        found: dict[str, Any] = node.call("tx", txid=txid)
        return found if found["status"] == "confirmed" else None

    return until(looked, f"{txid[:8]} is confirmed at {node.name}", seconds)


def with_coins(parameters: Parameters, *keys: Key, amount: int = 1_000_000_00) -> Parameters:
    """Return the parameters with coins for these keys from the start."""
    return replace(parameters, allocations=tuple(sorted((key.public, amount) for key in keys)))
