"""Checks sealed bundles offline, against pinned keys: this one file, the standard library, cryptography and rfc8785.

    python verify.py BUNDLE --trust FILE [--head FILE]

BUNDLE is a bundle, the folder of a run's or a month's bundles, or the folder of all closeouts. The form is
docs/guides/verify.md's.
Whatever a bundle holds ends as a finding, never as an exception; a package that is not installed ends with exit code 2.
Nothing of the rest of the package belongs here, so that an auditor can read this file and take it away (which is why it
is longer than others); `seal` does the sealing, with hashing code of its own.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import re
import stat
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from operator import le, lt
from pathlib import Path
from typing import Any, Final

PAYLOAD_TYPE: Final = "application/vnd.zentra.closeout+json"
KEY_TYPE: Final = "application/vnd.zentra.key+json"
EXIT_CANNOT_CHECK: Final = 2
EXIT_DOES_NOT_HOLD: Final = 5
PACKAGES: Final = ("cryptography", "rfc8785")
ALL_PROVIDERS: Final = "*"
PERIOD: Final = "period_"

_BLOCK = 1 << 20
_MAX_LINE = 16 << 20
_MAX_DOCUMENT = 64 << 20
_MAX_FILE = 64 << 30
_MAX_ENTRIES = 1000
_MAX_GROUPS = 100_000
_MAX_INTEGER = 2**53 - 1

# Encodings of the y coordinates of the eight points of small order (RFC 8032, curve 25519), signs left out.
_P = 2**255 - 19
_Y8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})


@dataclass(frozen=True)
class Finding:
    """A check and whether it holds; `bundle` is its folder when several were checked, and empty for what joins them."""

    check: str
    holds: bool
    detail: str
    bundle: str = ""


@dataclass(frozen=True)
class Seal:
    """What a bundle's payload says, signed or not: only a report that holds makes it true."""

    bundle: str
    seal_digest: str
    payload: Mapping[str, Any]

    @property
    def sequence(self) -> int:
        return int(self.payload["chain"]["sequence"])

    @property
    def scope(self) -> tuple[str, str]:
        """Tenant and provider whose chain it is in; sign-offs of months are of all providers and have their own."""
        return self.payload["tenant"], self.payload.get("provider", ALL_PROVIDERS)

    @property
    def subject(self) -> str:
        """What is closed, which is the name of its folder: a run, or a month."""
        return str(self.payload["run_id"]) if "run_id" in self.payload else f"{PERIOD}{self.payload['period']}"


@dataclass(frozen=True)
class Report:
    """Everything that was checked, the seals met, what no offline check can show, and what a person should look at."""

    findings: tuple[Finding, ...]
    seals: tuple[Seal, ...]
    limits: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return bool(self.findings) and all(finding.holds for finding in self.findings)


class _FailedError(Exception):
    """A check does not hold; the message says why."""


class MissingPackageError(Exception):
    """Nothing can be checked for want of a package; the message says which, and how to get it."""


def require_packages() -> None:
    """Raise MissingPackageError unless the packages that checking needs can be imported."""
    for package in PACKAGES:
        try:
            if package == "rfc8785":
                import rfc8785  # noqa: F401
            else:
                from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: F401
        except ImportError as cause:
            raise MissingPackageError(
                f"the package {package} is needed to check seals and cannot be imported ({cause}): nothing was "
                f"checked. Install it with `python -m pip install {' '.join(PACKAGES)}`, and check again"
            ) from cause


def verify(bundle: Path, trust: Path | None, head: Path | None = None) -> Report:
    """Check a bundle, or every bundle of a folder and the chain they form; never raises on what the files hold.

    MissingPackageError where this Python lacks a package that checking needs.
    """
    require_packages()
    keys: dict[str, _Key] = {}
    heads: list[Head] = []
    folders: list[tuple[str, Path]] = []

    def pin() -> str:
        keys.update(_pinned(trust))
        return f"{_count(len(keys), 'key')} pinned"

    def publish(path: Path) -> str:
        heads.append(_published(path))
        return f"{'/'.join(heads[0].scope)} up to number {heads[0].last}"

    def find() -> str:
        _require(bundle.is_dir(), f"there is no folder {bundle.name}; a zip has to be unpacked first")
        found, odd = _bundle_folders(bundle)
        folders.extend(found)
        _require(not odd, _odd_names(odd, "among bundles"))
        _require(bool(found), "there is no bundle, which is a folder with a seal.json")
        return _count(len(found), "bundle")

    findings = [_judge("trust", "", pin)]
    findings += [_judge("head_file", "", lambda: publish(head))] if head is not None else []
    single = os.path.lexists(bundle / "seal.json") or os.path.lexists(bundle / "files")
    findings += [] if single else [_judge("bundles", "", find)]
    bundles = [_Bundle(name, folder) for name, folder in ([("", bundle)] if single else folders)]
    for checked in bundles:
        checked.read()
    histories: dict[tuple[str, str], _History] = defaultdict(_History)
    for checked in sorted(bundles, key=_place_in_chain):
        scope = checked.seal.scope if checked.seal is not None else ("", "")
        checked.check(keys, heads[0] if heads and single else None, histories[scope])
    findings += [finding for checked in bundles for finding in checked.findings]
    seals = [checked.seal for checked in bundles if checked.seal is not None]
    if not single:
        is_flat = all("/" not in name for name, _ in folders)
        is_one_run = is_flat and len({(*seal.scope, seal.subject) for seal in seals}) == 1
        findings += _chains(seals, heads[0] if heads else None, is_one_run)
        findings += _periods(bundles, is_one_run)
    warnings = [f"{checked.name}: {text}" if checked.name else text for checked in bundles for text in checked.warnings]
    warnings += _later_windows(bundles)
    warnings += _later_revisions(bundles[0], heads) if single else _tenants_mixed(seals)
    limits = tuple(_limits(single, head is not None))
    return Report(tuple(findings), tuple(seals), limits, tuple(map(_printable, warnings)))


def _place_in_chain(bundle: "_Bundle") -> tuple[tuple[str, str], int]:
    """Bundles whose payload cannot be read come first: they prove nothing to those after them."""
    return (("", ""), 0) if bundle.seal is None else (bundle.seal.scope, bundle.seal.sequence)


def _limits(single: bool, has_head: bool) -> Iterator[str]:
    if has_head:
        yield "A holder of a trusted key could have sealed other contents before the head was published."
    else:
        yield (
            "A holder of a trusted key can seal other contents again, or leave out the newest bundles: "
            "have heads published elsewhere, and pass one with --head."
        )
    if single:
        yield "Other bundles were not looked at: check the folder of all closeouts to see gaps and forks."
    yield (
        "sealed_at is the sealer's own clock, and what was signed is what the sealer saw: whether inputs are true or "
        "complete shows only where they are rebuilt from what providers and ledger retain."
    )


def _judge(check: str, bundle: str, judge: Callable[[], str]) -> Finding:
    try:
        holds, detail = True, judge()
    except _FailedError as failed:
        holds, detail = False, str(failed)
    except Exception as fault:  # whatever hostile bytes provoke is a finding
        holds, detail = False, f"cannot be read ({type(fault).__name__}: {fault})"
    detail = detail if len(detail) <= 400 else detail[:400] + "…"
    return Finding(check, holds, _printable(detail), _printable(bundle))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _count(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise _FailedError(why)


def _require_text(content: bytes) -> None:
    if not content.isascii():
        content.decode("utf-8")  # refuses what is no UTF-8


# Strict JSON and forms ------------------------------------------------------------------------------------------------


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    _require(len(value) == len(pairs), "a key appears twice in an object")
    return value


def _no_float(word: str) -> None:
    raise _FailedError(f"{_shown(word)} is a number with a fraction or exponent, which has no place here")


def _integer(word: str) -> int:
    _require(len(word) <= 17 and abs(int(word)) <= _MAX_INTEGER, f"{_shown(word)} is an integer beyond 2^53")
    return int(word)


_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float, parse_int=_integer
).decode
_LOOSE = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float).decode
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False).encode


def _canonical(content: bytes, what: str) -> Any:
    """The value of RFC 8785 bytes; anything that is JSON in another spelling is refused."""
    import rfc8785

    value = _STRICT(content.decode("utf-8"))
    # Of plain ASCII the standard encoder makes the same bytes, much faster; it would sort some other keys differently.
    again = _ENCODE(value).encode() if content.isascii() else rfc8785.dumps(value)
    _require(again == content, f"{what} is not canonical JSON (RFC 8785)")
    return value


