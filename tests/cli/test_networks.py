"""A network of one's own, and the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from node import config, miner, private
from node.cli import new_file
from node.config import Arguments
from node.ledger.params import validate
from node.pow import KERNELS
from tests.cli.conftest import ANN, BOB, Shell, address
from tests.cli.test_look import WIDTHS, widest

FAST, PLAIN = ("abacus", *KERNELS), ("hashlib",)
RATES = {"abacus": 10_000_000, "hashlib": 1_000_000}


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of ten million hashes a second, and of one million without C."""
    monkeypatch.setattr("node.pow.KERNELS", FAST)
    monkeypatch.setattr(miner, "measure_hashrate", lambda _, kernel="abacus": RATES[kernel])


def hashes(bits: int) -> float:
    """How many hashes a compact target takes on average."""
    exponent, mantissa = bits >> 24, bits & 0xFFFFFF
    return float(2**256 / (mantissa * 256 ** (exponent - 3)))


def test_a_network_file_is_complete_and_can_be_started_with(lonely: Shell, tmp_path: Path) -> None:
    made = lonely.ask("network", "new", "shop", "--symbol", "CUP", "--decimals", "3", "--min-fee", "0.5")
    path = tmp_path / "shop.toml"
    assert (made["name"], made["file"], len(made["network_id"])) == ("shop", str(path), 64)
    found = config.load(Arguments(config=path)).parameters
    validate(found)
    assert (found.name, found.symbol, found.prefix, found.decimals) == ("shop", "CUP", "cup", 3)
    assert (found.minimum_fee, found.initial_reward) == (500, 50_000)
    assert "seed" not in path.read_text()


def test_a_block_takes_this_machine_about_an_interval(lonely: Shell, tmp_path: Path) -> None:
    lonely.ask("network", "new", "shop")
    found = config.load(Arguments(config=tmp_path / "shop.toml")).parameters
    assert 0.99 < hashes(found.genesis_bits) / (10_000_000 * found.interval_ms / 1000) < 1.01


def test_the_easiest_block_takes_a_machine_without_a_compiler_about_an_interval(
    lonely: Shell, tmp_path: Path
) -> None:
    lonely.ask("network", "new", "shop")
    found = config.load(Arguments(config=tmp_path / "shop.toml")).parameters
    assert 0.99 < hashes(found.easiest_bits) / (1_000_000 * found.interval_ms / 1000) < 1.01


@pytest.mark.parametrize("kernels", [PLAIN, FAST])
def test_the_first_block_is_never_easier_than_the_easiest(
    lonely: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernels: tuple[str, ...]
) -> None:
    # Two measurements of a busy machine may contradict each other.
    monkeypatch.setattr("node.pow.KERNELS", kernels)
    monkeypatch.setitem(RATES, "abacus", 900_000)
    lonely.ask("network", "new", "shop")
    found = config.load(Arguments(config=tmp_path / "shop.toml")).parameters
    assert found.genesis_bits == found.easiest_bits


def test_holders_are_named_by_an_address_of_any_network(lonely: Shell, tmp_path: Path) -> None:
    bean = "bean1" + address(ANN)[5:]
    assert lonely.fail("network", "new", "shop", "--allocate", f"{bean}=5", status=2)["code"] == "bad-address"
    lonely.ask(
        *("network", "new", "shop", "--allocate", f"{address(ANN)}=1000.50"),
        *("--allocate", f"{address(BOB).upper()}=2"),
    )
    found = config.load(Arguments(config=tmp_path / "shop.toml")).parameters
    assert found.allocations == tuple(sorted([(ANN.public, 1_000_50), (BOB.public, 2_00)]))


@pytest.mark.parametrize("decimals", range(9))
def test_any_number_of_decimals_makes_a_network_that_starts(lonely: Shell, decimals: int) -> None:
    lonely.ask("network", "new", "shop", "--decimals", str(decimals))
    assert lonely.type("--config", "shop.toml", "config").exit_code == 0


