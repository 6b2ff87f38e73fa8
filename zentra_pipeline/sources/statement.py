"""What a file says of one of its statements, batches or reports, whether its own arithmetic holds, and bank entries.

Does not belong here: adding a format's rows up (its reader does), printing (cli).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(eq=False)
class Head:
    """What names a bank statement; one object is shared by its entries and its figures, and filled as it is read.

    `statement_type`: statement, report or notification. Days are dates or times as the bank writes them.
    """

    statement_type: str = "statement"
    account: str | None = None
    statement_id: str | None = None
    sequence: str | None = None
    from_day: str | None = None
    to_day: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A booking as a bank states it, and its `details` where it sums several up.

    `key`: the bank's reference that names it in its account for good, null where there is none. `minor`: its amount, a
    credit positive, null where it cannot be read (`refusal` says why). `instructed`: minor units and currency.
    """

    head: Head
    minor: int | None
    currency: str | None
    booked_on: str | None
    valued_on: str | None = None
    is_booked: bool = True
    key: str | None = None
    bank_reference: str | None = None
    end_to_end_id: str | None = None
    text: str | None = None
    instructed: tuple[int, str] | None = None
    charges_minor: int | None = None
    is_reversal: bool = False
    return_reason: str | None = None
    refusal: str | None = None
    source_row: str | None = None
    details: Sequence["Entry"] = ()


@dataclass(frozen=True)
class Statement:
    """One statement of a file; what its format does not state is null.

    `signed_sum_minor`: the sum of its entries in minor units, money in positive. `ties`: whether opening, entries and
    closing, or whatever control the format has, agree. `refused`: the figures that do not, in the words of the file.
    """

    id: str | None
    account: str | None
    entries: int
    currency: str | None
    signed_sum_minor: int | None
    opening_minor: int | None = None
    closing_minor: int | None = None
    ties: bool | None = None
    refused: str | None = None
    head: Head | None = field(default=None, compare=False, repr=False)
