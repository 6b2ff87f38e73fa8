"""Refuses a file whose totals do not add up, with the figures of each; its reader words them (`Statement.refused`).

Does not belong here: what a total is made of, which each format says for itself; tables say it in `table_totals`.
"""

from collections.abc import Iterable

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.statement import Statement

_NAMED = 20
_SAID = 1_000


def refuse_wrong_totals(statements: Iterable[Statement], name: str) -> None:
    """InputRejectedError with the figures of every statement that is refused: no row of such a file is accepted."""
    reasons = [statement.refused[:_SAID] for statement in statements if statement.refused is not None]
    if reasons:
        more = f"; and {len(reasons) - _NAMED:,} more" if len(reasons) > _NAMED else ""
        raise InputRejectedError(f"{name}: {'; '.join(reasons[:_NAMED])}{more}")