@pytest.mark.parametrize(
    "symbol, name, prefix",
    [("CUP", "shop", "cup"), ("€", "shop-7", "shop"), ("€", "7_7", "coin"), ("K2", "x", "k")],
)
def test_addresses_start_with_letters_of_the_symbol(
    lonely: Shell, tmp_path: Path, symbol: str, name: str, prefix: str
) -> None:
    lonely.ask("network", "new", name, "--symbol", symbol)
    assert config.load(Arguments(config=tmp_path / f"{name}.toml")).parameters.prefix == prefix


def test_nothing_is_overwritten(lonely: Shell, tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text("mine")
    assert lonely.fail("network", "new", "shop")["code"] == "file-exists"
    assert (tmp_path / "shop.toml").read_text() == "mine"
    (tmp_path / "link.toml").symlink_to(tmp_path / "nowhere")
    assert lonely.fail("network", "new", "link")["code"] == "file-exists"


@pytest.mark.parametrize(
    "words, code",
    [
        (["../up"], "bad-name"),
        ([""], "bad-name"),
        (["x" * 33], "bad-name"),
        (["a b"], "bad-name"),
        (["shop", "--decimals", "9"], "usage"),
        (["shop", "--decimals", "-1"], "usage"),
        (["shop", "--min-fee", "0.001"], "bad-amount"),
        (["shop", "--min-fee", "-1"], "bad-amount"),
        (["shop", "--symbol", ""], "bad-network"),
        (["shop", "--symbol", "NINECHARS"], "bad-network"),
        (["shop", "--symbol", "\x1b[2J"], "bad-network"),
        (["shop", "--prefix", "UPPER"], "bad-network"),
        (["shop", "--allocate", "nonsense"], "bad-allocation"),
        (["shop", "--allocate", f"{address(ANN)}=0"], "bad-allocation"),
        (["shop", "--allocate", f"{address(ANN)}=-1"], "bad-amount"),
        (["shop", "--allocate", f"{address(ANN)}=90071992547409"], "bad-network"),
        (
            ["shop", "--allocate", f"{address(ANN)}=1", "--allocate", f"{address(ANN).upper()}=2"],
            "bad-allocation",
        ),
        (["shop", "--allocate", f"{address(ANN)[:-1]}q=1"], "bad-address"),
    ],
)
def test_a_network_that_could_not_be_is_refused_by_name(
    lonely: Shell, tmp_path: Path, words: list[str], code: str
) -> None:
    error = lonely.fail("network", "new", *words, status=2)
    assert error["code"] == code
    assert error["hint"]
    assert list(tmp_path.glob("*.toml")) == []


def test_a_folder_that_cannot_be_written_is_named(lonely: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _: bytes) -> None:
        raise private.PathError(f"cannot write {path} (Permission denied)", "look at its folder")

    monkeypatch.setattr(new_file, "create_private_file", refuse)
    assert lonely.fail("network", "new", "shop")["code"] == "path"


# --------------------------------------------------------------------------------------------- config


def test_the_settings_of_a_running_node_are_its_own(shell: Shell) -> None:
    assert shell.ask("config") == [{"name": "port", "value": 9000, "origin": "default"}]


def test_without_a_node_the_settings_are_those_it_would_start_with(lonely: Shell, tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text(
        '[node]\nport = 9100\n[[peers]]\nname = "shop"\naddress = "10.0.0.1:9"\n'
    )
    found = {each["name"]: each for each in lonely.ask("config")}
    assert found["port"] == {"name": "port", "value": 9100, "origin": "peers.toml:2"}
    assert found["data_dir"]["origin"] == "--data-dir"
    assert found["peers.shop"]["value"] == "10.0.0.1:9"
    assert lonely.ask("--port", "9300", "config")[0]["origin"] == "--port"


def test_a_slip_in_the_settings_is_named_with_its_line(lonely: Shell, tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text("[node]\nprot = 1\n")
    error = lonely.fail("config", status=2)
    assert error["code"] == "bad-config"
    assert "peers.toml:2" in error["message"]
    assert lonely.fail("--config", "missing.toml", "config", status=2)["code"] == "bad-config"


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_settings_fit_the_terminal(lonely: Shell, columns: int) -> None:
    assert widest(lonely.type("config", columns=columns).stdout) <= columns
