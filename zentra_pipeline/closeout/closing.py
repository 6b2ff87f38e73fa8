"""Closes a run, or a window without one: one person prepares, another approves, and its tables are sealed.

    open → blocked | prepared → sealed, and with a later fact → prepared → sealed again (the earlier one: amended)

The transaction that records the seal is the moment a run is closed; a bundle without it is not one, and is made again,
or taken over where it is the same. Does not belong here: what blocks (blockers), what is sealed (closeout_tables,
run_bundle), how (sealing).
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from zentra_pipeline.actors import PROGRAM, Origin, same_person
from zentra_pipeline.closeout import (
    approval,
    blockers,
    bundle_files,
    chain_heads,
    payload,
    run_bundle,
    sealing,
    shared_bundles,
)
from zentra_pipeline.closeout.blockers import QUARANTINE_ACCEPTED, Blocker
from zentra_pipeline.closeout.candidate import CloseoutCandidate
from zentra_pipeline.closeout.closeout_tables import CloseoutTables
from zentra_pipeline.closeout.closing_decisions import record_decision
from zentra_pipeline.decisions.policy import check_origin, check_place, load_policy
from zentra_pipeline.errors import NotPossibleError, OutdatedError, RefusedError, UsageError, ZentraError
from zentra_pipeline.events.facts import closeout_event
from zentra_pipeline.instants import instant_text
from zentra_pipeline.published import lake
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.review.approvals import DETAIL
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.tenants import access

PREPARE: Final = approval.PREPARE
APPROVE: Final = decision_store.APPROVE_CLOSEOUT
RULE: Final = "closeout.second_person"


@dataclass(frozen=True)
class CloseoutResult:
    """A closeout's state after a step: `closeout` is null while something blocks it.

    `approval` is what there is to approve of one that is prepared (approval.content).
    """

    status: str
    closeout: Closeout | None
    bundle: Path | None
    blockers: tuple[Blocker, ...] = ()
    is_new: bool = True
    approval: dict[str, Any] | None = None


def prepare(
    candidate: CloseoutCandidate,
    actor: str,
    now: datetime,
    reason: str | None = None,
    accepted: str | None = None,
    origin: Origin = PROGRAM,
) -> CloseoutResult:
    """Prepare a closeout, or say what blocks it; where the current revision is sealed, it stays as it is.

    `reason` says why an earlier seal is amended; without it the files that arrived since are named, and another one
    than that of what is prepared has it prepared again. With `accepted`, a reason, the actor answers for the
    quarantined rows. `origin` is how the actor came.
    """
    access.require_actor(candidate.tenant, actor)
    if candidate.is_sealed:
        return _already_sealed(candidate)
    blocking = candidate.not_in_review()
    if blocking:
        return _blocked(candidate, blocking, actor, now)
    if accepted is not None:
        candidate = _accept_quarantine(candidate, actor, accepted, now, origin)
    with candidate.tables() as opened:
        blocking = [*candidate.newer_facts(), *blockers.of_tables(opened, candidate.decisions)]
        if blocking:
            return _blocked(candidate, blocking, actor, now)
        root, rows, status = _evidence(candidate, opened)
        closeout = _prepared(candidate, actor, now, reason, root, rows, status)
        to_approve = approval.content(opened, closeout, load_policy(candidate.paths))
    known = candidate.prepared
    if known is not None and _same_preparation(known, closeout, reason):
        kept = approval.kept(candidate.decisions, known.closeout_id)
        if kept is None or not approval.changed(kept, to_approve | {"reason": kept.get("reason")}):
            return CloseoutResult("prepared", known, None, is_new=False, approval=kept or to_approve)
    _record_preparation(candidate, closeout, now, {DETAIL: to_approve, "origin": origin.content()})
    lake.refresh(candidate.paths)
    return CloseoutResult("prepared", closeout, None, approval=to_approve)


def preview(candidate: CloseoutCandidate, actor: str, now: datetime) -> CloseoutResult:
    """What preparing it now would come to, blockers and figures alike; nothing is recorded, no root is worked out."""
    blocking = candidate.not_in_review()
    if blocking or not candidate.has_run:
        return CloseoutResult("blocked", None, None, tuple(blocking))
    with candidate.tables() as opened:
        blocking = [*candidate.newer_facts(), *blockers.of_tables(opened, candidate.decisions)]
        (found,) = opened.rows(
            "select count(*) as rows, count(*) filter (where evidence_status <> 'audit_ready') as gaps from evidence"
        )
        status = "audit_ready" if found["rows"] and not found["gaps"] else "incomplete"
        closeout = _prepared(candidate, actor, now, None, "", found["rows"], status)
        to_approve = approval.content(opened, closeout, load_policy(candidate.paths))
    return CloseoutResult("blocked" if blocking else "open", None, None, tuple(blocking), approval=to_approve)


def approve(
    candidate: CloseoutCandidate,
    actor: str,
    now: datetime,
    origin: Origin = PROGRAM,
    seen: Mapping[str, str] | None = None,
) -> CloseoutResult:
    """Approve and seal what somebody else prepared; approving again changes nothing.

    `seen` are the closeouts that were looked at, each with when it was prepared: OutdatedError where this is none of
    them. Raises RefusedError when nothing is prepared, when the approver prepared it, when the policy demands a token,
    or when what was prepared is no longer what would be sealed.
    """
    _require_seen(candidate, seen)
    if candidate.is_sealed and candidate.prepared is None:
        return _already_sealed(candidate)
    check_origin(load_policy(candidate.paths), actor, origin)
    access.require_actor(candidate.tenant, actor)
    prepared = _approvable(candidate, actor, origin)
    blocking = candidate.not_in_review()
    if blocking:
        return _blocked(candidate, blocking, actor, now)
    with candidate.tables() as opened:
        blocking = [*candidate.newer_facts(), *blockers.of_tables(opened, candidate.decisions)]
        if blocking:
            return _blocked(candidate, blocking, actor, now)
        to_approve = _as_prepared(candidate, opened, prepared)
        closeout, bundle = _sealed(candidate, opened, prepared, actor, now)
        shared_bundles.push(candidate.paths, bundle, str(closeout.seal_digest))
        closeout = run_bundle.keep_evidence(candidate, opened, closeout)
    _record_seal(candidate, closeout, now, {DETAIL: to_approve, "origin": origin.content()})
    _show_seal(candidate)
    return CloseoutResult("sealed", closeout, bundle)


def _require_seen(candidate: CloseoutCandidate, seen: Mapping[str, str] | None) -> None:
    """Refuse an approval of another closeout, prepared or sealed by now, than those that were looked at."""
    closeout = candidate.prepared or (candidate.sealed if candidate.is_sealed else None)
    if seen is not None and closeout is not None and seen.get(closeout.closeout_id) != closeout.prepared_at:
        raise OutdatedError(
            f"closeout {closeout.closeout_id}, prepared {closeout.prepared_at}, is not what was looked at: look again"
        )


def _as_prepared(candidate: CloseoutCandidate, opened: CloseoutTables, prepared: Closeout) -> dict[str, Any]:
    """What is sealed; NotPossibleError when it is other than what was prepared, which is what the approver saw."""
    to_approve = approval.content(opened, prepared, load_policy(candidate.paths))
    kept = approval.kept(candidate.decisions, prepared.closeout_id)
    changed = [] if kept is None else approval.changed(kept, to_approve)
    if changed:
        raise NotPossibleError(
            f"the closeout of run {candidate.run.run_id} is not what {prepared.prepared_by} prepared: "
            f"{', '.join(changed)} changed since; prepare it again, look at it and approve that"
        )
    return to_approve


def bundle_of(paths: TenantPaths, closeout: Closeout) -> Path:
    """The folder of a closeout's bundle."""
    return paths.closeouts / closeout.run_id / f"r{closeout.revision}"


