"""The read API's answers about the node itself."""

from __future__ import annotations

from typing import Final

from node.answers import Json
from node.web.operations import Asked, Operation, Payload, as_json
from node.web.schemas import BOOLEAN, HASH, HEIGHT, NUMBER_AS_HEX, OBJECTS, TEXT, UINT, array, maybe, ref

_PRIVATE: Final = ("address", "name", "node_id", "bytes_in", "bytes_out", "score")
"""Fields of a peer that other machines do not see."""
_INFO: Final = tuple(OBJECTS["Info"]["properties"])

MAX_TIPS: Final = 100
"""In one answer; the active one, and the last to arrive."""


async def _status(asked: Asked) -> Payload:
    return as_json(await asked.context.call("status"))


async def _info(asked: Asked) -> Payload:
    info: Json = await asked.context.call("info")
    return as_json({name: info[name] for name in _INFO})


async def _peers(asked: Asked) -> Payload:
    peers: list[Json] = await asked.context.call("peers")
    fields = tuple(OBJECTS["Peer"]["properties"])
    hidden = () if asked.is_local else _PRIVATE
    return as_json([{name: None if name in hidden else peer[name] for name in fields} for peer in peers])


async def _tips(asked: Asked) -> Payload:
    return as_json(await asked.context.read(lambda query: query.tips(MAX_TIPS)))


_STATUS: Final[Json] = {
    "type": "object",
    "description": "How the node is doing (docs/socket.md, status).",
    "properties": {
        "network": TEXT,
        "network_id": HASH,
        "height": HEIGHT,
        "tip": HASH,
        "work": NUMBER_AS_HEX,
        "headers_height": HEIGHT,
        "synced": BOOLEAN,
        "sync_reason": maybe(TEXT),
        "peers": UINT,
        "pending": UINT,
        "uptime_s": UINT,
        "version": TEXT,
    },
    "required": ["network", "network_id", "height", "tip", "work", "synced", "peers", "pending", "version"],
}

OPERATIONS: Final = (
    Operation("/status", "status", "How the node is doing", _status, _STATUS),
    Operation("/info", "info", "What a wallet needs to know before it signs", _info, ref("Info")),
    Operation("/peers", "peers", "The node's connections", _peers, array(ref("Peer"))),
    Operation(
        "/tips",
        "tips",
        "The ends of all branches, the active one first",
        _tips,
        array(ref("Tip"), MAX_TIPS + 1),
    ),
)
