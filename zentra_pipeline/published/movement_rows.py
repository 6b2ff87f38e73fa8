"""Gathers what is published about one movement of money, in one statement and so of one moment; no words.

It starts from a provider reference, or from the id of an intent, transaction, ledger entry, settlement line or
callback, and follows it to all of these, matches, exceptions, decisions, closeouts and events. Does not belong here:
words, order.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from zentra_pipeline.published import lake
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sql_text import statement

Rows = dict[str, list[dict[str, Any]]]

# A match of more legs (a batch) is listed without following each of them.
_FOLLOWED_LEGS: Final = 20
# Instants come out as in the event log: with microseconds, so that their order as text is their order in time.
_INSTANT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def gather(paths: TenantPaths, reference: str, provider: str | None) -> Rows:
    """Rows by kind: line, entry, callback, internal_event, match, leg, size, exception, decision, closeout, event.

    The payouts of lines' batches, with bank lines, are of the kind cash.

    Values are as JSON has them, instants UTC text with microseconds. No rows when the reference or id is unknown.
    """
    rows: Rows = defaultdict(list)
    parameters = [reference, provider, _INSTANT, _FOLLOWED_LEGS]
    for kind, content in lake.query(paths, statement("published", "movement_rows"), parameters).rows:
        rows[kind].append(json.loads(content))
    if "line" in rows:
        rows["cash"] = _cash(paths, rows["line"])
    return rows


def _cash(paths: TenantPaths, lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The payouts of the lines' batches, each with the bank lines that credited it."""
    named = [sorted({str(line[name]) for line in lines}) for name in ("provider", "line_id")]
    found = lake.query(paths, statement("published", "cash_of_lines"), [*named, _INSTANT])
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]