def kept_bundle(paths: TenantPaths, closeout: Closeout) -> Path:
    """The folder of a sealed closeout's bundle, where it can be read."""
    shared_bundles.pull(paths, closeout.bundle, closeout.seal_digest)
    return bundle_of(paths, closeout)


def _show_seal(candidate: CloseoutCandidate) -> None:
    """Bring what readers and auditors find in line with the seals on record."""
    lake.refresh(candidate.paths)
    chain_heads.write_head(candidate.tenant, candidate.run.provider)


def _already_sealed(candidate: CloseoutCandidate) -> CloseoutResult:
    """Sealed before, though whoever sealed it may have died before anybody could see it."""
    assert candidate.sealed is not None
    _show_seal(candidate)
    return CloseoutResult("sealed", candidate.sealed, kept_bundle(candidate.paths, candidate.sealed), is_new=False)


def _blocked(candidate: CloseoutCandidate, blocking: list[Blocker], actor: str, now: datetime) -> CloseoutResult:
    """Blocked: what was prepared is withdrawn and its run in review again; an earlier seal stays what it is."""
    with candidate.tenant.writing() as connection:
        withdrawn = closeout_store.withdraw(connection, candidate.run.run_id)
        if candidate.has_run:
            if withdrawn and candidate.run.status == "closing":
                why = "its closeout is withdrawn: it is blocked"
                run_store.transition(connection, candidate.run.run_id, "in_review", actor, now, why)
            run_store.set_closeout_status(connection, candidate.run.run_id, "sealed" if candidate.sealed else "blocked")
    lake.refresh(candidate.paths)
    return CloseoutResult("blocked", None, None, tuple(blocking))


