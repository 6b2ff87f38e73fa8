"""A month over all providers: its windows, their seals and totals, what blocks its sign-off, what changed since one.

Everything is read from seals and from the store; nothing is recorded. Does not belong here: the steps of signing off
(period_closing), how a single window is closed (closing).

A provider's windows count from its first one on: days before it was there are no windows of its.
"""

import hashlib
import json
from base64 import b64decode
from calendar import monthrange
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from zentra_pipeline import canonical_json, identifiers
from zentra_pipeline.closeout import blockers, calendar, merkle, restated_days, shared_bundles
from zentra_pipeline.closeout.blockers import Blocker
from zentra_pipeline.closeout.calendar import WindowState
from zentra_pipeline.closeout.candidate import bounds
from zentra_pipeline.config.profile import Profile, load_profile
from zentra_pipeline.contracts.staged_tables import BANK_KIND
from zentra_pipeline.errors import VerificationError
from zentra_pipeline.instants import instant_of
from zentra_pipeline.ledger_windows import window_of
from zentra_pipeline.published import lake
from zentra_pipeline.queue import run_queue
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.sql_text import statement
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import periods as period_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.store.periods import PeriodCloseout
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant

FLOWS: Final = ("posted_minor", "settled_minor", "written_off_minor")
AMOUNTS: Final = ("opening_minor", *FLOWS, "between_minor", "closing_minor")
_CLOSED: Final = ("sealed", "amended")
# What a citation repeats of a window's payload.
_REPEATED: Final = (
    *("closeout_id", "closeout_revision", "provider", "settlement_file", "ledger_window", "run_id", "evidence_root"),
    *("evidence_rows", "evidence_status", "has_activity", "sealed_at", "prepared_by", "approved_by"),
)


@dataclass(frozen=True)
class Change:
    """A window that is other than the last sign-off says: closeouts cited and there now, null for none.

    `what`: `amended` (sealed again), `reopened` (changed and not sealed yet), `added` (a window that was not signed).
    """

    what: str
    provider: str
    ledger_window: str
    run_id: str | None
    before: str | None
    after: str | None

    def as_object(self) -> dict[str, Any]:
        """The change as JSON has it."""
        return dict(vars(self))

    def __str__(self) -> str:
        return f"{self.provider} {self.ledger_window} {self.what}"


