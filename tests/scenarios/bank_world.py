"""A tenant whose provider pays out into a bank account: statements come, its days run, and what they say as text.

A payout is a batch of the provider's settlement file with its payout line. Does not belong here: what is expected.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from tests.scenarios.bank_rows import ACCOUNT, Line, statement
from tests.scenarios.rows import post, settle
from tests.scenarios.world import NOW, OWNER, TENANT, World
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.reconcile import run_requests, window_run
from zentra_pipeline.reconcile.window_run import WindowResult
from zentra_pipeline.store import runs as run_store

BANK = "house_bank"
SCOPE = f"bank:{ACCOUNT}"


class BankWorld(World):
    """A home with one provider and one bank account; `terms` are the keys of the provider's profile about payouts."""

    def __init__(self, folder: Path, terms: Mapping[str, Any] | None = None) -> None:
        profile = {"expects_callbacks": False, "payout_account": ACCOUNT, **(terms or {})}
        super().__init__(folder, profile)
        self.paths.banks.mkdir(parents=True, exist_ok=True)
        content = {"format": "camt053", "accounts": [ACCOUNT]}
        (self.paths.banks / f"{BANK}.yml").write_text(json.dumps(content), encoding="utf-8")
        self.balance = 0
        self._arrived = 0

    def pay(self, payout: str, amount: int, on: str, batch: str | None = None, **options: Any) -> None:
        """Have the provider settle one payment of a batch and pay the batch out, both in the window `on`."""
        named = batch or f"B-{payout}"
        self.add(
            settle(f"line-{payout}", f"pay-{payout}", amount, on=on, batch=named),
            post(f"txn-{payout}", f"pay-{payout}", amount, on=on, intent=f"int-{payout}"),
            settle(payout, "", -amount, on=on, type="payout", batch=named, **options),
        )

    def state(self, day: str, *lines: Line, opening: int | None = None, **options: Any) -> None:
        """Have the bank's statement of a day come; it opens with what the one before it closed with."""
        begins = self.balance if opening is None else opening
        content = statement(day, begins, lines, **options)
        self.balance = begins + sum(line.amount for line in lines if not line.is_pending)
        self.receive(content)

    def receive(self, content: bytes) -> None:
        """Ingest a bank's file of these bytes."""
        self._arrived += 1
        path = self.inbox / f"statement_{self._arrived}.xml"
        path.write_bytes(content)
        ingest_files(
            self.tenant, provider=BANK, kind="bank_statement", files=[path], file_id=None, format="camt053", now=NOW
        )

    def bank_day(self, day: str) -> WindowResult:
        """Run a day of the account, as known at its end, and whatever follows from it."""
        as_of = datetime.combine(date.fromisoformat(day), time(23, 59), UTC)
        request = run_requests.of_account(ACCOUNT, date.fromisoformat(day), OWNER, as_of, "test")
        result = window_run.run_window(self.tenant, request)
        window_run.run_queued(self.tenant, SCOPE)
        return result

    def bank_run(self, day: str) -> run_store.Run:
        """The run of a day of the account as recorded."""
        request = run_requests.of_account(ACCOUNT, date.fromisoformat(day), OWNER)
        with self.tenant.reading() as connection:
            return run_store.get(connection, run_requests.run_id_of(TENANT, request))

    def bank_says(self) -> list[str]:
        """What is known of the account: matches, exceptions and payouts, a line each; payouts by their line."""
        payouts = self.query("select payout_id, line_id, status from payouts order by payout_id")
        names = {row["payout_id"]: row["line_id"] for row in payouts}
        states = (f"payout {row['line_id']}: {row['status']}" for row in payouts)
        return sorted([*self._bank_matches(names), *self._bank_exceptions(names), *states])

    def _bank_matches(self, names: Mapping[str, str]) -> Iterator[str]:
        legs: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for leg in self.query("select * from bank_match_legs order by leg_type, leg_id"):
            legs[leg["match_id"], leg["run_id"]][leg["leg_type"]].append(
                str(leg["amount_minor"]) if leg["leg_type"] == "bank_fee" else _short(leg["leg_id"], names)
            )
        for row in self.query("select * from bank_matches order by match_id"):
            of_match = legs[row["match_id"], row["run_id"]]
            sides = f"{' + '.join(sorted(of_match['bank_line']))} = {' + '.join(sorted(of_match['payout']))}"
            fee = "".join(f", fee {amount}" for amount in of_match["bank_fee"])
            status = "" if row["status"] == "confirmed" else f" ({row['status']})"
            yield f"{row['rule']}: {sides}, {row['bank_minor']} {row['currency']}{fee}{status}"

    def _bank_exceptions(self, names: Mapping[str, str]) -> Iterator[str]:
        for row in self.query(f"select * from exceptions where provider = '{SCOPE}' order by exception_id"):
            ended = "" if row["status"] == "open" else f" ({row['resolution']})"
            subject = _short(row["subject_id"], names)
            yield f"{row['exception_type']}: {subject}, {row['amount_minor']} {row['currency']}{ended}"


def _short(item_id: str, names: Mapping[str, str]) -> str:
    return names.get(item_id, item_id.removeprefix(f"{ACCOUNT}:"))
