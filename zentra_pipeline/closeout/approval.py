"""What somebody approves about a closeout: the totals to be sealed, what was given up or accepted, the gaps.

Kept with the preparation and with the approval (`details.approval` of the log), and worked out again before sealing:
what has changed since it was prepared is not sealed. Does not belong here: what of it a surface shows and how (cli,
api), approvals of exceptions (review.approvals), the steps of closing (closing).

The content, as JSON values, amounts in minor units:

    closeout_id, revision, prepared_by, prepared_at, amends, reason
    run          {run_id, revision, provider, settlement_file, ledger_window, as_of}
    evidence     {root, rows, status, gaps: [{missing, rows}]}
    rollforward  the statement, a row a currency
    matches      [{currency, status, matches, settlement_minor, ledger_minor, difference_minor}]
    write_offs   [{side, currency, items, amount_minor}]
    accepted     {exceptions, sha256, items: the first 50 that operators ended: type, subject, amounts, who, why}
    open         [{exception_type, exceptions}] that do not block
    quarantine   {rows, accepted_by, reason}
    policy       {rule, digest, approvals_by_token}
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from zentra_pipeline import canonical_json
from zentra_pipeline.closeout.blockers import QUARANTINE_ACCEPTED
from zentra_pipeline.closeout.closeout_tables import CloseoutTables
from zentra_pipeline.decisions import exception_state
from zentra_pipeline.decisions.policy import Policy
from zentra_pipeline.review.approvals import DETAIL
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.decisions import Decision

PREPARE: Final = "prepare_closeout"
RULE: Final = "closeout.second_person"
SHOWN: Final = 50


def content(opened: CloseoutTables, closeout: Closeout, policy: Policy) -> dict[str, Any]:
    """What approving a closeout seals, from the tables as they are."""
    accepted = _accepted(opened)
    return {
        **{name: getattr(closeout, name) for name in ("closeout_id", "revision", "prepared_by", "prepared_at")},
        "amends": closeout.amends,
        "reason": closeout.reason,
        "run": {
            "run_id": closeout.run_id,
            "revision": closeout.run_revision,
            "provider": closeout.provider,
            "settlement_file": closeout.settlement_file,
            "ledger_window": closeout.ledger_window,
            "as_of": opened.revision.as_of,
        },
        "evidence": {
            "root": closeout.evidence_root,
            "rows": closeout.evidence_rows,
            "status": closeout.evidence_status,
            "gaps": opened.rows(
                "select missing, count(*) as rows from evidence where evidence_status <> 'audit_ready' "
                "group by missing order by missing nulls last"
            ),
        },
        "rollforward": opened.rows("select * exclude (run_id, run_sequence) from rollforward order by currency"),
        "matches": opened.rows(
            "select currency, status, count(*) as matches, cast(sum(settlement_minor) as bigint) as settlement_minor, "
            "cast(sum(ledger_minor) as bigint) as ledger_minor, "
            "cast(sum(difference_minor) as bigint) as difference_minor from matches group by all "
            "order by currency, status"
        ),
        "write_offs": write_off_totals(opened),
        "accepted": {
            "exceptions": len(accepted),
            "sha256": hashlib.sha256(canonical_json.canonical(_as_text(accepted))).hexdigest(),
            "items": accepted[:SHOWN],
        },
        "open": opened.rows(
            "select exception_type, count(*) as exceptions from exceptions where status <> 'resolved' "
            "group by exception_type order by exception_type"
        ),
        "quarantine": _quarantine(opened),
        "policy": {"rule": RULE, "digest": policy.digest(), "approvals_by_token": policy.approvals_by_token},
    }


def write_off_totals(opened: CloseoutTables) -> list[dict[str, Any]]:
    """What the run writes off, a row a side and currency."""
    return opened.rows(
        "select case item_type when 'settlement_line' then 'settlement' else 'ledger' end as side, currency, "
        "count(*) as items, cast(sum(amount_minor) as bigint) as amount_minor from write_offs group by all "
        "order by side, currency"
    )


def kept(log: Sequence[Decision], closeout_id: str) -> dict[str, Any] | None:
    """What the newest preparation of a closeout was to seal; null for one that is older than such records."""
    for decision in reversed(log):
        if decision.action == PREPARE and decision.details.get("closeout_id") == closeout_id:
            found = decision.details.get(DETAIL)
            return dict(found) if found is not None else None
    return None


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The parts that are other than they were, by name; who prepared when is no part of what is sealed."""
    known = json.loads(json.dumps(now))
    return [name for name in known if name not in ("prepared_by", "prepared_at") and before.get(name) != known[name]]


def _accepted(opened: CloseoutTables) -> list[dict[str, Any]]:
    """Exceptions that operators ended, with who did and why; what a run resolved by itself is no acceptance."""
    states = exception_state.states(opened.decisions)
    rows = opened.rows(
        "select exception_id, exception_type, subject_type, subject_id, currency, amount_minor, difference_minor, "
        "resolution from exceptions where status = 'resolved' order by exception_id"
    )
    found = []
    for row in rows:
        state = states.get(row["exception_id"])
        if state is not None and state.status == "resolved" and state.resolution == row["resolution"]:
            found.append(row | {"resolved_by": state.resolved_by, "reason": state.reason})
    return found


def _as_text(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: str(v) if name.endswith("_minor") and v is not None else v for name, v in row.items()} for row in rows
    ]


def _quarantine(opened: CloseoutTables) -> dict[str, Any]:
    (found,) = opened.rows("select cast(coalesce(sum(quarantined), 0) as bigint) as rows from conservation")
    accepted = [
        each for each in opened.decisions if each.action == QUARANTINE_ACCEPTED and each.run_id == opened.run.run_id
    ]
    last = accepted[-1] if accepted and found["rows"] else None
    return {
        "rows": found["rows"],
        "accepted_by": None if last is None else last.actor,
        "reason": None if last is None else last.reason,
    }