_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")
_HEX = re.compile(r"[0-9a-f]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_MINOR = re.compile(r"0|-?[1-9][0-9]{0,37}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_FILE = re.compile(r"files/[a-z][a-z0-9_]{0,63}\.[a-z]{1,8}")
_ATTACHED = re.compile(r"attachments/[0-9a-f]{64}")
_ENVELOPE: dict[Any, Any] = {
    "payloadType": PAYLOAD_TYPE,
    "payload": _BASE64,
    "signatures": [{"keyid": _HEX, "sig": _BASE64}],
}
_PAYLOAD: dict[Any, Any] = {
    "type": "zentra.closeout",
    "version": 1,
    **dict.fromkeys(("closeout_id", "tenant", "provider", "settlement_file", "run_id", "owner", "scope"), _TEXT),
    **dict.fromkeys(("actor", "prepared_by", "approved_by"), _TEXT),
    **dict.fromkeys(("as_of", "sealed_at", "prepared_at", "approved_at"), _INSTANT),
    **dict.fromkeys(("closeout_revision", "run_revision", "evidence_rows"), int),
    "ledger_window": _DAY,
    "policy": {
        "name": "closeout",
        "digest": _HEX,
        "result": "passed",
        "checks": [{"name": _TEXT, "result": ("passed", "accepted"), "detail": str}],
    },
    "has_activity": bool,
    "evidence_root": _HEX,
    "evidence_status": ("audit_ready", "incomplete"),
    "files": {_FILE: {"sha256": _HEX, "size": int}},
    "digests": {"inputs": _HEX, "rules": _HEX, "code": _HEX},
    "chain": {"sequence": int, "previous_seal": (_HEX, None)},
    "amends": (None, {"closeout_id": _TEXT, "seal_digest": _HEX, "reason": str}),
}
_BANK = {
    "account": _TEXT,
    "payouts": [
        {"provider": _TEXT, "run_id": _TEXT, "revision": int, "closeout_id": (_TEXT, None), "seal_digest": (_HEX, None)}
    ],
}
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
_OF_A_MONTH = ("closeout_id", "tenant", "scope", "actor", "prepared_by", "approved_by", "closeout_revision")
_PERIOD_PAYLOAD: dict[Any, Any] = {
    **{name: _PAYLOAD[name] for name in (*_OF_A_MONTH, "sealed_at", "prepared_at", "approved_at")},
    **{name: _PAYLOAD[name] for name in ("evidence_root", "evidence_rows", "files", "chain", "amends")},
    "type": "zentra.period_closeout",
    "version": 1,
    "period": _MONTH,
    "policy": {**_PAYLOAD["policy"], "name": "period_closeout"},
    "digests": {"code": _HEX},
}
# Version 2 names the place in the log of the last decision it includes, and lists what was written off; version 3 has
# decisions to which files are attached, by digest; version 4 is of a bank account, and names the runs of providers
# whose payouts it judged, with their seals where they had any.
_PAYLOADS: dict[Any, dict[Any, Any]] = {
    ("zentra.closeout", 1): _PAYLOAD,
    ("zentra.closeout", 2): {**_PAYLOAD, "version": 2, "log_position": int},
    ("zentra.closeout", 3): {**_PAYLOAD, "version": 3, "log_position": int},
    ("zentra.closeout", 4): {**_PAYLOAD, "version": 4, "log_position": int, "bank": _BANK},
    ("zentra.period_closeout", 1): _PERIOD_PAYLOAD,
}
_KEY_RECORD: dict[Any, Any] = {
    "keyid": _HEX,
    "public_key": _BASE64,
    "valid_from": _INSTANT,
    "valid_until": (_INSTANT, None),
    "signed_by": (_HEX, None),
    "signature": (_BASE64, None),
}
_KEYS = {"version": 1, "keys": [_KEY_RECORD]}
_HEAD = {
    "version": 1,
    "tenant": _TEXT,
    "provider": _TEXT,
    "seals": [{"sequence": int, "closeout_id": _TEXT, "seal_digest": _HEX}],
}
_ROLLFORWARD = ("opening_minor", "posted_minor", "settled_minor", "written_off_minor", "closing_minor")
_TOTALS: dict[Any, Any] = {
    "evidence": {"rows": int},
    **{name: [dict] for name in ("matches", "exceptions", "open_items", "conservation", "three_way")},
    **dict.fromkeys(("decisions", "events"), int),
    "rollforward": [{"currency": _CURRENCY, **dict.fromkeys((*_ROLLFORWARD, "difference_minor"), _MINOR)}],
}
_FLOWS = ("posted_minor", "settled_minor", "written_off_minor")
_STATEMENT = dict.fromkeys(("opening_minor", *_FLOWS, "between_minor", "closing_minor"), _MINOR)
_PERIOD_TOTALS: dict[Any, Any] = {
    "windows": int,
    "providers": [{"provider": _TEXT, "currency": _CURRENCY, "windows": int, **_STATEMENT}],
    "currencies": [{"currency": _CURRENCY, "windows": int, **_STATEMENT}],
}
_WINDOW: dict[Any, Any] = {
    **dict.fromkeys(("provider", "settlement_file", "run_id", "closeout_id", "prepared_by", "approved_by"), _TEXT),
    **dict.fromkeys(("place", "closeout_revision", "chain_sequence", "evidence_rows"), int),
    **dict.fromkeys(("evidence_root", "seal_digest"), _HEX),
    "evidence_status": ("audit_ready", "incomplete"),
    "has_activity": bool,
    "ledger_window": _DAY,
    "sealed_at": _INSTANT,
    "rollforward": _TOTALS["rollforward"],
}
# What a sign-off repeats of a window's payload.
_CITED = (
    *("closeout_id", "closeout_revision", "provider", "settlement_file", "ledger_window", "run_id", "evidence_root"),
    *("evidence_rows", "evidence_status", "has_activity", "sealed_at", "prepared_by", "approved_by"),
)
_CHANGE: dict[Any, Any] = {
    **dict.fromkeys(("provider", "run_id"), _TEXT),
    "ledger_window": _DAY,
    **dict.fromkeys(("before", "after"), (_TEXT, None)),
}
_HEADS: dict[Any, Any] = {"heads": [{"provider": _TEXT, "closeout_id": _TEXT, "sequence": int, "seal_digest": _HEX}]}
_GAP: dict[Any, Any] = {
    "missing": [str],
    "rows": int,
    "examples": [dict.fromkeys(("provider_reference", "settlement_file", "ledger_entry"), (str, None))],
}
_WRITE_OFF_SUM: dict[Any, Any] = {"item_type": _WORD, "currency": _CURRENCY, "items": int, "amount_minor": _MINOR}
_TOTALS_2: dict[Any, Any] = {**_TOTALS, "write_offs": [_WRITE_OFF_SUM], "evidence": {"rows": int, "gaps": [_GAP]}}
_NULLABLE = (str, None)
_EXCEPTION: dict[Any, Any] = {
    **dict.fromkeys(("exception_id", "run_id", "subject_id"), str),
    **dict.fromkeys(("subject_type", "exception_type", "severity", "status"), _WORD),
    **dict.fromkeys(("provider_reference", "currency", "owner", "lane", "due_at", "opened_at"), _NULLABLE),
    **dict.fromkeys(("amount_minor", "difference_minor"), (_MINOR, None)),
    **dict.fromkeys(("resolution", "explanation"), _NULLABLE),
    "candidates": ([dict], None),
}
_OPEN_ITEM: dict[Any, Any] = {
    "item_type": _WORD,
    "item_id": str,
    "currency": _CURRENCY,
    "amount_minor": _MINOR,
    **dict.fromkeys(("provider_reference", "opened_window", "aging_bucket", "item_state"), _NULLABLE),
    "age_business_days": (int, None),
}
_DECISION: dict[Any, Any] = {
    **dict.fromkeys(("decision_id", "run_id", "action", "actor"), _TEXT),
    "decided_at": _INSTANT,
    **dict.fromkeys(("exception_id", "reason", "result", "owner", "resolution"), _NULLABLE),
    "policy": (str, dict, None),
}
_DECISION_2: dict[Any, Any] = {
    **_DECISION,
    "log_position": int,
    **dict.fromkeys(("origin", "approval"), (dict, None)),
}
_ATTACHMENT: dict[Any, Any] = {"sha256": _HEX, "name": _TEXT, "media_type": _TEXT, "size": int}
_DECISIONS: dict[int, dict[Any, Any]] = {
    1: _DECISION,
    2: _DECISION_2,
    3: {**_DECISION_2, "attachment": (_ATTACHMENT, None)},
    4: {**_DECISION_2, "attachment": (_ATTACHMENT, None)},
}
_WRITE_OFF: dict[Any, Any] = {
    "item_type": _WORD,
    **dict.fromkeys(("item_id", "exception_id", "decision_id"), _TEXT),
    "currency": _CURRENCY,
    "amount_minor": _MINOR,
    **dict.fromkeys(("provider_reference", "opened_window"), _NULLABLE),
}
_SYSTEM_RESOLUTIONS = frozenset({"matched_late", "superseded"})
_BY_MATCH = "matched_manually"
_MANUAL = b"manual"


def _fit(value: Any, form: Any, where: str) -> None:
    """Refuse a value not of its form: exact keys, `{pattern: each}`, `[each]`, `(one, of)`, pattern, type, literal."""
    if isinstance(form, tuple):
        fits = any(_fits(value, option, where) for option in form)
    elif isinstance(form, re.Pattern):
        fits = isinstance(value, str) and form.fullmatch(value) is not None
    elif isinstance(form, list):
        fits = isinstance(value, list)
        for position, element in enumerate(value if fits else ()):
            _fit(element, form[0], f"{where}[{position}]")
    elif isinstance(form, dict):
        fits = isinstance(value, dict)
        for key, member in _members(value, form, where) if fits else ():
            _fit(value[key], member, f"{where}.{key}")
    elif isinstance(form, type):
        fits = type(value) is form
    else:
        fits = type(value) is type(form) and value == form
    if not fits:
        raise _FailedError(f"{where} is {_shown(value)}, which is not of its form")


def _members(value: dict[str, Any], form: dict[Any, Any], where: str) -> Iterable[tuple[str, Any]]:
    """Keys of an object with the forms their values must have."""
    ((name, each), *_) = form.items()
    forms = {key: each for key in value if name.fullmatch(key)} if isinstance(name, re.Pattern) else form
    odd = sorted(value.keys() ^ forms.keys())
    _require(not odd, f"{where} has not the keys it should have: {_shown(odd[:3])}")
    return forms.items()


def _fits(value: Any, form: Any, where: str) -> bool:
    try:
        _fit(value, form, where)
    except _FailedError:
        return False
    return True


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


# Keys -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Key:
    """A key to be believed between two instants, and why."""

    public: bytes
    valid_from: datetime
    valid_until: datetime | None
    why: str
    is_limited: bool = False  # to the time of a retired signer, for nothing shows that it was signed within it

    def is_valid_at(self, at: datetime) -> bool:
        return self.valid_from <= at and (self.valid_until is None or at <= self.valid_until)


def pae(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _is_sound(public: bytes) -> bool:
    """Whether bytes are a public key in canonical form and not of small order, for which anyone could sign."""
    y = int.from_bytes(public, "little") & ((1 << 255) - 1)
    return len(public) == 32 and y < _P and y not in _SMALL_ORDER_Y


def signature_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature holds (RFC 8032); a key off the canonical form or of small order signs nothing."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not _is_sound(public) or len(signature) != 64:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _bytes_of(text: str, what: str) -> bytes:
    content = base64.b64decode(text, validate=True)
    _require(base64.b64encode(content).decode() == text, f"{what} is not canonical base64")
    return content


def _key(record: Mapping[str, Any], why: str) -> _Key:
    public, name = _bytes_of(record["public_key"], "public_key"), record["keyid"][:12]
    _require(len(public) == 32, f"the public key of {name}… has not 32 bytes")
    _require(hashlib.sha256(public).hexdigest() == record["keyid"], f"keyid {name}… is of another key")
    _require(_is_sound(public), f"key {name}… is of small order: anyone can sign for it")
    until = None if record["valid_until"] is None else _instant(record["valid_until"])
    return _Key(public, _instant(record["valid_from"]), until, why)


def _check_rotation(record: Mapping[str, Any], key: _Key, signer: _Key) -> None:
    """Refuse a record that its signer did not sign, or not while it was valid itself."""
    import rfc8785

    signed = rfc8785.dumps({name: record[name] for name in ("keyid", "public_key", "valid_from", "signed_by")})
    signature, name = _bytes_of(record["signature"] or "", "signature"), record["keyid"][:12]
    holds = signature_holds(signer.public, signature, pae(KEY_TYPE, signed))
    _require(holds, f"key {name}… is not signed by its signer")
    _require(signer.is_valid_at(key.valid_from), f"key {name}… begins when its signer is not valid")


def _pinned(trust: Path | None) -> dict[str, _Key]:
    if trust is None:
        raise _FailedError("no key is pinned: pass the trust file that was handed out, with --trust")
    content = _STRICT(_read_document(trust).decode("utf-8"))
    _fit(content, _KEYS, "trust")
    keys: dict[str, _Key] = {}
    for record in content["keys"]:
        _require(record["keyid"] not in keys, f"key {record['keyid'][:12]}… appears twice")
        keys[record["keyid"]] = _key(record, "pinned")
    _require(bool(keys), "no key is pinned: the trust file is empty")
    for record in content["keys"]:
        if record["signed_by"] in keys:  # a signer may have been struck off the file
            _check_rotation(record, keys[record["keyid"]], keys[record["signed_by"]])
    return keys


@dataclass
class _History:
    """What the seals of a chain so far have shown: the latest time of one, and keys that were vouched for in time."""

    latest: datetime | None = None
    vouched: set[str] = field(default_factory=set)


def _accept_rotations(records: Sequence[Mapping[str, Any]], keys: dict[str, _Key], vouched: set[str]) -> str:
    """Add keys that known ones signed, one after the other; records of unknown signers are left alone.

    A signer whose time is over could sign a successor today and date it back. So a key that is not pinned itself is
    believed beyond its signer's end only when an earlier seal of the chain, made within it, vouches for it already.
    """
    left, accepted = list(records), 0
    while usable := [record for record in left if record["signed_by"] in keys]:
        for record in usable:
            left.remove(record)
            signer = keys[record["signed_by"]]
            key = _key(record, f"signed by {record['signed_by'][:12]}…")
            _check_rotation(record, key, signer)
            if record["keyid"] not in keys:
                keys[record["keyid"]] = key if record["keyid"] in vouched else _limited(key, signer)
                accepted += 1
    known = f"{_count(accepted, 'key')} accepted because a trusted key signed it"
    return f"{known}; {len(left)} of unknown signers not used" if left else known


def _limited(key: _Key, signer: _Key) -> _Key:
    """A key that can do no more than its signer, where the signer's end is known to whoever pinned it."""
    is_retired = signer.is_limited or (signer.why == "pinned" and signer.valid_until is not None)
    if not is_retired or signer.valid_until is None:
        return key
    if key.valid_until is not None and key.valid_until <= signer.valid_until:
        return key
    return _Key(key.public, key.valid_from, signer.valid_until, key.why, is_limited=True)


# The published head ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """Seals of a tenant and provider as published elsewhere: all of them, or only the last."""

    scope: tuple[str, str]
    seals: Mapping[int, tuple[str, str]]

    @property
    def last(self) -> int:
        return max(self.seals)


def _published(path: Path) -> Head:
    content = _STRICT(_read_document(path).decode("utf-8"))
    _fit(content, _HEAD, "head")
    seals = {seal["sequence"]: (seal["closeout_id"], seal["seal_digest"]) for seal in content["seals"]}
    sequences = [seal["sequence"] for seal in content["seals"]]
    is_whole = bool(sequences) and sequences == list(range(1, len(sequences) + 1))
    _require(is_whole or (len(sequences) == 1 and sequences[0] > 0), "it names no seal, has a gap, or is out of order")
    return Head((content["tenant"], content["provider"]), seals)


def _agree_with_head(seal: Seal, head: Head) -> str:
    own, published = "/".join(seal.scope), "/".join(head.scope)
    number, last, previous = seal.sequence, head.last, head.seals.get(seal.sequence - 1)
    _require(own == published, f"the head is of {published}, the bundle of {own}")
    _require(number <= last, f"the head ends at {last}, before number {number}: a fork, or a head too old")
    _require(number in head.seals, f"the head has only number {last}: check the folder of all closeouts with it")
    is_same = head.seals[number] == (seal.payload["closeout_id"], seal.seal_digest)
    _require(is_same, f"another seal was published as number {number}: this one was sealed again")
    follows = previous is None or seal.payload["chain"]["previous_seal"] == previous[1]
    _require(follows, f"number {number} was published after another seal than it names")
    return f"this seal is number {number} of the {last} published"


# Reading files --------------------------------------------------------------------------------------------------------


def _read(path: Path, limit: int) -> Iterator[bytes]:
    """Blocks of a regular file of at most `limit` bytes; a link is not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        _require(stat.S_ISREG(os.fstat(descriptor).st_mode), f"{path.name} is not a regular file")
        size = 0
        while block := stream.read(_BLOCK):
            size += len(block)
            _require(size <= limit, f"{path.name} is longer than the {limit:,} bytes it may have")
            yield block


def _read_document(path: Path) -> bytes:
    """A whole file that its user named, so a link is followed."""
    return b"".join(_read(path.resolve(), _MAX_DOCUMENT))


class _Lines:
    """Takes a file block by block and gives on its whole lines, ends included."""

    rows = 0

    def take(self, lines: bytes) -> None:
        raise NotImplementedError

    def take_all(self, blocks: Iterable[bytes]) -> None:
        rest = b""
        for block in blocks:
            content = rest + block
            whole = content.rfind(b"\n") + 1
            rest = content[whole:]
            _require(len(rest) <= _MAX_LINE, "a line is too long")
            if whole:
                self.take(content[:whole])
        _require(not rest, "the last line has no end")


class _Document:
    """Takes a file that is one canonical JSON object."""

    value: Any = None

    def take_all(self, blocks: Iterable[bytes]) -> None:
        content = bytearray()
        for block in blocks:
            content += block
            _require(len(content) <= _MAX_DOCUMENT, "it is too long")
        self.value = _canonical(bytes(content), "it")
        _require(isinstance(self.value, dict), "it is not an object")


# Canonical JSON text, and lines of one form: a line that matches has exactly these columns, in the canonical order.
_STRING = rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f])))*+"'
_STRING_OR_NULL = rb"(?:" + _STRING + rb"|null)"
_MINOR_GROUP = rb'(?:"(0|-?[1-9][0-9]{0,37}+)"|null)'
_WORD_GROUP = rb'"([a-z][a-z0-9_]{0,63}+)"'
_IDS = rb"\[(?:" + _STRING + rb"(?:," + _STRING + rb")*+)?+\]"


def _line_of(columns: Mapping[str, bytes]) -> bytes:
    members = (b'"%s":%s' % (name.encode(), columns[name]) for name in sorted(columns))
    return rb"\{" + b",".join(members) + rb"\}\n"


def _check_order(rows: Sequence[Any], last: Any, in_order: Callable[[Any, Any], bool]) -> Any:
    """Refuse rows out of order, the last one of the block before included; returns the last one."""
    is_sorted = in_order(last, rows[0]) and all(map(in_order, rows, rows[1:]))
    _require(is_sorted, f"rows are out of order, or repeated, between {_shown(rows[0])} and {_shown(rows[-1])}")
    return rows[-1]


class _Leaves(_Lines):
    """Takes lines in ascending order and works out their RFC 6962 root."""

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = []  # of each level of the tree the node that waits for its right neighbour
        self._last = b""

    def add(self, leaves: Sequence[bytes]) -> None:
        self._last = _check_order(leaves, self._last, le)
        self.rows += len(leaves)
        nodes, level = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves], 0
        while nodes:
            if level == len(self._levels):
                self._levels.append([])
            nodes = self._levels[level] + nodes
            self._levels[level] = nodes[len(nodes) & ~1 :]
            pairs = zip(nodes[::2], nodes[1::2], strict=False)
            nodes, level = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs], level + 1

    def root(self) -> str:
        waiting = [node for nodes in self._levels for node in nodes]  # the rightmost first
        if not waiting:
            return hashlib.sha256(b"").hexdigest()
        node, *lefts = waiting
        for left in lefts:
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node.hex()


class _Evidence(_Leaves):
    """Takes evidence rows of a run: the root over their lines, and how many are audit_ready."""

    def __init__(self, run_id: str, closeout_statuses: Iterable[str]) -> None:
        texts = ("provider_reference", "settlement_file", "ledger_entry", "exception_owner", "actor", "scope", "policy")
        line = _line_of(
            dict.fromkeys((*texts, "intent_id", "signature", "evidence_status"), _STRING_OR_NULL)
            | {"run_id": re.escape(_ENCODE(run_id).encode())}
            | {
                "closeout_status": rb"(?:"
                + b"|".join(b'"%s"' % status.encode() for status in closeout_statuses)
                + rb")"
            }
        )
        self._line, self._block = re.compile(line), re.compile(rb"(?:" + line + rb")*+")
        self.audit_ready = 0
        super().__init__()

    def take(self, lines: bytes) -> None:
        _require_text(lines)
        leaves = lines.split(b"\n")[:-1]
        if self._block.fullmatch(lines) is None:
            bad = next(number for number, leaf in enumerate(leaves) if self._line.fullmatch(leaf + b"\n") is None)
            raise _FailedError(
                f"line {self.rows + bad + 1:,} is not a canonical row of this closeout: {_shown(leaves[bad])}"
            )
        self.add(leaves)
        self.audit_ready += lines.count(b'"evidence_status":"audit_ready"')  # within a text its quotes are escaped


class _Windows(_Leaves):
    """Takes the windows that a month's sign-off cites; `cited` by closeout."""

    def __init__(self, period: str) -> None:
        super().__init__()
        self._period, self.cited = period, dict[str, Mapping[str, Any]]()

    def take(self, lines: bytes) -> None:
        leaves = lines.split(b"\n")[:-1]
        for number, leaf in enumerate(leaves, start=self.rows + 1):
            window = _canonical(leaf, f"line {number:,}")
            _fit(window, _WINDOW, f"line {number:,}")
            is_within = window["ledger_window"].startswith(f"{self._period}-")
            _require(is_within, f"line {number:,} is of {window['ledger_window']}, outside of {self._period}")
            _require(window["closeout_id"] not in self.cited, f"{window['closeout_id']} is cited twice")
            self.cited[window["closeout_id"]] = window
        self.add(leaves)

    @property
    def by_run(self) -> dict[tuple[str, str, str], str]:
        """The closeout cited of each run."""
        return {(row["provider"], row["ledger_window"], row["run_id"]): name for name, row in self.cited.items()}


@dataclass
class _Sums:
    """Counts and sums by group, as control totals state them."""

    names: tuple[str, ...]
    count: str
    amounts: tuple[str, ...] = ()
    groups: "defaultdict[tuple[str, ...], list[int]]" = field(init=False)

    def __post_init__(self) -> None:
        self.groups = defaultdict(lambda: [0] * (1 + len(self.amounts)))

    def add(self, group: tuple[str, ...], amounts: Iterable[int], count: int = 1) -> None:
        sums = self.groups[group]
        for position, amount in enumerate((count, *amounts)):
            sums[position] += amount
        _require(len(self.groups) <= _MAX_GROUPS, "too many groups")

    def rows(self) -> list[dict[str, Any]]:
        return [
            dict(zip(self.names, group, strict=True))
            | {self.count: count}
            | dict(zip(self.amounts, map(str, amounts), strict=True))
            for group, (count, *amounts) in sorted(self.groups.items())
        ]


class _Matches(_Lines):
    """Adds up matches: `settled` of the ledger in this run, by currency; `by_operators`: items of each by decision."""

    _LINE = re.compile(
        rb"(?m)^"
        + _line_of(
            dict.fromkeys(("cardinality", "method"), _STRING)
            | dict.fromkeys(("settlement_lines", "ledger_transactions", "callbacks"), _IDS)
            | dict.fromkeys(("difference_minor", "ledger_minor", "settlement_minor"), _MINOR_GROUP)
            | dict.fromkeys(("rule", "status"), _WORD_GROUP)
            | dict.fromkeys(("match_id", "run_id"), rb"(" + _STRING + rb")")
            | {"currency": rb'"([A-Z]{3})"', "provider_reference": _STRING_OR_NULL}
        )
    )

    def __init__(self, run_id: str) -> None:
        self.totals = _Sums(("currency", "status"), "matches", ("settlement_minor", "ledger_minor", "difference_minor"))
        self.settled: defaultdict[str, int] = defaultdict(int)
        self.by_operators: list[set[tuple[str, str]]] = []
        self._run, self._last = _ENCODE(run_id).encode(), (b"", b"")

    def take(self, lines: bytes) -> None:
        _require_text(lines)
        rows = self._LINE.findall(lines)
        _require(len(rows) == lines.count(b"\n"), f"a line after {self.rows:,} is not a canonical match")
        self._last = _check_order([(row[3], row[7]) for row in rows], self._last, lt)
        self.rows += len(rows)
        groups: defaultdict[tuple[bytes, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for currency, difference, ledger, _match_id, rule, run_id, settlement, status in rows:
            sums = groups[currency, status, rule, run_id]
            sums[0] += 1
            sums[1] += int(settlement or 0)
            sums[2] += int(ledger or 0)
            sums[3] += int(difference or 0)
        for (currency, status, rule, run_id), (count, *amounts) in groups.items():
            self.totals.add((currency.decode(), status.decode()), amounts, count)
            if status == b"confirmed" and run_id == self._run:
                self.settled[currency.decode()] += amounts[1]
            elif status == b"reversed" and rule != b"amount_date":  # a suggestion taken back had settled nothing
                self.settled[currency.decode()] -= amounts[1]
        if any(rule == _MANUAL for _, _, _, _, rule, *_ in rows):
            found = (json.loads(line) for line in lines.splitlines() if b'"rule":"' + _MANUAL + b'"' in line)
            self.by_operators += [_items(match) for match in found]


def _items(match: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The lines and movements of a match, as exceptions name their subjects."""
    lines = {("settlement_line", line_id) for line_id in match["settlement_lines"]}
    return lines | {("ledger_transaction", transaction_id) for transaction_id in match["ledger_transactions"]}


class _Rows(_Lines):
    """Takes rows of a form and counts them by group; with an `id_name` they must ascend by it."""

    def __init__(self, form: Mapping[str, Any], totals: _Sums | None = None, id_name: str | None = None) -> None:
        self.form, self.totals, self.id_name, self._last = form, totals, id_name, ""

    def take(self, lines: bytes) -> None:
        for line in lines.split(b"\n")[:-1]:
            self.rows += 1
            row = _canonical(line, f"line {self.rows:,}")
            _fit(row, self.form, f"line {self.rows:,}")
            if self.id_name is not None:
                _require(row[self.id_name] > self._last, f"line {self.rows:,} is out of order, or repeats a row")
                self._last = row[self.id_name]
            if self.totals is not None:
                group = tuple(row[name] for name in self.totals.names)
                self.totals.add(group, (int(row[name]) for name in self.totals.amounts))
            self.taken(row)

    def taken(self, row: Mapping[str, Any]) -> None:
        """What else a kind of rows keeps of each."""


class _Decisions(_Rows):
    """Takes decisions: those that ended an exception, by id and by exception; positions of the log ascend."""

    def __init__(self, form: Mapping[str, Any], last_position: int | None) -> None:
        super().__init__(form)
        self.last_position, self._position = last_position, 0
        self.resolving: dict[str, str | None] = {}
        self.resolved: set[str] = set()
        self.attached: dict[str, int] = {}

    def taken(self, row: Mapping[str, Any]) -> None:
        if row.get("attachment") is not None:
            self.attached[row["attachment"]["sha256"]] = int(row["attachment"]["size"])
        if row["result"] == "resolved":
            self.resolving[row["decision_id"]] = row["exception_id"]
            self.resolved.add(row["exception_id"] or "")
        if self.last_position is not None:
            position = row["log_position"]
            ascends = self._position < position <= self.last_position
            _require(ascends, f"line {self.rows:,} has place {position:,} of the log, out of order or after the seal")
            self._position = position


class _Exceptions(_Rows):
    """Takes exceptions; `by_operators` are those that operators ended: id, subject and resolution of each."""

    def __init__(self) -> None:
        super().__init__(_EXCEPTION, _Sums(("exception_type", "status"), "exceptions"), "exception_id")
        self.by_operators: list[tuple[str, tuple[str, str], str]] = []

    def taken(self, row: Mapping[str, Any]) -> None:
        if row["status"] == "resolved" and row["resolution"] not in _SYSTEM_RESOLUTIONS:
            subject = (row["subject_type"], row["subject_id"])
            self.by_operators.append((row["exception_id"], subject, row["resolution"]))


class _WriteOffs(_Rows):
    """Takes what was written off; `decided` names the decision and the exception of each."""

    def __init__(self) -> None:
        super().__init__(_WRITE_OFF, _Sums(("item_type", "currency"), "items", ("amount_minor",)))
        self.decided: list[tuple[str, str]] = []

    def taken(self, row: Mapping[str, Any]) -> None:
        self.decided.append((row["decision_id"], row["exception_id"]))


class _Changes(_Rows):
    """Takes what changed since the sign-off before, and keeps it."""

    def __init__(self, form: Mapping[str, Any]) -> None:
        super().__init__(form)
        self.kept: list[Mapping[str, Any]] = []

    def taken(self, row: Mapping[str, Any]) -> None:
        self.kept.append(row)


class _Events(_Lines):
    """Counts events; their keys are open, and the file's digest holds their bytes."""

    # Objects of plain texts, integers and such objects: what they match is JSON, what they do not is decoded.
    _TEXT = rb'"[^"\\\x00-\x1f]*+"'
    _SCALAR = rb"(?:" + _TEXT + rb"|null|0|-?[1-9][0-9]{0,17}+)"
    _INNER = rb"(?:" + _SCALAR + rb"|\{" + _TEXT + rb":" + _SCALAR + rb"(?:," + _TEXT + rb":" + _SCALAR + rb")*+\})"
    _PLAIN = re.compile(rb"(?:\{" + _TEXT + rb":" + _INNER + rb"(?:," + _TEXT + rb":" + _INNER + rb")*+\}\n)*+")

    def take(self, lines: bytes) -> None:
        _require_text(lines)
        start = 0
        while start < len(lines):
            plain = self._PLAIN.match(lines, start)
            end = plain.end() if plain is not None else start
            self.rows += lines.count(b"\n", start, end)
            if end < len(lines):
                self.rows += 1
                line, end = lines[end : lines.index(b"\n", end)], lines.index(b"\n", end) + 1
                _require(type(_LOOSE(line.decode("utf-8"))) is dict, f"line {self.rows:,} is not a JSON object")
            start = end


# A bundle -------------------------------------------------------------------------------------------------------------

_DOCUMENTS = ("files/control_totals.json", "files/inputs.json", "files/key_rotations.json")
_PERIOD_DOCUMENTS = ("files/control_totals.json", "files/heads.json", "files/key_rotations.json")


class _Bundle:
    """One bundle under check: each method is a check that returns what it found, or refuses."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.findings: list[Finding] = []
        self.seal: Seal | None = None
        self._sizes: dict[str, int] = {}
        self._signed: bytes | None = None
        self._signatures: list[dict[str, str]] = []
        self._signers: list[_Key] = []
        self._takers: dict[str, Any] = {}
        self._faults: dict[str, str] = {}
        self.warnings: list[str] = []
        self._attached: list[str] = []

    def read(self) -> None:
        """The checks that need nothing but the bundle's own bytes."""
        checks: list[tuple[str, Callable[[], str]]] = [
            ("folder", self._list),
            ("envelope", self._open_envelope),
            ("payload", self._read_payload),
            ("files", self._read_files),
        ]
        self.findings += [_judge(check, self.name, judge) for check, judge in checks]

    def check(self, keys: Mapping[str, _Key], head: Head | None, history: _History) -> None:
        """The checks of what was read, after those of the chain's earlier bundles, which `history` holds."""
        known = dict(keys)
        checks: list[tuple[str, Callable[[], str]]] = [
            ("key_rotations", lambda: self._read_rotations(known, history)),
            ("signature", lambda: self._check_signatures(known)),
            ("key", lambda: self._check_key(known, history)),
            ("people", self._check_people),
            ("chain", self._check_chain),
            ("amendment", self._check_amendment),
            ("evidence", self._check_evidence),
            ("evidence_root", self._check_root),
            *(self._of_a_month() if self.is_period else self._of_a_run()),
            *([("attachments", self._check_attachments)] if self._attached else []),
        ]
        if head is not None:
            checks.append(("head", lambda: _agree_with_head(self._sealed, head)))
        self.findings += [_judge(check, self.name, judge) for check, judge in checks]

    def _of_a_run(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("evidence_status", self._check_statuses),
            ("control_totals", self._check_totals),
            ("rollforward", self._check_rollforward),
            *([("decisions", self._check_decisions)] if self.seal is not None and self._is_second else []),
            ("inputs", self._check_inputs),
        ]

    def _of_a_month(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("control_totals", self._check_period_totals),
            ("heads", self._check_heads),
            ("changes", self._check_changes),
        ]

    @property
    def is_period(self) -> bool:
        """Whether it is the sign-off of a month, and not the closeout of a run."""
        return self.seal is not None and "period" in self.seal.payload

    @property
    def _leaves(self) -> Any:
        """What the root is over: rows of evidence, or the windows of a month."""
        return self._taken("files/windows.jsonl" if self.is_period else "files/evidence.jsonl")

    @property
    def cited(self) -> Any:
        """The windows that a month's sign-off cites."""
        return self._taken("files/windows.jsonl")

    @property
    def changes(self) -> Sequence[Mapping[str, Any]]:
        """What a sign-off says that changed since the one before it."""
        rows: Sequence[Mapping[str, Any]] = self._taken("files/changes.jsonl").kept
        return rows

    @property
    def _opened(self) -> bytes:
        """The payload's bytes, signed or not; refused where the envelope could not be opened."""
        if self._signed is None:
            raise _FailedError("cannot be checked, because the envelope is not valid")
        return self._signed

    @property
    def _sealed(self) -> Seal:
        if self.seal is None:
            raise _FailedError("cannot be checked, because the payload is not valid")
        return self.seal

    @property
    def _payload(self) -> Mapping[str, Any]:
        return self._sealed.payload

    @property
    def _is_second(self) -> bool:
        """Whether the bundle is of version 2 or later, which lists write-offs and places of the log."""
        return bool(self._payload["version"] >= 2)

    def _taken(self, name: str) -> Any:
        """What was read of a file; refused where it could not be read."""
        _require(name in self._takers, "cannot be checked, because the payload is not valid")
        _require(name not in self._faults, f"{name}: {self._faults.get(name)}")
        return self._takers[name]

    def _list(self) -> str:
        odd: list[str] = []
        attached = self.folder / "attachments"
        places = [(self.folder, ""), (self.folder / "files", "files/")]
        if attached.is_dir() and not attached.is_symlink():
            places.append((attached, "attachments/"))
        for folder, prefix in places:
            for position, entry in enumerate(os.scandir(folder)):
                _require(position < _MAX_ENTRIES, f"more than {_MAX_ENTRIES} files")
                name = prefix + entry.name
                if entry.is_file(follow_symlinks=False) and (name == "seal.json" or _FILE.fullmatch(name)):
                    self._sizes[name] = entry.stat(follow_symlinks=False).st_size
                elif entry.is_file(follow_symlinks=False) and _ATTACHED.fullmatch(name):
                    self._attached.append(entry.name)
                elif name not in ("files", "attachments") or not entry.is_dir(follow_symlinks=False):
                    odd.append(name)
        _require(not odd, _odd_names(sorted(odd), "in a bundle, which is plain files under plain names"))
        return f"seal.json and {_count(len(self._sizes) - 1, 'file')}, nothing else"

    def _open_envelope(self) -> str:
        content = b"".join(_read(self.folder / "seal.json", _MAX_DOCUMENT))
        envelope = _canonical(content, "seal.json")
        _fit(envelope, _ENVELOPE, "seal.json")
        signers = [signature["keyid"] for signature in envelope["signatures"]]
        _require(0 < len(signers) == len(set(signers)), "each key signs once, and one at least")
        self._signatures = envelope["signatures"]
        self._signed = _bytes_of(envelope["payload"], "the payload")
        return f"a DSSE envelope with {_count(len(signers), 'signature')}"

    def _read_payload(self) -> str:
        signed = self._opened
        payload = _canonical(signed, "the payload")
        kind, version = (payload.get("type"), payload.get("version")) if isinstance(payload, dict) else (None, None)
        form = _PAYLOADS.get((kind, version)) if type(version) is int and isinstance(kind, str) else None
        if form is None:
            known = f"version {_shown(version)} of {_shown(kind)}"
            raise _FailedError(f"{known} is not known to this verifier: get the newer verify.py")
        _fit(payload, form, "payload")
        for name in ("as_of", "sealed_at", "prepared_at", "approved_at", "ledger_window"):
            _instant(payload.get(name, payload["sealed_at"]))  # refuses what is on no calendar
        seal = Seal(self.name, hashlib.sha256(signed).hexdigest(), payload)
        scope = "/".join(seal.scope)
        _require(payload["scope"] == scope, f"scope is {_shown(payload['scope'])}, not {_shown(scope)}")
        is_of_a_run = "run_id" in payload
        has_run = not is_of_a_run or payload["run_revision"] > 0
        _require(has_run or not payload["has_activity"], "activity without a run")
        place = self.folder.absolute()
        if re.fullmatch(r"r[0-9]+", place.name) and place.parent.name.startswith(("run_", PERIOD)):
            own = (seal.subject, f"r{payload['closeout_revision']}")
            _require(own == (place.parent.name, place.name), f"the bundle is {'/'.join(own)}, and lies elsewhere")
        self.seal = seal
        if not is_of_a_run:
            return f"{payload['closeout_id']}, month {payload['period']} of {payload['tenant']}"
        return f"{payload['closeout_id']} of {payload['run_id']}, window {payload['ledger_window']} of {scope}"

    def _read_files(self) -> str:
        listed = self._payload["files"]
        self._takers = self._takers_of_a_month() if self.is_period else self._takers_of_a_run()
        wrong: list[str] = [
            f"{name} is not listed" for name in sorted(self._sizes) if name != "seal.json" and name not in listed
        ]
        for name in sorted({*listed, *self._takers, "files/report.html"}):
            if name not in listed or name not in self._sizes:
                fault: str | None = "is missing" if name in listed else "should be listed"
            elif self._sizes[name] != listed[name]["size"]:
                fault = f"has {self._sizes[name]:,} bytes, and {listed[name]['size']:,} are listed"
            else:
                fault = self._read_file(name, listed[name])
            if fault is not None:
                wrong.append(f"{name} {fault}")
                self._faults.setdefault(name, fault)
        _require(not wrong, "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""))
        return f"{_count(len(listed), 'file')} of the listed size and SHA-256"

    def _takers_of_a_month(self) -> dict[str, Any]:
        return {
            "files/windows.jsonl": _Windows(self._payload["period"]),
            "files/changes.jsonl": _Changes(_CHANGE),
            **{name: _Document() for name in _PERIOD_DOCUMENTS},
        }

    def _takers_of_a_run(self) -> dict[str, Any]:
        is_first = self._payload["closeout_revision"] == 1
        rows = {
            "files/evidence.jsonl": _Evidence(
                self._payload["run_id"], ("sealed",) if is_first else ("sealed", "amended")
            ),
            "files/matches.jsonl": _Matches(self._payload["run_id"]),
            "files/exceptions.jsonl": _Exceptions(),
            "files/open_items.jsonl": _Rows(_OPEN_ITEM, _Sums(("item_type", "currency"), "items", ("amount_minor",))),
            "files/decisions.jsonl": _Decisions(
                _DECISIONS[self._payload["version"]], self._payload.get("log_position")
            ),
            "files/events.jsonl": _Events(),
            **({"files/write_offs.jsonl": _WriteOffs()} if self._is_second else {}),
        }
        return {**rows, **{name: _Document() for name in _DOCUMENTS}}

    def _read_file(self, name: str, listed: Mapping[str, Any]) -> str | None:
        """Read a file once, to hash it and to take what it holds; says why it is not the listed one."""
        digest, taker = hashlib.sha256(), self._takers.get(name)

        def hashed() -> Iterator[bytes]:
            for block in _read(self.folder / name, min(listed["size"], _MAX_FILE)):
                digest.update(block)
                yield block

        blocks = hashed()
        taken = _judge(name, "", lambda: str(taker.take_all(blocks) if taker is not None else None))
        if not taken.holds:
            self._faults[name] = taken.detail
        rest = _judge(name, "", lambda: str(sum(map(len, blocks))))  # hashes what was not taken
        if not rest.holds:
            return rest.detail
        return None if digest.hexdigest() == listed["sha256"] else "has another SHA-256 than is listed"

    def _read_rotations(self, known: dict[str, _Key], history: _History) -> str:
        rotations = self._taken("files/key_rotations.json").value
        _fit(rotations, _KEYS, "key_rotations")
        return _accept_rotations(rotations["keys"], known, history.vouched)

    def _check_signatures(self, known: Mapping[str, _Key]) -> str:
        message, unknown = pae(PAYLOAD_TYPE, self._opened), []
        for signature in self._signatures:
            key = known.get(signature["keyid"])
            if key is None:
                unknown.append(signature["keyid"][:12])
                continue
            holds = signature_holds(key.public, _bytes_of(signature["sig"], "a signature"), message)
            _require(holds, f"the signature of key {signature['keyid'][:12]}… does not hold")
            self._signers.append(key)
        signer = self._signatures[0]["keyid"][:12]
        _require(bool(self._signers), f"no pinned key signed this; {signer}… did, which is not pinned")
        _require(
            not unknown,
            f"{_count(len(unknown), 'more signature')} of keys that are not known ({', '.join(unknown[:3])}…): "
            "somebody added them, or a key has to be pinned; what trusted keys signed is not changed by them",
        )
        digest = hashlib.sha256(self._opened).hexdigest()
        return f"{_count(len(self._signers), 'signature')} of trusted keys over seal {digest[:12]}…"

    def _check_key(self, known: Mapping[str, _Key], history: _History) -> str:
        _require(bool(self._signers), "cannot be checked, because no trusted signature is valid")
        sealed_at = _instant(self._payload["sealed_at"])
        valid = [key for key in self._signers if key.is_valid_at(sealed_at)]
        is_limited = any(key.is_limited for key in self._signers)
        _require(
            bool(valid),
            f"the key is not valid at {self._payload['sealed_at']}, when this was sealed"
            + (
                ": its signer's time was over, and nothing proves that it signed it before; pin it"
                if is_limited
                else ""
            ),
        )
        latest, ends = history.latest, [key.valid_until for key in valid]
        is_late = latest is not None and all(end is not None and end < latest for end in ends)
        _require(not is_late, f"the key's time was over before an earlier seal of this chain was made, {latest}")
        self._remember(known, history, sealed_at)
        return f"valid when this was sealed, {self._payload['sealed_at']}; {valid[0].why}"

    def _remember(self, known: Mapping[str, _Key], history: _History, sealed_at: datetime) -> None:
        """Let later seals of the chain know what this one, which is trusted, shows of time and of keys."""
        history.latest = max(sealed_at, history.latest or sealed_at)
        rotations = self._takers.get("files/key_rotations.json")
        if rotations is None or "files/key_rotations.json" in self._faults or "files" in self._failed():
            return
        for record in rotations.value["keys"]:
            signer = known.get(record["signed_by"] or "")
            is_in_time = signer is not None and (signer.valid_until is None or history.latest <= signer.valid_until)
            if is_in_time and record["keyid"] in known:
                history.vouched.add(record["keyid"])

    def _failed(self) -> set[str]:
        return {finding.check for finding in self.findings if not finding.holds}

    def _check_people(self) -> str:
        prepared, approved = self._payload["prepared_by"], self._payload["approved_by"]
        _require(prepared.strip().casefold() != approved.strip().casefold(), f"{approved} prepared and approved it")
        _require(self._payload["actor"] == approved, "the actor is not who approved it")
        if _looks_like(prepared, approved):
            self.warnings.append(
                f"prepared by {_spelled(prepared)} and approved by {_spelled(approved)}: the names look alike; make "
                "sure that they are two people"
            )
        return f"prepared by {prepared}, approved by {approved}"

    def _check_chain(self) -> str:
        chain = self._payload["chain"]
        sequence, previous = chain["sequence"], chain["previous_seal"]
        _require(sequence > 0, "a chain begins with sequence 1")
        _require((sequence == 1) == (previous is None), f"number {sequence}, with previous seal {_shown(previous)}")
        return f"number {sequence}, " + ("the first" if previous is None else f"after seal {previous[:12]}…")

    def _check_amendment(self) -> str:
        revision, amends = self._payload["closeout_revision"], self._payload["amends"]
        _require(revision > 0, "revisions begin with 1")
        _require((revision == 1) == (amends is None), f"revision {revision} that amends {_shown(amends)}")
        return "amends nothing" if amends is None else f"revision {revision}, amends {amends['closeout_id']}"

    def _check_evidence(self) -> str:
        rows, listed = self._leaves.rows, self._payload["evidence_rows"]
        _require(rows == listed, f"{_count(rows, 'row')}, and {listed:,} in the payload")
        return f"{_count(rows, 'row')}, canonical and in order"

    def _check_root(self) -> str:
        root = self._leaves.root()
        _require(root == self._payload["evidence_root"], f"the rows' root is {root}, not the payload's")
        return f"RFC 6962 root {root[:12]}… of the rows"

    def _check_statuses(self) -> str:
        evidence, status = self._taken("files/evidence.jsonl"), self._payload["evidence_status"]
        ready = f"{evidence.audit_ready:,} of {_count(evidence.rows, 'row')} audit_ready"
        agree = not evidence.rows or (status == "audit_ready") == (evidence.audit_ready == evidence.rows)
        _require(agree, f"{status} in the payload, and {ready}")
        return f"{status}: {ready}"

    def _totals(self) -> dict[str, Any]:
        totals: dict[str, Any] = self._taken("files/control_totals.json").value
        _fit(totals, _TOTALS_2 if self._is_second else _TOTALS, "control_totals")
        return totals

    def _check_totals(self) -> str:
        totals = self._totals()
        rows = {name: self._taken(f"files/{name}.jsonl") for name in ("evidence", "decisions", "events")}
        recomputed: dict[str, Any] = {name: taken.rows for name, taken in rows.items()}
        recomputed["evidence"] = {"rows": recomputed["evidence"]}
        if self._is_second:
            gaps = totals["evidence"]["gaps"]
            recomputed["evidence"]["gaps"] = gaps
            incomplete = rows["evidence"].rows - rows["evidence"].audit_ready
            named = sum(gap["rows"] for gap in gaps)
            _require(named == incomplete, f"{named:,} rows with gaps are named, and {incomplete:,} are incomplete")
        for name in ("matches", "exceptions", "open_items", *(["write_offs"] if self._is_second else [])):
            recomputed[name] = self._taken(f"files/{name}.jsonl").totals.rows()
        wrong = [name for name, value in recomputed.items() if totals[name] != value]
        _require(not wrong, f"the rows do not add up to the totals of {', '.join(wrong)}")
        for row in totals["conservation"]:
            left = (row.get("rows_unexplained"), row.get("amount_unexplained_minor"))
            _require(left in {(0, "0"), (0, None)}, f"rows or amounts are unexplained: {_shown(row)}")
        return "rows add up to the totals of " + ", ".join(recomputed)

    def _check_rollforward(self) -> str:
        rows = {row["currency"]: row for row in self._totals()["rollforward"]}
        _require(len(rows) == len(self._totals()["rollforward"]), "a currency appears twice")
        open_items = self._taken("files/open_items.jsonl").totals.groups
        closing = {c: sums[1] for (kind, c), sums in open_items.items() if kind == "ledger_transaction"}
        settled = self._taken("files/matches.jsonl").settled
        for currency in sorted({*rows, *closing, *settled}):
            row = rows.get(currency, dict.fromkeys((*_ROLLFORWARD, "difference_minor"), "0"))
            opening, posted, gone, written_off, left = (int(row[name]) for name in _ROLLFORWARD)
            _require(opening + posted - gone - written_off == left, f"{currency} does not roll forward")
            _require(row["difference_minor"] == "0", f"{currency} leaves a difference")
            _require(left == closing.get(currency, 0), f"{currency} closes at {left}, not at its open movements' sum")
            _require(gone == settled.get(currency, 0), f"{currency} settled {gone}, and its matches another sum")
            if self._is_second:
                given_up = self._taken("files/write_offs.jsonl").totals.groups.get(("ledger_transaction", currency))
                listed = given_up[1] if given_up else 0
                _require(written_off == listed, f"{currency} wrote off {written_off}, and its write-offs are {listed}")
        return f"{_count(len(rows), 'currency', 'currencies')}, closing at what is open"

    def _check_decisions(self) -> str:
        decisions = self._taken("files/decisions.jsonl")
        for decision_id, exception_id in self._taken("files/write_offs.jsonl").decided:
            is_there = decisions.resolving.get(decision_id) == exception_id
            _require(is_there, f"a write-off rests on decision {decision_id}, which is not here or decides otherwise")
        ended = self._taken("files/exceptions.jsonl").by_operators
        decided = {subject for exception_id, subject, _ in ended if exception_id in decisions.resolved}
        # Whoever matches items by decision ends the exceptions of them all, and decides about one of them.
        matched = {
            subject for items in self._taken("files/matches.jsonl").by_operators if items & decided for subject in items
        }
        left = [
            exception_id
            for exception_id, subject, resolution in ended
            if exception_id not in decisions.resolved and not (resolution == _BY_MATCH and subject in matched)
        ]
        _require(not left, f"{_count(len(left), 'exception')} ended by nobody's decision, such as {left[:1]}")
        return f"{_count(decisions.rows, 'decision')}, each write-off and each end of an exception among them"

    def _check_inputs(self) -> str:
        inputs = self._taken("files/inputs.json").value
        _require(isinstance(inputs.get("files"), list), "inputs.json names no files")
        return f"{_count(len(inputs['files']), 'input file')} named"

    def _check_attachments(self) -> str:
        """Files handed out with the bundle, and sealed by their digests: each is one that a decision names."""
        named = self._taken("files/decisions.jsonl").attached
        for digest in self._attached:
            _require(digest in named, f"no decision names attachment {digest[:12]}…")
            content = hashlib.sha256()
            for block in _read(self.folder / "attachments" / digest, named[digest]):
                content.update(block)
            _require(content.hexdigest() == digest, f"attachment {digest[:12]}… is not what was attached")
        return f"{len(self._attached)} of {_count(len(named), 'attached file')} here, each as the seal says"

    def _check_period_totals(self) -> str:
        totals = self._taken("files/control_totals.json").value
        _fit(totals, _PERIOD_TOTALS, "control_totals")
        windows = sorted(self.cited.cited.values(), key=lambda row: (row["provider"], row["place"], row["run_id"]))
        of_providers: dict[tuple[str, str], dict[str, int]] = {}
        for window in windows:
            for row in window["rollforward"]:
                opening, posted, gone, written_off, left = (int(row[name]) for name in _ROLLFORWARD)
                holds = opening + posted - gone - written_off == left and row["difference_minor"] == "0"
                _require(holds, f"{window['closeout_id']}: {row['currency']} does not roll forward")
                known = of_providers.get((window["provider"], row["currency"]))
                if known is None:
                    known = dict.fromkeys(("windows", *_STATEMENT), 0) | {"opening_minor": opening}
                    of_providers[window["provider"], row["currency"]] = known
                    known["closing_minor"] = opening
                known["windows"] += 1
                known["between_minor"] += opening - known["closing_minor"]
                for name, amount in zip(_FLOWS, (posted, gone, written_off), strict=True):
                    known[name] += amount
                known["closing_minor"] = left
        of_currencies: dict[str, dict[str, int]] = {}
        for (_, currency), known in of_providers.items():
            sums = of_currencies.setdefault(currency, dict.fromkeys(known, 0))
            for name, amount in known.items():
                sums[name] += amount

        def stated(sums: Mapping[str, int]) -> dict[str, Any]:
            return {name: amount if name == "windows" else str(amount) for name, amount in sums.items()}

        expected = {
            "windows": len(windows),
            "providers": [
                {"provider": provider, "currency": currency, **stated(sums)}
                for (provider, currency), sums in sorted(of_providers.items())
            ],
            "currencies": [{"currency": name, **stated(sums)} for name, sums in sorted(of_currencies.items())],
        }
        wrong = [name for name, value in expected.items() if totals[name] != value]
        _require(not wrong, f"the windows do not add up to the totals of {', '.join(wrong)}")
        currencies = _count(len(of_currencies), "currency", "currencies")
        return f"{_count(len(windows), 'window')} add up to the totals of {currencies}"

    def _check_heads(self) -> str:
        heads = self._taken("files/heads.json").value
        _fit(heads, _HEADS, "heads")
        known = {row["provider"]: row for row in heads["heads"]}
        _require(len(known) == len(heads["heads"]), "a provider has two heads")
        for window in self.cited.cited.values():
            head, name = known.get(window["provider"]), window["closeout_id"]
            if head is None or head["sequence"] < window["chain_sequence"]:
                raise _FailedError(f"{name} is number {window['chain_sequence']}, after the head of its provider")
            is_head = head["sequence"] == window["chain_sequence"]
            same = (head["closeout_id"], head["seal_digest"]) == (name, window["seal_digest"])
            _require(same or not is_head, f"{name} is not the head that has its number")
        return f"heads of {_count(len(known), 'provider')}, none before a window"

    def _check_changes(self) -> str:
        rows, cited = self.changes, self.cited.by_run
        is_first = self._payload["closeout_revision"] == 1
        _require(not (is_first and rows), "the first sign-off of a month changes nothing, and changes are listed")
        for row in rows:
            now = cited.get((row["provider"], row["ledger_window"], row["run_id"]))
            _require(row["after"] == now != row["before"], f"{row['run_id']} is listed as {row['after']}, and is {now}")
        return f"{_count(len(rows), 'window')} changed since the sign-off before" if rows else "nothing changed before"


# Several bundles ------------------------------------------------------------------------------------------------------


def _bundle_folders(root: Path) -> tuple[list[tuple[str, Path]], list[str]]:
    """Folders that should be bundles, `[<run_id>/]r<N>`, and names of what should not be there, but for dotted ones."""
    runs, odd = _folders(root)
    bundles = []
    for run in runs:
        if _is_bundle(run):
            bundles.append(run)
            continue
        found, others = _folders(run)
        bundles += found
        odd += [f"{run.name}/{name}" for name in others] if found or others else [run.name]
    return [(path.relative_to(root).as_posix(), path) for path in bundles], odd


def _is_bundle(folder: Path) -> bool:
    holds = any(os.path.lexists(folder / name) for name in ("seal.json", "files"))
    return holds or re.fullmatch(r"r[0-9]+", folder.name) is not None


# What file managers and editors leave behind: harmless, and no part of what was sealed.
_DROPPINGS: Final = (
    (re.compile(r"\.DS_Store"), "a Mac's Finder made it when somebody looked at the folder"),
    (re.compile(r"\._.+|__MACOSX"), "a Mac made it when the folder was copied or packed"),
    (re.compile(r"(?i:thumbs\.db|desktop\.ini)"), "Windows made it when somebody looked at the folder"),
    (re.compile(r"\..+\.sw[a-z]|.+~|#.+#"), "an editor made it when somebody opened a file"),
    (re.compile(r"lost\+found|\.directory|\.Trash.*|\.nfs.*"), "the file system or desktop made it"),
)


def _odd_names(names: Sequence[str], place: str) -> str:
    """What is there and should not be, and, where it is known, what made it."""
    for name in names:
        for pattern, origin in _DROPPINGS:
            if pattern.fullmatch(name.rsplit("/", 1)[-1]):
                return (
                    f"{_shown(name)} is not part of it: {origin}. It is harmless, nothing sealed is changed by it; "
                    "delete it and check again"
                )
    return f"{_shown(list(names[:3]))} does not belong {place}: nothing vouches for it; find out who put it there"


def _folders(folder: Path) -> tuple[list[Path], list[str]]:
    children = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = [path for path in children if path.is_dir() and not path.is_symlink()]
    return folders, [path.name for path in children if path not in folders]


def _chains(seals: Sequence[Seal], head: Head | None, is_one_run: bool) -> Iterator[Finding]:
    """Findings that join bundles: the chain of each tenant and provider, the revisions of each run, the head."""
    scopes: dict[tuple[str, str], list[Seal]] = {}
    for seal in sorted(seals, key=lambda seal: (*seal.scope, seal.sequence)):
        scopes.setdefault(seal.scope, []).append(seal)
    for chain in scopes.values():
        yield _judge("chain", "", lambda chain=chain: _check_links(chain, is_one_run))  # type: ignore[misc]
    yield _judge("amendments", "", lambda: _check_amendments(seals))
    if head is not None:
        yield _judge("head", "", lambda: _check_against_head(scopes.get(head.scope, []), head, is_one_run))


def _check_links(chain: Sequence[Seal], is_one_run: bool) -> str:
    scope = "/".join(chain[0].scope)
    begin = chain[0].sequence
    _require(is_one_run or begin == 1, f"{scope}: the chain begins with {begin}: earlier seals are gone")
    for before, after in pairwise(chain):
        pair = f"{scope}: {before.bundle} and {after.bundle}"
        _require(before.sequence != after.sequence, f"{pair} are both number {after.sequence}: a fork")
        if after.sequence == before.sequence + 1:
            follows = after.payload["chain"]["previous_seal"] == before.seal_digest
            _require(follows, f"{pair}: the one does not follow the other: a fork")
        else:
            gap = f"{scope}: between {before.sequence} and {after.sequence} seals are gone: a gap"
            _require(is_one_run, gap)
    if is_one_run:
        return f"{scope}: {_count(len(chain), 'seal')} of one run; those of other runs were not looked at"
    return f"{scope}: {_count(len(chain), 'seal')} without gap or fork"


def _periods(bundles: Sequence[_Bundle], is_one_run: bool) -> Iterator[Finding]:
    """Findings about sign-offs of months: what they cite is there, and what they say that changed did."""
    signed = sorted((each for each in bundles if each.is_period), key=_month_and_revision)
    if signed:
        yield _judge("month_changes", "", lambda: _check_month_changes(signed))
    if signed and not is_one_run:
        seals = {
            (each.seal.payload["tenant"], each.seal.payload["closeout_id"]): each.seal for each in bundles if each.seal
        }
        yield _judge("cited_windows", "", lambda: _check_citations(signed, seals))


def _month_and_revision(bundle: _Bundle) -> tuple[Any, ...]:
    seal = bundle.seal
    return () if seal is None else (seal.scope, seal.subject, seal.payload["closeout_revision"])


def _check_month_changes(signed: Sequence[_Bundle]) -> str:
    for before, after in pairwise(signed):
        assert before.seal is not None and after.seal is not None
        if (before.seal.scope, before.seal.subject) == (after.seal.scope, after.seal.subject):
            then, now = before.cited.by_run, after.cited.by_run
            expected = {key: (then.get(key), now.get(key)) for key in {*then, *now} if then.get(key) != now.get(key)}
            listed = {
                (row["provider"], row["ledger_window"], row["run_id"]): (row["before"], row["after"])
                for row in after.changes
            }
            _require(listed == expected, f"{after.name} does not list what changed since {before.name}")
    return f"{_count(len(signed), 'sign-off')}, each lists what changed since the one before"


def _check_citations(signed: Sequence[_Bundle], seals: Mapping[tuple[str, str], Seal]) -> str:
    count = 0
    for bundle in signed:
        assert bundle.seal is not None
        for name, window in bundle.cited.cited.items():
            seal = seals.get((bundle.seal.payload["tenant"], name))
            if seal is None:
                raise _FailedError(f"{bundle.name} cites {name}, which is gone")
            same = {field: seal.payload.get(field) for field in _CITED} == {field: window[field] for field in _CITED}
            digests = (seal.seal_digest, seal.sequence) == (window["seal_digest"], window["chain_sequence"])
            _require(same and digests, f"{bundle.name} cites {name} otherwise than its seal")
            count += 1
    return f"{_count(count, 'window')} cited by {_count(len(signed), 'sign-off')}, each as it is sealed"


def _later_windows(bundles: Sequence[_Bundle]) -> list[str]:
    """What is sealed of a month and is not in its newest sign-off: windows amended, or closed, after it was signed."""
    newest: dict[tuple[Any, ...], _Bundle] = {}
    windows: dict[tuple[str, str], list[tuple[int, Seal]]] = defaultdict(list)
    for bundle in bundles:
        if bundle.seal is not None and bundle.is_period:
            key = (bundle.seal.scope, bundle.seal.subject)
            newest[key] = max(newest.get(key, bundle), bundle, key=_month_and_revision)
        elif bundle.seal is not None:
            payload = bundle.seal.payload
            month = payload["tenant"], payload["ledger_window"][: len("2026-04")]
            windows[month].append((payload["closeout_revision"], bundle.seal))
    found = []
    for bundle in newest.values():
        assert bundle.seal is not None
        try:
            cited = {window["run_id"]: window for window in bundle.cited.cited.values()}
        except _FailedError:
            continue
        latest: dict[str, tuple[int, Seal]] = {}
        for revision, seal in windows[bundle.seal.payload["tenant"], bundle.seal.payload["period"]]:
            latest[seal.subject] = max(latest.get(seal.subject, (0, seal)), (revision, seal), key=lambda one: one[0])
        for run_id, (revision, seal) in sorted(latest.items()):
            where = f"{seal.payload['provider']} {seal.payload['ledger_window']}"
            known = cited.get(run_id)
            if known is None:
                found.append(f"{bundle.name}: {where} ({seal.bundle}) is sealed and not in the sign-off of its month")
            elif known["closeout_revision"] < revision:
                found.append(
                    f"{bundle.name}: {where} was amended after its month was signed off: {seal.bundle} is revision "
                    f"{revision}, and the sign-off cites {known['closeout_revision']}; have the month signed off again"
                )
    return found


def _check_amendments(seals: Sequence[Seal]) -> str:
    by_revision: dict[tuple[str, int], Seal] = {}
    for seal in seals:
        run_id, revision = seal.subject, seal.payload["closeout_revision"]
        _require((run_id, revision) not in by_revision, f"{seal.bundle}: a second revision {revision} of {run_id}")
        by_revision[run_id, revision] = seal
    amending = {key: seal for key, seal in by_revision.items() if seal.payload["amends"] is not None}
    for (run_id, revision), seal in amending.items():
        before = by_revision.get((run_id, revision - 1))
        if before is None:
            raise _FailedError(f"{seal.bundle}: revision {revision - 1} of {run_id}, which it amends, is gone")
        amends = seal.payload["amends"]
        named = (amends["closeout_id"], amends["seal_digest"], seal.scope)
        is_right = named == (before.payload["closeout_id"], before.seal_digest, before.scope)
        _require(is_right and before.sequence < seal.sequence, f"{seal.bundle} does not amend {before.bundle}")
    return f"{_count(len(amending), 'amendment')}, each of the revision before"


def _check_against_head(chain: Sequence[Seal], head: Head, is_one_run: bool) -> str:
    scope = "/".join(head.scope)
    _require(bool(chain), f"no bundle is of the head's {scope}")
    for seal in chain:
        if is_one_run or seal.sequence in head.seals or seal.sequence > head.last:
            _agree_with_head(seal, head)
    if is_one_run:
        _check_revisions_against_head(chain, head)
    last = chain[-1].sequence
    is_last = is_one_run or last == head.last
    _require(is_last, f"{scope}: {head.last} seals were published, the last here is {last}: newer ones are gone")
    return f"{scope}: {_count(len(chain), 'seal')} up to number {last}, as published"


def _check_revisions_against_head(chain: Sequence[Seal], head: Head) -> None:
    """Refuse a run's folder that lacks a revision which was published; the id of a closeout follows from its run."""
    payload, subject = chain[0].payload, chain[0].subject
    published = {closeout_id: number for number, (closeout_id, _) in head.seals.items()}
    present = {seal.payload["closeout_id"] for seal in chain}
    for revision in range(1, len(published) + 1):
        closeout_id = _closeout_id(payload["tenant"], subject, revision)
        is_gone = closeout_id in published and closeout_id not in present
        _require(not is_gone, f"revision {revision} of {subject} was published, and it is gone")


def _closeout_id(tenant: str, subject: str, revision: int) -> str:
    return "clo_" + hashlib.sha256(_ENCODE([tenant, subject, revision]).encode()).hexdigest()[:24]


def _later_revisions(bundle: _Bundle, heads: Sequence[Head]) -> Iterator[str]:
    """Whether a bundle that is checked alone was amended, as far as a head or its neighbours show."""
    if bundle.seal is None:
        return
    seal, place = bundle.seal, bundle.folder.absolute()
    own, subject = seal.payload["closeout_revision"], seal.subject
    published = {name: number for head in heads if head.scope == seal.scope for number, (name, _) in head.seals.items()}
    for revision in range(own + len(published), own, -1):
        number = published.get(_closeout_id(seal.scope[0], subject, revision))
        if number is not None:
            yield f"{subject} was amended: its revision {revision} was published as number {number}, and this is {own}"
            return
    beside = place.parent.glob("r*") if place.parent.name == subject else ()
    later = [int(path.name[1:]) for path in beside if re.fullmatch(r"r[0-9]{1,9}", path.name)]
    if max(later, default=0) > own:
        yield f"r{max(later)} lies beside it, and amends it if that holds: check the folder {subject}"


def _tenants_mixed(seals: Sequence[Seal]) -> Iterator[str]:
    tenants = sorted({seal.scope[0] for seal in seals})
    if len(tenants) > 1:
        yield f"seals of {len(tenants)} tenants lie here, {', '.join(tenants[:3])}: none says anything about another's"


# Names that look alike ------------------------------------------------------------------------------------------------

# Letters that look like Latin ones: a subset of the confusables of Unicode UTS 39.
_CONFUSABLES: Final = str.maketrans(
    dict(zip("АВЕЅІЈКМНОРСТУХҮԌԚԜѴ", "ABESIJKMHOPCTYXYGQWV", strict=True))
    | dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹ", "ABEZHIKMNOPTYXC", strict=True))
    | dict(zip("авекнорстухѕіјһԁԛԝгѵьзёӏґҝԍԑпɡʟƽı", "abekhopctyxsijhdqwrvb3elrkgengls" + "i", strict=True))
    | dict(zip("αβγεηικνορτυχωζϲϳѡσ", "abyenikvoptuxwzcjwo", strict=True))
    | dict(zip("աոսօհյցգլքքվ", "wnuohjggjppu", strict=True))
    | {"0": "o", "1": "l", "I": "l", "|": "l", "m": "rn", "м": "rn"}
    | {"ӕ": "ae", "æ": "ae", "œ": "oe", "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t"}
)


def _skeletons(name: str) -> tuple[str, str, str]:
    normal = unicodedata.normalize("NFKC", name)
    forms = (unicodedata.normalize("NFKD", form) for form in (normal, normal.casefold(), normal.upper()))
    plain = ("".join(c for c in form if not 0x300 <= ord(c) < 0x370) for form in forms)
    looks = ("".join(form.translate(_CONFUSABLES).translate(_CONFUSABLES).split()) for form in plain)
    written, small, large = (
        "".join(c for c in look if unicodedata.category(c)[0] not in "PSC") or look for look in looks
    )
    return written, small, large


def _looks_like(one: str, other: str) -> bool:
    return any(first == second for first, second in zip(_skeletons(one), _skeletons(other), strict=True))


def _spelled(name: str) -> str:
    odd = [f"U+{ord(character):04X}" for character in name if not character.isascii()]
    return f"{name} ({', '.join(odd[:4])})" if odd else name


def lines_of(report: Report) -> Iterator[str]:
    """The report for a person, a line each."""
    for finding in report.findings:
        where = f"{finding.bundle}: " if finding.bundle else ""
        yield f"{'holds' if finding.holds else 'FAILS'}  {finding.check:<16} {where}{finding.detail}"
    yield from (f"WARNS  {warning}" for warning in report.warnings)
    failed = sum(not finding.holds for finding in report.findings)
    yield "Everything holds." if report.holds else f"{_count(failed, 'check')} of {len(report.findings)} failed."
    yield "What this cannot show:"
    yield from (f"- {limit}" for limit in report.limits)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program: prints what holds and what does not, and returns the exit code."""
    parser = argparse.ArgumentParser(description="Check sealed bundles offline, against pinned keys.")
    parser.add_argument("bundle", type=Path, help="a bundle, the folder of a run's bundles, or of all closeouts")
    parser.add_argument("--trust", type=Path, required=True, help="the pinned keys")
    parser.add_argument("--head", type=Path, help="seals as published elsewhere")
    given = parser.parse_args(arguments)
    for path in (given.bundle, given.trust, given.head):
        if path is not None and not path.exists():
            parser.error(f"{path}: there is no such file or folder")
    try:
        report = verify(given.bundle, given.trust, given.head)
    except MissingPackageError as missing:
        sys.stderr.write(f"Error: {missing}\n")
        return EXIT_CANNOT_CHECK
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a poor locale shows escapes instead of failing
    sys.stdout.write("".join(f"{line}\n" for line in lines_of(report)))
    return 0 if report.holds else EXIT_DOES_NOT_HOLD


if __name__ == "__main__":
    sys.exit(main())
