"""A closeout's `report.html`: what was reconciled, what is left, who signed, as one page that prints.

A pure function of the payload and rows that are sealed with it: no clock, no store. The payload holds its SHA-256, so
it cannot show the seal digest; it says where to find that. Does not belong here: working out any figure that is not in
those rows, and how a value looks as text (report_text).
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zentra_pipeline import vocabulary
from zentra_pipeline.closeout import report_text
from zentra_pipeline.errors import ZentraError

if TYPE_CHECKING:
    from jinja2 import Template

SHOWN_ROWS: Final = 500
_SHOWN_DECISIONS: Final = 6
_COLUMNS_ABREAST: Final = 4
_TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
_BUCKETS: Final = ("matched", "in_transit", "excepted", "accounted", "duplicates", "quarantined")
_STATEMENT: Final = (
    ("opening_minor", "Unsettled movements brought forward", "opening"),
    ("posted_minor", "plus posted in this window", ""),
    ("settled_minor", "less settled by confirmed matches", ""),
    ("written_off_minor", "less written off", ""),
    ("closing_minor", "Unsettled movements carried forward", "closing"),
    ("difference_minor", "Difference in the roll-forward", "nil"),
    ("listed_minor", "Ledger movements among the open items", "listed"),
    ("unlisted_minor", "Carried forward less open items", "nil"),
)

_STATEMENT_OF_BANK: Final = (
    ("opening_minor", "Payouts that were not in the bank, brought forward", "opening"),
    ("posted_minor", "plus paid out since", ""),
    ("settled_minor", "less matched with bank lines", ""),
    ("written_off_minor", "less written off", ""),
    ("closing_minor", "Payouts that are not in the bank, carried forward", "closing"),
    ("difference_minor", "Difference in the roll-forward", "nil"),
    ("listed_minor", "Payouts among the open items", "listed"),
    ("unlisted_minor", "Carried forward less open items", "nil"),
)

# What an evidence row may lack (dbt: evidence_items), and what brings it.
GAPS: Final = {
    "provider_reference": "the line or posting has no reference: have the provider or the ledger send one",
    "settlement_file": "no settlement line answers the movement: ingest the provider's file when it comes",
    "ledger_entry": "no ledger movement answers the line: have it posted, or decide about its exception",
    "intent": "nothing says which intent the money moved for: send intents, or their ids with the ledger's entries",
    "actor": "no policy event names who let it pass: ingest internal events of the stage controlled",
    "scope": "no policy event names the scope: ingest internal events of the stage controlled",
    "policy_result": "no policy event says how it was judged: ingest internal events of the stage controlled",
    "signature": "no callback with a verified signature speaks for it: take callbacks over HTTP with its secret",
}
_OTHER_GAP: Final = "the row has no value here"


def report(
    payload: Mapping[str, Any],
    totals: Mapping[str, Any],
    exceptions: Iterable[Mapping[str, Any]],
    open_items: Iterable[Mapping[str, Any]],
    decisions: Iterable[Mapping[str, Any]],
    *,
    of_account: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> bytes:
    """The report as UTF-8 HTML; the same facts give the same bytes.

    `of_account` has, for a day of a bank account, the rows `payouts`, `balances` and `cash_in_transit` of its tables,
    whose digests inputs.json holds; null for a provider's window.

    `payload` is the seal's payload without `files`, `totals` the content of control_totals.json; the rows are those of
    exceptions.jsonl, open_items.jsonl and decisions.jsonl, all of them, amounts as decimal strings of minor units; each
    is gone through once. Of many rows 500 are shown, the gravest exceptions and the oldest open items, with the count
    of the rest. ZentraError for a word no vocabulary has, or when there are not as many rows as the totals say.
    """
    cases, about_closeout = _exceptions(totals, exceptions, decisions)
    aging, oldest = _open_items(totals, open_items)
    html = template("report.html.j2").render(
        payload=payload,
        glance=_glance(totals),
        statements=_statements(totals, _STATEMENT_OF_BANK if of_account is not None else _STATEMENT),
        account=of_account,
        payouts=[] if of_account is None else list(of_account["payouts"])[:SHOWN_ROWS],
        payouts_left=0 if of_account is None else max(0, len(of_account["payouts"]) - SHOWN_ROWS),
        write_offs=[_written_off(row) for row in totals.get("write_offs", ())],
        gaps=[_gap(row) for row in totals["evidence"].get("gaps", ())],
        three_way=[_three_way(row) for row in totals["three_way"]],
        matches=totals["matches"],
        conservation=[_conservation(row) for row in totals["conservation"]],
        exception_counts=_exception_counts(totals["exceptions"]),
        exceptions=cases,
        exceptions_left=_total(totals, "exceptions", "exceptions") - len(cases),
        aging=aging,
        open_items=oldest,
        open_items_left=_total(totals, "open_items", "items") - len(oldest),
        closeout_decisions=about_closeout,
        buckets=_BUCKETS,
        footer=report_text.css_word(f"{payload['closeout_id']} r{payload['closeout_revision']}"),
    )
    return html.encode()


@cache
def template(name: str) -> "Template":
    """A page's template by its file name, with what writes amounts, counts, instants and words."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "amount": report_text.amount,
        "count": report_text.count,
        "instant": report_text.instant,
        "text": report_text.text,
        "words": report_text.words,
    }
    return environment.get_template(name)


