"""Names of those who act: when two names are one person's, which look alike, and how an actor came.

Four eyes are worth what names are worth. Two names are one person's when they look the same: width, letter case, space,
accents of Latin, Greek and Cyrillic letters, punctuation, and letters of other scripts that look like Latin ones make
no second person (skeletons after Unicode UTS 39, with the subset of its confusables below). A new name keeps to one
script. Does not belong here: tokens and their checks (access), what somebody may do (decisions.policy).
"""

import os
import pwd
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from zentra_pipeline.errors import RefusedError, UsageError

# What looks like a Latin letter, after NFKC and case folding; `verify` has a copy, and a test holds the two together.
CONFUSABLES: Final = str.maketrans(
    dict(zip("АВЕЅІЈКМНОРСТУХҮԌԚԜѴ", "ABESIJKMHOPCTYXYGQWV", strict=True))
    | dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹ", "ABEZHIKMNOPTYXC", strict=True))
    | dict(zip("авекнорстухѕіјһԁԛԝгѵьзёӏґҝԍԑпɡʟƽı", "abekhopctyxsijhdqwrvb3elrkgengls" + "i", strict=True))
    | dict(zip("αβγεηικνορτυχωζϲϳѡσ", "abyenikvoptuxwzcjwo", strict=True))
    | dict(zip("աոսօհյցգլքքվ", "wnuohjggjppu", strict=True))
    | {"0": "o", "1": "l", "I": "l", "|": "l", "m": "rn", "м": "rn"}
    | {"ӕ": "ae", "æ": "ae", "œ": "oe", "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t"}
)
_ACCENTS: Final = range(0x0300, 0x0370)
# Scripts that are written together.
_TOGETHER: Final = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA", "LATIN"}),
    frozenset({"CJK", "HANGUL", "LATIN"}),
    frozenset({"CJK", "BOPOMOFO", "LATIN"}),
)


@dataclass(frozen=True)
class Origin:
    """How an actor came: `command_line` with the operating system's user, `token` with its id, or `program`.

    `in_place_of` is who is absent, where policy lets the actor act for them.
    """

    via: str = "program"
    os_user: str | None = None
    token_id: str | None = None
    in_place_of: str | None = None

    @property
    def is_token(self) -> bool:
        return self.via == "token"

    def content(self) -> dict[str, Any]:
        """What the log keeps beside a decision."""
        return {name: value for name, value in vars(self).items() if value is not None}


PROGRAM: Final = Origin()


def command_line() -> Origin:
    """The origin of what this process's user asks for; the name is the system's, not one that they chose."""
    return Origin("command_line", os_user=_os_user())


def _os_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without an entry
        return f"uid {os.getuid()}"


def skeletons(name: str) -> tuple[str, str, str]:
    """What a name looks like as written, in small and in capital letters."""
    normal = unicodedata.normalize("NFKC", name)
    return _skeleton(normal), _skeleton(normal.casefold()), _skeleton(normal.upper())


def _skeleton(written: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", written) if ord(c) not in _ACCENTS)
    looks = "".join(plain.translate(CONFUSABLES).translate(CONFUSABLES).split())
    return "".join(c for c in looks if unicodedata.category(c)[0] not in "PSC") or looks


def same_person(one: str, other: str) -> bool:
    """Whether two names are one actor's, which are names that look the same in any of these forms."""
    return any(own == others for own, others in zip(skeletons(one), skeletons(other), strict=True))


def look_alike(name: str, known: Iterable[str]) -> str | None:
    """The first known name that looks like this one and is written otherwise; letter case, width and space aside."""
    folded = _folded(name)
    others = list(known)
    if any(_folded(other) == folded for other in others):
        return None
    return next((other for other in others if same_person(name, other)), None)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def check_new(name: str, known: Iterable[str]) -> None:
    """Refuse a name that nobody has yet when it mixes scripts (UsageError) or looks like a known one (RefusedError)."""
    others = list(known)
    if name in others:
        return
    found = scripts(name)
    if len(found) > 1 and not any(found <= together for together in _TOGETHER):
        raise UsageError(
            f"actor {_shown(name)} mixes letters of {' and '.join(sorted(each.title() for each in found))}: "
            "write the name in one script"
        )
    other = look_alike(name, others)
    if other is not None:
        raise RefusedError(
            f"actor {_shown(name)} looks like {_shown(other)}, who acts here already, and is written otherwise: "
            "write the name as it was first written, or choose one that differs more"
        )


def scripts(name: str) -> frozenset[str]:
    """The scripts of a name's letters, as the Unicode names of characters begin: LATIN, CYRILLIC, GREEK, CJK, …"""
    letters = (character for character in unicodedata.normalize("NFKC", name) if character.isalpha())
    return frozenset(unicodedata.name(letter, "UNKNOWN").split()[0].split("-")[0] for letter in letters)


def _shown(name: str) -> str:
    """A name with its letters beyond ASCII spelled out, to distinguish it from its look-alike."""
    odd = [f"U+{ord(character):04X}" for character in name if not character.isascii()]
    return f"{name!r} ({', '.join(odd[:4])})" if odd else repr(name)
