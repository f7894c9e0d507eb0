"""Contacts: a name means one address, the file may be edited by hand, and nothing is guessed."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.contacts import ContactError, Contacts, looks_like_an_address
from node.ledger.address import encode_address
from node.settings import ConfigError
from tests.building import key

ANN = encode_address("bean", key("ann").public)
BOB = encode_address("bean", key("bob").public)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "contacts.toml"


def written(path: Path, text: str) -> Contacts:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return Contacts.load(path, "bean")


def test_a_missing_file_holds_no_contacts(path: Path) -> None:
    contacts = Contacts.load(path, "bean")
    assert contacts.items() == []
    assert contacts.name_of(ANN) is None
    assert contacts.name_of(None) is None
    assert contacts.name_of_key(key("ann").public) is None
    assert contacts.address_of("ann") is None


def test_what_is_added_is_found_both_ways_and_by_key(path: Path) -> None:
    contacts = Contacts.load(path, "bean")
    assert contacts.add("ann", ANN.upper()) == ANN
    contacts.add("Bob.the-2nd_", BOB)
    for each in (contacts, Contacts.load(path, "bean")):
        assert each.items() == [("ann", ANN), ("Bob.the-2nd_", BOB)]
        assert each.name_of(ANN) == "ann"
        assert each.name_of_key(key("bob").public) == "Bob.the-2nd_"
        assert each.address_of("ann") == ANN
        assert each.resolve("ann") == each.resolve(ANN) == each.resolve(ANN.upper()) == ANN


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    Contacts.load(path, "bean").add("ann", ANN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_commands_at_the_same_time_lose_no_contact(path: Path) -> None:
    def add(number: int) -> None:
        who = encode_address("bean", key(f"friend {number}").public)
        Contacts.load(path, "bean").add(f"friend{number}", who)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
        assert len(Contacts.load(path, "bean").items()) == 40
        list(threads.map(lambda number: Contacts(path, "bean").remove(f"friend{number}"), range(39)))
    assert [name for name, _ in Contacts.load(path, "bean").items()] == ["friend39"]


def test_what_is_refused_makes_no_folder(path: Path) -> None:
    contacts = Contacts.load(path, "bean")
    with pytest.raises(ContactError, match="there is no contact"):
        contacts.remove("ann")
    with pytest.raises(ContactError):
        contacts.add("ann", ANN[:-1])
    assert not path.parent.exists()


def test_comments_and_order_stay_when_a_command_changes_the_file(path: Path) -> None:
    contacts = written(path, f'# friends\nann = "{ANN}"  # since 2024\n\n# nobody else')
    contacts.add("bob", BOB)
    assert path.read_text() == f'# friends\nann = "{ANN}"  # since 2024\n\n# nobody else\nbob = "{BOB}"\n'
    assert contacts.remove("ann") == ANN
    assert path.read_text() == f'# friends\n\n# nobody else\nbob = "{BOB}"\n'


def test_a_value_over_several_lines_is_removed_whole(path: Path) -> None:
    contacts = written(path, f'ann = """\n{ANN}"""\nbob = "{BOB}"\n')
    contacts.remove("ann")
    assert Contacts.load(path, "bean").items() == [("bob", BOB)]


def test_a_file_that_was_edited_is_read_again(path: Path) -> None:
    contacts = written(path, f'ann = "{ANN}"\n')
    path.write_text(f'anne = "{ANN}"\n')
    os.utime(path, ns=(1, 1))
    assert contacts.name_of(ANN) == "anne"
    path.unlink()
    assert contacts.name_of(ANN) is None


def test_a_file_broken_for_a_moment_leaves_the_last_good_names(path: Path) -> None:
    contacts = written(path, f'ann = "{ANN}"\n')
    path.write_text("ann = \n")
    os.utime(path, ns=(1, 1))
    assert contacts.name_of(ANN) == "ann"
    assert contacts.trouble is not None
    assert contacts.trouble.message.startswith(f"{path}:1: ")
    path.write_text(f'anne = "{ANN}"\n')
    os.utime(path, ns=(2, 2))
    assert contacts.name_of(ANN) == "anne"
    assert contacts.trouble is None


@pytest.mark.parametrize(
    "text, said",
    [
        (f'ok = "{BOB}"\nann = "{ANN[:-1]}q"\n', ":2: ann: a typo"),
        ("ann = 3\n", ":1: ann = '3' cannot be used"),
        (f'bob.smith = "{BOB}"\n', ":1: 'bob' is no name with an address"),
        (f'ann = "{ANN}"\nAnn = "{BOB}"\n', ":2: Ann and ann differ in case only"),
        (f'ann = "{ANN}"\n\nmy-ann = "{ANN}"\n', ":3: my-ann and ann are the same address"),
        (f'bean1xyz = "{ANN}"\n', ":1: 'bean1xyz' looks like an address"),
        (f'"two words" = "{ANN}"\n', ":1: 'two words' cannot be a name"),
        (f'-x = "{ANN}"\n', ":1: '-x' cannot be a name"),
        ("[[ann]]\n", "ann"),
        ("ann\n", ":1: "),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        written(path, text)
    assert said in error.value.message
    assert str(path) in error.value.message
    with pytest.raises(ConfigError):
        Contacts(path, "bean").add("carl", BOB)
    assert path.read_text() == text


@pytest.mark.parametrize(
    "name, address, code",
    [
        ("", ANN, "bad-name"),
        ("-x", ANN, "bad-name"),
        ("a b", ANN, "bad-name"),
        ("ä", ANN, "bad-name"),
        ("x" * 33, ANN, "bad-name"),
        ("Bean1x", ANN, "bad-name"),
        ("coin1qqqqqqqqqqqqqq", ANN, "bad-name"),
        ("ann", BOB[:-1] + "!", "bad-address"),
        ("bob", ANN, "contact-exists"),
        ("BOB", ANN, "contact-exists"),
        ("robert", BOB, "contact-exists"),
    ],
)
def test_a_contact_that_could_mean_two_things_is_refused(
    path: Path, name: str, address: str, code: str
) -> None:
    contacts = Contacts.load(path, "bean")
    contacts.add("bob", BOB)
    with pytest.raises(ContactError) as error:
        contacts.add(name, address)
    assert error.value.code == code
    assert error.value.hint
    assert contacts.items() == [("bob", BOB)]


@pytest.mark.parametrize(
    "typed, hint",
    [("bbo", "did you mean bob?"), ("BOB", "did you mean bob?"), ("zoe", "`contact list` shows the names")],
)
def test_a_name_that_is_near_is_asked_about_and_never_taken(path: Path, typed: str, hint: str) -> None:
    contacts = Contacts.load(path, "bean")
    contacts.add("bob", BOB)
    with pytest.raises(ContactError) as error:
        contacts.resolve(typed)
    assert error.value.code == "bad-address"
    assert hint in error.value.hint
    with pytest.raises(ContactError) as missing:
        contacts.remove(typed)
    assert missing.value.code == "not-found"
    assert hint in missing.value.hint


@pytest.mark.parametrize("typed", [ANN[:-1] + "q", ANN[:20], "test1" + ANN[5:], "two words", ""])
def test_a_mistyped_address_is_told_as_one(path: Path, typed: str) -> None:
    with pytest.raises(ContactError, match="address"):
        Contacts(path, "bean").resolve(typed)


def test_a_whole_address_is_taken_beside_a_broken_file_and_a_name_is_not(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("ann =\n")
    contacts = Contacts(path, "bean")
    assert contacts.resolve(ANN) == ANN
    with pytest.raises(ContactError) as error:
        contacts.resolve("ann")
    assert error.value.code == "bad-config"
    assert f"{path}:1" in error.value.message


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}", fullmatch=True).filter(
            lambda name: not looks_like_an_address(name, "bean")
        ),
        st.binary(min_size=32, max_size=32),
        max_size=6,
    )
)
def test_whatever_is_added_stands_in_the_file_until_it_is_removed(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, bytes]
) -> None:
    path = tmp_path_factory.mktemp("contacts") / "contacts.toml"
    contacts = Contacts(path, "bean")
    kept: dict[str, str] = {}
    for name, public in wanted.items():
        address = encode_address("bean", public)
        if name.lower() not in {each.lower() for each in kept} and address not in kept.values():
            kept[name] = contacts.add(name, address)
    assert Contacts.load(path, "bean").items() == list(kept.items())
    for name, address in kept.items():
        assert contacts.remove(name) == address
    assert Contacts.load(path, "bean").items() == []
