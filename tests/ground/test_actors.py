"""When two names are one person's, and which names nobody new may take."""

import pytest

from zentra_pipeline import actors
from zentra_pipeline.errors import RefusedError, UsageError


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ana", "\u0430na"),  # a Cyrillic a
        ("ana", "\u0430\u0438\u0430".replace("\u0438", "n")),
        ("Ana", "\u03b1na"),  # a Greek alpha
        ("bob", "\u0412\u041e\u0412"),  # Cyrillic capitals
        ("ana", "\u0391\u039d\u0391"),  # Greek capitals
        ("alice", "a1ice"),
        ("mark", "rnark"),
        ("IVAN", "\u0406VAN"),
        ("jose", "Jos\u00e9"),
        ("ana", "\uff41\uff4e\uff41"),  # full width
        ("ana ", " ANA"),
        ("strasse", "Stra\u00dfe"),
        ("bob0", "bobo"),
        ("olga", "olga_"),
        ("j.doe", "j-doe"),
        ("olga", "ol\u200bga"),
        ("o\u2019neil", "oneil"),
    ],
)
def test_names_that_look_the_same_are_one_person(one: str, other: str) -> None:
    assert actors.same_person(one, other)
    assert actors.same_person(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ana", "ann"),
        ("Ian", "Lan"),
        ("mia", "mla"),
        ("Ali", "All"),
        ("approver_1", "approver_2"),
        ("ana", "anna"),
        ("__", "--"),
    ],
)
def test_names_that_look_different_are_two(one: str, other: str) -> None:
    assert not actors.same_person(one, other)


def test_a_new_name_keeps_to_one_script_and_looks_like_nobody_known() -> None:
    for name in ("ana", "ANA", "\u7530\u4e2d Hiroshi", "\u0418\u0432\u0430\u043d", "o'neil-2", "ben"):
        actors.check_new(name, ["ana"])
    with pytest.raises(UsageError, match=r"mixes letters of Cyrillic and Latin"):
        actors.check_new("\u0430na", ["ana"])
    with pytest.raises(RefusedError, match=r"'\u0430\u0441\u0430' \(U\+0430, U\+0441, U\+0430\) looks like 'aca'"):
        actors.check_new("\u0430\u0441\u0430", ["aca"])
    with pytest.raises(RefusedError, match="looks like"):
        actors.check_new("a1ice", ["alice"])
    with pytest.raises(RefusedError, match=r"'olga_' looks like 'olga'"):
        actors.check_new("olga_", ["olga"])
    actors.check_new("\u0430na", ["ana", "\u0430na"])  # who acts here already goes on


def test_the_command_line_names_the_user_of_the_system() -> None:
    origin = actors.command_line()
    assert origin.content().keys() == {"via", "os_user"}
    assert origin.via == "command_line"
    assert not origin.is_token


def test_names_that_differ_in_space_alone_are_one_person_s() -> None:
    assert actors.same_person("ana", "a n a")
    assert actors.same_person("Jo Ann", "joann")
    assert actors.look_alike("a n a", ["ana"]) == "ana"
