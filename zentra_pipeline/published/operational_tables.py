"""The tables of the operational store as analysts read them beside the lake: runs, decisions, closeouts, single events.

Unlike the lake's views they are copied into the catalog: they are small, and a copy is of one moment. Does not belong
here: queries on the store, the lake's files.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
from sqlalchemy import Connection

from zentra_pipeline import identifiers, vocabulary
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.decisions.exception_state import exception_states
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.errors import ConfigurationError
from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import event_log, file_facts
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import periods as period_store
from zentra_pipeline.store import runs as run_store

COLUMNS: Final = {
    "runs": (
        "run_id varchar, revision bigint, tenant_id varchar, provider varchar, settlement_file varchar, "
        "ledger_window date, owner varchar, status varchar, as_of timestamp, inputs_digest varchar, "
        "closeout_status varchar, actor varchar, failure varchar, created_at timestamp"
    ),
    "decisions": (
        "tenant_id varchar, sequence bigint, decision_id varchar, exception_id varchar, run_id varchar, "
        "action varchar, actor varchar, decided_at timestamp, reason varchar, policy varchar, result varchar, "
        "owner varchar, resolution varchar, details varchar, provider varchar, ledger_window date"
    ),
    "closeouts": (
        "closeout_id varchar, run_id varchar, revision bigint, status varchar, sealed_at timestamp, "
        "prepared_by varchar, approved_by varchar, seal_digest varchar, previous_seal varchar, amends varchar, "
        "reason varchar, tenant_id varchar, provider varchar, settlement_file varchar, ledger_window date, "
        "run_revision bigint, prepared_at timestamp, evidence_root varchar, evidence_rows bigint, "
        "evidence_status varchar, chain_sequence bigint, bundle varchar"
    ),
    "period_closeouts": (
        "closeout_id varchar, period varchar, revision bigint, status varchar, sealed_at timestamp, "
        "prepared_by varchar, approved_by varchar, seal_digest varchar, previous_seal varchar, amends varchar, "
        "reason varchar, tenant_id varchar, prepared_at timestamp, evidence_root varchar, windows bigint, "
        "chain_sequence bigint, bundle varchar"
    ),
    # Where journal proposals go, by provider and kind; no rows without accounts in policy.yml.
    "account_map": "tenant_id varchar, provider varchar, kind varchar, clearing_account varchar, account varchar",
    # Deliveries that restate a settlement file and that a run's current revision has not read.
    "unread_deliveries": "run_id varchar, file_sequence bigint",
    # States that operators gave exceptions, now and as each closeout was sealed (closeout_id is null for now).
    "exception_states": (
        "closeout_id varchar, exception_id varchar, status varchar, owner varchar, lane varchar, resolution varchar, "
        "resolved_at timestamp, resolved_by varchar, decisions bigint"
    ),
    "files": (
        "file_id varchar, kind varchar, provider varchar, settlement_file varchar, rows bigint, rows_staged bigint, "
        "rows_quarantined bigint, unknown_columns varchar, received_at timestamp, received_by varchar, sha256 varchar, "
        "superseded_by varchar, original_name varchar, format varchar, byte_size bigint, notes varchar, "
        "file_sequence bigint, tenant_id varchar"
    ),
    "single_events": event_reading.EVENT_COLUMNS,
    "currencies": "currency varchar, exponent bigint, name varchar",
}


@dataclass(frozen=True)
class OperationalTables:
    """Every table of COLUMNS at one moment, whose rows are made when they are asked for, and the log's entries."""

    rows_of: Mapping[str, Callable[[], list[tuple[Any, ...]]]]
    closeouts: list[closeout_store.Closeout]
    event_entries: list[event_log.Entry]
    files: list[file_store.StagedFile]

    @property
    def sealed(self) -> list[closeout_store.Closeout]:
        """Closeouts that carry a seal, amended ones included."""
        return [closeout for closeout in self.closeouts if closeout.chain_sequence is not None]


