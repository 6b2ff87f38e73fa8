"""Finds the runs in review that callbacks from the inbox are about, and asks for them again as of those callbacks.

Only callbacks received over HTTP come here: a file of callbacks, and an `as_of` that somebody gave, never move a run.
Does not belong here: what a callback says about a match (dbt), executing the run (whoever takes it from the queue).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from sqlalchemy import Connection

from zentra_pipeline import private_database, reference_keys, sql_text
from zentra_pipeline.config.profile import Profile, load_profile
from zentra_pipeline.instants import instant_text
from zentra_pipeline.queue import run_queue
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.runs import Run

_REVISE = "revise"
_ITEMS = "evidence_items"


@dataclass(frozen=True)
class _About:
    """A run and what it is to be made again for: how many callbacks, the last of them received at `received_at`."""

    run_id: str
    callbacks: int
    received_at: str


def ask(connection: Connection, paths: TenantPaths, provider: str, batch: str, now: datetime) -> None:
    """Queue the runs that the callbacks of an ingested batch are about, in the transaction that takes it off the inbox.

    Many callbacks about a run ask for it once. The provider's lock is held, so that no run is made meanwhile.
    """
    profile = load_profile(paths, provider)
    runs = revisable(connection, provider, profile)
    if not runs:
        return
    staged = [
        paths.root / file.staged_path
        for file in file_store.staged_files(connection, "callbacks")
        if (file.provider, file.file_id) == (provider, batch) and file.staged_path
    ]
    for about in _about(connection, paths, profile, runs, staged):
        run = run_store.get(connection, about.run_id)
        as_of = max(run.as_of, about.received_at)
        run_store.move_as_of(connection, run.run_id, as_of)
        what = "a callback" if about.callbacks == 1 else f"{about.callbacks} callbacks"
        reason = f"made again as of {as_of}: {what} about it received over HTTP"
        request_store.queue(connection, run.run_id, run_queue.SYSTEM, now, reason)


def revisable(connection: Connection, provider: str, profile: Profile) -> list[Run]:
    """The provider's runs that a late callback makes again: in review, as of an instant that nobody gave."""
    if profile.late_callbacks != _REVISE:
        return []
    return [
        run
        for run in run_store.list_runs(connection, provider)
        if run.is_published and run.status == "in_review" and not run.is_as_of_given
    ]


def _about(
    store: Connection, paths: TenantPaths, profile: Profile, runs: Sequence[Run], staged: Sequence[Path]
) -> list[_About]:
    """Which runs saw a line or movement that a callback speaks for: by its reference, or else its merchant reference.

    A callback whose reference something published has speaks for that alone.
    """
    if not staged:
        return []
    with private_database.opened() as connection:
        callbacks = ", ".join(sql_text.file_literal(path) for path in staged)
        connection.execute(
            "create table calls as select provider_event_id, coalesce(provider_reference, '') as reference, '' as "
            "normalized, coalesce(merchant_reference, '') as merchant_reference, currency, received_at "
            f"from read_parquet([{callbacks}]) where signature_verified is distinct from false"
        )
        everything = _items(store, paths, run_store.list_runs(store, runs[0].provider))
        connection.execute(f"create table items as {everything}")
        _write_normalized(connection, profile.reference_normalizer)
        lines = [file for file in file_store.staged_files(store, "settlement") if file.provider == runs[0].provider]
        files = ", ".join(sql_text.file_literal(paths.root / file.staged_path) for file in lines if file.staged_path)
        merchants = f"select line_id, merchant_reference from read_parquet([{files}], union_by_name = true)"
        wanted = ", ".join(sql_text.literal(run.run_id) for run in runs)
        rows = connection.execute(
            f"""
            with merchants as ({merchants if files else "select null as line_id, null as merchant_reference"}),
            by_reference as (
                select calls.provider_event_id, items.run_id, items.currency = calls.currency as is_same_currency
                from calls inner join items on items.normalized = calls.normalized where calls.normalized <> ''
            ),
            named as (
                select run_id, currency, transaction_id as name from items
                union select run_id, currency, intent_id from items
                union select items.run_id, items.currency, merchants.merchant_reference
                from items inner join merchants on items.line_id = merchants.line_id
            ),
            spoken as (
                select provider_event_id, run_id from by_reference where is_same_currency
                union
                select calls.provider_event_id, named.run_id
                from calls inner join named on named.name = calls.merchant_reference and named.currency = calls.currency
                where calls.merchant_reference <> ''
                    and calls.provider_event_id not in (select provider_event_id from by_reference)
            )
            select spoken.run_id, count(distinct calls.provider_event_id), max(calls.received_at)
            from spoken inner join calls using (provider_event_id)
            where spoken.run_id in ({wanted})
            group by spoken.run_id order by spoken.run_id
            """
        ).fetchall()
    return [_About(run_id, count, instant_text(received_at.replace(tzinfo=UTC))) for run_id, count, received_at in rows]


def _items(store: Connection, paths: TenantPaths, runs: Sequence[Run]) -> str:
    """A select of the lines and movements that published runs saw."""
    tables = [run_store.current_revision(store, run.run_id).tables for run in runs if run.is_published]
    files = ", ".join(sql_text.file_literal(paths.root / found[_ITEMS]["path"]) for found in tables if _ITEMS in found)
    return (
        "select run_id, coalesce(provider_reference, '') as reference, '' as normalized, currency, line_id, "
        f"transaction_id, intent_id from read_parquet([{files}], union_by_name = true) "
        "where line_id is not null or transaction_id is not null"
    )


def _write_normalized(connection: duckdb.DuckDBPyConnection, normalizer: str) -> None:
    """What references are compared by: as the profile normalizes them, as they are where nothing of them is left."""
    connection.execute(f"create table reference_keys ({reference_keys.COLUMNS})")
    references = "select reference from calls union select reference from items"
    reference_keys.write_normalized(connection, "reference_keys", references, normalizer)
    for table in ("calls", "items"):
        connection.execute(f"update {table} set normalized = reference")
        connection.execute(
            f"update {table} set normalized = keys.normalized_reference from reference_keys as keys "
            f"where keys.reference = {table}.reference and keys.normalized_reference <> ''"
        )
