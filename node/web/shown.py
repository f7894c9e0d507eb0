"""Entries as the read API shows them. Pure."""

from __future__ import annotations

from node.answers import Json


def tx_of(found: Json) -> Json:
    """Return an entry, as `query` and the local socket have it, as the API's Tx."""
    return {
        "txid": found["txid"],
        "is_reward": found["sender"] is None,
        "sender": found["sender"],
        "recipient": found["recipient"],
        "amount": found["amount"],
        "fee": found["fee"],
        "nonce": found["nonce"],
        "timestamp_ms": found["timestamp_ms"],
        "memo": found["memo"],
        "status": status_of(found),
    }


def status_of(found: Json) -> Json:
    """Return where an entry stands: the API's TxStatus."""
    return {
        "confirmed": found["status"] == "confirmed",
        "state": found["status"],
        "block_height": found["height"],
        "block_hash": found["block"],
        "block_time_ms": found["block_timestamp_ms"],
        "position": found["position"],
        "confirmations": found["confirmations"],
    }


def address_tx_of(item: Json, *, with_balance: bool = True) -> Json:
    """Return an item of a history as the API's AddressTx."""
    balance = item["balance"] if with_balance else None
    return tx_of(item) | {"direction": item["direction"], "balance": balance}
