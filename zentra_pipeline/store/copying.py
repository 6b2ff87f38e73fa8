"""Copies an operational store as of one moment into a SQLite file; what the copy is for does not belong here."""

import sqlite3
from contextlib import closing
from typing import Final

from sqlalchemy import insert, select

from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import models
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.store.place import operational_place

_BATCH: Final = 1_000


def copy_operational_store(source: TenantPaths, target: TenantPaths) -> None:
    """Give `target`, which has none, a store of its own in a file, whatever database the source is in."""
    assert not operational_place(target).is_made, f"{target.root} has a store already"
    if operational_place(source).schema is None:
        with (
            closing(sqlite3.connect(source.operational_store)) as original,
            closing(sqlite3.connect(target.operational_store)) as copy,
        ):
            original.backup(copy)
        return
    target.operational_store.touch()  # a folder with a file is not taken to PostgreSQL
    with reading(operational_store(source)) as original, operational_store(target).begin() as copy:
        for table in models.metadata.sorted_tables:
            for rows in original.execute(select(table)).partitions(_BATCH):
                copy.execute(insert(table), [dict(row._mapping) for row in rows])
