"""Holds every run to what it would say if it had read all of the past (`make test-history`).

A run reads only those rows of the past that are related to what is new or open; whatever it publishes must be the same
with all of them. The states of callbacks are left out: a run reports what waits and what is new. Does not belong here:
the claim in a test of its own (tests/reconcile/test_related_rows.py).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import duckdb

from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import dbt_execute, gather, revisions, run_database, visible_rows
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant

VARIABLE = "ZENTRA_TEST_WHOLE_HISTORY"


def is_wanted() -> bool:
    return os.environ.get(VARIABLE) == "1"


@contextmanager
def compared_with_whole_history() -> Iterator[list[str]]:
    """Within it, every run that publishes is made a second time with all of the past; gives the runs compared.

    AssertionError in the run that says something else.
    """
    write_tables = revisions.write_tables
    compared: list[str] = []

    def write_compared(tenant: Tenant, run: Run, database: duckdb.DuckDBPyConnection) -> Any:
        inputs = gather.run_inputs(tenant, run)
        # An account's run reads all of its lines as it is.
        if inputs.earlier and inputs.bank is None and not visible_rows.reads_everything(inputs):
            folder = tenant.paths.scratch / f"{run.run_id}-whole"
            with (
                patch.object(visible_rows, "reads_everything", lambda _inputs: True),
                run_database.run_database(inputs, folder, tenant.paths.root) as whole,
            ):
                dbt_execute.build(whole)
                apart = differences(tables(database), tables(whole))
                assert apart == [], f"window {run.ledger_window}: {apart}"
            compared.append(run.run_id)
        return write_tables(tenant, run, database)

    with patch.object(revisions, "write_tables", write_compared):
        yield compared


def tables(database: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every published table, in an order of their own."""
    return {
        name: sorted(database.execute(f"select * from zentra.{name}").fetchall(), key=repr)
        for name in lake_files.ROW_ORDER
        if name != "callback_states"
    }


def differences(related: dict[str, list[tuple[Any, ...]]], whole: dict[str, list[tuple[Any, ...]]]) -> list[str]:
    """The rows that one side alone has, a line each."""
    return [
        f"{name}, {side}: {row}"
        for name in related
        for side, here, there in (("related", related, whole), ("whole", whole, related))
        for row in here[name]
        if row not in there[name]
    ] or [name for name in related if related[name] != whole[name]]
