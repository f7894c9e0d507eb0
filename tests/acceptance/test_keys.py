"""Keys stay with their owner: none passes a socket, and what holds one is for its owner alone."""

from __future__ import annotations

import base64
import stat
import tempfile
from pathlib import Path

import pytest

from node import wallet
from node.paths import wallets_folder
from tests.acceptance.nodes import QUICK, Lab, Node, agreed, confirmed, until
from tests.acceptance.proxy import Proxy

pytestmark = pytest.mark.acceptance

PASSPHRASE = "correct horse battery staple"


def forms_of(node: Node, passphrase: str | None = None, name: str = "default") -> dict[str, bytes]:
    """Return a wallet's secret in every form that it could be sent in, and its passphrase."""
    exported = wallet.export(wallet.load(wallets_folder(node.folder), name), passphrase)
    seed = wallet.unlock(wallet.load(wallets_folder(node.folder), name), passphrase)._seed
    return {
        "raw": seed,
        "hex": seed.hex().encode(),
        "HEX": seed.hex().upper().encode(),
        "base64": base64.b64encode(seed).rstrip(b"="),
        "exported": exported.encode(),
        "passphrase": PASSPHRASE.encode(),
    }


def test_no_key_and_no_passphrase_passes_the_sockets_when_people_pay(lab: Lab) -> None:
    network = lab.network(QUICK)
    ann = lab.node("ann", "--mine", "off", network=network).start()
    with (
        tempfile.TemporaryDirectory(prefix="ear-", dir="/tmp") as short,  # a socket's path is short
        Proxy(target=ann.port) as wire,
        Proxy(target=ann.socket_path(), place=Path(short) / "ear.sock") as ear,
    ):
        bob = lab.node("bob", "--mine", "off", network=network, peers=[f"127.0.0.1:{wire.port}"]).start()
        ann.cli("mine", "2")
        agreed([ann, bob], 2)
        passphrase_file = lab.folder / "passphrase"
        passphrase_file.write_text(PASSPHRASE + "\n")
        locked = ("--passphrase-file", str(passphrase_file))
        savings = ann.cli("wallet", "new", "savings", *locked)["address"]

        listening = ("--socket", str(Path(short) / "ear.sock"))
        txids = [ann.cli(*listening, "send", savings, "20", "--memo", "put aside")["txid"]]
        txids.append(ann.cli(*listening, "bump", txids[0], "--fee", "0.05")["txid"])
        ann.cli(*listening, "mine", "1")
        paid = ann.cli(*listening, "send", bob.status()["address"], "3", "--from", "savings", *locked)["txid"]
        ann.cli(*listening, "wallet", "list")
        ann.cli(*listening, "mine", "1")
        confirmed(bob, paid)

        heard = bytes(ear.recorded + wire.recorded)
        assert b'"method": "submit"' in heard or b'"method":"submit"' in heard, "the ear heard the payment"
        for owner in (forms_of(ann), forms_of(ann, PASSPHRASE, "savings"), forms_of(bob)):
            for form, secret in owner.items():
                assert secret not in heard, f"a secret passed a socket, as {form}"


def test_a_wallet_with_a_passphrase_pays_only_with_it(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off", network=lab.network(QUICK)).start()
    right, wrong = lab.folder / "right", lab.folder / "wrong"
    right.write_text(PASSPHRASE)
    wrong.write_text("Tr0ub4dor&3")
    address = node.cli("wallet", "new", "savings", "--passphrase-file", str(right))["address"]
    node.cli("mine", "1")
    node.cli("send", address, "10")
    node.cli("mine", "1")
    back = ("send", node.status()["address"], "1", "--from", "savings")
    assert node.refused(*back, "--passphrase-file", str(wrong)).code == "wrong-passphrase"
    assert node.refused(*back).status != 0
    node.cli(*back, "--passphrase-file", str(right))
    stored = (wallets_folder(node.folder) / "savings.json").read_bytes()
    assert not any(secret in stored for secret in forms_of(node, PASSPHRASE, "savings").values())


def test_all_that_a_node_keeps_is_for_its_owner_alone(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off", network=lab.network(QUICK)).start()
    node.cli("mine", "1")
    node.cli("send", node.status()["address"], "1")
    node.cli("wallet", "new", "second")
    for path in (node.folder, *node.folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} has mode {mode:o}"


def test_no_key_lies_in_the_book_or_beside_it(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off", network=lab.network(QUICK)).start()
    node.cli("mine", "1")
    node.cli("send", node.status()["address"], "1")
    node.stop()
    forms = forms_of(node)
    places = [p for p in node.folder.rglob("*") if p.is_file() and p.parent != wallets_folder(node.folder)]
    assert places
    for path in [*places, node.log_path]:
        content = path.read_bytes()
        assert not any(secret in content for secret in forms.values()), path


def test_a_backup_brings_a_wallet_back_on_another_machine(lab: Lab) -> None:
    network = lab.network(QUICK)
    ann, bob = lab.line("ann", "bob", network=network, flags=("--mine", "off"))
    until(lambda: "has no backup" in ann.log(), "the log says that there is no backup")
    backup = lab.folder / "backup.json"
    ann.cli("wallet", "backup", "default", str(backup))
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    ann.cli("mine", "1")
    agreed([ann, bob], 1)
    ann.stop()
    address = bob.cli("wallet", "import", "restored", str(backup))["address"]
    assert bob.cli("balance", address)["confirmed"] == 50_00
    bob.cli("send", bob.status()["address"], "49", "--from", "restored")
    ann.start()
    assert ann.log().count("has no backup") == 1, "reminded until there is one"


def test_what_is_mistyped_is_refused_and_never_sent(lab: Lab) -> None:
    node = lab.node("ann", "--mine", "off", network=lab.network(QUICK)).start()
    node.cli("mine", "1")
    address = node.status()["address"]
    typo = address[:-1] + ("q" if address[-1] != "q" else "p")
    other = lab.node("bean").start().status()["address"]
    for words, status in [
        (("send", typo, "1"), 2),
        (("send", other, "1"), 2),
        (("send", "bob", "1"), 2),
        (("send", address, "-1"), 2),
        (("send", address, "1e9999"), 2),
        (("send", address, "nan"), 2),
        (("send", address, "0.001"), 2),
        (("send", address, "1,5"), 2),
        (("send", address, "99999999999999999999"), 2),
        (("send", address, "1", "--memo", "x" * 257), 2),
        (("send", address, "1", "--memo", "a\x1b[2Jb"), 2),
        (("send", address, "1", "--fee", "0"), 1),
        (("send", address, "51"), 1),
        (("send", address, "1", "--from", "nobody"), 1),
        (("send",), 2),
        (("sned", address, "1"), 2),
        (("tx", "xyz"), 2),
        (("block", "-1"), 2),
        (("block", "999"), 1),
        (("mine", "0"), 2),
        (("peer", "add", "nowhere"), 2),
    ]:
        refused = node.refused(*words)
        assert refused.status == status, f"{words}: {refused}"
        assert refused.code
        assert refused.message
    assert node.status()["pending"] == 0
    unknown = node.cli("tx", "00" * 32)
    assert unknown["status"] == "unknown"
