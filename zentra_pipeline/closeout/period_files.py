"""Writes what the bundle of a month's sign-off holds, and its payload; every figure is of sealed windows.

Does not belong here: working the figures out (period), signing and recording (period_closing).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from zentra_pipeline import canonical_json, provenance
from zentra_pipeline.closeout import report
from zentra_pipeline.closeout.bundle_files import write_object
from zentra_pipeline.closeout.period import AMOUNTS, Month
from zentra_pipeline.decisions.policy import Policy
from zentra_pipeline.store.periods import PeriodCloseout

PAYLOAD_KIND: Final = "zentra.period_closeout"
VERSION: Final = 1


def policy_result(policy: Policy, sign_off: PeriodCloseout) -> dict[str, Any]:
    """The checks that a month passed."""
    return {
        "name": "period_closeout",
        "digest": policy.digest(),
        "result": "passed",
        "checks": [
            {"name": "windows", "result": "passed", "detail": "every expected window is sealed as it is now"},
            {"name": "queue", "result": "passed", "detail": "no window of it waits to be made again"},
            {
                "name": "second_person",
                "result": "passed",
                "detail": f"prepared by {sign_off.prepared_by}, approved by {sign_off.approved_by}",
            },
        ],
    }


def write(
    folder: Path,
    month: Month,
    sign_off: PeriodCloseout,
    policy: Mapping[str, Any],
    rotations: Mapping[str, Any],
    amended: PeriodCloseout | None,
) -> dict[str, Any]:
    """Every file beside the seal; returns the payload without `files`."""
    (folder / "windows.jsonl").write_bytes(b"".join(line + b"\n" for line in month.lines))
    (folder / "changes.jsonl").write_bytes(
        b"".join(canonical_json.canonical(_change(row)) + b"\n" for row in changes_of(month))
    )
    totals = _as_text(month.totals)
    write_object(totals, folder / "control_totals.json")
    write_object({"heads": _heads(month)}, folder / "heads.json")
    write_object(rotations, folder / "key_rotations.json")
    payload = _payload(month, sign_off, policy, amended)
    html = report.template("period.html.j2").render(
        payload=payload, totals=month.totals, windows=month.cited, changes=changes_of(month), amounts=AMOUNTS
    )
    (folder / "report.html").write_bytes(html.encode())
    return payload


def changes_of(month: Month) -> list[dict[str, Any]]:
    """What changed since the sign-off before, as a new one lists it: closeouts before and after."""
    return [change.as_object() for change in month.changes]


def _change(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("provider", "ledger_window", "run_id", "before", "after")}


def _heads(month: Month) -> list[dict[str, Any]]:
    return [
        {
            "provider": provider,
            "closeout_id": head.closeout_id,
            "sequence": head.chain_sequence,
            "seal_digest": head.seal_digest,
        }
        for provider, head in sorted(month.heads.items())
    ]


def _payload(
    month: Month, sign_off: PeriodCloseout, policy: Mapping[str, Any], amended: PeriodCloseout | None
) -> dict[str, Any]:
    amends = None
    if amended is not None:
        amends = {
            "closeout_id": amended.closeout_id,
            "seal_digest": amended.seal_digest,
            "reason": sign_off.reason or "",
        }
    return {
        "type": PAYLOAD_KIND,
        "version": VERSION,
        "closeout_id": sign_off.closeout_id,
        "closeout_revision": sign_off.revision,
        "tenant": month.tenant.name,
        "period": month.period,
        "scope": f"{month.tenant.name}/*",
        "sealed_at": sign_off.sealed_at,
        "actor": sign_off.approved_by,
        "prepared_by": sign_off.prepared_by,
        "prepared_at": sign_off.prepared_at,
        "approved_by": sign_off.approved_by,
        "approved_at": sign_off.sealed_at,
        "policy": dict(policy),
        "evidence_root": sign_off.evidence_root,
        "evidence_rows": sign_off.evidence_rows,
        "digests": {"code": provenance.code_digest()},
        "chain": {"sequence": sign_off.chain_sequence, "previous_seal": sign_off.previous_seal},
        "amends": amends,
    }


def _as_text(value: Any) -> Any:
    """Totals as a bundle holds them: amounts as text."""
    if isinstance(value, Mapping):
        return {name: str(each) if name.endswith("_minor") else _as_text(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_text(each) for each in value]
    return value
