"""Runs in the operational store: identity, state machine, published revisions; reconciling does not belong here."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Select, func, insert, select

from zentra_pipeline.errors import UsageError, ZentraError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.store import models
from zentra_pipeline.store.digests import change_rows, facts

_AT_REST: Final = ("in_review", "closing", "closed")
_MAY_FOLLOW: Final[Mapping[str, frozenset[str]]] = {
    "created": frozenset({"ingesting", "failed", "void"}),
    # The three working states may start over: a killed process leaves a run there. A published run goes back to where
    # it was when an attempt to run it again was cut short by something that is no fault of the run.
    "ingesting": frozenset({"matching", "ingesting", "failed", *_AT_REST, "void"}),
    "matching": frozenset({"comparing", "ingesting", "failed", *_AT_REST, "void"}),
    # A closed run in which nothing is new is closed again at once.
    "comparing": frozenset({"ingesting", "failed", *_AT_REST, "void"}),
    "in_review": frozenset({"closing", "ingesting", "failed", "void"}),
    # What is prepared falls back into review when it is withdrawn, or when a later fact makes a new revision.
    "closing": frozenset({"closed", "closing", "in_review", "ingesting", "failed", "void"}),
    "failed": frozenset({"ingesting", "failed", "void"}),
    # A fact that comes later makes a new revision of a closed run; its seal stays, and is amended by the next one.
    "closed": frozenset({"ingesting", "failed"}),
    # Taken back; asked for again on purpose it is a run like any other.
    "void": frozenset({"ingesting", "failed"}),
}
VOID: Final = "void"


@dataclass(frozen=True)
class Run:
    """A run as stored: instants and days are text in the store's form, `revision` is 0 before the first publish."""

    run_id: str
    sequence: int
    provider: str
    settlement_file: str
    ledger_window: str
    owner: str
    actor: str
    as_of: str
    status: str
    closeout_status: str
    revision: int
    inputs_digest: str | None
    failure: str | None
    created_at: str
    is_as_of_given: bool | None = True
    is_void: bool | None = False

    @property
    def is_published(self) -> bool:
        """Whether anybody reads its current revision: it has one, and was not taken back since."""
        return self.revision > 0 and not self.is_void


@dataclass(frozen=True)
class Revision:
    """One published state of a run; `tables` maps a table to its `{path, rows, sha256}`.

    `manifest` says what it was made from.
    """

    run_id: str
    revision: int
    fingerprint: str
    inputs_digest: str
    owner: str
    as_of: str
    tables: dict[str, Any]
    published_at: str
    manifest: dict[str, Any]

    @property
    def files_seen(self) -> frozenset[int]:
        """The sequences of the files it was made from, and of those that came since and changed nothing."""
        seen = [*self.manifest.get("files", ()), *self.manifest.get("files_without_effect", ())]
        return frozenset(int(file["sequence"]) for file in seen)


@dataclass(frozen=True)
class Transition:
    """One change of a run's status: who, when and, for a failure, why."""

    sequence: int
    run_id: str
    status: str
    actor: str
    at: str
    detail: str | None


def run_id_of(tenant: str, provider: str, settlement_file: str, ledger_window: date) -> str:
    """The id of the run that a request names: the same request has the same id, wherever it is made."""
    request = [tenant, provider, settlement_file, ledger_window.isoformat()]
    canonical = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
    return "run_" + hashlib.sha256(canonical.encode()).hexdigest()[:24]


def find_or_create(
    connection: Connection,
    *,
    tenant: str,
    provider: str,
    settlement_file: str,
    ledger_window: date,
    owner: str | None,
    actor: str,
    as_of: datetime | None,
    now: datetime,
) -> Run:
    """The run of a request, made when it is new; an owner or `as_of` given for an existing run replaces its own.

    A new run without `as_of` is judged as of `now`. Needs a write transaction: the run's place in the order of
    creation is taken in it.
    """
    run_id = run_id_of(tenant, provider, settlement_file, ledger_window)
    known = connection.execute(_runs().where(models.runs.c.run_id == run_id)).one_or_none()
    if known is not None:
        given: dict[str, Any] = {"owner": owner}
        if as_of is not None:
            given |= {"as_of": instant_text(as_of), "is_as_of_given": True}
        changes = {name: value for name, value in given.items() if value not in (None, known._mapping[name])}
        if changes:
            _change(connection, run_id, changes)
        return get(connection, run_id)
    if not owner:
        raise UsageError(f"run {run_id} ({provider}, {settlement_file}, {ledger_window}) is new: name its owner")
    last = connection.execute(select(func.max(models.runs.c.sequence))).scalar()
    run = Run(
        run_id=run_id,
        sequence=(last or 0) + 1,
        provider=provider,
        settlement_file=settlement_file,
        ledger_window=ledger_window.isoformat(),
        owner=owner,
        actor=actor,
        as_of=instant_text(as_of or now),
        status="created",
        closeout_status="open",
        revision=0,
        inputs_digest=None,
        failure=None,
        created_at=instant_text(now),
        is_as_of_given=as_of is not None,
    )
    connection.execute(insert(models.runs).values(vars(run)))
    _record_transition(connection, run_id, status="created", actor=actor, at=now, detail=None)
    return run


