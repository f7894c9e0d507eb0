"""A friend is invited by one command and one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.nodes import SWIFT, Lab, until

pytestmark = pytest.mark.acceptance


def test_a_friend_who_starts_with_the_file_is_connected_with_a_proven_name(lab: Lab) -> None:
    shop = lab.node("shop", "--mine", "off", network=lab.network(SWIFT)).start()
    shop.call("mine", count=3)
    answer = shop.cli("invite", "ann", "--me", "shop", "--output", str(lab.folder / "ann.toml"))
    assert answer["addresses"] == [shop.address]
    assert "--host 0.0.0.0" in answer["warnings"][0]

    ann = lab.node("ann", network=Path(answer["file"])).start()
    until(lambda: ann.height() == 3, "the friend has the book")
    (peer,) = until(lambda: ann.call("peers"), "the friend is connected")
    assert (peer["name"], peer["node_id"]) == ("shop", answer["node_id"])
    assert ann.status()["network_id"] == shop.status()["network_id"]
    assert ann.status()["address"] != shop.status()["address"]

    txid = shop.cli("send", ann.status()["address"], "5", "--memo", "welcome")["txid"]
    until(lambda: ann.call("tx", txid=txid)["status"] == "pending", "the friend hears of the payment")
    until(lambda: shop.call("tx", txid=txid)["settled"]["verdict"] == "likely", "the shop knows that")
    shop.call("mine", count=1)
    until(lambda: ann.call("tx", txid=txid)["settled"]["verdict"] == "yes", "it settles within a minute")
