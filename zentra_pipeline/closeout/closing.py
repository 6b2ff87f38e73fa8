"""Closes a run, or a window without one: one person prepares, another approves, and its tables are sealed.

    open → blocked | prepared → sealed, and with a later fact → prepared → sealed again (the earlier one: amended)

The transaction that records the seal is the moment a run is closed; a bundle without it is not one, and is made again,
or taken over where it is the same. Does not belong here: what blocks (blockers), what is sealed (closeout_tables,
bundle_files).
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
from sqlalchemy import Connection

from zentra_pipeline import blobs, canonical_json, durable_files, identifiers, sql_text
from zentra_pipeline.actors import PROGRAM, Origin, same_person
from zentra_pipeline.closeout import (
    approval,
    blockers,
    bundle_files,
    event_lines,
    payload,
    report,
    seal,
    shared_bundles,
)
from zentra_pipeline.closeout.blockers import QUARANTINE_ACCEPTED, Blocker
from zentra_pipeline.closeout.candidate import CloseoutCandidate
from zentra_pipeline.closeout.closeout_tables import CloseoutTables
from zentra_pipeline.decisions.policy import check_origin, check_place, load_policy
from zentra_pipeline.errors import NotPossibleError, RefusedError, ZentraError
from zentra_pipeline.events.facts import closeout_event
from zentra_pipeline.instants import instant_text
from zentra_pipeline.keys import signing_keys
from zentra_pipeline.published import lake
from zentra_pipeline.remedies import Remedy
from zentra_pipeline.review.approvals import DETAIL
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.tenants import access
from zentra_pipeline.tenants.tenant import Tenant

PREPARE: Final = approval.PREPARE
APPROVE: Final = decision_store.APPROVE_CLOSEOUT


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

    `reason` says why an earlier seal is amended; without it the files that arrived since are named. With `accepted`, a
    reason, the actor answers for the quarantined rows. `origin` is how the actor came.
    """
    access.require_actor(candidate.tenant, actor)
    if candidate.is_sealed:
        return _already_sealed(candidate)
    blocking = candidate.not_in_review()
    if blocking:
        return _blocked(candidate, blocking)
    if accepted is not None:
        candidate = _accept_quarantine(candidate, actor, accepted, now, origin)
    with candidate.tables() as opened:
        blocking = [*candidate.newer_facts(), *blockers.of_tables(opened, candidate.decisions)]
        if blocking:
            return _blocked(candidate, blocking)
        root, rows, status = _evidence(candidate, opened)
        closeout = _prepared(candidate, actor, now, reason, root, rows, status)
        to_approve = approval.content(opened, closeout, load_policy(candidate.paths))
    known = candidate.prepared
    if known is not None and _same_preparation(known, closeout):
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


def approve(candidate: CloseoutCandidate, actor: str, now: datetime, origin: Origin = PROGRAM) -> CloseoutResult:
    """Approve and seal what somebody else prepared; approving again changes nothing.

    Raises RefusedError when nothing is prepared, when the approver prepared it, when the policy demands a token, or
    when what was prepared is no longer what would be sealed.
    """
    if candidate.is_sealed and candidate.prepared is None:
        return _already_sealed(candidate)
    check_origin(load_policy(candidate.paths), actor, origin)
    access.require_actor(candidate.tenant, actor)
    prepared = _approvable(candidate, actor, origin)
    with candidate.tables() as opened:
        blocking = [*candidate.newer_facts(), *blockers.of_tables(opened, candidate.decisions)]
        if blocking:
            return _blocked(candidate, blocking)
        to_approve = _as_prepared(candidate, opened, prepared)
        closeout = _approved(candidate, prepared, actor, now)
        closeout, bundle = _sealed_bundle(candidate, opened, closeout, now)
        shared_bundles.push(candidate.paths, bundle, str(closeout.seal_digest))
        closeout = _keep_evidence(candidate, opened, closeout)
    _record_seal(candidate, closeout, now, {DETAIL: to_approve, "origin": origin.content()})
    _show_seal(candidate)
    return CloseoutResult("sealed", closeout, bundle)


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