def transition(
    connection: Connection, run_id: str, status: str, actor: str, at: datetime, detail: str | None = None
) -> Run:
    """Move a run to `status` and record it; ZentraError when the state machine does not allow the step.

    `failed` needs a `detail` (why, and what to do), which the run shows until it starts again.
    """
    run = get(connection, run_id)
    if status not in _MAY_FOLLOW:
        raise ZentraError(f"run {run_id}: {status!r} is not a run status; known are {', '.join(_MAY_FOLLOW)}")
    if status not in _MAY_FOLLOW[run.status]:
        allowed = ", ".join(sorted(_MAY_FOLLOW[run.status]))
        raise ZentraError(f"run {run_id} is {run.status} and cannot become {status}; it may become {allowed}")
    if status == "failed" and not detail:
        raise ZentraError(f"run {run_id} cannot become failed without a reason")
    failure = detail if status == "failed" else None
    _change(connection, run_id, {"status": status, "failure": failure})
    _record_transition(connection, run_id, status=status, actor=actor, at=at, detail=detail)
    return get(connection, run_id)


def record_revision(
    connection: Connection,
    run_id: str,
    revision: int,
    fingerprint: str,
    inputs_digest: str,
    owner: str,
    as_of: str,
    tables: Mapping[str, Any],
    manifest: Mapping[str, Any],
    at: datetime,
) -> None:
    """Record what a run published and make it the run's current revision; revisions count up from 1 without a gap."""
    run = get(connection, run_id)
    if revision != run.revision + 1:
        raise ZentraError(f"run {run_id} is at revision {run.revision}: revision {revision} cannot follow it")
    connection.execute(
        insert(models.run_revisions).values(
            run_id=run_id,
            revision=revision,
            fingerprint=fingerprint,
            inputs_digest=inputs_digest,
            owner=owner,
            as_of=as_of,
            tables=_text(tables),
            manifest=_text(manifest),
            published_at=instant_text(at),
        )
    )
    _change(connection, run_id, {"revision": revision, "inputs_digest": inputs_digest, "is_void": False})


def confirm_revision(
    connection: Connection, run_id: str, revision: int, fingerprint: str, manifest: Mapping[str, Any]
) -> None:
    """Record that the inputs of `fingerprint` and `manifest` give this revision too."""
    table = models.run_revisions
    this = (table.c.run_id == run_id) & (table.c.revision == revision)
    change_rows(connection, table, this, {"fingerprint": fingerprint, "manifest": _text(manifest)})
    if get(connection, run_id).is_void:
        _change(connection, run_id, {"is_void": False})


def void(connection: Connection, run_id: str, actor: str, at: datetime, reason: str) -> Run:
    """Take a run back: from now on nobody reads what it published, until it is made again on purpose."""
    transition(connection, run_id, VOID, actor, at, reason)
    _change(connection, run_id, {"is_void": True, "closeout_status": "open"})
    return get(connection, run_id)


def move_as_of(connection: Connection, run_id: str, as_of: str) -> None:
    """Judge a run whose `as_of` nobody gave as of a later instant, from its next revision on."""
    _change(connection, run_id, {"as_of": as_of})


def set_closeout_status(connection: Connection, run_id: str, closeout_status: str) -> None:
    """Record the status of a run's closeout: open, blocked, prepared, sealed."""
    _change(connection, run_id, {"closeout_status": closeout_status})


