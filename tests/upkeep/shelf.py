"""Stands in for dbt where a test is about what a rebuild does with tables: takes them from a lake that is right."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from zentra_pipeline import durable_files
from zentra_pipeline.published.lake_files import PublishedFile
from zentra_pipeline.reconcile.inputs import RunInputs
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.store.runs import Revision
from zentra_pipeline.upkeep import remake
from zentra_pipeline.upkeep.remake import Remade

Spoil = Callable[[str, str, int], bool]


def take_from(shelf: TenantPaths, spoil: Spoil = lambda table, run_id, revision: False) -> Callable[..., Remade]:
    """A `remake_revision` that copies what `shelf` published, the rows of tables that `spoil` names twice."""

    def remade(inputs: RunInputs, revision: Revision, made: TenantPaths) -> Remade:
        with reading(operational_store(shelf)) as connection:
            recorded = run_store.revision(connection, inputs.run_id, revision.revision)
        tables = {}
        for name, entry in recorded.tables.items():
            target = made.root / entry["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(shelf.root / entry["path"], target)
            tables[name] = PublishedFile(**entry)
            if spoil(name, inputs.run_id, revision.revision):
                rows = pl.read_parquet(target)
                pl.concat([rows, rows]).write_parquet(target)
                tables[name] = PublishedFile(entry["path"], 2 * entry["rows"], durable_files.digest_of(target))
        return Remade(recorded.inputs_digest, tables)

    return remade


def use(patched: pytest.MonkeyPatch, shelf: TenantPaths, spoil: Spoil | None = None) -> None:
    """Have rebuilds of this process take tables from the shelf."""
    patched.setattr(remake, "remake_revision", take_from(shelf, spoil) if spoil else take_from(shelf))


def use_for_good(shelf: Path) -> None:
    """The same in a process of its own."""
    remake.remake_revision = take_from(TenantPaths(shelf))
