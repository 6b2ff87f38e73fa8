"""The private database of a run: everything the models may see, in a fresh DuckDB database, and nothing else.

It is in memory, and a file where it shall be looked into; its name is always `window` (dbt freezes it at parse). The
schemas `run`, `raw`, `earlier` and the seeds are the models' sources. Does not belong here: deciding what to run,
executing the models, publishing.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from zentra_pipeline import ledger_windows, reference_keys, settings, shipped_yaml, sql_text
from zentra_pipeline.decisions.run_adjustments import DecidedState, ManualMatch, RunDecisions, WriteOff
from zentra_pipeline.instants import instant_of
from zentra_pipeline.ledger_windows import BusinessDays
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import bank_rows, visible_rows
from zentra_pipeline.reconcile.inputs import MissedCallback, RunInputs
from zentra_pipeline.vocabulary import ANY_CURRENCY

DATABASE_NAME: Final = "window.duckdb"
_SQL_TYPES: Final[Mapping[Any, str]] = {bool: "boolean", int | None: "bigint"}
# What is read of a built run: the tables that are published, and before them the rows it saw.
PUBLISHED_FROM: Final = frozenset({*lake_files.ALL_ROW_ORDERS, "bank_conservation"})
READ_AFTERWARDS: Final = PUBLISHED_FROM | {"int_input_rows", "int_callbacks_come_since"}
_DIGEST_BATCH: Final = 100_000
_DUE_DATE_HORIZON: Final = timedelta(days=550)
_FIRST_DAY: Final = date(1, 1, 2)  # whose window begins within what can be written, in any zone
_ZONES: Final = timedelta(days=2)  # between the day of an instant and its window
_SEEDS: Final = ("currencies", "exception_types")
# What a run comes to about rows that earlier runs disposed of, which are no input rows of it: their matches taken back
# or with a difference, exceptions about them, restatements. What only counts repeats is not among it.
_OUTCOMES: Final[Mapping[str, str]] = {
    "exceptions": "select exception_id, status, resolution, amount_minor, difference_minor, match_id "
    "from zentra.exceptions",
    "matches": "select match_id, status, settlement_minor, ledger_minor from zentra.matches "
    "where status = 'reversed' or difference_minor <> 0",
    "payouts": "select * from zentra.payouts",
    "restatements": "select * from zentra.restatements",
    "rollforward": "select * from zentra.rollforward",
}


@contextmanager
def run_database(
    inputs: RunInputs,
    folder: Path,
    tenant_root: Path,
    *,
    keep: bool = False,
    check: visible_rows.Check = visible_rows.unchecked,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The run's database with all that the models may see; gone afterwards, as is `folder`, which is emptied first.

    `check` hears of registered files before they are read. What does not fit into memory is spilled into `folder`. With
    `keep` the database is a file in it and both stay.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with _connected(folder, keep) as connection:
            for schema in ("run", "raw", "earlier", "zentra"):
                connection.execute(f"create schema {schema}")
            _write_scope(connection, inputs)
            if inputs.bank is None:
                _write_calendar(connection, inputs, [])
            else:
                bank_rows.write(connection, inputs, inputs.bank, tenant_root, check)
                _write_calendar(connection, inputs, bank_rows.days(connection))
            _write_earlier_runs(connection, inputs)
            _write_decisions(connection, inputs.decisions)
            _write_missed_callbacks(connection, inputs.missed_callbacks)
            _write_seeds(connection)
            if inputs.bank is None:
                visible_rows.write(connection, inputs, tenant_root, check)
                if keep:  # who looks into it with dbt's own commands builds what is of the bank as well
                    bank_rows.write_nothing(connection)
            _write_payout_terms(connection, inputs)
            reference_keys.write_reference_keys(connection, inputs.profile.reference_normalizer)
            yield connection
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _connected(folder: Path, keep: bool) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        "threads": settings.threads(),
        # What does not fit is spilled; a million movements take 3.7 GB, and fit into 600 MB.
        "memory_limit": settings.memory_limit(),
        "temp_directory": str(folder / "spilled"),
    }
    if keep:
        return duckdb.connect(str(folder / DATABASE_NAME), config={**config, "fsync_mode": "NONE"})
    connection = duckdb.connect(config=config)
    connection.execute("attach ':memory:' as \"window\"")
    connection.execute('use "window"')
    return connection


def inputs_digest(connection: duckdb.DuckDBPyConnection) -> str:
    """Hex SHA-256 over the rows a built run saw, one text after the other in their total order."""
    digest = hashlib.sha256()
    sides = connection.execute("select distinct side from zentra.int_input_rows order by side").fetchall()
    for (side,) in sides:  # sorted one by one, they take a third of the memory
        rows = connection.sql(
            "select row_text from zentra.int_input_rows where side = $1 order by row_id, currency", params=[side]
        )
        for batch in rows.to_arrow_reader(_DIGEST_BATCH):
            digest.update(_joined(batch.column(0)))
    return digest.hexdigest()


def outcome_digest(connection: duckdb.DuckDBPyConnection, inputs: RunInputs) -> str | None:
    """Hex SHA-256 over what a built run comes to that its input rows may not show; repeats do not change it.

    Null for a run of a bank account, whose fingerprint names all files that it reads.
    """
    if inputs.bank is not None:
        return None
    digest = hashlib.sha256()
    for table, rows in sorted(_OUTCOMES.items()):
        digest.update(table.encode())
        found = connection.execute(
            f"select cast(to_json(outcome) as varchar) as outcome from ({rows}) as outcome order by outcome"
        )
        while batch := found.fetchmany(_DIGEST_BATCH):
            digest.update("".join(text for (text,) in batch).encode())
    return digest.hexdigest()


def quarantined_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many rows in quarantine a built run counts on each side: they are no input rows, and yet published."""
    counts = connection.execute("select side, quarantined from zentra.conservation where currency = ''").fetchall()
    return {str(side): int(rows) for side, rows in counts}


