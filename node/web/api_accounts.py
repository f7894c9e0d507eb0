"""The read API's answers about accounts."""

from __future__ import annotations

from typing import Final

from node.answers import Json
from node.ledger.address import AddressError, decode_address
from node.query import After, NotFound, Query
from node.web.answers import WebError
from node.web.operations import Asked, Operation, Payload, as_json
from node.web.params import ADDRESS, BALANCE, LAST_SEEN
from node.web.schemas import array, ref
from node.web.shown import address_tx_of, tx_of

CONFIRMED: Final = 25
"""Entries of a history in one answer."""
PENDING: Final = 50


async def _address(asked: Asked) -> Payload:
    _key(asked)
    return as_json(await asked.context.call("balance", address=asked["address"]))


async def _newest(asked: Asked) -> Payload:
    key, address = _key(asked), asked["address"]
    items = await asked.context.read(lambda query: query.history(key, CONFIRMED))
    return as_json([address_tx_of(item) for item in items], after=_after(address, items, with_balance=True))


async def _older(asked: Asked) -> Payload:
    key, last_seen, balance = _key(asked), asked["last_seen"], asked["balance"]

    def page(query: Query) -> list[Json]:
        last = query.tx(last_seen)
        if last["status"] != "confirmed":
            raise NotFound("the last item is in no block of the main chain", "begin again")
        after = After(last["height"], last["position"], bytes.fromhex(last["block"]), balance or 0)
        return query.history(key, CONFIRMED, after)

    items = await asked.context.read(page)
    known = balance is not None
    return as_json(
        [address_tx_of(item, with_balance=known) for item in items],
        after=_after(asked["address"], items, with_balance=known),
    )


async def _pending(asked: Asked) -> Payload:
    _key(asked)
    entries: list[Json] = await asked.context.call("pending", address=asked["address"], limit=PENDING)
    return as_json([tx_of(entry) for entry in entries])


def _key(asked: Asked) -> bytes:
    """Return the key of the address asked for. Raises WebError(404): there is no such address."""
    try:
        return decode_address(asked.context.prefix, asked["address"])
    except AddressError as error:
        raise WebError(404, error.code, error.message, error.hint) from None


def _after(address: str, items: list[Json], *, with_balance: bool) -> str | None:
    """Return where the next page of a history is, None where this was the last."""
    if len(items) < CONFIRMED:
        return None
    last = items[-1]
    balance = f"?balance={last['balance']}" if with_balance else ""
    return f"/api/address/{address}/txs/chain/{last['txid']}{balance}"


_HISTORY: Final = array(ref("AddressTx"), CONFIRMED)

OPERATIONS: Final = (
    Operation(
        "/address/{address}",
        "address",
        "What an account has",
        _address,
        ref("Address"),
        params=(ADDRESS,),
        errors=(404,),
    ),
    Operation(
        "/address/{address}/txs",
        "addressTxs",
        f"The newest {CONFIRMED} entries of an account, with its running balance",
        _newest,
        _HISTORY,
        params=(ADDRESS,),
        errors=(404,),
        is_paged=True,
    ),
    Operation(
        "/address/{address}/txs/chain",
        "addressTxsChain",
        "The same",
        _newest,
        _HISTORY,
        params=(ADDRESS,),
        errors=(404,),
        is_paged=True,
    ),
    Operation(
        "/address/{address}/txs/chain/{last_seen}",
        "addressTxsAfter",
        f"{CONFIRMED} more, those before the last one seen",
        _older,
        _HISTORY,
        params=(ADDRESS, LAST_SEEN),
        queries=(BALANCE,),
        errors=(404, 409),
        is_paged=True,
    ),
    Operation(
        "/address/{address}/txs/mempool",
        "addressTxsMempool",
        f"The pending entries of an account, at most {PENDING}, the oldest first",
        _pending,
        array(ref("Tx"), PENDING),
        params=(ADDRESS,),
        errors=(404,),
    ),
)
