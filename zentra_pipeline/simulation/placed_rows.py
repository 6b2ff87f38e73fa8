"""The rows that a case puts into its world: lines, postings, callbacks; what must come of them does not belong here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from zentra_pipeline.simulation.draws import Draws
from zentra_pipeline.simulation.rows import CLEARING_ACCOUNT, PROVIDER, Callback, Line, PostedEntry
from zentra_pipeline.simulation.statements import Movement, PlacedLine

MOVEMENT_TYPES = {
    "payment": ("transfer", "payment", "card"),
    "refund": ("refund",),
    "chargeback": ("chargeback",),
    "chargeback_reversal": ("chargeback",),
    "payout": ("payout",),
    "adjustment": ("adjustment",),
}
CALLBACK_TYPES = ("payment", "refund", "chargeback", "chargeback_reversal")


@dataclass
class PlacedRows(Draws):
    """Lines and movements with the run that first sees them, entries and callbacks in the order they were placed."""

    lines: list[PlacedLine] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    entries: list[tuple[int, PostedEntry]] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)

    def line(
        self,
        run: int,
        amount: int,
        currency: str,
        reference: str = "",
        *,
        line_type: str = "payment",
        merchant: str = "",
        original: str = "",
        status: str = "",
        batch: str | None = None,
        gross_and_fee: tuple[int, int] | None = None,
        net_off: int = 0,
        at: datetime | None = None,
        paid: tuple[int, str] | None = None,
    ) -> PlacedLine:
        """A line of the run's settlement file that is compared by `amount` (gross or net, as the profile says).

        `paid` is what the customer paid, in another currency; what is stated of a match by it is the case's part.
        """
        gross, fee = gross_and_fee or self.terms.gross_and_fee(amount, line_type, currency)
        row = Line(
            line_id=self.name("L"),
            line_type=line_type,
            provider_reference=reference,
            merchant_reference=merchant,
            original_reference=original,
            status=status,
            gross_minor=gross,
            fee_minor=fee,
            net_minor=gross - fee + net_off,
            currency=currency,
            settled_at=at or self.instant_in(self.calendar.runs[run]),
            batch_id=f"po_{self.calendar.runs[run]}" if batch is None else batch,
            presentment_minor=None if paid is None else paid[0],
            presentment_currency="" if paid is None else paid[1],
        )
        placed = PlacedLine(row, run, self.terms.compared(row.gross_minor, row.net_minor))
        self.lines.append(placed)
        return placed

    def movement(
        self,
        run: int,
        amount: int,
        currency: str,
        reference: str = "",
        *,
        kind: str = "payment",
        intent: str | None = None,
        transaction: str | None = None,
        at: datetime | None = None,
        unbalanced_by: int = 0,
    ) -> Movement:
        """A transaction first seen by `run` whose net on the clearing account is `amount`, credit positive."""
        posted_at = at or self.instant_in(self.rng.choice(self.calendar.days_of(run)))
        window = self.calendar.window_of(posted_at)
        transaction_id = transaction or self.name("T")
        intent_id = self.name("I") if intent is None else intent
        movement_type = self.rng.choice(MOVEMENT_TYPES[kind])
        legs = self._clearing_legs(amount)
        counter = unbalanced_by - sum(legs)
        ids = sorted(self.name("E") for _ in legs)
        for position, (entry_id, leg) in enumerate(zip(ids, legs, strict=True)):
            # Only the first clearing entry speaks for the movement; what the others carry must not matter.
            is_first = position == 0 or self.rng.random() < 0.5
            shown = (reference, intent_id) if is_first else (self.name("DECOY-"), self.name("DECOY-"))
            entry = self._entry(
                entry_id, transaction_id, movement_type, CLEARING_ACCOUNT, leg, currency, posted_at, shown
            )
            self.entries.append((run, entry))
        if counter:
            shown = (self.rng.choice([reference, ""]), intent_id)
            entry = self._entry(
                self.name("E"), transaction_id, movement_type, "customer_funds", counter, currency, posted_at, shown
            )
            self.entries.append((run, entry))
        placed = Movement(transaction_id, currency, amount, reference, intent_id, posted_at, window, run)
        self.movements.append(placed)
        return placed

    @staticmethod
    def _entry(
        entry_id: str,
        transaction_id: str,
        movement_type: str,
        account: str,
        signed_minor: int,
        currency: str,
        posted_at: datetime,
        shown: tuple[str, str],
    ) -> PostedEntry:
        """One side of a posting, credit positive; `shown` is the reference and intent it carries."""
        return PostedEntry(
            entry_id=entry_id,
            transaction_id=transaction_id,
            movement_type=movement_type,
            account=account,
            direction="credit" if signed_minor > 0 else "debit",
            amount_minor=abs(signed_minor),
            currency=currency,
            posted_at=posted_at,
            provider=PROVIDER,
            provider_reference=shown[0],
            intent_id=shown[1],
        )

    def _clearing_legs(self, amount: int) -> list[int]:
        """The clearing entries of a movement: usually one, now and then a split or an over-posting taken back."""
        if amount == 0:
            swing = self.rng.randrange(1, 100_000)
            return [swing, -swing]
        if abs(amount) > 1 and self.rng.random() < 0.15:
            part = self.rng.randrange(1, abs(amount)) * (1 if amount > 0 else -1)
            return [part, amount - part]
        if self.rng.random() < 0.05:
            extra = self.rng.randrange(1, 1_000)
            return [amount + extra, -extra] if amount > 0 else [amount - extra, extra]
        return [amount]

    def callback(
        self,
        amount: int,
        currency: str,
        reference: str = "",
        *,
        merchant: str = "",
        status: str = "succeeded",
        received_at: datetime,
        occurred_at: datetime | None = None,
        sequence: int | None = None,
        event_id: str | None = None,
        verified: bool | None = True,
        movement_type: str | None = None,
    ) -> Callback:
        """A delivery; without another instant the event occurred some seconds before it was received."""
        delivery = Callback(
            provider_event_id=event_id or self.name("evt_"),
            event_type=f"payment.{status}",
            provider_reference=reference,
            merchant_reference=merchant,
            amount_minor=amount,
            currency=currency,
            status=status,
            occurred_at=occurred_at or received_at - timedelta(seconds=self.rng.randrange(1, 90)),
            received_at=received_at,
            sequence=sequence,
            signature_verified=verified,
            movement_type=movement_type,
        )
        self.callbacks.append(delivery)
        return delivery

    def deliver_again(self, delivery: Callback, received_at: datetime) -> None:
        """The same event once more; a later receipt is no other payload."""
        self.callbacks.append(replace(delivery, received_at=received_at))

    def _add_entries(self, movement: Movement, run: int, amount: int) -> datetime:
        """Both sides of what a later window adds to a transaction; returns when it is posted."""
        entry_id = max(entry.entry_id for _, entry in self.entries if entry.transaction_id == movement.transaction_id)
        at, shown = self.instant_in(self.calendar.runs[run]), (movement.provider_reference, movement.intent_id)
        for suffix, account, signed in (("a", CLEARING_ACCOUNT, amount), ("b", "customer_funds", -amount)):
            entry = self._entry(
                f"{entry_id}{suffix}", movement.transaction_id, "payment", account, signed, movement.currency, at, shown
            )
            self.entries.append((run, entry))
        return at

    def grow(self, movement: Movement, run: int, amount: int) -> Movement:
        """An entry of a later window that changes a movement written off before: an item of that run, by the change."""
        at = self._add_entries(movement, run, amount)
        grown = replace(movement, amount_minor=amount, posted_at=at, window=self.calendar.runs[run], run=run)
        self.movements.append(grown)
        return grown

    def success(self, lines: Sequence[PlacedLine], movements: Sequence[Movement], amount: int) -> list[Callback]:
        """Success reported in the window of the first side, so never late; now and then pending before, or again."""
        if not self.terms.expects_callbacks and self.rng.random() < 0.5:
            return []
        first_seen = min(seen_in(lines, movements))
        received = self.instant_in(self.calendar.runs[first_seen])
        references = [leg.row.provider_reference for leg in lines] + [leg.provider_reference for leg in movements]
        reference = next((text for text in references if text), "")
        merchant = "" if reference and self.rng.random() < 0.5 else movements[0].intent_id
        currency = movements[0].currency
        types = {line.row.line_type for line in lines}
        says_type = len(types) == 1 and types <= set(CALLBACK_TYPES) and self.rng.random() < 0.3
        movement_type = min(types) if says_type else None
        success = self.callback(
            amount, currency, reference, merchant=merchant, received_at=received, movement_type=movement_type
        )
        heard = [success]
        if self.rng.random() < 0.2:
            pending = self.callback(
                amount,
                currency,
                reference,
                merchant=merchant,
                status="pending",
                received_at=received + timedelta(seconds=self.rng.choice([-30, 30])),
                occurred_at=success.occurred_at - timedelta(seconds=60),
                movement_type=movement_type,
            )
            heard.append(pending)
        if self.rng.random() < 0.2:
            self.deliver_again(success, received + timedelta(minutes=self.rng.randrange(1, 20_000)))
        return heard


def seen_in(lines: Sequence[PlacedLine], movements: Sequence[Movement]) -> list[int]:
    """The runs that are the first to see each leg."""
    return [line.run for line in lines] + [movement.run for movement in movements]
