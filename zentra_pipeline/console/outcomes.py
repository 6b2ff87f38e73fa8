"""Records what a form decides about exceptions, and answers with what became of it; rules are not here (desk)."""

import re
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from zentra_pipeline.api.problems import ProblemError, problem_of
from zentra_pipeline.console import visits
from zentra_pipeline.console.visits import Visit
from zentra_pipeline.desk import deciding, sheets
from zentra_pipeline.desk.deciding import Verdict
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.review.record import DecisionRequest

# An exception and the number of decisions about it that whoever decides has seen.
_ITEM: Final = re.compile(r"([A-Za-z0-9_-]{1,64}):([0-9]{1,9})", re.ASCII)


def decided(
    visit: Visit,
    action: str,
    items: Sequence[str],
    *,
    reason: str | None = None,
    owner: str | None = None,
    resolution: str | None = None,
    settlement_lines: Sequence[str] = (),
    ledger_transactions: Sequence[str] = (),
) -> list[Verdict]:
    """Take the same decision about each of these, `exception_id:version`; each is accepted or refused by itself."""
    found = [_ITEM.fullmatch(item) for item in items]
    if not found:
        raise ProblemError("invalid", "Nothing is chosen: tick the exceptions that it is about.")
    if len(found) > sheets.MOST_DECISIONS:
        raise ProblemError("invalid", f"{len(found):,} are chosen; {sheets.MOST_DECISIONS} are allowed at once.")
    requests = []
    for item in found:
        if item is None:
            raise ProblemError("invalid", "The form names something that is no exception.")
        requests.append(
            DecisionRequest(
                item[1],
                action,
                visit.caller.actor,
                reason=reason,
                owner=owner,
                resolution=resolution,
                settlement_lines=settlement_lines,
                ledger_transactions=ledger_transactions,
                role=visit.caller.role,
                expected_version=int(item[2]),
                origin=visit.caller.origin,
            )
        )
    return deciding.decide_all(visit.tenant, requests, visit.serving.now)


def answer(visit: Visit, verdicts: Sequence[Verdict], back: str, said: str) -> Response:
    """Back to the page where all is recorded; else what was refused, each with its reason."""
    refused = [verdict for verdict in verdicts if verdict.error is not None]
    if not refused:
        return visits.to(back, said)
    if len(verdicts) == 1 and refused[0].error is not None:
        raise refused[0].error
    errors = [(verdict.request.exception_id, verdict.error) for verdict in refused if verdict.error is not None]
    return many(visit, len(verdicts) - len(refused), errors, back)


def many(visit: Visit, recorded: int, refused: Sequence[tuple[str, ZentraError]], back: str) -> Response:
    """What became of many decisions: how many were recorded, and each that was refused with its reason."""
    problems = [(exception_id, problem_of(error)) for exception_id, error in refused]
    return visit.page("outcomes.html", recorded=recorded, refused=problems, back=back)
