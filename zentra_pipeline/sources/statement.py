"""What a file says of one of its statements, batches or reports, and whether its own arithmetic holds.

Does not belong here: adding a format's rows up (its reader does), printing (cli).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from zentra_pipeline.errors import InputRejectedError

_NAMED = 20
_SAID = 1_000


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


def refuse_what_does_not_tie(statements: Iterable[Statement], name: str) -> None:
    """InputRejectedError with the figures of every statement that is refused: no row of such a file is accepted."""
    reasons = [statement.refused[:_SAID] for statement in statements if statement.refused is not None]
    if reasons:
        more = f"; and {len(reasons) - _NAMED:,} more" if len(reasons) > _NAMED else ""
        raise InputRejectedError(f"{name}: {'; '.join(reasons[:_NAMED])}{more}")
