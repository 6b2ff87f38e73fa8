"""What an ISO 20022 statement says itself of its entries (`TxsSummry`) against what they are; reading is not here."""

from dataclasses import dataclass
from typing import Self

from zentra_pipeline import money
from zentra_pipeline.sources.bank_statements import minor_units
from zentra_pipeline.sources.camt_entry import Node, text


@dataclass
class Total:
    """Counts and sums of the entries of one currency, all of them and those booked."""

    entries: int = 0
    minor: int = 0
    booked: int = 0
    booked_minor: int = 0
    transactions: int = 0
    credits_minor: int = 0
    debits_minor: int = 0
    booked_credits_minor: int = 0
    booked_debits_minor: int = 0

    def add(self, minor: int, *, transactions: int, is_booked: bool) -> None:
        """Count an entry and the transactions it sums up."""
        credit, debit = (minor, 0) if minor >= 0 else (0, -minor)
        self.entries += 1
        self.minor += minor
        self.transactions += transactions
        self.credits_minor += credit
        self.debits_minor += debit
        if is_booked:
            self.booked += 1
            self.booked_minor += minor
            self.booked_credits_minor += credit
            self.booked_debits_minor += debit


@dataclass(frozen=True)
class Summary:
    """The counts and sums as written, null where they are not given."""

    count: str | None
    credit_sum: str | None
    debit_sum: str | None

    @classmethod
    def of(cls, node: Node) -> Self:
        """The summary of a `TxsSummry`."""
        return cls(text(node, "TtlNtries/NbOfNtries"), text(node, "TtlCdtNtries/Sum"), text(node, "TtlDbtNtries/Sum"))

    def difference(self, total: Total, currency: str | None) -> str | None:
        """Where the summary disagrees with all entries and with those booked, in the words of the file; null where not.

        Banks count entries or transactions.
        """
        counts = (total.entries, total.booked, total.transactions)
        if self.count is not None and self.count.isdecimal() and int(self.count[:18]) not in counts:
            return f"TtlNtries/NbOfNtries is {self.count[:20]}, but the entries are {total.entries:,}"
        if currency is None:
            return None
        for name, said, sums in (
            ("TtlCdtNtries/Sum", self.credit_sum, (total.credits_minor, total.booked_credits_minor)),
            ("TtlDbtNtries/Sum", self.debit_sum, (total.debits_minor, total.booked_debits_minor)),
        ):
            if said is None:
                continue
            try:
                stated = abs(minor_units(said, currency))
            except ValueError:
                return f"{name} is {said[:40]!r}, which is no amount of {currency}"
            if stated not in sums:
                return (
                    f"{name} is {money.amount_text(stated, currency)}, but the entries add up to "
                    f"{money.amount_text(sums[0], currency)}"
                )
        return None
