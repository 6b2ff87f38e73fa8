"""Writes what a bundle holds beside its seal: evidence, matches, exceptions, open items, decisions and totals.

Every line is the RFC 8785 form of an object. Does not belong here: the events (event_lines), the payload, the report,
signing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from zentra_pipeline import canonical_json, sql_text
from zentra_pipeline.closeout import lines, merkle
from zentra_pipeline.closeout.closeout_tables import CloseoutTables
from zentra_pipeline.closeout.event_lines import amounts_as_text
from zentra_pipeline.published import lake_views
from zentra_pipeline.review import attachments
from zentra_pipeline.review.approvals import DETAIL
from zentra_pipeline.sql_text import statement
from zentra_pipeline.store.decisions import Decision

SHOWN_GAPS: Final = 20


def write_evidence(opened: CloseoutTables, path: Path) -> tuple[str, int]:
    """Write `evidence.jsonl`, leaves in ascending byte order; returns the RFC 6962 root and the number of rows."""
    leaves, hashes, rows = _leaves(opened), bytearray(), 0
    hashed = f"select leaf || chr(10), unhex(sha256('\\x00'::blob || encode(leaf))) from {leaves} order by leaf"
    with path.open("wb") as stream:
        for batch in opened.connection.sql(hashed).to_arrow_reader(lines.BATCH):
            stream.write(lines.values_of(batch.column(0)))
            hashes += lines.values_of(batch.column(1))
            rows += batch.num_rows
    return merkle.root(bytes(hashes)), rows


def _leaves(opened: CloseoutTables) -> str:
    """The relation of leaves: `evidence`, unless a leaf has control characters, which the RFC writes otherwise."""
    contains = f"contains(leaf, '{lines.CONTROL_ESCAPE}')"
    special = opened.connection.execute(f"select leaf from evidence where {contains}").fetchall()
    if not special:
        return "evidence"
    opened.connection.execute("create or replace table special_leaves (leaf varchar)")
    opened.connection.executemany(
        "insert into special_leaves values (?)", [[lines.rewritten(leaf)] for (leaf,) in special]
    )
    plain = f"select leaf from evidence where not {contains}"
    return f"({plain} union all select leaf from special_leaves)"


def write_evidence_table(opened: CloseoutTables, closeout_id: str, path: Path) -> None:
    """Write the sealed evidence as a lake file of the published table `closeout_evidence`."""
    names = ", ".join(definition.split()[0] for definition in lake_views.EVIDENCE_COLUMNS.split(", ")[1:])
    order = "leaf, line_id nulls last, transaction_id nulls last, currency nulls last, provider_event_id nulls last"
    opened.connection.execute(
        f"copy (select '{closeout_id}' as closeout_id, {names} from evidence order by {order}) "
        f"to {sql_text.literal(str(path))} (format parquet, compression zstd, compression_level 1)"
    )


def write_matches(opened: CloseoutTables, path: Path) -> int:
    """Write `matches.jsonl`: what the run matched, suggests and reversed, with the ids of every leg."""
    return _write_rows(
        opened.connection,
        path,
        statement("closeout", "bundle_matches"),
        (
            "callbacks",
            "cardinality",
            "currency",
            "difference_minor",
            "ledger_minor",
            "ledger_transactions",
            "match_id",
            "method",
            "provider_reference",
            "rule",
            "run_id",
            "settlement_lines",
            "settlement_minor",
            "status",
        ),
        "match_id, status",
    )


def write_exceptions(opened: CloseoutTables, path: Path) -> int:
    """Write `exceptions.jsonl`: what the run opened, resolved or carries on, as decided by now."""
    names = (
        "amount_minor",
        "currency",
        "difference_minor",
        "due_at",
        "exception_id",
        "exception_type",
        "explanation",
        "lane",
        "opened_at",
        "owner",
        "provider_reference",
        "resolution",
        "run_id",
        "severity",
        "status",
        "subject_id",
        "subject_type",
    )
    rows = opened.rows(f"select candidates, {', '.join(names)} from exceptions order by exception_id")
    listed = ({name: _value(name, row[name]) for name in names} | {"candidates": _candidates(row)} for row in rows)
    return _write_lines(path, canonical_json.canonical_lines(listed))


def write_open_items(opened: CloseoutTables, path: Path) -> int:
    """Write `open_items.jsonl`: what is unmatched when the run ends."""
    return _write_rows(
        opened.connection,
        path,
        "select * from open_items",
        (
            "age_business_days",
            "aging_bucket",
            "amount_minor",
            "currency",
            "item_id",
            "item_state",
            "item_type",
            "opened_window",
            "provider_reference",
        ),
        "item_type, item_id, currency",
    )


def write_write_offs(opened: CloseoutTables, path: Path) -> int:
    """Write `write_offs.jsonl`: the lines and movements that a decision in this run wrote off, and which decision."""
    return _write_rows(
        opened.connection,
        path,
        "select * from write_offs",
        (
            "amount_minor",
            "currency",
            "decision_id",
            "exception_id",
            "item_id",
            "item_type",
            "opened_window",
            "provider_reference",
        ),
        "item_type, item_id, currency",
    )


def write_decisions(decisions: Sequence[Decision], path: Path, *, is_of_bank: bool = False) -> int:
    """Write `decisions.jsonl`: what was decided, in the order of the log, with what there was to approve.

    Where a file is attached to one of them, each says so by digest (version 3 of the payload).
    """
    names = (
        "decision_id",
        "exception_id",
        "run_id",
        "action",
        "actor",
        "decided_at",
        "reason",
        "policy",
        "result",
        "owner",
        "resolution",
    )
    with_files = is_of_bank or has_attachments(decisions)
    rows = (
        {name: getattr(decision, name) for name in names}
        | ({attachments.DETAIL: decision.details.get(attachments.DETAIL)} if with_files else {})
        | {
            "log_position": decision.sequence,
            "origin": decision.details.get("origin"),
            "approval": amounts_as_text(decision.details.get(DETAIL)),
        }
        for decision in decisions
    )
    return _write_lines(path, canonical_json.canonical_lines(rows))


def has_attachments(decisions: Sequence[Decision]) -> bool:
    """Whether a file is attached to any of these decisions."""
    return any(attachments.DETAIL in decision.details for decision in decisions)


def write_object(content: Mapping[str, Any], path: Path) -> None:
    """Write one object in its RFC 8785 form."""
    path.write_bytes(canonical_json.canonical(content))


def _write_rows(connection: duckdb.DuckDBPyConnection, path: Path, sql: str, names: Sequence[str], order: str) -> int:
    """Write rows as lines of JSON whose members are `names` (ascending), in `order`."""
    assert list(names) == sorted(names)
    members = ", ".join(f"{name}: {_member(name)}" for name in names)
    ordered = ", ".join(f"{column} asc nulls last" for column in order.split(", "))
    with path.open("wb") as stream:
        row = f"cast(to_json({{{members}}}) as varchar) || chr(10)"
        return lines.write(connection.sql(f"select {row} from ({sql}) order by {ordered}"), stream)


def _member(name: str) -> str:
    """A column as a bundle holds it: amounts and instants as text."""
    if name.endswith(("_minor", "_window")):
        return f"cast({name} as varchar)"
    return name


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name.endswith("_at"):
        return value.isoformat() + "Z"
    return str(value) if name.endswith("_minor") else value


def _candidates(row: Mapping[str, Any]) -> Any:
    return amounts_as_text(json.loads(row["candidates"] or "[]"))


def _write_lines(path: Path, rows: Iterator[bytes]) -> int:
    count = 0
    with path.open("wb") as stream:
        for line in rows:
            stream.write(line)
            count += 1
    return count


def rows_of_account(opened: CloseoutTables) -> dict[str, list[dict[str, Any]]]:
    """What the report of a bank account's day shows of its payouts, balances and cash in transit, all of them."""
    return {
        "payouts": opened.rows(
            "select payout_provider, payout_id, batch_id, status, currency, paid_out_minor, returned_minor, "
            "credited_minor - fee_minor as credited_minor, fee_minor, paid_on, credited_on from payout_states "
            "order by payout_provider, paid_on, payout_id, currency"
        ),
        "balances": opened.rows("select * from account_balances order by currency"),
        "cash_in_transit": opened.rows(
            "select * replace (coalesce(fee_minor, 0) as fee_minor, coalesce(returned_minor, 0) as returned_minor, "
            "coalesce(short_minor, 0) as short_minor) from cash_in_transit order by payout_provider, currency"
        ),
    }