def callbacks_come_since(connection: duckdb.DuckDBPyConnection, inputs: RunInputs) -> list[MissedCallback]:
    """Of what the run's inputs say an earlier revision missed, what a built run found."""
    rows = connection.execute("select subject_id, currency from zentra.int_callbacks_come_since").fetchall()
    found = set(rows)
    return [each for each in inputs.missed_callbacks if each[:2] in found]


def _joined(texts: pa.StringArray) -> memoryview:
    """The UTF-8 bytes of all texts of an array without nulls, one after the other."""
    assert texts.type == pa.string() and texts.null_count == 0
    _, offsets, content = texts.buffers()
    starts = memoryview(offsets).cast("i")
    return memoryview(content)[starts[texts.offset] : starts[texts.offset + len(texts)]]


def _write_missed_callbacks(connection: duckdb.DuckDBPyConnection, missed: Sequence[MissedCallback]) -> None:
    columns = "transaction_id varchar, currency varchar, missed_as_of timestamp"
    rows = [(each.transaction_id, each.currency, _naive(each.missed_as_of)) for each in missed]
    _write_table(connection, "run.missed_callbacks", columns, rows)


def _write_scope(connection: duckdb.DuckDBPyConnection, inputs: RunInputs) -> None:
    profile = inputs.profile
    _write_table(
        connection,
        "run.scope",
        "tenant_id varchar, provider varchar, run_id varchar, settlement_file varchar, ledger_window date, "
        "window_starts_at timestamp, window_ends_at timestamp, review_cutoff_at timestamp, as_of timestamp, "
        "owner varchar, reads_whole_history boolean",
        [
            (
                inputs.tenant,
                inputs.provider,
                inputs.run_id,
                inputs.settlement_file,
                inputs.ledger_window,
                _naive(inputs.window_starts_at),
                _naive(inputs.window_ends_at),
                _naive(inputs.review_cutoff_at),
                _naive(inputs.as_of),
                inputs.owner,
                visible_rows.reads_everything(inputs),
            )
        ],
    )
    _write_table(
        connection,
        "run.profile",
        "expects_callbacks boolean, settlement_lag_days bigint, compare_amount varchar, reference_normalizer varchar, "
        "amount_date_rule varchar, fee_posting varchar",
        [
            (
                profile.expects_callbacks,
                profile.settlement_lag_days,
                profile.compare_amount,
                profile.reference_normalizer,
                profile.amount_date_rule,
                profile.fee_posting,
            )
        ],
    )
    accounts = [(account,) for account in profile.clearing_accounts]
    _write_table(connection, "run.clearing_accounts", "account varchar", accounts)
    line_types = [(line_type,) for line_type in profile.match_line_types]
    _write_table(connection, "run.match_line_types", "line_type varchar", line_types)
    tolerances = sorted(profile.amount_tolerance_minor.items())
    _write_table(connection, "run.tolerances", "currency varchar, tolerance_minor bigint", tolerances)
    fees = [
        (currency, line_type, rule.rate_bps, rule.fixed_minor, rule.tolerance_minor)
        for currency, rules in sorted((profile.fee_schedule or {}).items())
        for line_type, rule in sorted(rules.items())
    ]
    columns = "currency varchar, line_type varchar, rate_bps bigint, fixed_minor bigint, tolerance_minor bigint"
    _write_table(connection, "run.fee_schedule", columns, fees)
    _write_table(
        connection,
        "run.routing",
        "rule_number bigint, exception_type varchar, provider varchar, currency varchar, min_amount_minor bigint, "
        "max_amount_minor bigint, lane varchar, owner varchar, sla_business_days bigint",
        [
            (
                number,
                rule.exception_type,
                rule.provider,
                rule.currency,
                rule.min_amount_minor,
                rule.max_amount_minor,
                rule.lane,
                rule.owner,
                rule.sla_business_days,
            )
            for number, rule in enumerate(inputs.routing, start=1)
        ],
    )


