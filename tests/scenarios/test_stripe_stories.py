"""What Stripe's events say of payments, refunds and disputes over four days, beside its reports and the ledger.

Each story has ids of its own, so all of them share a home and its runs. Does not belong here: how one event reads.
"""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.rows import MON, THU, TUE, WED, Row, entry
from tests.scenarios.world import NOW, World
from zentra_pipeline.ingest.files import ingest_files

Json = dict[str, Any]
HEADER = (
    "balance_transaction_id",
    "available_on_utc",
    "currency",
    "gross",
    "fee",
    "net",
    "reporting_category",
    "source_id",
    "charge_id",
    "payment_intent_id",
)


class Stripe:
    """A Stripe account: its report of a day, its events, and what our ledger posted, all amounts in cents."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, {"settlement_format": "stripe", "callback_format": "stripe"}, "stripe_eu")
        self.lines: dict[str, list[tuple[str, ...]]] = {}
        self.events: list[Json] = []
        self.entries: list[Row] = []

    def settled(self, day: str, category: str, source: str, charge: str, intent: str, cents: int) -> None:
        amount = f"{cents / 100:.2f}"
        number = f"txn_{sum(map(len, self.lines.values())) + 1}"
        row = (number, f"{day} 10:00:00", "usd", amount, "0", amount, category, source, charge, intent)
        self.lines.setdefault(day, []).append(row)

    def posted(self, day: str, movement_type: str, reference: str, intent: str, cents: int) -> None:
        name = f"t_{len(self.entries) // 2 + 1}"
        sides = ("debit", "credit") if cents > 0 else ("credit", "debit")
        for place, (account, side) in enumerate(zip(("customer_funds", "settlement_account"), sides, strict=True)):
            self.entries.append(
                entry(
                    *(f"{name}.{place}", name, reference, account, side, abs(cents)),
                    on=day,
                    type=movement_type,
                    intent=intent,
                    provider="stripe_eu",
                )
            )

    def booked(self, day: str, category: str, reference: str, intent: str, cents: int) -> None:
        """Settled and posted on one day under one reference."""
        movement_type = {"charge": "payment", "charge_failure": "payment", "refund": "refund", "dispute": "chargeback"}
        charge = reference if category.startswith("charge") else ""
        self.settled(day, category, reference, charge, intent, cents)
        self.posted(day, movement_type[category], reference, intent, cents)

    def said(self, day: str, event_type: str, subject: Json, hour: int = 10, before: Json | None = None) -> str:
        """An event of a day; its id."""
        name = f"evt_{len(self.events) + 1}"
        created = int(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp()) + hour * 3600
        data = {"object": subject} | ({} if before is None else {"previous_attributes": before})
        self.events.append({"id": name, "object": "event", "created": created, "type": event_type, "data": data})
        return name

    def deliver(self) -> None:
        """Ingest everything, the report of each day as its settlement file."""
        for day in (MON, TUE, WED, THU):
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([HEADER, *self.lines.get(day, [])])
            self._ingest("settlement", f"set_{day.replace('-', '_')}.csv", text.getvalue())
            self.world._files.add(f"set_{day.replace('-', '_')}")
        self._ingest("callbacks", "events.jsonl", "".join(json.dumps(event) + "\n" for event in self.events))
        self.world.ingest("ledger", "postings", self.entries)

    def _ingest(self, kind: str, name: str, content: str) -> None:
        path = self.world.inbox / name
        path.write_text(content, encoding="utf-8")
        tenant, form = self.world.tenant, "stripe"
        ingest_files(tenant, provider="stripe_eu", kind=kind, files=[path], file_id=None, format=form, now=NOW)


def charge(name: str, intent: str, cents: int, **changes: Any) -> Json:
    about = {"id": name, "object": "charge", "amount": cents, "amount_captured": cents, "captured": True}
    return about | {"currency": "usd", "status": "succeeded", "payment_intent": intent, "metadata": {}} | changes


def refund(name: str, intent: str, cents: int, status: str = "succeeded") -> Json:
    about = {"id": name, "object": "refund", "amount": cents, "currency": "usd", "status": status}
    return about | {"payment_intent": intent, "metadata": {}}


def dispute(name: str, intent: str, cents: int, status: str) -> Json:
    return refund(name, intent, cents, status) | {"object": "dispute"}


def session(intent: str, cents: int) -> Json:
    about = {"id": f"cs_{intent}", "object": "checkout.session", "amount_total": cents, "currency": "usd"}
    return about | {"payment_intent": intent, "payment_status": "paid", "metadata": {"cart": "9"}}


def emit(stripe: Stripe) -> Iterator[tuple[str, str, str]]:
    """The stories, and the exceptions that must come of them: window, type, event or transaction."""
    # Two partial refunds, which only charge.refunded reports.
    stripe.booked(MON, "charge", "ch_1", "pi_1", 1000)
    stripe.said(MON, "charge.succeeded", charge("ch_1", "pi_1", 1000))
    for total, before in ((300, 0), (500, 300)):
        stripe.booked(TUE, "refund", f"re_1_{total}", "pi_1", before - total)
        reported = charge("ch_1", "pi_1", 1000, amount_refunded=total)
        stripe.said(TUE, "charge.refunded", reported, 10 + total // 100, {"amount_refunded": before})

    # A dispute that is lost: the chargeback a day after the payment.
    stripe.booked(MON, "charge", "ch_2", "pi_2", 2000)
    stripe.said(MON, "charge.succeeded", charge("ch_2", "pi_2", 2000))
    stripe.booked(TUE, "dispute", "dp_2", "pi_2", -2000)
    stripe.said(TUE, "charge.dispute.created", dispute("dp_2", "pi_2", 2000, "needs_response"))
    stripe.said(TUE, "charge.dispute.funds_withdrawn", dispute("dp_2", "pi_2", 2000, "needs_response"), 11)
    stripe.said(WED, "charge.dispute.closed", dispute("dp_2", "pi_2", 2000, "lost"))

    # A debit that fails two days later, settled and posted back that day.
    stripe.booked(MON, "charge", "py_3", "pi_3", 3000)
    stripe.said(MON, "charge.pending", charge("py_3", "pi_3", 3000, status="pending"), 9)
    stripe.said(MON, "charge.succeeded", charge("py_3", "pi_3", 3000))
    stripe.booked(WED, "charge_failure", "py_3", "pi_3", -3000)
    stripe.said(WED, "charge.failed", charge("py_3", "pi_3", 3000, status="failed"))

    # A payment in a session that nobody booked: one orphan, not two.
    stripe.said(MON, "checkout.session.completed", session("pi_4", 4000))
    yield THU, "orphan_callback", stripe.said(MON, "charge.succeeded", charge("ch_4", "pi_4", 4000))

    # A refund that was pending and failed, before anybody booked it.
    stripe.booked(MON, "charge", "ch_5", "pi_5", 5000)
    stripe.said(MON, "charge.succeeded", charge("ch_5", "pi_5", 5000))
    stripe.said(MON, "refund.created", refund("re_5", "pi_5", 5000, "pending"), 11)
    stripe.said(TUE, "refund.failed", refund("re_5", "pi_5", 5000, "failed"))

    # The first charge of an intent fails, the second succeeds in the same second; the ledger knows the intent alone.
    stripe.settled(MON, "charge", "ch_6b", "ch_6b", "pi_6", 6000)
    stripe.posted(MON, "payment", "pi_6", "pi_6", 6000)
    stripe.said(MON, "charge.succeeded", charge("ch_6b", "pi_6", 6000))
    stripe.said(MON, "charge.failed", charge("ch_6a", "pi_6", 6000, status="failed"))

    # An inquiry that becomes a dispute: the money goes with the dispute and not before.
    stripe.booked(MON, "charge", "ch_7", "pi_7", 7000)
    stripe.said(MON, "charge.succeeded", charge("ch_7", "pi_7", 7000))
    stripe.said(MON, "charge.dispute.created", dispute("dp_7", "pi_7", 7000, "warning_needs_response"), 11)
    stripe.booked(WED, "dispute", "dp_7", "pi_7", -7000)
    stripe.said(WED, "charge.dispute.funds_withdrawn", dispute("dp_7", "pi_7", 7000, "needs_response"))

    # A refund of another amount than was booked.
    stripe.booked(MON, "refund", "re_8", "pi_8", -800)
    yield MON, "amount_mismatch", stripe.said(MON, "refund.created", refund("re_8", "pi_8", 880))

    # A paid session which nothing else reports, its payment and nothing of its refund.
    stripe.booked(MON, "charge", "ch_9", "pi_9", 900)
    stripe.said(MON, "checkout.session.completed", session("pi_9", 900))
    stripe.booked(MON, "refund", "re_9", "pi_9", -900)
    yield MON, "missing_callback", f"t_{len(stripe.entries) // 2}"


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, set[tuple[str, str, str]]]:
    stripe = Stripe(tmp_path_factory.mktemp("stripe"))
    expected = set(emit(stripe))
    stripe.deliver()
    for window in (MON, TUE, WED, THU):
        stripe.world.reconcile(window)
    return stripe.world, expected


def test_the_stories_give_their_exceptions_and_no_other(stories: tuple[World, set[tuple[str, str, str]]]) -> None:
    world, expected = stories
    found = world.query("select ledger_window, exception_type, subject_id from exceptions")
    assert {(str(row["ledger_window"]), row["exception_type"], row["subject_id"]) for row in found} == expected


def test_every_line_and_movement_of_the_stories_is_matched(stories: tuple[World, set[tuple[str, str, str]]]) -> None:
    world, _ = stories
    assert world.query("select item_id from open_items") == []