def read(paths: TenantPaths, connection: Connection, runs: Sequence[run_store.Run]) -> OperationalTables:
    """The operational tables within the snapshot of `connection`."""
    tenant = paths.root.name
    decisions = decision_store.listed(connection)
    closeouts = closeout_store.listed(connection)
    entries = event_log.entries(connection)
    files = file_store.registered_files(connection)
    facts = file_facts.recorded(connection)
    sign_offs = period_store.listed(connection)
    by_id = {run.run_id: run for run in runs}
    unread = _unread_rows(connection, runs, files, facts)
    rows_of: dict[str, Callable[[], list[tuple[Any, ...]]]] = {
        "runs": lambda: [_run_row(tenant, run) for run in runs],
        "decisions": lambda: [_decision_row(tenant, each, by_id.get(each.run_id or "")) for each in decisions],
        "closeouts": lambda: [_closeout_row(tenant, closeout) for closeout in closeouts],
        "period_closeouts": lambda: [_period_row(tenant, sign_off) for sign_off in sign_offs],
        "account_map": lambda: _account_rows(paths, sorted({run.provider for run in runs})),
        "unread_deliveries": lambda: unread,
        "exception_states": lambda: _state_rows(decisions, closeouts),
        "files": lambda: _file_rows(tenant, files, facts),
        "single_events": lambda: event_reading.single_rows(entries),
        "currencies": vocabulary.currency_rows,
    }
    return OperationalTables(rows_of, closeouts, entries, files)


def _unread_rows(
    connection: Connection,
    runs: Sequence[run_store.Run],
    files: Sequence[file_store.StagedFile],
    facts: Mapping[int, file_facts.FileFacts],
) -> list[tuple[Any, ...]]:
    """The restating deliveries that published runs of their provider have not read; most tenants have none."""
    restating: dict[str, set[int]] = {}
    for file in files:
        known = facts.get(file.sequence)
        if file.kind == "settlement" and (known is None or json.loads(known.restates)):
            restating.setdefault(file.provider, set()).add(file.sequence)
    found: list[tuple[Any, ...]] = []
    for run in runs:
        if run.is_published and run.provider in restating:
            read = run_store.current_revision(connection, run.run_id).files_seen
            # A revision of a release that kept no manifest has read what there is, as far as anybody knows.
            found += [(run.run_id, sequence) for sequence in sorted(restating[run.provider] - read) if read]
    return found


def _state_rows(
    decisions: Sequence[decision_store.Decision], closeouts: Sequence[closeout_store.Closeout]
) -> list[tuple[Any, ...]]:
    states: list[tuple[Any, ...]] = [(None, *row) for row in exception_states(decisions)]
    for closeout in closeouts:
        if closeout.sealed_at is not None:
            # As closed is what the seal judged by: a place in the log, not a time, for clocks differ and go back.
            position = decision_store.sealed_position(closeout.closeout_id, decisions)
            known = [
                decision
                for decision in decisions
                if (decision.decided_at <= closeout.sealed_at if position is None else decision.sequence <= position)
            ]
            states += [(closeout.closeout_id, *row) for row in exception_states(known)]
    return states


def _file_rows(
    tenant: str, files: Sequence[file_store.StagedFile], facts: Mapping[int, file_facts.FileFacts]
) -> list[tuple[Any, ...]]:
    """The table `files`: every registration in order of arrival; one that was restated names by which content."""
    digests = {file.sequence: file.sha256 for file in files}
    superseded_by = {
        older: digests[newer]
        for newer, found in facts.items()
        if newer in digests
        for older in json.loads(found.restates)
    }
    return [_file_row(tenant, file, facts.get(file.sequence), superseded_by.get(file.sequence)) for file in files]


def _file_row(
    tenant: str, file: file_store.StagedFile, facts: file_facts.FileFacts | None, superseded_by: str | None
) -> tuple[Any, ...]:
    return (
        file.file_id,
        file.kind,
        file.provider,
        file.file_id if file.kind == "settlement" else None,
        file.rows_staged + file.rows_quarantined if facts is None else facts.rows_read,
        file.rows_staged,
        file.rows_quarantined,
        ", ".join(json.loads(file.unknown_columns)) or None,
        _naive(file.received_at),
        None if facts is None else facts.received_by,
        file.sha256,
        superseded_by,
        file.original_name,
        file.format,
        file.byte_size,
        None if facts is None else "; ".join(json.loads(facts.notes)) or None,
        file.sequence,
        tenant,
    )


def create(connection: duckdb.DuckDBPyConnection, tables: OperationalTables, schema: str) -> None:
    """Make the tables in a schema of a DuckDB connection (`main`, or `catalog.main`)."""
    for name in COLUMNS:
        create_table(connection, name, tables.rows_of[name](), schema)


