"""One life story: the rows a case puts into the world and what it states must come of them.

Stories never share a reference. Does not belong here: what follows from the calendar alone (ages, carried items,
roll-forward), which the answer key adds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import Random

from zentra_pipeline.simulation.calendar import Calendar
from zentra_pipeline.simulation.rows import CLEARING_ACCOUNT, PROVIDER, Callback, Line, PostedEntry
from zentra_pipeline.simulation.statements import (
    CaseDoesNotFitError,
    Finding,
    Item,
    Leg,
    Match,
    Movement,
    PlacedLine,
    Refused,
    WriteOff,
    leg_of,
)
from zentra_pipeline.simulation.terms import Terms

MOVEMENT_TYPES = {
    "payment": ("transfer", "payment", "card"),
    "refund": ("refund",),
    "chargeback": ("chargeback",),
    "chargeback_reversal": ("chargeback",),
    "payout": ("payout",),
    "adjustment": ("adjustment",),
}
CALLBACK_TYPES = ("payment", "refund", "chargeback", "chargeback_reversal")
_NOISE = ("", "", "", "", "", "", ' "quoted", comma', " é", " 日本", "'; --", " 🧾", " ﷽", "|;\\")


@dataclass
class CaseScript:
    """Rows and statements of one case. `reasons` says why a line is unmatched, where it is not the plain reason.

    `late` are the ids of rows that an earlier window's files bring only when later windows have run, `restated_late`
    the lines that change by them; `before` is what the story states until then.
    """

    case: str
    number: int
    rng: Random
    calendar: Calendar
    terms: Terms
    lines: list[PlacedLine] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    entries: list[tuple[int, PostedEntry]] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)
    redelivered_lines: list[tuple[int, Line]] = field(default_factory=list)
    restated: list[tuple[Line, Line]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    reasons: dict[str, tuple[str, ...]] = field(default_factory=dict)
    duplicate_from: dict[Leg, int] = field(default_factory=dict)
    posted_more: list[tuple[int, str, str, int]] = field(default_factory=list)
    undecidable: set[tuple[str, str]] = field(default_factory=set)
    disbelieved: set[str] = field(default_factory=set)
    write_offs: list[WriteOff] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    restated_late: list[tuple[Line, Line]] = field(default_factory=list)
    before: "CaseScript | None" = None
    _named: int = 0

    # What the case draws: runs, amounts, names, instants.

    @property
    def last_run(self) -> int:
        return len(self.calendar.runs) - 1

    def any_run(self, spare: int = 0) -> int:
        """A run that has at least `spare` runs after it."""
        if self.last_run < spare:
            raise CaseDoesNotFitError(self.case)
        return self.rng.randint(0, self.last_run - spare)

    def later_run(self, run: int, spare: int = 0) -> int:
        """A run after `run` that itself has at least `spare` runs after it."""
        if run + 1 > self.last_run - spare:
            raise CaseDoesNotFitError(self.case)
        return self.rng.randint(run + 1, self.last_run - spare)

    def require(self, condition: bool) -> None:
        """The case makes no sense in this world unless the condition holds."""
        if not condition:
            raise CaseDoesNotFitError(self.case)

    def currency(self, among: Sequence[str] = ("USD", "USD", "EUR", "JPY", "KWD")) -> str:
        return self.rng.choice(among)

    def amount(self, least: int = 1_000) -> int:
        """A positive amount between `least` and the order of 10^5 to 10^12; small ones are the most common."""
        return least + self.rng.randrange(10 ** self.rng.choice([5, 5, 6, 6, 7, 9, 12]))

    def name(self, prefix: str) -> str:
        """An id that no other row of the world has."""
        self._named += 1
        return f"{prefix}{self.number:08d}{self.rng.choice('0123456789')}{self._named:02d}"

    def reference(self) -> str:
        """A reference that no other reference equals, normalized or not; some are awkward text."""
        return self.name("PR-") + self.rng.choice(_NOISE)

    def instant_in(self, day: date) -> datetime:
        """An instant of a window, its first and last millisecond now and then."""
        start, end = self.calendar.start(day), self.calendar.end(day)
        span = int((end - start) / timedelta(milliseconds=1))
        offset = self.rng.choice([0, span - 1] + [self.rng.randrange(span) // 1000 * 1000 for _ in range(12)])
        return start + timedelta(milliseconds=offset)

    def instant_between(self, after: datetime, up_to: datetime) -> datetime:
        """An instant later than one and no later than another, the latter now and then."""
        span = int((up_to - after) / timedelta(milliseconds=1))
        if span < 1:
            raise CaseDoesNotFitError(self.case)
        offset = self.rng.choice([span, self.rng.randint(1, span), self.rng.randint(1, span)])
        return after + timedelta(milliseconds=offset)

    def late_runs(self) -> tuple[int, int]:
        """The run whose window gets late files, and the last that runs without them."""
        if self.calendar.late is None:
            raise CaseDoesNotFitError(self.case)
        return self.calendar.late

    # What the case puts into the world.

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

    # What the case states.

    def match(
        self,
        lines: Sequence[PlacedLine],
        movements: Sequence[Movement],
        rule: str = "exact_reference",
        *,
        run: int | None = None,
        callbacks: Sequence[Callback] | None = None,
        has_every_callback: bool = False,
        reversed_in: int | None = None,
        settlement_minor: int | None = None,
        is_part: bool = False,
    ) -> Match:
        """State a confirmed match; when `callbacks` is not given, the provider reports success in time.

        `has_every_callback`: all callbacks of the story speak of it, those that the case adds later too. It is made
        in the first run that sees all of its legs, unless `run` says otherwise. What is off, a pair
        beyond tolerance, carries an `amount_mismatch` that ends when the match is taken back; where the match
        `is_part` of a settlement in parts, match_in_parts states it.
        """
        made_in = max(_seen_in(lines, movements)) if run is None else run
        settled = sum(line.compared_minor for line in lines) if settlement_minor is None else settlement_minor
        posted = sum(movement.amount_minor for movement in movements)
        currency = movements[0].currency
        difference = settled - posted
        is_beyond = self._is_beyond(lines, movements, difference)
        method = "exact" if difference == 0 else "" if is_beyond else "tolerance"
        if callbacks is None:
            callbacks = () if has_every_callback else self.success(lines, movements, settled)
        match = Match(
            rule=rule,
            run=made_in,
            lines=tuple(lines),
            movements=tuple(movements),
            settlement_minor=settled,
            ledger_minor=posted,
            method=method,
            callbacks=frozenset(callback.provider_event_id for callback in callbacks),
            has_every_callback=has_every_callback,
            reversed_in=reversed_in,
        )
        self.matches.append(match)
        if is_beyond and not is_part:
            first = min(line.row.line_id for line in lines)
            self.find("amount_mismatch", "settlement_line", first, made_in, reversed_in, currency, difference)
        return match

    def match_in_parts(
        self,
        stages: Sequence[tuple[int, Sequence[PlacedLine], Sequence[Movement]]],
        callbacks: Sequence[Callback],
        rule: str = "exact_reference",
    ) -> None:
        """State that each run of `stages` matches what has come by then, and takes the match before it back.

        The first line by id has the difference: the same exception while that stays the same line, else
        one that supersedes it; it ends when what has come is the whole.
        """
        shown: list[tuple[int, int]] = []  # the differences of the exception that is open, each from a run on
        subject = ""
        for place, (run, lines, movements) in enumerate(stages):
            following = stages[place + 1][0] if place + 1 < len(stages) else None
            match = self.match(
                lines, movements, rule, run=run, callbacks=callbacks, reversed_in=following, is_part=True
            )
            currency, first = movements[0].currency, min(line.row.line_id for line in lines)
            is_beyond = self._is_beyond(lines, movements, match.difference_minor)
            if shown and (not is_beyond or subject != first):
                self._find_difference(subject, currency, shown, run, "superseded" if is_beyond else "matched_late")
                shown = []
            if is_beyond:
                subject, shown = first, [*shown, (run, match.difference_minor)]
        if shown:
            self._find_difference(subject, currency, shown, None, "matched_late")

    def _find_difference(
        self, line_id: str, currency: str, shown: Sequence[tuple[int, int]], ended: int | None, resolution: str
    ) -> None:
        """State an amount_mismatch whose difference changes from run to run."""
        self.findings.append(
            Finding(
                ("amount_mismatch",),
                "settlement_line",
                line_id,
                shown[0][0],
                ended,
                currency,
                shown[-1][1],
                resolution,
                tuple(shown),
            )
        )

    def _is_beyond(self, lines: Sequence[PlacedLine], movements: Sequence[Movement], difference: int) -> bool:
        """Whether a difference is reported; tolerance is for pairs."""
        is_pair = len(lines) == len(movements) == 1
        return abs(difference) > (self.terms.tolerance(movements[0].currency) if is_pair else 0)

    def suggest(self, line: PlacedLine, movement: Movement) -> None:
        """State that the first run that sees both must suggest the pair, which stays unmatched by that."""
        self.matches.append(
            Match(
                rule="amount_date",
                run=max(line.run, movement.run),
                lines=(line,),
                movements=(movement,),
                settlement_minor=line.compared_minor,
                ledger_minor=movement.amount_minor,
                method="exact",
                status="suggested",
            )
        )

    def leave_open(self, *legs: Item) -> None:
        """State that no honest reader can decide these: any confident match of them is wrong."""
        for leg in legs:
            if isinstance(leg, PlacedLine):
                self.undecidable.add(("settlement_line", leg.row.line_id))
            else:
                self.undecidable.add(("ledger_transaction", leg.transaction_id))

    def find(
        self,
        types: str | tuple[str, ...],
        subject_type: str,
        subject_id: str,
        run: int,
        resolved_in: int | None = None,
        currency: str = "",
        difference_minor: int | None = None,
        resolution: str = "matched_late",
    ) -> None:
        """State an exception that the calendar alone does not give."""
        named = (types,) if isinstance(types, str) else types
        self.findings.append(
            Finding(named, subject_type, subject_id, run, resolved_in, currency, difference_minor, resolution)
        )

    def reason(self, line: PlacedLine, *types: str) -> None:
        """State why a line is unmatched for as long as it is."""
        self.reasons[line.row.line_id] = types

    def duplicate(self, leg: Item, run: int) -> None:
        """State that from this run on an unmatched line or movement repeats one already paired."""
        self.duplicate_from[leg_of(leg)] = run

    def post_more(self, movement: Movement, run: int, amount: int) -> Movement:
        """An entry of a later window that changes a movement seen before; returns the movement as it is from then on.

        Its id is the last of the transaction's: what the movement has stays as it was.
        """
        self._add_entries(movement, run, amount)
        self.posted_more.append((run, movement.transaction_id, movement.currency, amount))
        return replace(movement, amount_minor=movement.amount_minor + amount)

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

    def write_off(self, item: Item, run: int, exception_type: str) -> None:
        """Operators give an item up after the run that opens its exception."""
        self.write_offs.append(WriteOff(run, exception_type, item))

    def fork(self) -> "CaseScript":
        """The story as far as it has come, to be continued as it is known before the late files."""
        return replace(
            self,
            lines=[*self.lines],
            movements=[*self.movements],
            matches=[*self.matches],
            findings=[*self.findings],
            callbacks=[*self.callbacks],
            reasons={**self.reasons},
            duplicate_from={**self.duplicate_from},
        )

    def success(self, lines: Sequence[PlacedLine], movements: Sequence[Movement], amount: int) -> list[Callback]:
        """Success reported in the window of the first side, so never late; now and then pending before, or again."""
        if not self.terms.expects_callbacks and self.rng.random() < 0.5:
            return []
        first_seen = min(_seen_in(lines, movements))
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


def _seen_in(lines: Sequence[PlacedLine], movements: Sequence[Movement]) -> list[int]:
    """The runs that are the first to see each leg."""
    return [line.run for line in lines] + [movement.run for movement in movements]
