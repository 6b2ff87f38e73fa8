"""What a case of a bank's world is written with: payouts, lines of statements, and what is right of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from random import Random


@dataclass(frozen=True)
class BankTerms:
    """The keys of the provider's profile about payouts, as drawn."""

    lag_days: int
    fee_tolerance_minor: int


@dataclass(frozen=True)
class Payout:
    """A payout line of the provider: paid out of a batch on a day, `amount` minor units; `retries` names a batch."""

    day: int
    line_id: str
    batch: str
    amount: int
    currency: str = "USD"
    trace_id: str = ""
    statement_text: str = ""
    retries: str = ""


@dataclass(frozen=True)
class BankLine:
    """A booking of the account on a day, `amount` minor units, a credit positive.

    `announced`: the day on which a report within the day has it as pending. `details`: text and amount of each of the
    transactions that it sums up.
    """

    day: int
    reference: str
    amount: int
    text: str
    trace: str = ""
    charges: int = 0
    instructed: tuple[int, str] | None = None
    is_reversal: bool = False
    announced: int | None = None
    details: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class ExpectedMatch:
    """A match that is right: its pass, its lines by their references, payouts by their lines, what the bank kept."""

    rule: str
    lines: tuple[str, ...]
    payouts: tuple[str, ...]
    fee_minor: int = 0
    status: str = "confirmed"


@dataclass(frozen=True)
class ExpectedException:
    """A break that is right: its type, the line, payout or statement it is about, and whether it stays open."""

    exception_type: str
    subject: str
    is_open: bool


@dataclass
class BankStory:
    """One case: what is drawn for it, and what holds of it when the last day has run. Days are places in `days`."""

    case: str
    number: int
    rng: Random
    days: Sequence[date]
    terms: BankTerms
    payouts: list[Payout] = field(default_factory=list)
    lines: list[BankLine] = field(default_factory=list)
    matches: list[ExpectedMatch] = field(default_factory=list)
    exceptions: list[ExpectedException] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)

    @property
    def last_day(self) -> int:
        return len(self.days) - 1

    def amount(self) -> int:
        """An amount that no other payout has."""
        return self.rng.randint(20, 4_000) * 100_000 + self.number * 100 + self.rng.randint(1, 97)

    def start(self, *, room: int) -> int:
        """A day with at least `room` days after it."""
        return self.rng.randint(0, max(self.last_day - room, 0))

    def pay(self, day: int, amount: int, **options: str) -> Payout:
        """Have the provider pay a batch out on a day."""
        number = len(self.payouts) + 1
        named = f"{self.number:04d}{chr(96 + number)}"
        found = Payout(day, f"P{named}", options.pop("batch", f"B{named.upper()}"), amount, **options)
        self.payouts.append(found)
        return found

    def book(self, day: int, amount: int, text: str, **options: object) -> str:
        """Have the bank book a line on a day; its reference."""
        reference = f"R{self.number:04d}{chr(96 + len(self.lines) + 1)}"
        self.lines.append(replace(BankLine(day, reference, amount, text), **options))  # type: ignore[arg-type]
        return reference

    def match(
        self, rule: str, lines: Sequence[str], payouts: Sequence[Payout], fee: int = 0, status: str = "confirmed"
    ) -> None:
        """These lines and payouts are matched by this pass."""
        names = tuple(sorted(payout.line_id for payout in payouts))
        self.matches.append(ExpectedMatch(rule, tuple(sorted(lines)), names, fee, status))

    def breaks(self, exception_type: str, subject: str, *, is_open: bool) -> None:
        """This break is seen; `is_open`: nothing that comes later resolves it."""
        self.exceptions.append(ExpectedException(exception_type, subject, is_open))

    def is_(self, payout: Payout, status: str) -> None:
        """The payout has this status when the last day has run."""
        self.states[payout.line_id] = status
