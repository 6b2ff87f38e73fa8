"""Proposed journal entries of a month, as lines and as CSV; which there are is the published table's to say.

Nothing is posted anywhere. Does not belong here: the account map (decisions.policy).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from zentra_pipeline import identifiers, vocabulary
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.money import decimal_text
from zentra_pipeline.published import lake
from zentra_pipeline.queries.result_text import csv_lines
from zentra_pipeline.settings import TenantPaths

COLUMNS: Final = (
    *("entry_id", "provider", "ledger_window", "kind", "account", "debit", "credit", "currency"),
    *("provider_reference", "item_id", "match_id", "exception_id", "decision_id", "decided_by", "reason", "rests_on"),
)
_SQL: Final = (
    "SELECT * FROM journal_proposals WHERE strftime(ledger_window, '%Y-%m') = ? AND (? IS NULL OR provider = ?) "
    "ORDER BY ledger_window, provider, kind, entry_id, currency, direction DESC, account"
)


@dataclass(frozen=True)
class Journal:
    """The lines of a month; `has_accounts` is whether policy.yml maps accounts, without which there are none."""

    period: str
    has_accounts: bool
    lines: Sequence[dict[str, Any]]

    @property
    def totals(self) -> list[dict[str, Any]]:
        """Debits and credits of each account and currency; over all accounts of a currency they are equal."""
        sums: dict[tuple[str, str], dict[str, int]] = {}
        for line in self.lines:
            both = sums.setdefault((line["currency"], line["account"]), {"debit_minor": 0, "credit_minor": 0})
            both[f"{line['direction']}_minor"] += line["amount_minor"]
        return [
            {"currency": currency, "account": account, **both} for (currency, account), both in sorted(sums.items())
        ]


def of_month(paths: TenantPaths, period: str, provider: str | None = None) -> Journal:
    """The proposals of the windows of a month; UsageError for text that is none."""
    found = lake.query(paths, _SQL, [identifiers.period(period), provider, provider])
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    return Journal(period, load_policy(paths).accounts is not None, rows)


def as_csv(journal: Journal, separator: str = ",") -> bytes:
    """The lines as RFC 4180, amounts in major units with a point; text that would be a formula gets an apostrophe."""

    def record(line: dict[str, Any]) -> list[object]:
        shown = decimal_text(line["amount_minor"], vocabulary.exponent(line["currency"]))
        amounts = {"debit": None, "credit": None} | {line["direction"]: Decimal(shown)}
        return [amounts[name] if name in amounts else line[name] for name in COLUMNS]

    mark = "\ufeff" if separator == ";" else ""
    text = mark + "".join(csv_lines(COLUMNS, map(record, journal.lines), separator))
    return text.encode("utf-8", "backslashreplace")
