"""Prepares or approves many windows of a month, each accepted or refused by itself; closing one is closeout's.

Does not belong here: signing off the month (closeout.period_closing).
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from zentra_pipeline.actors import Origin
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing, period
from zentra_pipeline.closeout.calendar import WindowState
from zentra_pipeline.closeout.candidate import CloseoutCandidate
from zentra_pipeline.closeout.period import Month
from zentra_pipeline.errors import ZentraError
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
    """Prepare the windows of a month that can be; `chosen` are the runs it is about, all where it is null."""
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
    """Approve what is prepared of a month; `seen` are the closeouts it is about, each with when it was prepared."""
    found = []
    for provider, state, closeout in to_approve(period.seen(tenant, month, now), wanted):
        if seen is not None and seen.get(closeout.closeout_id) != closeout.prepared_at:
            if closeout.closeout_id in seen:
                found.append(_outcome(provider, state, None, "refused", "it was prepared again since you looked"))
            continue
        found.append(
            _taken(tenant, provider, state, actor, now, lambda case: closing.approve(case, actor, now, origin, seen))
        )
    return found


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
