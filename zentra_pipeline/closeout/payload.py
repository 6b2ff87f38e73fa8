"""What a seal says: the payload of a closeout, made of facts alone; its form is checked by `verify`.

Does not belong here: collecting the facts, signing, writing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from zentra_pipeline.decisions.policy import Policy
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.closeouts import Closeout

PAYLOAD_KIND: Final = "zentra.closeout"
VERSION: Final = 2
WITH_ATTACHMENTS: Final = 3
OF_BANK_ACCOUNT: Final = 4


def policy_result(policy: Policy, closeout: Closeout, quarantine_accepted: str | None) -> dict[str, Any]:
    """The checks a closeout passed: controls of the run, nothing left that blocks, a second person."""
    quarantine = {"name": "quarantined_rows", "result": "passed", "detail": "none, or none of this run"}
    if quarantine_accepted is not None:
        quarantine |= {"result": "accepted", "detail": quarantine_accepted}
    return {
        "name": "closeout",
        "digest": policy.digest(),
        "result": "passed",
        "checks": [
            {"name": "conservation", "result": "passed", "detail": "every row that came in is accounted for"},
            {"name": "rollforward", "result": "passed", "detail": "opening + posted - settled - written off = closing"},
            {"name": "blocking_exceptions", "result": "passed", "detail": "each is resolved, accepted or written off"},
            quarantine,
            {
                "name": "second_person",
                "result": "passed",
                "detail": f"prepared by {closeout.prepared_by}, approved by {closeout.approved_by}",
            },
        ],
    }


def payload(
    *,
    tenant: str,
    run: run_store.Run,
    revision: run_store.Revision,
    closeout: Closeout,
    policy: Mapping[str, Any],
    amended: Closeout | None,
    has_activity: bool,
    log_position: int,
    has_attachments: bool = False,
    bank: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The payload without `files`, which are described when they lie in the bundle. All text, integers and booleans.

    `log_position` is the place of the last decision that the tables include; later ones are not in what is
    closed. `has_attachments` is whether decisions of the bundle name files: the payload is then of version 3. `bank`
    is there for a run of a bank account, and makes it version 4: the account, and the runs whose payouts it judged.
    """
    amends = None
    if amended is not None:
        amends = {
            "closeout_id": amended.closeout_id,
            "seal_digest": amended.seal_digest,
            "reason": closeout.reason,
        }
    return {
        "type": PAYLOAD_KIND,
        "version": OF_BANK_ACCOUNT if bank is not None else WITH_ATTACHMENTS if has_attachments else VERSION,
        **({} if bank is None else {"bank": dict(bank)}),
        "closeout_id": closeout.closeout_id,
        "closeout_revision": closeout.revision,
        "tenant": tenant,
        "provider": run.provider,
        "settlement_file": run.settlement_file,
        "ledger_window": run.ledger_window,
        "run_id": run.run_id,
        "run_revision": revision.revision,
        "owner": revision.owner,
        "scope": f"{tenant}/{run.provider}",
        "as_of": revision.as_of,
        "sealed_at": closeout.sealed_at,
        "actor": closeout.approved_by,
        "prepared_by": closeout.prepared_by,
        "prepared_at": closeout.prepared_at,
        "approved_by": closeout.approved_by,
        "approved_at": closeout.sealed_at,
        "policy": dict(policy),
        "has_activity": has_activity,
        "log_position": log_position,
        "evidence_root": closeout.evidence_root,
        "evidence_rows": closeout.evidence_rows,
        "evidence_status": closeout.evidence_status,
        "digests": {
            "inputs": revision.inputs_digest,
            "rules": revision.manifest["rules"],
            "code": revision.manifest["code"],
        },
        "chain": {"sequence": closeout.chain_sequence, "previous_seal": closeout.previous_seal},
        "amends": amends,
    }


def reason_to_amend(sealed: run_store.Revision, now: run_store.Revision) -> str:
    """Why a run has a newer revision than the sealed one, shown by the files that arrived in between.

    A file of which the run saw no row (a callback after its as_of, repeats, rows in quarantine) is no reason, nor is
    one that was there before the seal and changed nothing.
    """
    known = sealed.files_seen
    same_rows = sealed.inputs_digest == now.inputs_digest
    came = [file for file in now.manifest.get("files", []) if file["sequence"] not in known and not same_rows]
    words = {
        "settlement": "restated settlement file" if sealed.revision else "settlement file",
        "ledger": "late ledger posting",
        "callbacks": "late callback",
        "internal_events": "late internal event",
        "bank_statement": "bank statement",
    }
    own = now.manifest.get("run", {}).get("settlement_file")
    if _payouts(now) != _payouts(sealed):
        words |= {"payouts": "payouts of providers"}
        came.append({"kind": "payouts", "file_id": "reported since", "sequence": -1})
    reasons = [_files_text(words[kind], ids) for kind in words if (ids := _ids(came, kind, own))]
    return (
        "; ".join(reasons)
        or "the run was made again after decisions, settings, quarantined rows or an earlier run changed"
    )


def _payouts(revision: run_store.Revision) -> Sequence[Any]:
    """The revisions whose payouts a run of a bank account took."""
    found: Sequence[Any] = revision.manifest.get("bank", {}).get("payouts", ())
    return found


def _ids(came: Sequence[Mapping[str, Any]], kind: str, own_settlement_file: str | None) -> list[str]:
    return sorted(
        {
            file["file_id"]
            for file in came
            if file["kind"] == kind and (kind != "settlement" or file["file_id"] == own_settlement_file)
        }
    )


def _files_text(words: str, ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
    return f"{words} ({shown})"
