"""Prepares or approves many windows of a month, each accepted or refused by itself; closing one is closeout's.

Does not belong here: signing off the month (closeout.period_closing).
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from zentra_pipeline import identifiers
from zentra_pipeline.actors import Origin
from zentra_pipeline.closeout import approval, closing, period
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout.calendar import WindowState
from zentra_pipeline.closeout.candidate import CloseoutCandidate
from zentra_pipeline.closeout.period import Month
from zentra_pipeline.errors import UsageError, ZentraError
from zentra_pipeline.store import decisions
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.tenants.tenant import Tenant


@dataclass(frozen=True)
class WindowOutcome:
    """What became of a window: `prepared`, `sealed`, `blocked` or `refused`, and why where it was not closed."""

    provider: str
    ledger_window: str
    run_id: str | None
    closeout_id: str | None
    status: str
    detail: str | None

    @property
    def is_done(self) -> bool:
        """Whether it was taken as wanted."""
        return self.status in ("prepared", "sealed")

    def as_object(self) -> dict[str, Any]:
        """The outcome as JSON has it."""
        return dict(vars(self))


@dataclass(frozen=True)
class Wanted:
    """Which windows of a month: of one provider, of one day; null for all."""

    provider: str | None = None
    ledger_window: str | None = None

    def require_within(self, month: str) -> None:
        """UsageError where the day is none of the month."""
        if self.ledger_window is None:
            return
        day = identifiers.ledger_window(self.ledger_window)
        if not day.isoformat().startswith(f"{month}-"):
            raise UsageError(f"{day} is not in {month}: name a day of the month, or leave it out")

    def takes(self, provider: str, window: str) -> bool:
        """Whether a window is among them."""
        return self.provider in (None, provider) and self.ledger_window in (None, window)


def to_prepare(month: Month, wanted: Wanted, *, no_activity: bool) -> list[tuple[str, WindowState]]:
    """The windows that can be prepared: with a run that is not sealed as it is; with `no_activity` missing ones too."""
    return [
        (provider, each)
        for provider, each in _windows(month, wanted)
        if each.state in ("open", "blocked", "reopened") or (no_activity and each.state == "missing")
    ]


def to_approve(month: Month, wanted: Wanted) -> list[tuple[str, WindowState, Closeout]]:
    """The windows that are prepared, with what is prepared of each."""
    prepared = [each for each in month.closeouts.values() if each.chain_sequence is None]
    by_window = {(each.provider, each.ledger_window, each.run_id): each for each in prepared}
    found = []
    for provider, state in _windows(month, wanted):
        mine = [
            each
            for (of, day, run_id), each in by_window.items()
            if (of, day) == (provider, state.ledger_window) and state.run_id in (None, run_id)
        ]
        found += [(provider, state, each) for each in mine]
    return found


def prepare(
    tenant: Tenant,
    month: str,
    actor: str,
    now: datetime,
    origin: Origin,
    wanted: Wanted = Wanted(),
    *,
    no_activity: bool = False,
    chosen: Collection[str] | None = None,
) -> list[WindowOutcome]:
    """Prepare the windows of a month that can be; `chosen` are the runs it is about, all where it is null.

    UsageError where a day is wanted that is none of the month.
    """
    wanted.require_within(month)
    found = []
    for provider, state in to_prepare(period.seen(tenant, month, now), wanted, no_activity=no_activity):
        if chosen is not None and state.run_id not in chosen and state.state != "missing":
            continue
        found.append(
            _taken(
                tenant,
                provider,
                state,
                actor,
                now,
                lambda case: closing.prepare(case, actor, now, origin=origin),
            )
        )
    return found


def approve(
    tenant: Tenant,
    month: str,
    actor: str,
    now: datetime,
    origin: Origin,
    wanted: Wanted = Wanted(),
    *,
    seen: Mapping[str, str] | None = None,
) -> list[WindowOutcome]:
    """Approve what is prepared of a month; `seen` are the closeouts it is about, each with when it was prepared.

    Each of them has an outcome, also where it is sealed or withdrawn by now. UsageError where a day is wanted that is
    none of the month, or one of `seen` never was.
    """
    wanted.require_within(month)
    looked_at = period.seen(tenant, month, now)
    ready = to_approve(looked_at, wanted)
    left = dict(seen or {})
    for _, _, closeout in ready:
        left.pop(closeout.closeout_id, None)
    others, found = _not_waiting(tenant, looked_at, left), []
    for provider, state, closeout in ready:
        if seen is not None and seen.get(closeout.closeout_id) != closeout.prepared_at:
            if closeout.closeout_id in seen:
                found.append(_outcome(provider, state, None, "refused", "it was prepared again since you looked"))
            continue
        found.append(
            _taken(tenant, provider, state, actor, now, lambda case: closing.approve(case, actor, now, origin, seen))
        )
    return found + others


def _not_waiting(tenant: Tenant, month: Month, left: Mapping[str, str]) -> list[WindowOutcome]:
    """What is to be said of closeouts that were looked at and do not wait for approval here."""
    with tenant.reading() as connection:
        log = decisions.listed(connection) if left.keys() - month.closeouts.keys() else []
    runs = {state.run_id for states in month.windows.values() for state in states}
    found = []
    for closeout_id, prepared_at in left.items():
        known = month.closeouts.get(closeout_id)
        if known is not None:
            place = (known.provider, known.ledger_window, known.run_id if known.run_id in runs else None)
            status, detail = _standing(known, prepared_at)
            found.append(WindowOutcome(*place, closeout_id if detail is None else None, status, detail))
            continue
        content = approval.kept(log, closeout_id)
        if content is None:
            raise UsageError(f"{closeout_id} was never prepared for approval: name closeouts as they are listed")
        run = content["run"]
        place = (run["provider"], run["ledger_window"], run["run_id"] if run["run_id"] in runs else None)
        found.append(WindowOutcome(*place, None, "refused", "it is not prepared any more: see what blocks it now"))
    return found


def _standing(known: Closeout, prepared_at: str) -> tuple[str, str | None]:
    """Whether a closeout that does not wait here is sealed as it was looked at, and why not."""
    if known.prepared_at != prepared_at:
        return "refused", "it was prepared again since you looked"
    if known.chain_sequence is None:
        return "refused", "it is of no window that is asked for"
    return "sealed", None


def _windows(month: Month, wanted: Wanted) -> list[tuple[str, WindowState]]:
    return [
        (provider, each)
        for provider, states in month.windows.items()
        for each in states
        if wanted.takes(provider, each.ledger_window)
    ]


def _taken(
    tenant: Tenant,
    provider: str,
    state: WindowState,
    actor: str,
    now: datetime,
    step: Callable[[CloseoutCandidate], closing.CloseoutResult],
) -> WindowOutcome:
    """One window; what it is refused for is said of it and stops no other."""
    opened: AbstractContextManager[CloseoutCandidate]
    if state.run_id is None:
        opened = candidates.of_idle_window(tenant, provider, date.fromisoformat(state.ledger_window), actor, now)
    else:
        opened = candidates.of_run(tenant, state.run_id)
    try:
        with opened as case:
            result = step(case)
    except ZentraError as error:
        return _outcome(provider, state, None, "refused", str(error))
    if result.closeout is None:
        more = f" (and {len(result.blockers) - 1} more)" if len(result.blockers) > 1 else ""
        return _outcome(provider, state, None, "blocked", f"{result.blockers[0].explanation}{more}")
    return _outcome(provider, state, result.closeout.closeout_id, result.status, None)


def _outcome(
    provider: str, state: WindowState, closeout_id: str | None, status: str, detail: str | None
) -> WindowOutcome:
    return WindowOutcome(provider, state.ledger_window, state.run_id, closeout_id, status, detail)