def _accept_quarantine(
    candidate: CloseoutCandidate, actor: str, reason: str, now: datetime, origin: Origin
) -> CloseoutCandidate:
    """Record that somebody answers for the quarantined rows; the same word on as many rows is recorded once."""
    if not reason.strip():
        raise UsageError("say why the quarantined rows are accepted: the reason must not be blank")
    with candidate.tables() as opened:
        (found,) = opened.rows("select cast(coalesce(sum(quarantined), 0) as bigint) as rows from conservation")
    known = [each for each in candidate.decisions if each.action == QUARANTINE_ACCEPTED]
    last = next((each for each in reversed(known) if each.run_id == candidate.run.run_id), None)
    rows = int(found["rows"])
    if last is not None and (last.actor, last.reason, last.details.get("quarantined_rows")) == (actor, reason, rows):
        return candidate
    with candidate.tenant.writing() as connection:
        decision = record_decision(
            connection,
            candidate.tenant,
            candidate.run.run_id,
            rule=RULE,
            action=QUARANTINE_ACCEPTED,
            actor=actor,
            now=now,
            reason=reason,
            result="accepted",
            details={"quarantined_rows": rows, "origin": origin.content()},
        )
    return replace(candidate, decisions=[*candidate.decisions, decision])


def _evidence(candidate: CloseoutCandidate, opened: CloseoutTables) -> tuple[str, int, str]:
    """Root, rows and status of the evidence, written to scratch and forgotten."""
    folder = candidate.paths.scratch / f"close-{candidate.run.run_id}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        root, rows = bundle_files.write_evidence(opened, folder / "evidence.jsonl")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    (found,) = opened.rows("select count(*) filter (where evidence_status <> 'audit_ready') as gaps from evidence")
    return root, rows, "audit_ready" if rows and not found["gaps"] else "incomplete"


def _prepared(
    candidate: CloseoutCandidate, actor: str, now: datetime, reason: str | None, root: str, rows: int, status: str
) -> Closeout:
    amended = candidate.sealed
    if amended is not None and reason is None:
        reason = payload.reason_to_amend(candidate.revision_of(amended), candidate.revision)
    number = 1 + (amended.revision if amended else 0)
    return Closeout(
        closeout_id=sealing.closeout_id_of(candidate.tenant.name, candidate.run.run_id, number),
        run_id=candidate.run.run_id,
        revision=number,
        provider=candidate.run.provider,
        settlement_file=candidate.run.settlement_file,
        ledger_window=candidate.run.ledger_window,
        run_revision=candidate.revision.revision,
        status="prepared",
        prepared_by=actor,
        prepared_at=instant_text(now),
        approved_by=None,
        sealed_at=None,
        evidence_root=root,
        evidence_rows=rows,
        evidence_status=status,
        chain_sequence=None,
        seal_digest=None,
        previous_seal=None,
        amends=amended.closeout_id if amended else None,
        reason=reason if amended else None,
        bundle=None,
        evidence_path=None,
        evidence_sha256=None,
    )