def create_table(
    connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[tuple[Any, ...]], schema: str = "main"
) -> None:
    """Make one table of COLUMNS; in `temp` it is this connection's alone.

    The rows go over as texts in one parameter, which spares the import of pandas.
    """
    kind = "temp table" if schema == "temp" else "table"
    connection.execute(f"create {kind} {schema}.{name} ({COLUMNS[name]})")
    if not rows:
        return
    types = [definition.split()[1] for definition in COLUMNS[name].split(", ")]
    fields = ", ".join(f"cast(fields[{place}] as {data_type})" for place, data_type in enumerate(types, start=1))
    texts = [[_text(value) for value in row] for row in rows]
    connection.execute(f"insert into {schema}.{name} select {fields} from (select unnest($1) as fields)", [texts])


def _text(value: object) -> str | None:
    """A value as text that DuckDB casts back to its column's type."""
    return None if value is None else str(value)


def _run_row(tenant: str, run: run_store.Run) -> tuple[Any, ...]:
    return (
        run.run_id,
        run.revision,
        tenant,
        run.provider,
        run.settlement_file,
        run.ledger_window,
        run.owner,
        run.status,
        _naive(run.as_of),
        run.inputs_digest,
        run.closeout_status,
        run.actor,
        run.failure,
        _naive(run.created_at),
    )


def _decision_row(tenant: str, decision: decision_store.Decision, run: run_store.Run | None) -> tuple[Any, ...]:
    return (
        tenant,
        decision.sequence,
        decision.decision_id,
        decision.exception_id,
        decision.run_id,
        decision.action,
        decision.actor,
        _naive(decision.decided_at),
        decision.reason,
        _json(decision.policy),
        decision.result,
        decision.owner,
        decision.resolution,
        _json(decision.details),
        None if run is None else run.provider,
        None if run is None else run.ledger_window,
    )


def _closeout_row(tenant: str, closeout: closeout_store.Closeout) -> tuple[Any, ...]:
    return (
        closeout.closeout_id,
        closeout.run_id,
        closeout.revision,
        closeout.status,
        _naive(closeout.sealed_at),
        closeout.prepared_by,
        closeout.approved_by,
        closeout.seal_digest,
        closeout.previous_seal,
        closeout.amends,
        closeout.reason,
        tenant,
        closeout.provider,
        closeout.settlement_file,
        closeout.ledger_window,
        closeout.run_revision,
        _naive(closeout.prepared_at),
        closeout.evidence_root,
        closeout.evidence_rows,
        closeout.evidence_status,
        closeout.chain_sequence,
        closeout.bundle,
    )


def _account_rows(paths: TenantPaths, providers: Sequence[str]) -> list[tuple[Any, ...]]:
    """A row a provider and kind of proposal; fees that the ledger posts apart, or has deducted, need none.

    What a fee is off its schedule goes from the account of fees, and not from the clearing account.
    """
    try:
        accounts = load_policy(paths).accounts
        profiles = {provider: load_profile(paths, provider) for provider in providers} if accounts else {}
    except ConfigurationError:
        return []  # whoever decides or runs is told; what was published can be read
    found = []
    for provider, profile in profiles.items():
        assert accounts is not None
        if identifiers.account_of(provider) is not None:
            continue  # what a bank keeps or lacks is no entry of a clearing account
        own = accounts.of(provider)
        kinds = ["write_off", "adjustment", "fx", *(["fee"] if profile.fee_posting == "inside" else [])]
        clearing = own.clearing or profile.clearing_accounts[0]
        found += [(paths.root.name, provider, kind, clearing, getattr(own, kind)) for kind in sorted(kinds)]
        found.append((paths.root.name, provider, "fee_variance", own.fee, own.adjustment))
        if profile.bank_fee_account is not None:
            found.append((paths.root.name, provider, "bank_fee", clearing, profile.bank_fee_account))
    return found


def _period_row(tenant: str, sign_off: period_store.PeriodCloseout) -> tuple[Any, ...]:
    return (
        sign_off.closeout_id,
        sign_off.period,
        sign_off.revision,
        sign_off.status,
        _naive(sign_off.sealed_at),
        sign_off.prepared_by,
        sign_off.approved_by,
        sign_off.seal_digest,
        sign_off.previous_seal,
        sign_off.amends,
        sign_off.reason,
        tenant,
        _naive(sign_off.prepared_at),
        sign_off.evidence_root,
        sign_off.evidence_rows,
        sign_off.chain_sequence,
        sign_off.bundle,
    )


def _naive(instant: str | None) -> str | None:
    """A stored instant as DuckDB's timestamp text; every instant here is UTC."""
    return None if instant is None else instant.removesuffix("Z")


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
