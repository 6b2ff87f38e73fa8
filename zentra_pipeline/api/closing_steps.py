"""What a step of a run's closeout and of a month's sign-off have alike: its words, what it may answer, what refuses it.

Does not belong here: the routes (closeouts, periods), what a step does (closeout).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final, NoReturn

from pydantic import Field

from zentra_pipeline.actors import same_person
from zentra_pipeline.api import problems, security
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Caller
from zentra_pipeline.closeout.blockers import Blocker
from zentra_pipeline.errors import OutdatedError, RefusedError

PREPARE: Final = "prepare"
APPROVE: Final = "approve"

Seen = Annotated[
    dict[str, str] | None,
    Field(
        max_length=10_000,
        description="Of approve: the closeouts that were looked at, each by its id with its `prepared_at`. What was "
        "prepared again since is not approved.",
    ),
]


def responses(model: type) -> dict[int | str, dict[str, Any]]:
    """What a step answers: the closeout after it, or a problem."""
    refusals = ("malformed", "too-large", "media-type", "refused", "not-found", "blocked", "conflict", "outdated")
    return {200: {"model": model}, **problems.responses(*refusals, "not-configured")}


def check_step(caller: Caller, action: str, seen: Mapping[str, str] | None, of_prepare: Mapping[str, bool]) -> None:
    """Refuse a step with what belongs to the other one, and approval by a role that has no right to it.

    `of_prepare` says which of the names in the body that only `prepare` has were given.
    """
    if action == PREPARE:
        if seen is not None:
            raise ProblemError("invalid", "body: seen belongs to approve; leave it out")
        return
    caller.require(security.APPROVE)
    if any(of_prepare.values()):
        left_out = "them" if len(of_prepare) > 1 else "it"
        belong = "belong" if len(of_prepare) > 1 else "belongs"
        raise ProblemError("invalid", f"body: {' and '.join(of_prepare)} {belong} to prepare; leave {left_out} out")


@contextmanager
def refusals_as_problems(actor: str, prepared_by: str | None) -> Iterator[None]:
    """Within it, what is refused is a problem: `refused` to whoever prepared it, else a conflict.

    What was not looked at stays `outdated`.
    """
    try:
        yield
    except OutdatedError:
        raise
    except RefusedError as cause:
        is_same = prepared_by is not None and same_person(actor, prepared_by)
        members = problems.of_remedy(cause.remedy)
        raise ProblemError(
            "refused" if is_same else "conflict", problems.printable(str(cause)), members=members
        ) from cause


def raise_blocked(blockers: Sequence[Blocker]) -> NoReturn:
    """Answer with what blocks."""
    shown = [shown_blocker(blocker) for blocker in blockers]
    detail = f"{len(shown)} blocking: {shown[0]['explanation']}" if shown else "The closeout is blocked."
    raise ProblemError("blocked", detail, members={"blockers": shown})


def shown_blocker(blocker: Blocker) -> dict[str, Any]:
    """A blocker and what clears it, as JSON."""
    found = {name: problems.printable(getattr(blocker, name)) for name in ("kind", "subject", "explanation")}
    return found | problems.of_remedy(blocker.remedy)