def _glance(totals: Mapping[str, Any]) -> dict[str, int]:
    """The few counts a reader looks for first."""
    resolved = sum(row["exceptions"] for row in totals["exceptions"] if row["status"] == "resolved")
    return {
        "confirmed": sum(row["matches"] for row in totals["matches"] if row["status"] == "confirmed"),
        "unresolved": _total(totals, "exceptions", "exceptions") - resolved,
        "resolved": resolved,
        "open_items": _total(totals, "open_items", "items"),
    }


def _total(totals: Mapping[str, Any], table: str, counted: str) -> int:
    return sum(int(row[counted]) for row in totals[table])


def _as_many_as(totals: Mapping[str, Any], table: str, counted: str, seen: int) -> None:
    expected = _total(totals, table, counted)
    if seen != expected:
        raise ZentraError(f"the report was given {seen:,} rows of {table}, the control totals say {expected:,}")


def _statements(totals: Mapping[str, Any], lines: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """The roll-forward as statements of a few currencies abreast, each line with its figure per currency."""
    listed: Counter[str] = Counter()
    for row in totals["open_items"]:
        if row["item_type"] == "ledger_transaction":
            listed[row["currency"]] += int(row["amount_minor"])
    figures = []
    for row in totals["rollforward"]:
        own = listed[row["currency"]]
        figures.append({**row, "listed_minor": own, "unlisted_minor": int(row["closing_minor"]) - own})
    return [
        {
            "currencies": [row["currency"] for row in abreast],
            "lines": [
                {"label": label, "kind": kind, "figures": [(row[name], row["currency"]) for row in abreast]}
                for name, label, kind in lines
            ],
        }
        for abreast in (figures[start : start + _COLUMNS_ABREAST] for start in range(0, len(figures), _COLUMNS_ABREAST))
    ]


def _written_off(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a side gave up in a currency, with the words of the side."""
    return {**row, "side": "settlement" if row["item_type"] == "settlement_line" else "ledger"}


def _gap(row: Mapping[str, Any]) -> dict[str, Any]:
    """What some evidence rows lack, what to do about each part, and the first of the rows."""
    return {
        **row,
        "missing": [{"word": word, "remedy": GAPS.get(word, _OTHER_GAP)} for word in row["missing"]],
        "left": row["rows"] - len(row["examples"]),
    }


def _three_way(row: Mapping[str, Any]) -> dict[str, Any]:
    settlement, ledger, callback = (int(row[f"{side}_minor"]) for side in ("settlement", "ledger", "callback"))
    return {
        **row,
        "settlement_vs_ledger_minor": settlement - ledger,
        "callback_vs_ledger_minor": callback - ledger,
    }


def _conservation(row: Mapping[str, Any]) -> dict[str, Any]:
    """A side's row as cells of a count with its amount; amounts of quarantined rows are not trusted, so not shown."""
    cells = [(row["rows_in"], row["amount_in_minor"]), *((row[name], row[f"{name}_minor"]) for name in _BUCKETS)]
    return {
        "side": row["side"],
        "currency": row["currency"],
        "cells": cells,
        "rows_unexplained": row["rows_unexplained"],
        "amount_unexplained_minor": row["amount_unexplained_minor"],
    }


def _exception_counts(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line a type, the gravest first: how many were found and how many are resolved."""
    found: Counter[str] = Counter()
    resolved: Counter[str] = Counter()
    for row in rows:
        found[row["exception_type"]] += row["exceptions"]
        resolved[row["exception_type"]] += row["exceptions"] if row["status"] == "resolved" else 0
    lines = [
        {"type": vocabulary.exception_type(name), "found": found[name], "resolved": resolved[name]} for name in found
    ]
    return sorted(lines, key=lambda line: (_gravity(line["type"].severity), line["type"].exception_type))


def _exceptions(
    totals: Mapping[str, Any], exceptions: Iterable[Mapping[str, Any]], decisions: Iterable[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
    """The gravest exceptions, each with its title and last decisions; and the decisions about the closeout itself."""
    counter = count()
    shown = heapq.nsmallest(SHOWN_ROWS, _counting(exceptions, counter), key=_gravest_first)
    _as_many_as(totals, "exceptions", "exceptions", next(counter))
    made: dict[str | None, list[Mapping[str, Any]]] = {None: [], **{row["exception_id"]: [] for row in shown}}
    for decision in decisions:
        if decision["exception_id"] in made:
            made[decision["exception_id"]].append(decision)
    cases = [
        {
            "row": row,
            "title": vocabulary.exception_type(row["exception_type"]).title,
            "decisions": made[row["exception_id"]][-_SHOWN_DECISIONS:],
            "decisions_left": max(0, len(made[row["exception_id"]]) - _SHOWN_DECISIONS),
        }
        for row in shown
    ]
    return cases, made[None]


def _open_items(
    totals: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
    """Open items by type, currency and age with count and amount, the youngest first; and the oldest items."""
    counter = count()
    bands: dict[tuple[str, str, str], list[int]] = {}
    oldest = heapq.nsmallest(SHOWN_ROWS, _banding(_counting(rows, counter), bands), key=_oldest_first)
    _as_many_as(totals, "open_items", "items", next(counter))
    ordered = sorted(bands.items(), key=lambda band: (band[0][0], band[0][1], band[1][0]))
    aging = [
        {"item_type": item_type, "currency": currency, "bucket": bucket, "items": items, "amount_minor": amount}
        for (item_type, currency, bucket), (_, items, amount) in ordered
    ]
    return aging, oldest


def _banding(
    rows: Iterable[Mapping[str, Any]], bands: dict[tuple[str, str, str], list[int]]
) -> Iterator[Mapping[str, Any]]:
    """The rows as they pass, counted into bands of [least age, items, amount]."""
    for row in rows:
        age = row["age_business_days"]
        band = bands.setdefault((row["item_type"], row["currency"], row["aging_bucket"]), [age, 0, 0])
        band[0] = min(band[0], age)
        band[1] += 1
        band[2] += int(row["amount_minor"])
        yield row


def _counting(rows: Iterable[Mapping[str, Any]], counter: "count[int]") -> Iterator[Mapping[str, Any]]:
    """The rows as they pass; the counter's next value is how many have."""
    for row in rows:
        next(counter)
        yield row


def _gravity(severity: str) -> int:
    """0 for the gravest; a word that is no severity raises."""
    return _severities()[severity]


@cache
def _severities() -> dict[str, int]:
    return {severity: place for place, severity in enumerate(vocabulary.values("severity"))}


def _gravest_first(row: Mapping[str, Any]) -> tuple[int, bool, int, str]:
    """By severity, what is unresolved before what is resolved, the larger amount first."""
    amount = abs(int(row["amount_minor"] or 0))
    return _gravity(row["severity"]), row["status"] == "resolved", -amount, row["exception_id"]


def _oldest_first(row: Mapping[str, Any]) -> tuple[int, int, str, str, str]:
    amount = abs(int(row["amount_minor"]))
    return -row["age_business_days"], -amount, row["item_type"], row["item_id"], row["currency"]
