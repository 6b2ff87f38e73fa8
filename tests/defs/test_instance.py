"""The home's Dagster instance: what it spares Dagster while it is open, and that nothing of it stays afterwards."""

from pathlib import Path

from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy.pool import NullPool

from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.settings import Home

STORAGES = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)


def test_an_open_instance_makes_one_engine_a_file(tmp_path: Path) -> None:
    url, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    with dagster_instance(Home.at(tmp_path)):
        for storage in STORAGES:
            first = storage.create_engine(url, poolclass=NullPool)
            assert storage.create_engine(url, poolclass=NullPool) is first
            assert storage.create_engine(other, poolclass=NullPool) is not first
            assert storage.create_engine(url) is not first


def test_a_closed_instance_leaves_dagster_as_it_was(tmp_path: Path) -> None:
    before = [storage.create_engine for storage in STORAGES]
    with dagster_instance(Home.at(tmp_path)):
        assert [storage.create_engine for storage in STORAGES] != before
    assert [storage.create_engine for storage in STORAGES] == before


def test_what_an_open_instance_records_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with dagster_instance(Home.at(tmp_path)) as instance:
        instance.add_dynamic_partitions("scope", ["acme/rail"])
    with dagster_instance(Home.at(tmp_path)) as instance:
        assert instance.get_dynamic_partitions("scope") == ["acme/rail"]