def _write_payout_terms(connection: duckdb.DuckDBPyConnection, inputs: RunInputs) -> None:
    """Where payouts go, with a row for any currency; no rows where neither the profile nor a line speaks of payouts."""
    profile = inputs.profile
    accounts: dict[str, str | None] = {ANY_CURRENCY: None, **profile.payout_account}
    columns = "currency varchar, account varchar, bank_lag_days bigint"
    asked = "select exists (select 1 from raw.settlement_lines where line_type = 'payout')"
    has_terms = bool(profile.payout_account) or connection.execute(asked).fetchall()[0][0]
    rows = [(currency, account, profile.bank_lag_days) for currency, account in sorted(accounts.items())]
    _write_table(connection, "run.payout_terms", columns, rows if has_terms else [])


def _write_calendar(connection: duckdb.DuckDBPyConnection, inputs: RunInputs, days: Sequence[date]) -> None:
    """Windows from a settlement lag before the earliest staged instant, or day, to a horizon behind the run's window.

    What lies as far back as a match by amount and date may reach is there whole, whatever files came beside those of
    the run; behind it lie the due dates.
    """
    days = [*days, *(instant_of(file.first_at).date() for file in inputs.files if file.first_at)]
    days += [earlier.ledger_window for earlier in inputs.earlier]
    profile = inputs.profile
    earliest = max(min([*days, inputs.ledger_window]), _FIRST_DAY + _ZONES) - _ZONES
    first = _lag_before(earliest, profile.settlement_lag_days, inputs.business_days)
    last = min(inputs.ledger_window, date(9990, 1, 1)) + _DUE_DATE_HORIZON
    span = list(ledger_windows.calendar(first, last, profile.timezone, profile.window_cutoff, inputs.business_days))
    rows = [(w.day, _naive(w.starts_at), _naive(w.ends_at), w.business_day_number) for w in span]
    columns = "window_date date, starts_at timestamp, ends_at timestamp, business_day_number bigint"
    _write_table(connection, "run.windows", columns, rows)
    connection.execute(
        """create table run.window_days as
           select cast(unnest(generate_series(
               date_trunc('day', starts_at), date_trunc('day', ends_at - interval 1 microsecond), interval 1 day
           )) as date) as utc_day, windows.*
           from run.windows as windows"""
    ).fetchall()


def _lag_before(day: date, lag: int, business_days: BusinessDays) -> date:
    """The last day behind which, up to and including `day`, more than `lag` business days lie."""
    while lag >= 0 and day > _FIRST_DAY:
        lag -= day in business_days
        day -= timedelta(days=1)
    return day


def _write_earlier_runs(connection: duckdb.DuckDBPyConnection, inputs: RunInputs) -> None:
    accounts = frozenset(inputs.profile.clearing_accounts)
    _write_table(
        connection,
        "earlier.runs",
        "run_id varchar, run_sequence bigint, settlement_file varchar, ledger_window date, "
        "has_same_clearing_accounts boolean",
        [
            (run.run_id, run.sequence, run.settlement_file, run.ledger_window, run.clearing_accounts == accounts)
            for run in inputs.earlier
        ],
    )


def _write_decisions(connection: duckdb.DuckDBPyConnection, decisions: RunDecisions) -> None:
    for name, kind, rows in (
        ("run.exception_states", DecidedState, decisions.states),
        ("run.write_offs", WriteOff, decisions.write_offs),
        ("run.manual_matches", ManualMatch, decisions.matches),
    ):
        columns = ", ".join(f"{column.name} {_SQL_TYPES.get(column.type, 'varchar')}" for column in fields(kind))
        _write_table(connection, name, columns, [astuple(row) for row in rows])


def _write_seeds(connection: duckdb.DuckDBPyConnection) -> None:
    """Load the seeds the models read where dbt would, as a run executes no seed; types are the seeds' own."""
    folder = settings.DBT_PROJECT / "seeds"
    for seed in _SEEDS:
        columns = ", ".join(f"'{name}': '{data_type}'" for name, data_type in _seed_columns()[seed].items())
        connection.execute(
            f"create table zentra.{seed} as select * from read_csv({sql_text.file_literal(folder / (seed + '.csv'))}, "
            f"columns = {{{columns}}}, header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"')"
        )


@cache
def _seed_columns() -> dict[str, dict[str, str]]:
    """Column name → type of every seed, as the dbt project declares them."""
    declared = shipped_yaml.read(settings.DBT_PROJECT / "seeds" / "_seeds.yml")["seeds"]
    return {seed["name"]: seed["config"]["column_types"] for seed in declared}


def _write_table(
    connection: duckdb.DuckDBPyConnection, name: str, columns: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Make a small table; its rows go over as texts in one parameter, which spares a run the import of pandas."""
    connection.execute(f"create table {name} ({columns})")
    if not rows:
        return
    types = [definition.split()[1] for definition in columns.split(",")]
    fields = ", ".join(f"cast(fields[{place}] as {data_type})" for place, data_type in enumerate(types, start=1))
    texts = [[None if value is None else str(value) for value in row] for row in rows]
    connection.execute(f"insert into {name} select {fields} from (select unnest($1) as fields)", [texts])


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
