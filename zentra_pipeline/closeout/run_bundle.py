"""The files of a run's bundle beside its seal, and its evidence as a file of the lake.

Does not belong here: the form of each file (bundle_files), what the payload says (payload), sealing (sealing).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from zentra_pipeline import blobs, durable_files, identifiers
from zentra_pipeline.closeout import bank_citation, bundle_files, event_lines, payload, report
from zentra_pipeline.closeout.blockers import QUARANTINE_ACCEPTED
from zentra_pipeline.closeout.candidate import CloseoutCandidate
from zentra_pipeline.closeout.closeout_tables import CloseoutTables
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.errors import RefusedError
from zentra_pipeline.keys import signing_keys
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.decisions import Decision


def write_files(
    candidate: CloseoutCandidate, opened: CloseoutTables, closeout: Closeout, folder: Path
) -> dict[str, Any]:
    """Write every file beside the seal into a folder; returns the payload, which the report shows as well.

    RefusedError where the evidence is other than what was prepared.
    """
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
        bank=bank_citation.judged_payouts(candidate),
    )
    sealed_rows = [
        bundle_files.read_rows(folder / f"{name}.jsonl") for name in ("exceptions", "open_items", "decisions")
    ]
    of_account = bundle_files.rows_of_account(opened) if is_of_bank else None
    (folder / "report.html").write_bytes(report.report(content, totals, *sealed_rows, of_account=of_account))
    return content


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


def keep_evidence(candidate: CloseoutCandidate, opened: CloseoutTables, closeout: Closeout) -> Closeout:
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
