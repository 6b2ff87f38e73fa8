"""Copies a store as of one moment into another that is still empty; what the copy is for does not belong here."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, MetaData, delete, insert, select

from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import control, models
from zentra_pipeline.store.engine import control_store, operational_store, reading
from zentra_pipeline.store.place import control_place, operational_place
from zentra_pipeline.store.sqlite import sqlite_engine

_BATCH: Final = 1_000


def copy_operational_store(source: TenantPaths, target: TenantPaths) -> None:
    """Give `target`, which has none, a store of its own in a file, whatever database the source is in."""
    assert not operational_place(target).is_made, f"{target.root} has a store already"
    if operational_place(source).schema is None:
        _copy_file(source.operational_store, target.operational_store)
        return
    target.operational_store.touch()  # a folder with a file is not taken to PostgreSQL
    load_operational_store(source, target)


def load_operational_store(source: TenantPaths, target: TenantPaths) -> None:
    """Copy every row of a tenant's store into that of `target`, which has none yet: it is made where a new one is."""
    with reading(operational_store(source)) as original, operational_store(target).begin() as copy:
        copy.execute(delete(models.audit_log))  # the first entry of a new store's own
        _copy_rows(original, copy, models.metadata)


def copy_control_store(home: Home, file: Path) -> None:
    """Copy a home's control store into a new SQLite file, whatever database it is in."""
    if control_place(home).schema is None:
        _copy_file(home.control_store, file)
        return
    with reading(control_store(home)) as original, sqlite_engine(file).begin() as copy:
        control.metadata.create_all(copy)
        _copy_rows(original, copy, control.metadata)


def load_control_store(file: Path, home: Home) -> None:
    """Copy every row of a control store in a SQLite file into that of a home, which has none yet."""
    with sqlite_engine(file).begin() as older:
        control.metadata.create_all(older)  # a copy of an earlier release lacks tables
    with reading(sqlite_engine(file)) as original, control_store(home).begin() as copy:
        _copy_rows(original, copy, control.metadata)


def _copy_file(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)


def _copy_rows(original: Connection, copy: Connection, metadata: MetaData) -> None:
    for table in metadata.sorted_tables:
        if table.name == models.leases.name:  # who holds the locks of a store holds none of its copy
            continue
        for rows in original.execute(select(table)).partitions(_BATCH):
            copy.execute(insert(table), [dict(row._mapping) for row in rows])