def _same_preparation(known: Closeout, closeout: Closeout, reason: str | None) -> bool:
    """Whether it is prepared already; the reason that is known holds unless another one is given."""
    if reason is not None and known.reason != closeout.reason:
        return False
    same = replace(closeout, prepared_by=known.prepared_by, prepared_at=known.prepared_at, reason=known.reason)
    return known == same


def _record_preparation(
    candidate: CloseoutCandidate, closeout: Closeout, now: datetime, details: Mapping[str, Any]
) -> None:
    with candidate.tenant.writing() as connection:
        record_decision(
            connection,
            candidate.tenant,
            candidate.run.run_id,
            rule=RULE,
            action=PREPARE,
            actor=closeout.prepared_by,
            now=now,
            reason=closeout.reason,
            result="prepared",
            details={"closeout_id": closeout.closeout_id, "evidence_root": closeout.evidence_root, **details},
        )
        closeout_store.prepare(connection, closeout)
        if candidate.has_run:
            run_store.transition(connection, candidate.run.run_id, "closing", closeout.prepared_by, now)
            run_store.set_closeout_status(connection, candidate.run.run_id, "prepared")


def _approvable(candidate: CloseoutCandidate, actor: str, origin: Origin) -> Closeout:
    prepared = candidate.prepared
    if prepared is None:
        raise RefusedError(
            f"nothing is prepared for run {candidate.run.run_id} ({candidate.run.closeout_status}): have somebody else "
            "prepare it, then approve",
            remedy=Remedy("prepare it", "prepare_closeout", {"run_id": candidate.run.run_id}),
        )
    if same_person(actor, prepared.prepared_by):
        raise RefusedError(
            f"{prepared.prepared_by} prepared the closeout of run {candidate.run.run_id}: a second person has to "
            "approve it"
        )
    check_place(origin, prepared.prepared_by, f"the closeout of run {candidate.run.run_id}")
    if prepared.run_revision != candidate.revision.revision:
        raise RefusedError(
            f"run {candidate.run.run_id} is at revision {candidate.revision.revision}, and revision "
            f"{prepared.run_revision} was prepared: prepare it again"
        )
    return prepared


def _sealed(
    candidate: CloseoutCandidate, opened: CloseoutTables, prepared: Closeout, actor: str, now: datetime
) -> tuple[Closeout, Path]:
    """The closeout with its place in the chain and its seal, while the provider is locked, and its bundle in place."""
    with candidate.tenant.reading() as connection:
        chain = closeout_store.chain(connection, candidate.run.provider)
    bundle = bundle_of(candidate.paths, prepared)
    relative = bundle.relative_to(candidate.paths.root).as_posix()
    closeout = sealing.with_place(prepared, chain, actor, now, relative)
    write = partial(run_bundle.write_files, candidate, opened, closeout)
    return sealing.seal_in_place(candidate.tenant.home, bundle, closeout, now, write), bundle


def _record_seal(candidate: CloseoutCandidate, closeout: Closeout, now: datetime, details: Mapping[str, Any]) -> None:
    """The commit: closeout, run, predecessor, decision and event become true together."""
    assert closeout.approved_by is not None
    with candidate.tenant.writing() as connection:
        record_decision(
            connection,
            candidate.tenant,
            candidate.run.run_id,
            rule=RULE,
            action=APPROVE,
            actor=closeout.approved_by,
            now=now,
            reason=None,
            result="sealed",
            details={
                "closeout_id": closeout.closeout_id,
                "seal_digest": closeout.seal_digest,
                "log_position": candidate.log_position,
                **details,
            },
        )
        closeout_store.change(connection, closeout.closeout_id, vars(closeout))
        if candidate.sealed is not None:
            closeout_store.change(connection, candidate.sealed.closeout_id, {"status": "amended"})
        if candidate.has_run:
            run_store.transition(connection, candidate.run.run_id, "closed", closeout.approved_by, now)
            run_store.set_closeout_status(connection, candidate.run.run_id, "sealed")
        event = closeout_event(tenant=candidate.tenant.name, closeout=closeout, actor=closeout.approved_by, at=now)
        if not event_log.append(connection, event):
            raise ZentraError(f"closeout {closeout.closeout_id} was recorded before: have the home examined (doctor)")
