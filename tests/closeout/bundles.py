"""Makes small sealed bundles that hold, signed by keys of the test's own; tests then change one thing."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from zentra_pipeline import canonical_json
from zentra_pipeline.closeout import merkle, seal
from zentra_pipeline.closeout.verify import Report
from zentra_pipeline.keys import dsse
from zentra_pipeline.keys.signing_keys import SigningKey

SEALED_AT = "2026-04-28T09:00:00Z"
EVIDENCE_COLUMNS = (
    "provider_reference",
    "settlement_file",
    "ledger_entry",
    "exception_owner",
    "closeout_status",
    "run_id",
    "actor",
    "scope",
    "policy",
    "intent_id",
    "signature",
    "evidence_status",
)


@dataclass(frozen=True)
class TestKey:
    """A signing key that is the same for the same name."""

    __test__ = False
    name: str

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self.name.encode()).digest())

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def keyid(self) -> str:
        return hashlib.sha256(self.public).hexdigest()

    @property
    def signing(self) -> SigningKey:
        return SigningKey(self.keyid, self.private)

    def record(
        self,
        valid_from: str = "2026-01-01T00:00:00Z",
        valid_until: str | None = None,
        signer: "TestKey | None" = None,
    ) -> dict[str, Any]:
        """The key as trust.json lists it."""
        signed = {
            "keyid": self.keyid,
            "public_key": b64encode(self.public).decode(),
            "valid_from": valid_from,
            "signed_by": signer and signer.keyid,
        }
        message = dsse.pae("application/vnd.zentra.key+json", canonical_json.canonical(signed))
        signature = signer and b64encode(signer.private.sign(message)).decode()
        return {**signed, "valid_until": valid_until, "signature": signature}


FIRST = TestKey("first")
SECOND = TestKey("second")
STRANGER = TestKey("stranger")


def failed(report: Report) -> dict[str, str]:
    """Why checks failed, by check; of several bundles the last word."""
    return {finding.check: finding.detail for finding in report.findings if not finding.holds}


def write_json(path: Path, value: object) -> Path:
    path.write_bytes(canonical_json.canonical(value))
    return path


def trust(path: Path, *records: Mapping[str, Any]) -> Path:
    """A trust file of the records, or of the first test key."""
    return write_json(path, {"version": 1, "keys": list(records) or [FIRST.record()]})


def head(path: Path, sealed: Sequence["Sealed"], tenant: str = "acme", provider: str = "rail_primary") -> Path:
    """A head file over the seals given."""
    return write_json(
        path, {"version": 1, "tenant": tenant, "provider": provider, "seals": [made.entry for made in sealed]}
    )


@dataclass(frozen=True)
class Sealed:
    """A bundle as made."""

    folder: Path
    payload: dict[str, Any]
    seal_digest: str

    @property
    def entry(self) -> dict[str, Any]:
        """What a head says of it."""
        sequence = self.payload["chain"]["sequence"]
        return {
            "sequence": sequence,
            "closeout_id": self.payload["closeout_id"],
            "seal_digest": self.seal_digest,
        }


def evidence_row(number: int, run: str, **changes: str | None) -> dict[str, str | None]:
    return {
        "provider_reference": f"ch_{number:07d}",
        "settlement_file": "set_2026_04_26",
        "ledger_entry": f"entry_{number:07d}",
        "exception_owner": None,
        "closeout_status": "sealed",
        "run_id": run,
        "actor": "ana",
        "scope": "acme/rail_primary",
        "policy": "closeout",
        "intent_id": f"int_{number}",
        "signature": "verified",
        "evidence_status": "audit_ready",
        **changes,
    }


def match_row(number: int, run: str, minor: int = 1000, **changes: Any) -> dict[str, Any]:
    return {
        "match_id": f"mat_{number:07d}",
        "run_id": run,
        "rule": "exact_reference",
        "cardinality": "one_to_one",
        "method": "exact",
        "status": "confirmed",
        "currency": "USD",
        "settlement_minor": str(minor),
        "ledger_minor": str(minor),
        "difference_minor": "0",
        "provider_reference": f"ch_{number:07d}",
        "settlement_lines": [f"L{number}"],
        "ledger_transactions": [f"T{number}"],
        "callbacks": [],
        **changes,
    }


def open_item(number: int, minor: int, item_type: str = "ledger_transaction") -> dict[str, Any]:
    return {
        "item_type": item_type,
        "item_id": f"T{number}",
        "provider_reference": None,
        "currency": "USD",
        "amount_minor": str(minor),
        "opened_window": "2026-04-26",
        "age_business_days": 0,
        "aging_bucket": "0-2",
        "item_state": "in_transit",
    }


def exception_row(number: int, run_id: str) -> dict[str, Any]:
    texts = ("provider_reference", "currency", "amount_minor", "difference_minor", "resolution", "explanation")
    return {
        **dict.fromkeys(texts),
        "exception_id": f"exc_{number:07d}",
        "run_id": run_id,
        "exception_type": "late_callback",
        "severity": "low",
        "subject_type": "callback",
        "subject_id": "evt_1",
        "owner": "finance_ops",
        "lane": "timing",
        "status": "resolved",
        "due_at": "2026-04-29T00:00:00Z",
        "opened_at": "2026-04-27T00:00:00Z",
        "candidates": [{"item_id": "T9", "amount_minor": "-1", "note": "Zoë"}],
    }


def decision_row(run_id: str) -> dict[str, Any]:
    return {
        "decision_id": "dec_1",
        "exception_id": None,
        "run_id": run_id,
        "action": "approve_closeout",
        "actor": "ben",
        "decided_at": "2026-04-28T08:00:00Z",
        "reason": "all in order",
        "policy": "closeout",
        "result": "passed",
        "owner": None,
        "resolution": None,
    }


def second_version(run_id: str, movements: int = 3) -> dict[str, Any]:
    """What `make_bundle` needs for a bundle of version 2: a write-off with its decisions, and a place in the log."""
    rows = rows_of(run_id, movements)
    more = {"origin": {"via": "program"}, "approval": None}
    proposed = decision_row(run_id) | {"decision_id": "dec_2", "exception_id": "exc_0000001", "action": "write_off"}
    proposed |= {"actor": "ana", "result": "pending_approval", "resolution": "written_off", "log_position": 1}
    approved = proposed | {"decision_id": "dec_3", "action": "approve", "actor": "ben", "result": "resolved"}
    last = decision_row(run_id) | {"log_position": 3}
    rows["decisions"] = [row | more for row in (proposed, approved | {"log_position": 2}, last)]
    rows["exceptions"] = [exception_row(1, run_id) | {"resolution": "written_off"}]
    rows["write_offs"] = [
        {
            "item_type": "ledger_transaction",
            "item_id": "T8",
            "provider_reference": "ch_8",
            "currency": "USD",
            "amount_minor": "70",
            "opened_window": "2026-04-26",
            "exception_id": "exc_0000001",
            "decision_id": "dec_3",
        }
    ]
    totals = control_totals(rows)
    totals["rollforward"][0] |= {"opening_minor": "70", "written_off_minor": "70"}
    sums = {"item_type": "ledger_transaction", "currency": "USD", "items": 1, "amount_minor": "70"}
    totals |= {"write_offs": [sums], "evidence": {"rows": movements, "gaps": []}}
    return {"rows": rows, "totals": totals, "version": 2, "log_position": 3}


def rows_of(run_id: str, movements: int = 3) -> dict[str, list[dict[str, Any]]]:
    """The rows of a window in which all but one movement settled."""
    return {
        "evidence": [evidence_row(number, run_id) for number in range(movements)],
        "matches": [match_row(number, run_id) for number in range(movements)],
        "exceptions": [exception_row(1, run_id)],
        "open_items": [open_item(9, -500)],
        "decisions": [decision_row(run_id)],
        "events": [{"id": "evt_1", "type": "reconciliation.run.created"}, {"id": "evt_2", "data": {"count": 3}}],
    }


def control_totals(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Totals of one currency, added up here once more; enough for the rows that `rows_of` makes."""
    confirmed = sum(int(row["ledger_minor"]) for row in rows["matches"])
    left = sum(int(row["amount_minor"]) for row in rows["open_items"])
    match = {"currency": "USD", "status": "confirmed", "matches": len(rows["matches"])}
    match |= {"settlement_minor": str(confirmed), "ledger_minor": str(confirmed), "difference_minor": "0"}
    opened = {"item_type": "ledger_transaction", "currency": "USD", "amount_minor": str(left)}
    return {
        "evidence": {"rows": len(rows["evidence"])},
        "matches": [match] if rows["matches"] else [],
        "exceptions": [
            {"exception_type": "late_callback", "status": "resolved", "exceptions": len(rows["exceptions"])}
        ],
        "open_items": [opened | {"items": len(rows["open_items"])}] if rows["open_items"] else [],
        "decisions": len(rows["decisions"]),
        "events": len(rows["events"]),
        "rollforward": [
            {
                "currency": "USD",
                "opening_minor": "0",
                "posted_minor": str(confirmed + left),
                "settled_minor": str(confirmed),
                "written_off_minor": "0",
                "closing_minor": str(left),
                "difference_minor": "0",
            }
        ],
        "conservation": [{"side": "ledger", "currency": "USD", "rows_unexplained": 0, "amount_unexplained_minor": "0"}],
        "three_way": [],
    }


