"""The home's Dagster instance keeps what is recorded in it, and whoever else has it open sees it."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log import SqliteEventLogStorage

from zentra_pipeline.defs.event_log import KeptSqliteEventLogStorage
from zentra_pipeline.defs.instance import dagster_instance, prepare_instance
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import dagster_files

pytestmark = pytest.mark.ci

BALANCE = dg.AssetKey("balance")


@dg.asset(name="balance")
def _balance() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"closing_minor": 1250})


def materialized(instance: dg.DagsterInstance) -> str:
    return dg.materialize([_balance], instance=instance).run_id


def events_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [str(entry.dagster_event_type) for entry in instance.all_logs(run_id)]


def test_what_an_open_instance_records_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with dagster_instance(Home.at(tmp_path)) as instance:
        instance.add_dynamic_partitions("scope", ["acme/rail"])
        run_id = materialized(instance)
        recorded = events_of(instance, run_id)
    with dagster_instance(Home.at(tmp_path)) as instance:
        assert instance.get_dynamic_partitions("scope") == ["acme/rail"]
        assert events_of(instance, run_id) == recorded
    assert any("ASSET_MATERIALIZATION" in kind for kind in recorded)


def test_an_instance_that_is_open_elsewhere_sees_each_event(tmp_path: Path) -> None:
    with dagster_instance(Home.at(tmp_path)) as web_server, dagster_instance(Home.at(tmp_path)) as worker:
        assert web_server.get_latest_materialization_event(BALANCE) is None
        for recorder in (worker, web_server):
            run_id = materialized(recorder)
            for instance in (web_server, worker):
                seen = instance.get_latest_materialization_event(BALANCE)
                assert seen is not None
                assert seen.run_id == run_id


def test_the_files_are_dagsters_own(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    with dagster_instance(home) as instance:
        run_id = materialized(instance)
        recorded = events_of(instance, run_id)
    plain = SqliteEventLogStorage(str(home.dagster / "history" / "runs"))
    assert [str(entry.dagster_event_type) for entry in plain.get_logs_for_run(run_id)] == recorded
    assert plain.get_latest_materialization_events([BALANCE])[BALANCE] is not None


def test_a_file_that_was_wiped_is_made_again(tmp_path: Path) -> None:
    with dagster_instance(Home.at(tmp_path)) as instance:
        materialized(instance)
        instance.event_log_storage.wipe()
        assert instance.get_latest_materialization_event(BALANCE) is None
        run_id = materialized(instance)
        assert instance.get_latest_materialization_event(BALANCE).run_id == run_id  # type: ignore[union-attr]


def test_no_more_than_eight_files_stay_open(tmp_path: Path) -> None:
    storage = KeptSqliteEventLogStorage(str(tmp_path))
    for number in range(20):
        assert list(storage.get_logs_for_run(f"run_{number}")) == []
    assert len(storage._engines) == 8
    storage.dispose()
    assert len(storage._engines) == 0


BEFORE = dagster_files.OURS.partition("event_log_storage:")[0]


@pytest.mark.parametrize(
    ("before", "is_mended"),
    [
        (BEFORE, True),
        (dagster_files.OURS.replace("history/runs", '"/home/ana/zentra/dagster/history/runs"'), True),
        (BEFORE + "retention: {}\n", False),
    ],
    ids=["without an event log", "with an absolute path", "edited"],
)
def test_a_home_of_before_is_mended_unless_somebody_edited_its_configuration(
    tmp_path: Path, before: str, is_mended: bool
) -> None:
    home = Home.at(tmp_path)
    home.dagster.mkdir()
    configuration = home.dagster / "dagster.yaml"
    configuration.write_text(before, encoding="utf-8")
    prepare_instance(home)
    assert configuration.read_text(encoding="utf-8") == (dagster_files.OURS if is_mended else before)
    assert yaml.safe_load(dagster_files.OURS)["event_log_storage"]["class"] == KeptSqliteEventLogStorage.__name__


def test_a_copy_of_a_home_is_a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its dagster.yaml once named the original's folder, and what the copy recorded went there."""
    with dagster_instance(Home.at(tmp_path / "original")) as instance:
        first = materialized(instance)
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    with dagster_instance(Home.at(tmp_path / "copy")) as instance:
        second = materialized(instance)
        assert events_of(instance, first) and events_of(instance, second)
    with dagster_instance(Home.at(tmp_path / "original")) as instance:
        assert events_of(instance, second) == []
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "copy" / "dagster"))  # as the UI finds it
    with dg.DagsterInstance.get() as instance:
        assert events_of(instance, second)


OPEN = """
import sys
from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.settings import Home

with dagster_instance(Home.at(sys.argv[1])) as instance:
    instance.add_dynamic_partitions("scope", [sys.argv[2]])
"""


def test_six_that_open_a_fresh_home_at_once_leave_its_storage_sound(tmp_path: Path) -> None:
    """Made at once by several, schedules.db once kept two schemas, and every later run of the home ended with 1."""
    home = Home.at(tmp_path)
    opening = [subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path), f"acme/p{n}"]) for n in range(6)]
    assert [process.wait() for process in opening] == [0] * 6
    assert dagster_files.broken_stores(home) == []
    with dagster_instance(home) as instance:
        assert sorted(instance.get_dynamic_partitions("scope")) == [f"acme/p{n}" for n in range(6)]
    with closing(sqlite3.connect(home.dagster / "schedules" / "schedules.db")) as connection:
        connection.execute("insert into alembic_version values ('another')")
        connection.commit()
    ((file, problem),) = dagster_files.broken_stores(home)
    assert (file.name, problem[:28]) == ("schedules.db", "it is at 2 schemas at once (")


@pytest.mark.parametrize("is_shared", [True, False])
def test_hosts_that_share_a_home_record_in_the_instance_that_dagster_home_configures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_shared: bool
) -> None:
    """A worker recorded in its own cache, which the shared UI does not read; a home in a folder goes on doing so."""
    configured, kept = tmp_path / "configured", tmp_path / "kept"
    configured.mkdir()
    text = yaml.safe_dump({"telemetry": {"enabled": False}, "storage": {"sqlite": {"base_dir": str(kept)}}})
    (configured / dagster_files.CONFIGURATION).write_text(text, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(configured))
    home = Home(tmp_path / "home")
    home.root.mkdir()
    if is_shared:
        home.storage.write_text("url: s3://bucket/zentra\n", encoding="utf-8")
    with dagster_instance(home) as instance:
        run_id = materialized(instance)
        assert instance.has_run(run_id)
    assert [kept.exists(), (home.dagster / "history").exists()] == [is_shared, not is_shared]
    assert [file.name for file in configured.iterdir()] == [dagster_files.CONFIGURATION]
