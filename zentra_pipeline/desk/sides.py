"""The sides of a payment next to each other, for whoever decides about an exception of it; nothing is decided here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zentra_pipeline import identifiers
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.published import lake, movement_rows
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sql_text import statement


@dataclass(frozen=True)
class Sides:
    """What each side says of a payment: rows as published (movement_rows), amounts in minor units.

    `movements`: the ledger's postings on the accounts that the provider settles, `elsewhere` those on others.
    `siblings`: the other exceptions of the payment. `matches` that it is in. `cash`: the payouts of its lines' batches,
    each with a bank line. For an exception of a bank account there are `bank_lines` and `payouts` instead.
    """

    lines: Sequence[Mapping[str, Any]]
    movements: Sequence[Mapping[str, Any]]
    elsewhere: Sequence[Mapping[str, Any]]
    callbacks: Sequence[Mapping[str, Any]]
    siblings: Sequence[Mapping[str, Any]]
    matches: Sequence[Mapping[str, Any]]
    cash: Sequence[Mapping[str, Any]] = ()
    bank_lines: Sequence[Mapping[str, Any]] = ()
    payouts: Sequence[Mapping[str, Any]] = ()

    def totals(self, side: str) -> dict[str, int]:
        """What a side comes to by currency, signed as the provider sees it: a credit of the ledger is positive."""
        found: dict[str, int] = {}
        for row in getattr(self, side):
            found[row["currency"]] = found.get(row["currency"], 0) + signed(row)
        return dict(sorted(found.items()))


def of_exception(paths: TenantPaths, row: Mapping[str, Any]) -> Sides:
    """The sides of the payment that an exception is about, by its reference, else by its subject."""
    provider = row["provider"]
    account = identifiers.account_of(provider)
    if account is not None:
        return _of_account(paths, account, row)
    found = movement_rows.gather(paths, row["provider_reference"] or row["subject_id"], provider)
    clearing = load_profile(paths, provider).clearing_accounts
    entries = _distinct(found["entry"], "transaction_id", "entry_id")
    return Sides(
        lines=_distinct(found["line"], "line_id"),
        movements=[entry for entry in entries if entry["account"] in clearing],
        elsewhere=[entry for entry in entries if entry["account"] not in clearing],
        callbacks=sorted(
            _distinct(found["callback"], "provider_event_id", "status"), key=lambda each: str(each["occurred_at"])
        ),
        siblings=[each for each in found["exception"] if each["exception_id"] != row["exception_id"]],
        matches=found["match"],
        cash=found["cash"],
    )


def _of_account(paths: TenantPaths, account: str, row: Mapping[str, Any]) -> Sides:
    """The bank's lines and the payouts that an exception of a bank account is about, and its other exceptions."""
    named = sorted({row["subject_id"], row["provider_reference"]} - {None, ""})
    answer = lake.query(paths, statement("published", "bank_sides"), [account, named])
    items = [dict(zip(answer.columns, values, strict=True)) for values in answer.rows]
    others = lake.query(
        paths,
        "SELECT * FROM exceptions WHERE provider = ? AND exception_id <> ? "
        "AND (list_contains(?::varchar[], subject_id) OR list_contains(?::varchar[], provider_reference)) "
        "ORDER BY opened_at, exception_id",
        [row["provider"], row["exception_id"], *[sorted({*named, *(item["item_id"] for item in items)})] * 2],
    )
    return Sides(
        lines=(),
        movements=(),
        elsewhere=(),
        callbacks=(),
        siblings=[dict(zip(others.columns, values, strict=True)) for values in others.rows],
        matches=(),
        bank_lines=[item for item in items if item["side"] == "bank_lines"],
        payouts=[item for item in items if item["side"] == "payouts"],
    )


def open_items(paths: TenantPaths, item_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Those of these items that are open in the newest run of their provider, as (item_type, item_id)."""
    if not item_ids:
        return set()
    found = lake.query(
        paths,
        "SELECT item_type, item_id FROM open_items_now WHERE list_contains(?::varchar[], item_id)",
        [sorted(set(item_ids))],
    )
    return {(item_type, item_id) for item_type, item_id in found.rows}


def signed(row: Mapping[str, Any]) -> int:
    """The amount of a line, entry or callback, a debit of the ledger negative."""
    if "gross_minor" in row:
        return int(row["gross_minor"])
    return int(row["amount_minor"] or 0) * (-1 if row.get("direction") == "debit" else 1)


def _distinct(rows: Sequence[Mapping[str, Any]], *names: str) -> list[Mapping[str, Any]]:
    """Each row once: the same may have been delivered again."""
    return [*{tuple(row[name] for name in names): row for row in rows}.values()]
