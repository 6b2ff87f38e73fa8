"""The home's Dagster instance keeps what is recorded in it, and whoever else has it open sees it."""

from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log import SqliteEventLogStorage

from zentra_pipeline.defs.event_log import KeptSqliteEventLogStorage
from zentra_pipeline.defs.instance import dagster_instance, prepare_instance
from zentra_pipeline.settings import Home

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


@pytest.mark.parametrize("is_edited", [False, True])
def test_a_home_of_before_gets_the_event_log_unless_somebody_edited_its_configuration(
    tmp_path: Path, is_edited: bool
) -> None:
    home = Home.at(tmp_path)
    prepare_instance(home)
    configuration = home.dagster / "dagster.yaml"
    ours = configuration.read_text(encoding="utf-8")
    before = ours.partition("event_log_storage:")[0] + ("retention: {}\n" if is_edited else "")
    configuration.write_text(before, encoding="utf-8")
    prepare_instance(home)
    assert configuration.read_text(encoding="utf-8") == (before if is_edited else ours)
    assert yaml.safe_load(ours)["event_log_storage"]["class"] == KeptSqliteEventLogStorage.__name__