@dataclass(frozen=True)
class Month:
    """A month as it is at one moment: the windows of each provider in order, the seals, the sign-offs."""

    tenant: Tenant
    period: str
    windows: Mapping[str, Sequence[WindowState]]
    closeouts: Mapping[str, Closeout]
    runs: Mapping[str, Run]
    heads: Mapping[str, Closeout]
    sign_offs: Sequence[PeriodCloseout]
    waiting: Sequence[run_queue.Waiting]
    files: Collection[tuple[str, str]]
    is_over: bool
    now: datetime

    @property
    def signed(self) -> PeriodCloseout | None:
        """The newest sealed sign-off."""
        return next((each for each in reversed(self.sign_offs) if each.is_sealed), None)

    @property
    def prepared(self) -> PeriodCloseout | None:
        """What is prepared and not sealed."""
        return next((each for each in self.sign_offs if not each.is_sealed), None)

    @property
    def state(self) -> str:
        """`open`, `prepared`, `signed_off`, or `reopened` where something has changed since it was signed off."""
        if self.signed is not None and not self.changes:
            return "signed_off"
        if self.prepared is not None:
            return "prepared"
        return "open" if self.signed is None else "reopened"

    def sealed_of(self, window: WindowState) -> Closeout | None:
        """The newest seal of a window."""
        known = self.closeouts.get(window.closeout_id or "")
        if known is None or known.chain_sequence is not None:
            return known
        sealed = (each for each in self.closeouts.values() if each.run_id == known.run_id and each.chain_sequence)
        return max(sealed, key=lambda each: each.revision, default=None)

    @property
    def counts(self) -> dict[str, int]:
        """How many windows are in which state."""
        found: dict[str, int] = {}
        for states in self.windows.values():
            for each in states:
                found[each.state] = found.get(each.state, 0) + 1
        return found

    @cached_property
    def cited(self) -> list[dict[str, Any]]:
        """The sealed windows as a sign-off cites them; VerificationError where a bundle is not the one on record."""
        return [
            _citation(self.tenant, sealed, place)
            for states in self.windows.values()
            for each, place in zip(states, _places(states, self.runs), strict=True)
            if (sealed := self.sealed_of(each)) is not None
        ]

    @property
    def lines(self) -> list[bytes]:
        """The citations as the leaves of a sign-off, in ascending order."""
        return sorted(canonical_json.canonical(row) for row in self.cited)

    @property
    def root(self) -> str:
        """The RFC 6962 root over the citations."""
        return merkle.root(merkle.leaf_hash(line) for line in self.lines)

    @cached_property
    def totals(self) -> dict[str, Any]:
        """What the sealed windows add up to, by provider and currency and by currency, amounts as integers."""
        return _totals(self.cited)

    @cached_property
    def changes(self) -> list[Change]:
        """What is other than the newest sign-off says; nothing where there is none."""
        if self.signed is None:
            return []
        cited = {(row["provider"], row["ledger_window"], row["run_id"]): row for row in self.signed.content["windows"]}
        found, seen = [], set()
        for provider, states in self.windows.items():
            for each in states:
                now = self.sealed_of(each)
                run_id = each.run_id or (now.run_id if now else None)
                key = (provider, each.ledger_window, run_id)
                seen.add(key)
                before = cited.get(key, {}).get("closeout_id")
                after = None if now is None else now.closeout_id
                if before is not None and each.state == "reopened":
                    found.append(Change("reopened", provider, each.ledger_window, run_id, before, after))
                elif before != after or before is None:
                    what = "added" if before is None else "amended"
                    found.append(Change(what, provider, each.ledger_window, run_id, before, after))
        for (provider, window, run_id), row in cited.items():
            if (provider, window, run_id) not in seen:
                found.append(Change("gone", provider, window, run_id, row["closeout_id"], None))
        return sorted(found, key=lambda change: (change.provider, change.ledger_window, change.run_id or ""))

    def blockers(self) -> list[Blocker]:
        """What keeps the month from being signed off, each with what clears it."""
        found = [] if self.is_over else [_not_over(self)]
        if not any(self.windows.values()):
            remedy = Remedy("run and close windows of it first", "run_window")
            found.append(Blocker("no_windows", self.period, "no window of it was run or closed", remedy))
        for provider, states in self.windows.items():
            found += [_open_window(self, provider, each) for each in states if _is_left(self, provider, each)]
        for each in self.waiting:
            where = f"{each.run.provider} {each.run.ledger_window}"
            why = each.failure or each.reason or "it was asked for again"
            remedy = Remedy(
                "have a worker make what is queued, or run the window again", "run_window", _of_run(each.run)
            )
            found.append(Blocker("newer_facts", where, f"{where} has to be made again: {why}", remedy))
        unread = [_unread_file(self, file) for file in _unread(self)]
        return [*found, *unread, *_restated(self), *_after_the_last_run(self)]

    def left(self) -> list[Blocker]:
        """What blocks it; once it is signed off, the facts that came since and are in no window."""
        found = self.blockers()
        return [each for each in found if each.kind == "newer_facts"] if self.state == "signed_off" else found


def seen(tenant: Tenant, period: str, now: datetime) -> Month:
    """A month as it is; UsageError for text that is none."""
    first = date.fromisoformat(f"{identifiers.period(period)}-01")
    last = date(first.year, first.month, monthrange(first.year, first.month)[1])
    with tenant.reading() as connection:
        runs = {run.run_id: run for run in run_store.list_runs(connection) if not run.is_void}
        closeouts = closeout_store.listed(connection)
        sign_offs = period_store.of_period(connection, period)
        heads: dict[str, Closeout] = {}
        for closeout in closeouts:
            known = heads.get(closeout.provider)
            if closeout.chain_sequence and (known is None or closeout.chain_sequence > (known.chain_sequence or 0)):
                heads[closeout.provider] = closeout
        files = {(file.provider, file.file_id) for file in file_store.staged_files(connection, "settlement")}
        waiting = [
            each
            for newest in _newest_of_month(runs.values(), period)
            for each in run_queue.waiting_before(connection, newest)
            if each.run.ledger_window.startswith(period)
        ]
    windows = {}
    for provider in sorted({*(run.provider for run in runs.values()), *(each.provider for each in closeouts)}):
        begin = min(
            [run.ledger_window for run in runs.values() if run.provider == provider]
            + [each.ledger_window for each in closeouts if each.provider == provider]
        )
        if begin <= last.isoformat():
            begins = max(first, date.fromisoformat(begin))
            windows[provider] = calendar.of_records(tenant, provider, begins, last, runs.values(), closeouts)
    is_over = all(bounds(tenant.paths, provider, last)[1] <= now for provider in windows)
    return Month(
        tenant=tenant,
        period=period,
        windows=windows,
        closeouts={each.closeout_id: each for each in closeouts},
        runs=runs,
        heads={provider: heads[provider] for provider in windows if provider in heads},
        sign_offs=sign_offs,
        waiting=waiting,
        files=files,
        is_over=is_over if windows else last < now.date(),
        now=now,
    )


