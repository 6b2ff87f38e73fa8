"""The terms of a world's provider: the profile its data is judged by, and fees to fit. No profile is read here."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

LEADING_NUMBER = "^[A-Za-z]+-([0-9]+)"
"""A normalizer that keeps the number of a reference and drops what surrounds it."""

MATCHED_TYPES = frozenset({"payment", "refund", "chargeback", "chargeback_reversal"})


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """What a payment line's fee should be: gross × rate_bps / 10000 + fixed_minor, give or take tolerance_minor."""

    rate_bps: int
    fixed_minor: int
    tolerance_minor: int

    def deviation(self, gross_minor: int, fee_minor: int) -> int:
        """Fee − expected fee in ten-thousandths of a minor unit: exact, where the expected fee has a fraction."""
        return (fee_minor - self.fixed_minor) * 10_000 - gross_minor * self.rate_bps

    def is_variance(self, gross_minor: int, fee_minor: int) -> bool:
        """Whether a fee is off by more than the tolerance and half a minor unit (contract §10.11)."""
        return abs(self.deviation(gross_minor, fee_minor)) > self.tolerance_minor * 10_000 + 5_000

    def fee(self, gross_minor: int) -> int:
        """The whole fee nearest to the expected one."""
        return self.fixed_minor + (gross_minor * self.rate_bps + 5_000) // 10_000


@dataclass(frozen=True, slots=True)
class Terms:
    """The profile keys a world varies; all others keep the defaults of contract §1."""

    timezone: str
    window_cutoff: str
    settlement_lag_days: int
    callback_grace_minutes: int
    expects_callbacks: bool
    amount_tolerance_minor: Mapping[str, int]
    reference_normalizer: str
    amount_date_rule: str
    compare_amount: str
    fee_schedule: Mapping[str, FeeTerms]

    def tolerance(self, currency: str) -> int:
        """The difference a pair may have; a currency the map does not name has none."""
        return self.amount_tolerance_minor.get(currency, 0)

    def compared(self, gross_minor: int, net_minor: int) -> int:
        """The amount of a line that reference passes compare."""
        return gross_minor if self.compare_amount == "gross" else net_minor

    def gross_and_fee(self, compared_minor: int, line_type: str, currency: str) -> tuple[int, int]:
        """Gross and fee of a line that keeps to the schedule and is compared by `compared_minor`."""
        terms = self.fee_schedule.get(currency) if line_type == "payment" else None
        if terms is None:
            return compared_minor, 0
        if self.compare_amount == "gross":
            return compared_minor, terms.fee(compared_minor)
        gross = (compared_minor + terms.fixed_minor) * 10_000 // (10_000 - terms.rate_bps)
        nearest = min(range(gross - 1, gross + 3), key=lambda g: abs(terms.deviation(g, g - compared_minor)))
        return nearest, nearest - compared_minor

    def profile(self) -> dict[str, object]:
        """The profile file's content."""
        return {
            "timezone": self.timezone,
            "window_cutoff": self.window_cutoff,
            "settlement_lag_days": self.settlement_lag_days,
            "callback_grace_minutes": self.callback_grace_minutes,
            "expects_callbacks": self.expects_callbacks,
            "amount_tolerance_minor": dict(self.amount_tolerance_minor),
            "reference_normalizer": self.reference_normalizer,
            "amount_date_rule": self.amount_date_rule,
            "compare_amount": self.compare_amount,
            "fee_schedule": {
                currency: {
                    "payment": {
                        "rate_bps": fee.rate_bps,
                        "fixed_minor": fee.fixed_minor,
                        "tolerance_minor": fee.tolerance_minor,
                    }
                }
                for currency, fee in self.fee_schedule.items()
            },
        }


def draw_terms(rng: Random) -> Terms:
    """The terms of a world: mostly the usual ones, now and then a profile that changes the right answers."""
    timezone, cutoff = rng.choice(
        [
            ("UTC", "00:00"),
            ("UTC", "00:00"),
            ("Europe/Berlin", "00:00"),
            ("America/New_York", "17:00"),
            ("Asia/Kolkata", "04:30"),
        ]
    )
    return Terms(
        timezone=timezone,
        window_cutoff=cutoff,
        settlement_lag_days=rng.choice([1, 2, 2, 3]),
        callback_grace_minutes=rng.choice([0, 60, 60, 240]),
        expects_callbacks=rng.random() < 0.85,
        amount_tolerance_minor={"USD": rng.choice([1, 5]), "JPY": 2, "KWD": 10},
        reference_normalizer=rng.choice(["alphanumeric", "alphanumeric", "none", LEADING_NUMBER]),
        amount_date_rule=rng.choice(["suggest", "suggest", "match", "off"]),
        compare_amount=rng.choice(["gross", "gross", "gross", "net"]),
        fee_schedule={
            "USD": FeeTerms(rate_bps=290, fixed_minor=30, tolerance_minor=1),
            "JPY": FeeTerms(rate_bps=360, fixed_minor=0, tolerance_minor=0),
        },
    )