def write_head(tenant: Tenant, provider: str) -> Path:
    """Write the chain's seals to `heads/<provider>.json`, to be published where this home cannot reach."""
    head = tenant.paths.heads / f"{provider}.json"
    head.parent.mkdir(parents=True, exist_ok=True)
    with tenant.holding("heads"):
        for left in head.parent.glob(".*.tmp"):
            left.unlink()  # of a process that died
        with tenant.reading() as connection:
            chain = closeout_store.chain(connection, provider)
        seals = [
            {"sequence": item.chain_sequence, "closeout_id": item.closeout_id, "seal_digest": item.seal_digest}
            for item in chain
        ]
        durable_files.write_durably(
            head, canonical_json.canonical({"version": 1, "tenant": tenant.name, "provider": provider, "seals": seals})
        )
    return head


def kept_bundle(paths: TenantPaths, closeout: Closeout) -> Path:
    """The folder of a sealed closeout's bundle, where it can be read."""
    shared_bundles.pull(paths, closeout.bundle, closeout.seal_digest)
    return bundle_of(paths, closeout)


def closeout_id_of(tenant: str, run_id: str, revision: int) -> str:
    """The id of a closeout: the same closing of the same run has the same id everywhere."""
    canonical = json.dumps([tenant, run_id, revision], ensure_ascii=False, separators=(",", ":"))
    return "clo_" + hashlib.sha256(canonical.encode()).hexdigest()[:24]


def _show_seal(candidate: CloseoutCandidate) -> None:
    """Bring what readers and auditors find in line with the seals on record."""
    lake.refresh(candidate.paths)
    write_head(candidate.tenant, candidate.run.provider)


def _already_sealed(candidate: CloseoutCandidate) -> CloseoutResult:
    """Sealed before, though whoever sealed it may have died before anybody could see it."""
    assert candidate.sealed is not None
    _show_seal(candidate)
    return CloseoutResult("sealed", candidate.sealed, kept_bundle(candidate.paths, candidate.sealed), is_new=False)


def _blocked(candidate: CloseoutCandidate, blocking: list[Blocker]) -> CloseoutResult:
    """Blocked, and nothing else changes; an earlier seal stays what it is."""
    with candidate.tenant.writing() as connection:
        closeout_store.withdraw(connection, candidate.run.run_id)
        if candidate.has_run:
            run_store.set_closeout_status(connection, candidate.run.run_id, "sealed" if candidate.sealed else "blocked")
    lake.refresh(candidate.paths)
    return CloseoutResult("blocked", None, None, tuple(blocking))


def _accept_quarantine(
    candidate: CloseoutCandidate, actor: str, reason: str, now: datetime, origin: Origin
) -> CloseoutCandidate:
    """Record that somebody answers for the quarantined rows, once for the number there are."""
    with candidate.tables() as opened:
        (found,) = opened.rows("select cast(coalesce(sum(quarantined), 0) as bigint) as rows from conservation")
    with candidate.tenant.writing() as connection:
        decision = _decision(
            candidate,
            connection,
            action=QUARANTINE_ACCEPTED,
            actor=actor,
            now=now,
            reason=reason,
            result="accepted",
            details={"quarantined_rows": int(found["rows"]), "origin": origin.content()},
        )
        decision_store.append(connection, decision)
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
        closeout_id=closeout_id_of(candidate.tenant.name, candidate.run.run_id, number),
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


def _same_preparation(known: Closeout, closeout: Closeout) -> bool:
    same = replace(closeout, prepared_by=known.prepared_by, prepared_at=known.prepared_at, reason=known.reason)
    return known == same


def _record_preparation(
    candidate: CloseoutCandidate, closeout: Closeout, now: datetime, details: Mapping[str, Any]
) -> None:
    with candidate.tenant.writing() as connection:
        decision = _decision(
            candidate,
            connection,
            action=PREPARE,
            actor=closeout.prepared_by,
            now=now,
            reason=closeout.reason,
            result="prepared",
            details={"closeout_id": closeout.closeout_id, "evidence_root": closeout.evidence_root, **details},
        )
        decision_store.append(connection, decision)
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


def _approved(candidate: CloseoutCandidate, prepared: Closeout, actor: str, now: datetime) -> Closeout:
    """The closeout as it will be sealed: its place in the chain is taken while the provider is locked."""
    with candidate.tenant.reading() as connection:
        chain = closeout_store.chain(connection, candidate.run.provider)
    bundle = bundle_of(candidate.paths, prepared).relative_to(candidate.paths.root).as_posix()
    return replace(
        prepared,
        status="sealed",
        approved_by=actor,
        sealed_at=instant_text(now),
        chain_sequence=1 + (chain[-1].chain_sequence or 0) if chain else 1,
        previous_seal=chain[-1].seal_digest if chain else None,
        bundle=bundle,
    )


