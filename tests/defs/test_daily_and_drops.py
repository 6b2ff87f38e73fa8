"""Runs that nobody asks for by hand: the daily schedule, and files that arrive in a drop folder."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import fsspec
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.execution.build_resources import wrap_resources_for_execution

from tests.scenarios.rows import MON, TUE, settle
from tests.scenarios.world import TENANT, World, as_csv
from zentra_pipeline.config.drops import load_drops
from zentra_pipeline.definitions import defs
from zentra_pipeline.defs.ingest.file_drop import file_drop
from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.defs.reconcile.daily import reconcile_previous_window
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.errors import ConfigurationError

SCOPE = f"{TENANT}/rail_primary"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def instance(world: World) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(world.home) as instance:
        yield instance


def drops(world: World, text: str) -> None:
    (world.paths.root / "drops.yml").write_text(text, encoding="utf-8")


def look(world: World, instance: dg.DagsterInstance, cursor: str | None) -> SensorExecutionData:
    """A tick of the drop folders' sensor, after the one that left `cursor`."""
    context = dg.SensorEvaluationContext(
        instance_ref=instance.get_ref(),
        cursor=cursor,
        repository_def=defs().get_repository_def(),
        resources=wrap_resources_for_execution({"reconciler": Reconciler(world.home)}),
    )
    with context:
        return file_drop.evaluate_tick(context)


def ingested(world: World) -> list[tuple[str, int]]:
    rows = world.query("select settlement_file, count(*) as lines from settlement_lines group by all order by all")
    return [(row["settlement_file"], row["lines"]) for row in rows]


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_a_dropped_file_is_ingested_once_it_rests_and_its_run_is_asked_for_once(
    world: World, instance: dg.DagsterInstance, tmp_path: Path, place: str
) -> None:
    url = str(tmp_path / "drop") if place == "folder" else f"memory://{tmp_path.name}/drop"
    files = fsspec.core.url_to_fs(url)[0]
    files.makedirs(url, exist_ok=True)
    drops(world, f"drops:\n- {{provider: rail_primary, kind: settlement, url: '{url}', files: 'set_*.csv'}}\n")
    files.pipe_file(f"{url}/set_2026_04_20.csv", as_csv("settlement", [settle("L1", "R1", 500)]))
    files.pipe_file(f"{url}/set_2026_04_21.csv.part", b"half a fi")
    files.pipe_file(f"{url}/notes.txt", b"read me")
    first = look(world, instance, None)
    assert (first.run_requests, ingested(world)) == ([], [])  # it may still grow
    second = look(world, instance, first.cursor)
    (asked,) = second.run_requests or ()
    assert (asked.partition_key, ingested(world)) == (f"{MON}|{SCOPE}", [("set_2026_04_20", 1)])
    assert file_drop.job_name == "reconcile_window"
    third = look(world, instance, second.cursor)
    assert (third.run_requests, third.skip_message) == ([], "0 files ingested; no new file")
    lost = look(world, instance, look(world, instance, None).cursor)  # without its cursor: the same run key, no new row
    assert ([request.run_key for request in lost.run_requests or ()], ingested(world)) == (
        [asked.run_key],
        [("set_2026_04_20", 1)],
    )
    files.pipe_file(f"{url}/set_2026_04_20.csv", as_csv("settlement", [settle("L1", "R1", 600)]))
    restated = look(world, instance, look(world, instance, third.cursor).cursor)
    (again,) = restated.run_requests or ()
    assert again.run_key != asked.run_key


def test_a_refused_file_is_named_until_it_is_replaced_and_stops_no_other(
    world: World, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    drops(
        world,
        f"drops:\n- {{provider: rail_primary, kind: settlement, url: '{tmp_path}/nowhere'}}\n"
        f"- {{provider: rail_primary, kind: settlement, url: '{folder}'}}\n",
    )
    (folder / "set_2026_04_20.csv").write_bytes(b"line_id\nL1\n")
    (folder / "set_2026_04_21.csv").write_bytes(as_csv("settlement", [settle("L1", "R1", 500, on=TUE)]))
    done = look(world, instance, look(world, instance, None).cursor)
    assert [request.partition_key for request in done.run_requests or ()] == [f"{TUE}|{SCOPE}"]
    said = str(look(world, instance, done.cursor).skip_message)
    assert "set_2026_04_20.csv was refused: " in said
    assert "nowhere: the folder cannot be read" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("folders: []\n", "drops.yml: one key `drops` with a list of folders is expected"),
        ("drops:\n- {provider: rail, kind: settlement}\n", "drops.yml: 0.url: Field required"),
        ("drops:\n- {provider: rail, kind: bank, url: /drop}\n", "drops.yml: 0.kind: Input should be"),
        ("drops:\n- {provider: rail, kind: ledger, url: /drop, pattern: '*'}\n", "drops.yml: 0.pattern: Extra"),
    ],
)
def test_a_drop_folder_that_cannot_be_meant_is_refused_by_file_entry_and_key(world: World, text: str, why: str) -> None:
    drops(world, text)
    with pytest.raises(ConfigurationError) as refused:
        load_drops(world.paths)
    assert str(refused.value).startswith(why)


def test_each_day_the_previous_window_of_every_provider_is_run_once_its_file_is_there(
    world: World, instance: dg.DagsterInstance
) -> None:
    """The window is the provider's own: where Monday ends at 17:00 in New York, it has not ended at 06:00 UTC."""
    (world.paths.providers / "rail_us.yml").write_text(
        json.dumps({"timezone": "America/New_York", "window_cutoff": "17:00", "settlement_file_name": "us_%Y%m%d"}),
        encoding="utf-8",
    )
    world.ingest("settlement", "set_2026_04_20", [settle("L1", "R1", 500)])
    world.beside("rail_us").ingest("settlement", "us_20260419", [settle("U1", "R1", 500)])
    world.beside("rail_late").ingest("settlement", "set_2026_04_19", [])
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2026, 4, 21, 6, tzinfo=UTC),
        resources={"reconciler": Reconciler(world.home)},
        repository_def=defs().get_repository_def(),
    )
    with context:
        tick = reconcile_previous_window.evaluate_tick(context)
    assert sorted((request.partition_key, request.run_key) for request in tick.run_requests or ()) == [
        ("2026-04-19|acme/rail_us", "daily-acme/rail_us-2026-04-19"),
        (f"{MON}|{SCOPE}", f"daily-{SCOPE}-{MON}"),
    ]