def make_bundle(
    folder: Path,
    *,
    key: TestKey = FIRST,
    run_id: str = "run_0001",
    sequence: int = 1,
    previous: Sealed | None = None,
    amends: Sealed | None = None,
    window: str = "2026-04-26",
    sealed_at: str = SEALED_AT,
    rows: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    totals: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    rotations: Iterable[Mapping[str, Any]] = (),
    movements: int = 3,
    **changes: Any,
) -> Sealed:
    """Write and seal a bundle that holds; `totals` and `changes` replace what the totals and the payload say."""
    rows = rows or rows_of(run_id, movements)
    files = folder / "files"
    files.mkdir(parents=True)
    lines = {name: list(canonical_json.canonical_lines(members)) for name, members in rows.items()}
    lines["evidence"].sort()
    for name, content in lines.items():
        (files / f"{name}.jsonl").write_bytes(b"".join(content))
    write_json(files / "control_totals.json", {**control_totals(rows), **(totals or {})})
    write_json(files / "inputs.json", {"files": [], "decisions": ["dec_1"]} if inputs is None else inputs)
    write_json(files / "key_rotations.json", {"version": 1, "keys": list(rotations)})
    (files / "report.html").write_text("<p>Zoë’s closeout</p>", encoding="utf-8")
    revision = 1 if amends is None else amends.payload["closeout_revision"] + 1
    payload = {
        "type": "zentra.closeout",
        "version": 1,
        "closeout_id": f"clo_{run_id}_{revision}",
        "closeout_revision": revision,
        "tenant": "acme",
        "provider": "rail_primary",
        "settlement_file": f"set_{window.replace('-', '_')}",
        "ledger_window": window,
        "run_id": run_id,
        "run_revision": revision,
        "owner": "finance_ops",
        "scope": "acme/rail_primary",
        "as_of": "2026-04-27T06:00:00Z",
        "sealed_at": sealed_at,
        "actor": "ben",
        "prepared_by": "ana",
        "prepared_at": "2026-04-28T07:00:00Z",
        "approved_by": "ben",
        "approved_at": sealed_at,
        "policy": {
            "name": "closeout",
            "digest": "a" * 64,
            "result": "passed",
            "checks": [{"name": "conservation", "result": "passed", "detail": "every row accounted for"}],
        },
        "has_activity": True,
        "evidence_root": merkle.root([merkle.leaf_hash(line[:-1]) for line in lines["evidence"]]),
        "evidence_rows": len(rows["evidence"]),
        "evidence_status": "audit_ready",
        "digests": {"inputs": "b" * 64, "rules": "c" * 64, "code": "d" * 64},
        "chain": {"sequence": sequence, "previous_seal": previous and previous.seal_digest},
        "amends": amends
        and {
            "closeout_id": amends.payload["closeout_id"],
            "seal_digest": amends.seal_digest,
            "reason": "late callback",
        },
        **changes,
    }
    return Sealed(folder, payload, seal.seal_bundle(folder, payload, key.signing))