def _sealed_bundle(
    candidate: CloseoutCandidate, opened: CloseoutTables, closeout: Closeout, now: datetime
) -> tuple[Closeout, Path]:
    """Write the bundle under a temporary name, sign it and put it in place; or take over one that is the same."""
    bundle = bundle_of(candidate.paths, closeout)
    left = _recover_bundle(candidate, bundle, closeout)
    if left is not None:
        return left, bundle
    temporary = bundle.with_name(f".{bundle.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "files").mkdir(parents=True)
    content = _write_files(candidate, opened, closeout, temporary / "files", now)
    digest = seal.seal_bundle(temporary, content, signing_keys.signing_key(candidate.tenant.home, now))
    seal.put_in_place(temporary, bundle)
    return replace(closeout, seal_digest=digest), bundle


def _recover_bundle(candidate: CloseoutCandidate, bundle: Path, closeout: Closeout) -> Closeout | None:
    """A crash came between a seal and its record: the seal is taken over when it says the same, else it never was."""
    from zentra_pipeline.closeout import verify

    if not bundle.exists():
        return None
    checked = verify.verify(bundle, candidate.tenant.home.trust)
    for found in checked.seals if checked.holds else ():
        known = found.payload
        taken = replace(closeout, sealed_at=known["sealed_at"], seal_digest=found.seal_digest)
        said = (known["evidence_root"], known["prepared_at"], known["approved_by"], known["chain"]["previous_seal"])
        if said == (closeout.evidence_root, closeout.prepared_at, closeout.approved_by, closeout.previous_seal):
            return taken
    shutil.rmtree(bundle)
    return None


def _write_files(
    candidate: CloseoutCandidate, opened: CloseoutTables, closeout: Closeout, folder: Path, now: datetime
) -> dict[str, Any]:
    """Every file beside the seal; returns the payload, which the report shows as well."""
    root, rows = bundle_files.write_evidence(opened, folder / "evidence.jsonl")
    if (root, rows) != (closeout.evidence_root, closeout.evidence_rows):
        raise RefusedError(
            f"the evidence of run {candidate.run.run_id} is not what {closeout.prepared_by} prepared: prepare it again"
        )
    bundle_files.write_matches(opened, folder / "matches.jsonl")
    bundle_files.write_exceptions(opened, folder / "exceptions.jsonl")
    bundle_files.write_open_items(opened, folder / "open_items.jsonl")
    bundle_files.write_write_offs(opened, folder / "write_offs.jsonl")
    decided = _decisions_in_bundle(candidate, opened)
    is_of_bank = identifiers.account_of(candidate.run.provider) is not None and candidate.has_run
    decisions = bundle_files.write_decisions(decided, folder / "decisions.jsonl", is_of_bank=is_of_bank)
    events = event_lines.write(candidate.tenant, candidate.run.run_id, folder / "events.jsonl")
    totals = bundle_files.control_totals(opened, decisions, events, rows)
    bundle_files.write_object(totals, folder / "control_totals.json")
    bundle_files.write_object(_inputs(candidate, decided), folder / "inputs.json")
    bundle_files.write_object(signing_keys.key_rotations(candidate.tenant.home), folder / "key_rotations.json")
    accepted = next((item.reason for item in reversed(decided) if item.action == QUARANTINE_ACCEPTED), None)
    content = payload.payload(
        tenant=candidate.tenant.name,
        run=candidate.run,
        revision=candidate.revision,
        closeout=closeout,
        policy=payload.policy_result(load_policy(candidate.paths), closeout, accepted),
        amended=candidate.sealed,
        has_activity=candidate.has_run,
        log_position=candidate.log_position,
        has_attachments=bundle_files.has_attachments(decided),
        bank=_bank(candidate),
    )
    sealed_rows = [
        bundle_files.read_rows(folder / f"{name}.jsonl") for name in ("exceptions", "open_items", "decisions")
    ]
    of_account = bundle_files.rows_of_account(opened) if is_of_bank else None
    (folder / "report.html").write_bytes(report.report(content, totals, *sealed_rows, of_account=of_account))
    return content


def _bank(candidate: CloseoutCandidate) -> dict[str, Any] | None:
    """The account of a run of one, and the runs whose payouts it judged with the seals they have; else null."""
    account = identifiers.account_of(candidate.run.provider)
    if account is None or not candidate.has_run:
        return None
    states = candidate.paths.root / candidate.revision.tables["payout_states"]["path"]
    with duckdb.connect() as connection:
        judged = connection.execute(
            "select distinct payout_provider, reported_run_id, reported_revision "
            f"from read_parquet({sql_text.file_literal(states)}) order by all"
        ).fetchall()
    with candidate.tenant.reading() as connection:
        seals = {
            (item.run_id, item.run_revision): item
            for _, run_id, _ in judged
            for item in closeout_store.of_run(connection, run_id)
            if item.seal_digest is not None
        }
    return {
        "account": account,
        "payouts": [
            {
                "provider": provider,
                "run_id": run_id,
                "revision": revision,
                "closeout_id": None if cited is None else cited.closeout_id,
                "seal_digest": None if cited is None else cited.seal_digest,
            }
            for provider, run_id, revision in judged
            for cited in [seals.get((run_id, revision))]
        ],
    }


def _inputs(candidate: CloseoutCandidate, decided: list[Decision]) -> dict[str, Any]:
    """What the run was made from, by digest, and what it published."""
    return {
        **candidate.revision.manifest,
        "tables": candidate.revision.tables,
        "decisions": [decision.decision_id for decision in decided],
    }


def _decisions_in_bundle(candidate: CloseoutCandidate, opened: CloseoutTables) -> list[Decision]:
    """Decisions about the exceptions in the bundle, and about the closeout."""
    listed = {row["exception_id"] for row in opened.rows("select exception_id from exceptions")}
    return [
        decision
        for decision in candidate.decisions
        if decision.exception_id in listed
        or (decision.exception_id is None and decision.run_id == candidate.run.run_id)
    ]


def _keep_evidence(candidate: CloseoutCandidate, opened: CloseoutTables, closeout: Closeout) -> Closeout:
    """The sealed evidence as a file of the lake, for analysts."""
    relative = Path(
        "lake", "closeout_evidence", f"provider={candidate.run.provider}", f"{closeout.closeout_id}.parquet"
    )
    final = candidate.paths.root / relative
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.tmp")
    bundle_files.write_evidence_table(opened, closeout.closeout_id, temporary)
    durable_files.rename_durably(temporary, final)
    digest = durable_files.digest_of(final)
    blobs.push(candidate.paths, relative, digest)
    return replace(closeout, evidence_path=relative.as_posix(), evidence_sha256=digest)


def _record_seal(candidate: CloseoutCandidate, closeout: Closeout, now: datetime, details: Mapping[str, Any]) -> None:
    """The commit: closeout, run, predecessor, decision and event become true together."""
    assert closeout.approved_by is not None
    with candidate.tenant.writing() as connection:
        decision = _decision(
            candidate,
            connection,
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
        decision_store.append(connection, decision)
        closeout_store.change(connection, closeout.closeout_id, vars(closeout))
        if candidate.sealed is not None:
            closeout_store.change(connection, candidate.sealed.closeout_id, {"status": "amended"})
        if candidate.has_run:
            run_store.transition(connection, candidate.run.run_id, "closed", closeout.approved_by, now)
            run_store.set_closeout_status(connection, candidate.run.run_id, "sealed")
        event = closeout_event(tenant=candidate.tenant.name, closeout=closeout, actor=closeout.approved_by, at=now)
        if not event_log.append(connection, event):
            raise ZentraError(f"closeout {closeout.closeout_id} was recorded before: have the home examined (doctor)")


def _decision(
    candidate: CloseoutCandidate,
    connection: Connection,
    *,
    action: str,
    actor: str,
    now: datetime,
    reason: str | None,
    result: str,
    details: dict[str, Any],
) -> Decision:
    """A decision about the closeout, with the policy it passed; its id counts the run's closeout decisions."""
    number = sum(
        item.exception_id is None and item.run_id == candidate.run.run_id for item in decision_store.listed(connection)
    )
    canonical = json.dumps(
        [candidate.tenant.name, candidate.run.run_id, number + 1], ensure_ascii=False, separators=(",", ":")
    )
    return Decision(
        sequence=decision_store.next_sequence(connection),
        decision_id="dec_" + hashlib.sha256(canonical.encode()).hexdigest()[:24],
        exception_id=None,
        run_id=candidate.run.run_id,
        action=action,
        actor=actor,
        decided_at=instant_text(now),
        reason=reason,
        policy={"rule": "closeout.second_person", "digest": load_policy(candidate.paths).digest(), "outcome": result},
        result=result,
        owner=None,
        resolution=None,
        details=details,
    )