def months(tenant: Tenant) -> list[str]:
    """Every month that has a run, a closeout or a sign-off, the newest first."""
    with tenant.reading() as connection:
        found = {run.ledger_window[:7] for run in run_store.list_runs(connection) if not run.is_void}
        found |= {each.ledger_window[:7] for each in closeout_store.listed(connection)}
        found |= {each.period for each in period_store.listed(connection)}
    return sorted(found, reverse=True)


def _newest_of_month(runs: Any, period: str) -> list[Run]:
    newest: dict[str, Run] = {}
    for run in runs:
        if run.ledger_window.startswith(period):
            known = newest.get(run.provider)
            newest[run.provider] = run if known is None or run.sequence > known.sequence else known
    return list(newest.values())


def _unread(month: Month) -> list[StagedFile]:
    """Files with rows of the month that no run has read, those of providers without any run among them."""
    first = date.fromisoformat(f"{month.period}-01")
    days = [first + timedelta(days=number) for number in range(-31, 62)]
    inside = [day for day in days if day.isoformat()[:7] == month.period]
    files: dict[str, dict[int, StagedFile]] = {}
    with month.tenant.reading() as connection:
        for file in blockers.registered(connection):
            if file.rows_staged:
                files.setdefault(file.provider, {})[file.sequence] = file
        for provider, waiting in files.items():
            profile = load_profile(month.tenant.paths, provider)
            runs = [run for run in month.runs.values() if run.provider == provider and run.revision]
            names = {(profile.settlement_file(day), day in inside) for day in days}
            names |= {(run.settlement_file, run.ledger_window.startswith(month.period)) for run in runs}
            begins_at = bounds(month.tenant.paths, provider, inside[0])[0]
            ends_at = bounds(month.tenant.paths, provider, inside[-1])[1]
            if any(file.kind == BANK_KIND for file in waiting.values()):  # every run of a bank account reads them all
                runs = [run for run in month.runs.values() if identifiers.account_of(run.provider) and run.revision]
            for number, file in list(waiting.items()):
                if not _is_of_month(file, names, begins_at, ends_at):
                    del waiting[number]
            for run in sorted(runs, key=lambda each: -each.sequence):
                for number in run_store.current_revision(connection, run.run_id).files_seen if waiting else ():
                    waiting.pop(number, None)
    return [file for _, waiting in sorted(files.items()) for file in waiting.values()]


def _is_of_month(file: StagedFile, names: Collection[tuple[str, bool]], begins_at: datetime, ends_at: datetime) -> bool:
    """By the name of a settlement file where that says the month, else by the first instant of its rows."""
    at = None if file.first_at is None else instant_of(file.first_at)
    if file.kind != "settlement":
        return at is None or at < ends_at
    by_name = {is_inside for name, is_inside in names if name == file.file_id}
    return by_name == {True} or (by_name != {False} and at is not None and begins_at <= at < ends_at)


def _places(states: Sequence[WindowState], runs: Mapping[str, Run]) -> list[int]:
    """The place of each window in the order in which its provider's runs were created; 0 without a run."""
    order = sorted(runs[each.run_id].sequence for each in states if each.run_id is not None)
    return [0 if each.run_id is None else 1 + order.index(runs[each.run_id].sequence) for each in states]


