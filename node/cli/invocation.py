"""One run of a command: which node is meant, how the answer is wanted, and the way to both.

Reads the settings file where that is needed to find the data folder; writes to standard output.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from node import paths
from node.cli.client import Client, connect
from node.cli.errors import CommandError, told_as
from node.cli.text import Units
from node.private import PathError, expanded

_SETTINGS_FILE = "peers.toml"
_DEFAULT_PORT = 9000


@dataclass(slots=True)
class Invocation:
    """The options that every command has."""

    as_json: bool = False
    port: int | None = None
    data_dir: Path | None = None
    socket: Path | None = None
    config: Path | None = None
    wait_s: float = 0.0
    _client: Client | None = field(default=None, repr=False)
    _info: dict[str, Any] | None = field(default=None, repr=False)

    def folder(self) -> Path:
        """Return the data folder of the node that is meant; it may not be there yet. Raises CommandError."""
        if self.data_dir is not None:
            try:
                return expanded(self.data_dir).absolute()
            except PathError as error:
                raise told_as(error) from None
        if self.config is None and not Path(_SETTINGS_FILE).exists():
            return paths.default_data_dir(self.port or _DEFAULT_PORT)
        # Here and not at the top: without a settings file its reader is not needed.
        from node.config import Arguments, load  # noqa: PLC0415
        from node.settings import ConfigError  # noqa: PLC0415

        try:
            return load(Arguments(port=self.port, config=self.config)).data_dir
        except ConfigError as error:
            raise told_as(error) from None

    def client(self) -> Client:
        """Return the connection to the node, made at the first call. Raises CommandError(no-node)."""
        if self._client is None:
            self._client = connect(self._socket_path(), self.wait_s, f"start one: {self._start_command()}")
        return self._client

    def close(self) -> None:
        """Hang up, where anybody was called."""
        if self._client is not None:
            self._client.close()

    def client_if_running(self) -> Client | None:
        """Return the connection to the node, None where none runs."""
        try:
            return self.client()
        except CommandError as error:
            if error.code != "no-node":
                raise
            return None

    def info(self) -> dict[str, Any]:
        """Return what the node says of its network and wallet, asked for once."""
        if self._info is None:
            info: dict[str, Any] = self.client().call("info")
            self._info = info
        return self._info

    def units(self) -> Units:
        """Return how the node's network shows amounts."""
        return Units(self.info()["decimals"], self.info()["symbol"])

    def answer(self, value: object, show: Callable[[], None]) -> None:
        """Print the answer: the value as JSON, or what `show` prints for people."""
        if self.as_json:
            click.echo(json.dumps(value))
        else:
            show()

    def _socket_path(self) -> Path | None:
        if self.socket is not None:
            return self.socket
        try:
            return paths.find_socket(self.folder())
        except PathError as error:
            raise told_as(error) from None

    def _start_command(self) -> str:
        words = ["python", "-m", "node"]
        if self.port is not None or (self.data_dir is None and self.config is None):
            words += ["--port", str(self.port or _DEFAULT_PORT)]
        if self.data_dir is not None:
            words += ["--data-dir", str(self.data_dir)]
        if self.config is not None:
            words += ["--config", str(self.config)]
        return shlex.join(words)


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)
"""Hands the Invocation of this run to a command as its first argument."""