def get(connection: Connection, run_id: str) -> Run:
    """The run of this id; UsageError when there is none."""
    row = connection.execute(_runs().where(models.runs.c.run_id == run_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no run {run_id!r}", remedy=Remedy("look at the list of runs", "list_runs"))
    return Run(**row._mapping)


def find(connection: Connection, run_id: str) -> Run | None:
    """The run of this id, null when there is none."""
    row = connection.execute(_runs().where(models.runs.c.run_id == run_id)).one_or_none()
    return None if row is None else Run(**row._mapping)


def list_runs(connection: Connection, provider: str | None = None) -> list[Run]:
    """All runs, of one provider when given, in order of creation."""
    query = _runs() if provider is None else _runs().where(models.runs.c.provider == provider)
    return _all(connection, query)


def earlier_runs(connection: Connection, run: Run) -> list[Run]:
    """The provider's published runs that were created before this one and are not void, in order of creation."""
    return _all(connection, _published_runs(run).where(models.runs.c.sequence < run.sequence))


def runs_until(connection: Connection, run: Run) -> list[Run]:
    """The provider's runs up to this one, whatever their outcome, in order of creation."""
    return _all(
        connection, _runs().where(models.runs.c.provider == run.provider, models.runs.c.sequence <= run.sequence)
    )


def later_runs(connection: Connection, run: Run) -> list[Run]:
    """The provider's published runs that were created after this one and are not void, in order of creation."""
    return _all(connection, _published_runs(run).where(models.runs.c.sequence > run.sequence))


def revisions(connection: Connection, run_id: str) -> list[Revision]:
    """What a run published, oldest first."""
    table = models.run_revisions
    rows = connection.execute(select(*facts(table)).where(table.c.run_id == run_id).order_by(table.c.revision))
    return [_revision(dict(row._mapping)) for row in rows]


def revision(connection: Connection, run_id: str, number: int) -> Revision:
    """One published state of a run; UsageError when it never was."""
    table = models.run_revisions
    query = select(*facts(table)).where(table.c.run_id == run_id, table.c.revision == number)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UsageError(
            f"run {run_id} has no revision {number}",
            remedy=Remedy("look at the run's revisions", "show_run", {"run_id": run_id}),
        )
    return _revision(dict(row._mapping))


def current_revision(connection: Connection, run_id: str) -> Revision:
    """What readers see of a published run; UsageError when it has published nothing."""
    table = models.run_revisions
    query = select(*facts(table)).where(table.c.run_id == run_id).order_by(table.c.revision.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UsageError(f"run {run_id} has published nothing yet")
    return _revision(dict(row._mapping))


def tables_of(
    connection: Connection, wanted: Collection[tuple[str, int]]
) -> dict[tuple[str, int], dict[str, dict[str, Any]]]:
    """The tables of revisions, as Revision has them, by run and number; UsageError when one of them never was."""
    table = models.run_revisions
    rows = connection.execute(select(table.c.run_id, table.c.revision, table.c.tables)).all()
    found = {(row.run_id, row.revision): row.tables for row in rows}
    missing = sorted(set(wanted) - found.keys())
    if missing:
        run_id, number = missing[0]
        raise UsageError(f"run {run_id} has no revision {number}")
    return {one: orjson.loads(found[one]) for one in wanted}


def transitions(connection: Connection, run_id: str) -> list[Transition]:
    """How a run's status changed, oldest first."""
    table = models.run_transitions
    rows = connection.execute(select(*facts(table)).where(table.c.run_id == run_id).order_by(table.c.sequence))
    return [Transition(**row._mapping) for row in rows]


def _change(connection: Connection, run_id: str, values: Mapping[str, Any]) -> None:
    change_rows(connection, models.runs, models.runs.c.run_id == run_id, values)


def _revision(row: Mapping[str, Any]) -> Revision:
    content = {"tables": json.loads(row["tables"]), "manifest": json.loads(row["manifest"] or "{}")}
    return Revision(**{**row, **content})


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _runs() -> Select[Any]:
    return select(*facts(models.runs)).order_by(models.runs.c.sequence)


def _published_runs(run: Run) -> Select[Any]:
    runs = models.runs
    return _runs().where(runs.c.provider == run.provider, runs.c.revision > 0, runs.c.is_void.is_not(True))


def _all(connection: Connection, query: Select[Any]) -> list[Run]:
    return [Run(**row._mapping) for row in connection.execute(query)]


def _record_transition(
    connection: Connection, run_id: str, *, status: str, actor: str, at: datetime, detail: str | None
) -> None:
    table = models.run_transitions
    sequence = 1 + (connection.execute(select(func.max(table.c.sequence))).scalar_one() or 0)
    values = {"sequence": sequence, "run_id": run_id, "status": status, "actor": actor, "at": instant_text(at)}
    connection.execute(insert(table).values(**values, detail=detail))