def control_totals(opened: CloseoutTables, decisions: int, events: int, evidence_rows: int) -> dict[str, Any]:
    """The totals that a verifier recomputes from the rows of the bundle."""
    totals = {
        "evidence": {"rows": evidence_rows, "gaps": _gaps(opened)},
        "matches": opened.rows(statement("closeout", "totals_matches")),
        "exceptions": opened.rows(statement("closeout", "totals_exceptions")),
        "open_items": opened.rows(statement("closeout", "totals_open_items")),
        "write_offs": opened.rows(statement("closeout", "totals_write_offs")),
        "decisions": decisions,
        "events": events,
        "rollforward": opened.rows("select * exclude (run_id, run_sequence) from rollforward order by currency"),
        "conservation": opened.rows(
            "select * exclude (run_id, run_sequence) from conservation order by side, currency"
        ),
        "three_way": opened.rows(statement("closeout", "totals_three_way")),
    }
    described: dict[str, Any] = amounts_as_text(totals)
    return described


def _gaps(opened: CloseoutTables) -> list[dict[str, Any]]:
    """What evidence rows lack, the most rows first, with the first rows of each kind."""
    kinds = opened.rows(
        """select missing, count(*) as rows from evidence where evidence_status <> 'audit_ready'
           group by missing order by count(*) desc, missing nulls last"""
    )
    gaps = []
    for kind in kinds:
        examples = opened.connection.execute(
            """select provider_reference, settlement_file, ledger_entry from evidence
               where evidence_status <> 'audit_ready' and missing is not distinct from ?
               order by provider_reference nulls last, ledger_entry nulls last, settlement_file nulls last, leaf
               limit ?""",
            [kind["missing"], SHOWN_GAPS],
        ).fetchall()
        gaps.append(
            {
                "missing": [word.strip() for word in (kind["missing"] or "").split(",") if word.strip()],
                "rows": kind["rows"],
                "examples": [
                    dict(zip(("provider_reference", "settlement_file", "ledger_entry"), row, strict=True))
                    for row in examples
                ],
            }
        )
    return gaps


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a written file, for the report."""
    with path.open("rb") as stream:
        return [json.loads(line) for line in stream]
