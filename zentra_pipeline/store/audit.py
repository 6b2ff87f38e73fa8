"""The audit log in the operational store: who read and asked what, and a citation of each decision, in one chain.

An entry's digest covers the entry and the digest before it, so that none can be changed, taken out or put between
without the rest. Whoever may write to the store could make the whole chain anew: a head that is kept elsewhere shows
it. Does not belong here: what is worth an entry (api, cli; decisions cite themselves), telling people.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from zentra_pipeline.store.models import audit_log, decisions

BEGIN: Final = "begin"
READ: Final = "read"
REQUEST: Final = "request"
COMMAND: Final = "command"
DECISION: Final = "decision"
_MOST_TEXT: Final = 2_000
_NOTHING_BEFORE: Final = "0" * 64
_COVERED: Final = tuple(each.name for each in audit_log.columns if each.name != "digest")


@dataclass(frozen=True)
class Entry:
    """What happened once: fields as in `store.models.audit_log`, `details` as an object."""

    at: str
    kind: str
    via: str
    what: str
    actor: str | None = None
    role: str | None = None
    token_id: str | None = None
    os_user: str | None = None
    request_id: str | None = None
    status: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    decision_id: str | None = None
    decision_digest: str | None = None


@dataclass(frozen=True)
class Recorded:
    """An entry with its place in the log and its digest."""

    sequence: int
    digest: str
    entry: Entry


@dataclass(frozen=True)
class Checked:
    """What a check of the chain came to: how long it is, where it ends, and each place where it does not hold."""

    entries: int
    head: str
    problems: tuple[tuple[int, str], ...]


def kept_text(text: str) -> str:
    """Text as an entry keeps it: printable for any encoder; of overlong text the beginning, and the digest of all."""
    plain = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    if len(plain) <= _MOST_TEXT:
        return plain
    digest = hashlib.sha256(plain.encode()).hexdigest()
    return f"{plain[:_MOST_TEXT]}… ({len(plain)} characters, SHA-256 {digest})"


def begin(connection: Connection, at: str) -> None:
    """Write the first entry of a log, which covers the decisions that are there already."""
    log = connection.execute(select(decisions.c.decision_id, decisions.c.row_digest).order_by(decisions.c.sequence))
    before = log.all()
    details = {"decisions": len(before), "digest": _of_decisions(before)}
    _insert(connection, 0, _NOTHING_BEFORE, [Entry(at, BEGIN, "program", "the log begins", details=details)])


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add entries in their order; needs a write transaction, so that the place in the chain is theirs."""
    if not entries:
        return
    columns = (audit_log.c.sequence, audit_log.c.digest)
    last = connection.execute(select(*columns).order_by(audit_log.c.sequence.desc()).limit(1)).one_or_none()
    place, digest = (0, _NOTHING_BEFORE) if last is None else (last.sequence, last.digest)
    _insert(connection, place, digest, entries)


def listed(
    connection: Connection,
    *,
    after: int | None = None,
    actor: str | None = None,
    kind: str | None = None,
    limit: int = 100,
) -> list[Recorded]:
    """Entries behind a place, or the newest, oldest first."""
    place = audit_log.c.sequence
    query = select(audit_log).limit(limit)
    query = query.order_by(place.desc()) if after is None else query.where(place > after).order_by(place)
    if actor is not None:
        query = query.where(audit_log.c.actor == actor)
    if kind is not None:
        query = query.where(audit_log.c.kind == kind)
    return sorted((_recorded(row) for row in connection.execute(query)), key=lambda each: each.sequence)


def check(connection: Connection, head: tuple[int, str] | None = None) -> Checked:
    """Compare every entry with the chain, and every decision with its citation.

    `head` is a place and the digest that was seen there earlier, kept where nobody writes to the store.
    """
    problems: list[tuple[int, str]] = []
    number, digest, seen = 0, _NOTHING_BEFORE, None
    cited: dict[str, tuple[int, str | None]] = {}
    begun = 0
    for row in connection.execute(select(audit_log).order_by(audit_log.c.sequence)):
        values = dict(row._mapping)
        if row.sequence != number + 1:
            problems.append((row.sequence, f"place {number + 1} is missing: entries were taken out"))
        elif row.digest != _digest(digest, values):
            problems.append((row.sequence, "it is not what was recorded: its digest is of something else"))
        if row.sequence == 1:
            begun = _check_begin(connection, values, problems)
        if row.decision_id is not None:
            cited[row.decision_id] = (row.sequence, row.decision_digest)
        number, digest = row.sequence, row.digest
        if head is not None and row.sequence == head[0]:
            seen = row.digest
    if not number:
        problems.append((1, "the log is empty: its entries were taken out"))
    if head is not None and seen != head[1]:
        what = "nothing is there" if seen is None else f"its digest is {seen}"
        problems.append((head[0], f"the head that was kept says {head[1]}, and {what}: the log was made anew or cut"))
    problems += _check_citations(connection, cited, begun)
    return Checked(number, digest, tuple(problems))


def _check_begin(connection: Connection, values: Mapping[str, Any], problems: list[tuple[int, str]]) -> int:
    """How many decisions the first entry covers; a problem where they are no longer those."""
    try:
        details = json.loads(values["details"])
        covered = int(details["decisions"])
        said = str(details["digest"])
    except (ValueError, KeyError, TypeError):
        problems.append((1, "it does not say with which decisions the log begins"))
        return 0
    query = select(decisions.c.decision_id, decisions.c.row_digest).where(decisions.c.sequence <= covered)
    if _of_decisions(connection.execute(query.order_by(decisions.c.sequence)).all()) != said:
        problems.append((1, f"the first {covered} decisions are not those that the log began with"))
    return covered


def _check_citations(
    connection: Connection, cited: Mapping[str, tuple[int, str | None]], begun: int
) -> Iterator[tuple[int, str]]:
    there = set()
    columns = (decisions.c.sequence, decisions.c.decision_id, decisions.c.row_digest)
    for row in connection.execute(select(*columns).where(decisions.c.sequence > begun).order_by(decisions.c.sequence)):
        there.add(row.decision_id)
        place, digest = cited.get(row.decision_id, (0, None))
        if not place:
            yield 0, f"decision {row.decision_id} is cited by no entry: entries were taken out, or it was put in"
        elif digest != row.row_digest:
            yield place, f"decision {row.decision_id} is not what it was when it was made"
    for decision_id, (place, _) in cited.items():
        if decision_id not in there:
            yield place, f"decision {decision_id} is cited and is not there"


def _insert(connection: Connection, number: int, digest: str, entries: Iterable[Entry]) -> None:
    rows = []
    for entry in entries:
        number += 1
        details = json.dumps(entry.details, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
        values: dict[str, Any] = {**vars(entry), "sequence": number, "details": details}
        digest = _digest(digest, values)
        rows.append({**values, "digest": digest})
    connection.execute(insert(audit_log), rows)


def _digest(before: str, values: Mapping[str, Any]) -> str:
    content = [before, *([name, values[name]] for name in _COVERED)]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def _of_decisions(rows: Iterable[Row[Any]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.decision_id} {row.row_digest}\n".encode())
    return digest.hexdigest()


def _recorded(row: Row[Any]) -> Recorded:
    values = dict(row._mapping)
    place, digest = values.pop("sequence"), values.pop("digest")
    return Recorded(place, digest, Entry(**values | {"details": json.loads(values["details"])}))
