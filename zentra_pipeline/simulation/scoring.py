"""Scores published tables against the answer key: precision and recall for every kind of fact, with what disagrees.

Does not belong here: running anything (replay), or judging who is right when key and engine differ.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zentra_pipeline.simulation.replay import Published
from zentra_pipeline.simulation.write import KEY_TABLES

Fact = tuple[str, ...]
Row = Mapping[str, str]

_MATCH = (
    "ledger_window",
    "rule",
    "cardinality",
    "method",
    "status",
    "currency",
    "settlement_minor",
    "ledger_minor",
    "difference_minor",
    "settlement_lines",
    "ledger_transactions",
)
_LEGS = ("settlement_lines", "ledger_transactions", "currency")
_EXCEPTION = (
    "exception_type",
    "subject_type",
    "subject_id",
    "ledger_window",
    "currency",
    "difference_minor",
    "resolved_window",
    "resolution",
)
_OPEN_ITEM = (
    "ledger_window",
    "item_type",
    "item_id",
    "provider_reference",
    "currency",
    "amount_minor",
    "opened_window",
    "age_business_days",
)
_ROLLFORWARD = (
    "ledger_window",
    "currency",
    "opening_minor",
    "posted_minor",
    "settled_minor",
    "written_off_minor",
    "closing_minor",
)
_QUARANTINE = ("source", "file_id", "row_number")
_CLOSEOUT = ("ledger_window", "revision", "status")


@dataclass(frozen=True)
class Disagreement:
    """A fact that only one of `key` and `engine` states; `other` is what the other says of the same subject."""

    side: str
    fact: str
    other: str
    case: str


@dataclass
class Tally:
    """How one kind of fact came out: `expected` in the key, `found` in the published tables, `agreed` in both."""

    kind: str
    expected: int = 0
    found: int = 0
    agreed: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)

    @property
    def is_perfect(self) -> bool:
        return self.expected == self.found == self.agreed

    @property
    def precision(self) -> str:
        """Agreed of found with four digits, rounded down, so that 1.0000 means all."""
        return _share(self.agreed, self.found)

    @property
    def recall(self) -> str:
        """Agreed of expected, likewise."""
        return _share(self.agreed, self.expected)


@dataclass(frozen=True)
class Score:
    """Every tally, in the order of the report."""

    tallies: tuple[Tally, ...]

    @property
    def is_perfect(self) -> bool:
        return all(tally.is_perfect for tally in self.tallies)


def read_key(folder: Path) -> dict[str, list[Row]]:
    """The tables of a world's answer key as text."""
    key: dict[str, list[Row]] = {}
    for table in KEY_TABLES:
        with (folder / "answer_key" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            key[table] = [dict(row) for row in csv.DictReader(file)]
    return key


def score(key: Mapping[str, Sequence[Row]], published: Published) -> Score:
    """Compare what the runs published with the key; facts are compared as text."""
    return Score(
        (
            _matches(key["matches"], published.matches),
            _suggestions(key["matches"], published.suggestions),
            _callback_legs(key, published.matches),
            _undecidable(key["undecidable"], published.matches),
            *_exceptions(key["exceptions"], published.exceptions),
            compare("open items", key["open_items"], published.open_items, _OPEN_ITEM, ("item_id", "ledger_window")),
            compare("roll-forward", key["rollforward"], published.rollforward, _ROLLFORWARD, _ROLLFORWARD[:2]),
            compare("quarantine", key["quarantine"], published.quarantine, _QUARANTINE, _QUARANTINE),
            compare("closeouts", key["closeouts"], published.closeouts, _CLOSEOUT, ("ledger_window", "revision")),
            compare("failed controls", (), published.failed_controls, ("control",), ("control",)),
        )
    )


def _matches(key: Sequence[Row], published: Sequence[Row]) -> Tally:
    made = ("ledger_window", *_LEGS)
    unjudged = {_fact(row, made) for row in key if not row["method"]}
    found = [{**row, "method": ""} if _fact(row, made) in unjudged else row for row in published]
    return compare("matches", [row for row in key if row["status"] != "suggested"], found, _MATCH, _LEGS)


def _suggestions(key: Sequence[Row], published: Sequence[Row]) -> Tally:
    """Suggestions by their legs alone: a pair that stays open may be suggested again by every run."""
    suggested = [row for row in key if row["status"] == "suggested"]
    found = {_fact(row, _LEGS): row for row in published}
    return compare("suggestions", suggested, list(found.values()), _LEGS, _LEGS)


def _callback_legs(key: Mapping[str, Sequence[Row]], published: Sequence[Row]) -> Tally:
    """Callbacks of the confirmed matches that both sides know; whether a conflicting event is one is not judged."""
    conflicting = {row["subject_id"] for row in key["exceptions"] if row["exception_type"] == "conflicting_callback"}
    known = {_fact(row, _LEGS) for row in key["matches"] if row["status"] == "confirmed"}

    def legs(rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            if row["status"] == "confirmed" and _fact(row, _LEGS) in known:
                for event in sorted(set(row["callbacks"].split()) - conflicting):
                    yield {**row, "callback": event}

    columns = ("callback", *_LEGS)
    return compare("callback legs", list(legs(key["matches"])), list(legs(published)), columns, ("callback",))


def _undecidable(key: Sequence[Row], published: Sequence[Row]) -> Tally:
    """Confident matches of legs that nobody can decide: none is right."""
    cases = {row["leg_id"]: row["case"] for row in key}
    confident = [
        {**row, "case": cases[leg]}
        for row in published
        if row["status"] == "confirmed"
        for leg in f"{row['settlement_lines']} {row['ledger_transactions']}".split()
        if leg in cases
    ]
    return compare("undecided by luck", (), confident, _MATCH, _LEGS)


def _exceptions(key: Sequence[Row], published: Sequence[Row]) -> Iterator[Tally]:
    """A tally for every type that either side knows."""
    by_subject: dict[Fact, list[Row]] = defaultdict(list)
    for row in key:
        by_subject[row["subject_type"], row["subject_id"]].append(row)
    judged = [_as_judged(row, by_subject[row["subject_type"], row["subject_id"]]) for row in published]
    for exception_type in sorted({row["exception_type"] for row in (*key, *judged)}):
        yield compare(
            exception_type,
            [row for row in key if row["exception_type"] == exception_type],
            [row for row in judged if row["exception_type"] == exception_type],
            _EXCEPTION,
            ("subject_id",),
        )


def _as_judged(row: Row, expected: Sequence[Row]) -> Row:
    """A published exception with the key's choice of types, and without what the key does not judge."""
    for answer in expected:
        is_type = row["exception_type"] in answer["exception_type"].split("|")
        if is_type and answer["currency"] in ("", row["currency"]):
            masked = {name: "" for name in ("currency", "difference_minor") if not answer[name]}
            return {**row, **masked, "exception_type": answer["exception_type"]}
    return row


def compare(
    kind: str, expected: Sequence[Row], found: Sequence[Row], columns: Sequence[str], subject: Sequence[str]
) -> Tally:
    """Tally two sets of rows by `columns`; those of one `subject` are shown beside each other where they disagree."""
    in_key, in_engine = Counter(_fact(row, columns) for row in expected), Counter(_fact(row, columns) for row in found)
    tally = Tally(kind, len(expected), len(found), (in_key & in_engine).total())
    if tally.is_perfect:
        return tally
    only_key, only_engine = in_key - in_engine, in_engine - in_key
    sides: list[tuple[str, Sequence[Row], Counter[Fact], Sequence[Row]]] = [
        ("key", expected, only_key, [row for row in found if _fact(row, columns) in only_engine]),
        ("engine", found, only_engine, [row for row in expected if _fact(row, columns) in only_key]),
    ]
    for side, rows, only, others in sides:
        beside = {_fact(row, subject): row for row in others}
        for row in rows:
            if _fact(row, columns) not in only:
                continue
            other = beside.get(_fact(row, subject))
            opposite = "nothing" if other is None else _row_text(other, columns)
            case = row.get("case") or (other or {}).get("case", "")
            tally.disagreements.append(Disagreement(side, _row_text(row, columns), opposite, case))
    return tally


def _fact(row: Row, columns: Sequence[str]) -> Fact:
    return tuple(row[column] for column in columns)


def _row_text(row: Row, columns: Sequence[str]) -> str:
    return ", ".join(f"{column} {row[column]}" for column in columns if row[column])


def _share(part: int, whole: int) -> str:
    """A share with four digits, rounded down; nothing of nothing is all."""
    digits = 10_000 if whole == 0 else part * 10_000 // whole
    return f"{digits // 10_000}.{digits % 10_000:04d}"