def make_large_bundle(folder: Path, movements: int) -> Sealed:
    """Like `make_bundle`, of many settled movements, made from one line each instead of from rows."""
    made = make_bundle(folder)
    number, amount = 7_654_321, str(1000 * movements)
    leaves = []
    for name, row in (("matches", match_row(number, "run_0001")), ("evidence", evidence_row(number, "run_0001"))):
        line = canonical_json.canonical(row).decode()
        leaves = [line.replace(str(number), f"{position:07d}").encode() for position in range(movements)]
        (folder / "files" / f"{name}.jsonl").write_bytes(b"".join(leaf + b"\n" for leaf in leaves))
    totals = control_totals(rows_of("run_0001"))
    totals["evidence"]["rows"] = movements
    totals["matches"][0] |= {"matches": movements, "settlement_minor": amount, "ledger_minor": amount}
    totals["rollforward"][0] |= {"posted_minor": str(1000 * movements - 500), "settled_minor": amount}
    write_json(folder / "files" / "control_totals.json", totals)
    root = merkle.root([merkle.leaf_hash(leaf) for leaf in leaves])
    payload = {**made.payload, "evidence_rows": movements, "evidence_root": root}
    return Sealed(folder, payload, seal.seal_bundle(folder, payload, FIRST.signing))


def make_chain(root: Path, windows: int, **changes: Any) -> list[Sealed]:
    """Bundles of consecutive windows, each naming the seal before, as a closeouts folder holds them."""
    made: list[Sealed] = []
    for number in range(1, windows + 1):
        run_id = f"run_{number:04d}"
        made.append(
            make_bundle(
                root / run_id / "r1",
                run_id=run_id,
                sequence=number,
                previous=made[-1] if made else None,
                window=f"2026-04-{number:02d}",
                **changes,
            )
        )
    return made