def _citation(tenant: Tenant, closeout: Closeout, place: int) -> dict[str, Any]:
    """A sealed window as a sign-off cites it, from its bundle alone."""
    folder = tenant.paths.root / str(closeout.bundle)
    shared_bundles.pull(tenant.paths, closeout.bundle, closeout.seal_digest)
    try:
        signed = b64decode(json.loads((folder / "seal.json").read_bytes())["payload"])
        payload = json.loads(signed)
        content = (folder / "files" / "control_totals.json").read_bytes()
        listed = payload["files"]["files/control_totals.json"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise _not_on_record(closeout) from cause
    is_same = hashlib.sha256(signed).hexdigest() == closeout.seal_digest
    if not is_same or hashlib.sha256(content).hexdigest() != listed:
        raise _not_on_record(closeout)
    return {name: payload[name] for name in _REPEATED} | {
        "place": place,
        "chain_sequence": closeout.chain_sequence,
        "seal_digest": closeout.seal_digest,
        "rollforward": json.loads(content)["rollforward"],
    }


def _not_on_record(closeout: Closeout) -> VerificationError:
    return VerificationError(
        f"the bundle {closeout.bundle} of {closeout.provider} {closeout.ledger_window} is not the one on record: "
        "have the home examined (doctor)"
    )


def _totals(cited: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Opening of the first window, flows of all, closing of the last, in the order of their runs.

    `between_minor` is what windows of other months that were run in between changed, so that in every row opening +
    posted − settled − written off + between = closing.
    """
    by_provider: dict[tuple[str, str], dict[str, int]] = {}
    for window in sorted(cited, key=lambda row: (row["provider"], row["place"], row["run_id"])):
        for row in window["rollforward"]:
            opening, closing = int(row["opening_minor"]), int(row["closing_minor"])
            sums = by_provider.setdefault(
                (window["provider"], row["currency"]),
                {"windows": 0, **dict.fromkeys(AMOUNTS, 0), "opening_minor": opening, "closing_minor": opening},
            )
            sums["windows"] += 1
            sums["between_minor"] += opening - sums["closing_minor"]
            sums["closing_minor"] = closing
            for name in FLOWS:
                sums[name] += int(row[name])
    by_currency: dict[str, dict[str, int]] = {}
    for (_, currency), sums in by_provider.items():
        total = by_currency.setdefault(currency, dict.fromkeys(sums, 0))
        for name, amount in sums.items():
            total[name] += amount
    return {
        "windows": len(cited),
        "providers": [
            {"provider": provider, "currency": currency, **sums}
            for (provider, currency), sums in sorted(by_provider.items())
        ],
        "currencies": [{"currency": currency, **sums} for currency, sums in sorted(by_currency.items())],
    }


def _is_left(month: Month, provider: str, state: WindowState) -> bool:
    """Whether a window is not sealed as it is now; one that is not over yet is part of the month that is not."""
    if state.state in _CLOSED:
        return False
    return state.state != "missing" or (
        bounds(month.tenant.paths, provider, date.fromisoformat(state.ledger_window))[1] <= month.now
    )


def _not_over(month: Month) -> Blocker:
    remedy = Remedy("sign it off when its last window has ended", "show_period", {"period": month.period})
    return Blocker("period_not_over", month.period, f"{month.period} is not over", remedy)


def _after_the_last_run(month: Month) -> Iterator[Blocker]:
    """Ledger entries of the month in windows after its provider's last run: they are in no figure of any window."""
    first = date.fromisoformat(f"{month.period}-01")
    last = date(first.year, first.month, monthrange(first.year, first.month)[1])
    for provider in month.windows:
        runs = [run.ledger_window for run in month.runs.values() if run.provider == provider and run.revision]
        if not runs or max(runs) >= last.isoformat():
            continue
        begins_at = bounds(month.tenant.paths, provider, max(date.fromisoformat(max(runs)), first - timedelta(days=1)))
        between = [at.replace(tzinfo=None) for at in (begins_at[1], bounds(month.tenant.paths, provider, last)[1])]
        found = lake.query(month.tenant.paths, statement("closeout", "activity"), [provider, *between, ""])
        what = "ledger entries" if identifiers.account_of(provider) is None else "bank lines"
        if count := dict(found.rows)[what]:
            remedy = _to_run(month, provider, last, "run a window that sees them, and close it")
            explanation = f"{count:,} {what} of {provider} are of windows after its last run, {max(runs)}"
            yield Blocker("newer_facts", provider, explanation, remedy)


def _restated(month: Month) -> Iterator[Blocker]:
    """Days of bank accounts whose statement came again with other words, which that day has not read."""
    runs = [
        run
        for run in month.runs.values()
        if run.revision and run.ledger_window.startswith(month.period) and identifiers.account_of(run.provider)
    ]
    for run, file in restated_days.found(month.tenant, runs):
        where = f"{run.provider} {run.ledger_window}"
        explanation = f"{where} was made from a statement that bank statement file {file.file_id} restates"
        remedy = _to_run(month, run.provider, date.fromisoformat(run.ledger_window), "run the day again, and close it")
        yield Blocker("newer_facts", where, explanation, remedy)


def _of_run(run: Run) -> dict[str, str]:
    return {name: getattr(run, name) for name in ("run_id", "provider", "settlement_file", "ledger_window", "owner")}


def _to_run(month: Month, provider: str, window: date, words: str, settlement_file: str | None = None) -> Remedy:
    """Run a window again, or for the first time, with its settlement file or as one in which nothing was settled."""
    day = window.isoformat()
    if identifiers.account_of(provider) is not None:
        return Remedy(words, "run_window", {"provider": provider, "ledger_window": day})
    known = [
        run
        for run in month.runs.values()
        if (run.provider, run.ledger_window) == (provider, day) and settlement_file in (None, run.settlement_file)
    ]
    if known:
        return Remedy(words, "run_window", _of_run(max(known, key=lambda run: run.sequence)))
    name = settlement_file or load_profile(month.tenant.paths, provider).settlement_file(window)
    about = {"provider": provider, "settlement_file": name, "ledger_window": day}
    if (provider, name) in month.files:
        return Remedy(words, "run_window", about)
    words = f"{words}; if no settlement file comes for it, as one in which nothing was settled"
    return Remedy(words, "run_window_without_file", about)


def _unread_file(month: Month, file: StagedFile) -> Blocker:
    explanation = (
        f"{file.kind.replace('_', ' ')} file {file.file_id} of {file.provider} arrived, and no run has read it"
    )
    first = date.fromisoformat(f"{month.period}-01")
    if file.kind == BANK_KIND:
        about = {} if file.first_at is None else {"ledger_window": max(first.isoformat(), file.first_at[:10])}
        remedy = Remedy("run the day of the bank account that it is of, and close it", "run_bank_day", about)
        return Blocker("newer_facts", f"{file.provider} {file.file_id}", explanation, remedy)
    profile = load_profile(month.tenant.paths, file.provider)
    window = first if file.first_at is None else max(first, _window_of(profile, instant_of(file.first_at)))
    name = file.file_id if file.kind == "settlement" else None
    remedy = _to_run(month, file.provider, window, "run the window that its rows belong to, and close it", name)
    return Blocker("newer_facts", f"{file.provider} {file.file_id}", explanation, remedy)


def _window_of(profile: Profile, at: datetime) -> date:
    return window_of(at, profile.timezone, profile.window_cutoff)


def _open_window(month: Month, provider: str, state: WindowState) -> Blocker:
    where = f"{provider} {state.ledger_window}"
    if state.state == "missing" and (provider, state.settlement_file) in month.files:
        remedy = _to_run(month, provider, date.fromisoformat(state.ledger_window), "run it, and close it")
        return Blocker("missing_window", where, f"{where} has no run, and its settlement file is there", remedy)
    if state.state == "missing":
        remedy = Remedy(
            "run it, or close it as a window without activity",
            "close_idle_window",
            {"provider": provider, "ledger_window": state.ledger_window, "period": month.period},
        )
        return Blocker("missing_window", where, f"{where} has no run and is not closed", remedy)
    about = {} if state.run_id is None else {"run_id": state.run_id}
    if state.state == "prepared":
        if state.run_id is None:
            about = {"provider": provider, "ledger_window": state.ledger_window, "period": month.period}
        intent = "approve_closeout" if state.run_id else "approve_idle_window"
        remedy = Remedy("have a second person approve it", intent, about)
        return Blocker("prepared_window", where, f"{where} is prepared and waits for a second person", remedy)
    if state.state == "reopened":
        remedy = Remedy("prepare and approve it again, which amends its seal", "prepare_closeout", about)
        return Blocker("reopened_window", where, f"{where} is sealed, and changed since", remedy)
    said = f"run {state.run_status}" if state.run_status == "failed" else state.state
    return Blocker("open_window", where, f"{where} is {said}", Remedy("close it", "prepare_closeout", about))
