"""Runs that nobody asks for by hand: the daily schedule, and files that arrive in a drop folder."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import fsspec
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.execution.build_resources import wrap_resources_for_execution
from fsspec.implementations.local import LocalFileSystem

from tests.scenarios.rows import MON, TUE, settle
from tests.scenarios.world import TENANT, World, as_csv
from zentra_pipeline.config.drop_folders import drop_folders
from zentra_pipeline.definitions import defs
from zentra_pipeline.defs.ingest.file_drop import file_drop
from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.defs.reconcile.daily import reconcile_previous_window
from zentra_pipeline.defs.reconcile.notifying import send_notices
from zentra_pipeline.defs.resources import Reconciler
from zentra_pipeline.webhooks import notices

pytestmark = pytest.mark.ci

SCOPE = f"{TENANT}/rail_primary"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def instance(world: World) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(world.home) as instance:
        yield instance


def drops(world: World, text: str) -> None:
    """Have the profile of `rail_primary` name these folders."""
    (world.paths.providers / "rail_primary.yml").write_text(f"drops:\n{text}\n", encoding="utf-8")


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
    files.makedirs(f"{url}/archive", exist_ok=True)
    drops(world, f"- {{url: '{url}', files: 'set*'}}")
    monday, no_id = f"{url}/set_2026_04_20.csv", f"{url}/set März (2).csv"
    files.pipe_file(monday, as_csv("settlement", [settle("L1", "R1", 500)]))
    files.pipe_file(no_id, as_csv("settlement", [settle("L2", "R2", 700)]))
    for left_alone in ("set_2026_04_21.csv.part", ".set_2026_04_21.csv", "~set_2026_04_21.csv", "notes.txt"):
        files.pipe_file(f"{url}/{left_alone}", b"half a fi")
    files.pipe_file(f"{url}/archive/set_2026_04_17.csv", as_csv("settlement", [settle("L0", "R0", 100)]))
    first = look(world, instance, None)
    assert (first.run_requests, ingested(world)) == ([], [])  # it may still grow
    second = look(world, instance, first.cursor)
    (asked,) = second.run_requests or ()
    both = [("set_2026_04_20", 1), ("set_M_rz_2-da61972f", 1)]
    assert (asked.partition_key, ingested(world)) == (f"{MON}|{SCOPE}", both)
    assert file_drop.job_name == "reconcile_window"
    assert {row["received_by"] for row in world.query("select received_by from files")} == {"drop_folder"}
    third = look(world, instance, second.cursor)
    assert (third.run_requests, third.skip_message) == ([], "0 files ingested; no new file")
    lost = look(world, instance, look(world, instance, None).cursor)  # without its cursor: the same run key, no new row
    assert ([request.run_key for request in lost.run_requests or ()], ingested(world)) == ([asked.run_key], both)

    files.pipe_file(monday, as_csv("settlement", [settle("L1", "R1", 500)]))  # the same file once more
    files.rm(no_id)
    arrived = look(world, instance, look(world, instance, third.cursor).cursor)
    assert ([request.run_key for request in arrived.run_requests or ()], ingested(world)) == ([asked.run_key], both)
    files.pipe_file(monday, as_csv("settlement", [settle("L1", "R1", 600)]))
    restated = look(world, instance, look(world, instance, arrived.cursor).cursor)
    (again,) = restated.run_requests or ()
    assert again.run_key != asked.run_key
    files.mv(monday, f"{url}/set_renamed.csv")
    renamed = look(world, instance, look(world, instance, restated.cursor).cursor)
    assert str(renamed.skip_message).startswith(
        "1 files ingested; set_renamed.csv is ingested as set_renamed, which is no window's (settlement_file_name"
    )
    assert (renamed.run_requests, ingested(world)[-1]) == ([], ("set_renamed", 1))
    assert world.query("select count(distinct line_id) as lines from settlement_lines") == [{"lines": 2}]


def test_a_file_that_cannot_be_taken_is_named_and_stops_no_other(
    world: World, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    drops(
        world,
        f"- {{url: '{tmp_path}/nowhere'}}\n- {{url: 'zentra-no-such://key:secret@bucket/in'}}\n- {{url: '{folder}'}}",
    )
    (world.paths.providers / "rail_broken.yml").write_text("drops: /srv/drop\n", encoding="utf-8")
    (tmp_path / "secret.csv").write_bytes(as_csv("settlement", [settle("S1", "R1", 900)]))
    (folder / "set_2026_04_19.csv").symlink_to(tmp_path / "secret.csv")
    os.mkfifo(folder / "set_2026_04_18.csv")
    (folder / "set_2026_04_20.csv").write_bytes(b"line_id\nL1\n")
    (folder / "set_2026_04_21.csv").write_bytes(as_csv("settlement", [settle("L1", "R1", 500, on=TUE)]))
    for name in ("gone", "grows", "locked"):
        (folder / f"{name}.csv").write_bytes(as_csv("settlement", [settle(name, "R1", 500)]))
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.csv")).write_bytes(b"line_id\n\xff\n")
    copied = LocalFileSystem.get_file

    def awkward(self: LocalFileSystem, source: str, target: str, **options: object) -> None:
        name = Path(source).name
        if name == "gone.csv":
            Path(source).unlink()
        if name == "locked.csv":
            raise PermissionError(f"{name}: permission denied")
        copied(self, source, target, **options)
        if name == "grows.csv":
            Path(source).write_bytes(Path(source).read_bytes() + b"L9")

    monkeypatch.setattr(LocalFileSystem, "get_file", awkward)
    done = look(world, instance, look(world, instance, None).cursor)
    assert [request.partition_key for request in done.run_requests or ()] == [f"{TUE}|{SCOPE}"]
    assert ingested(world) == [("set_2026_04_21", 1)]
    monkeypatch.undo()
    said = str(look(world, instance, done.cursor).skip_message)
    for words in (
        "set_2026_04_20.csv was refused: ",
        "?.csv was refused: ",
        f"{tmp_path}/nowhere cannot be read: ",
        "zentra-no-such://bucket/in cannot be read: ",
        "rail_broken.yml: drops: must be a list",
    ):
        assert words in said
    assert "secret@" not in said and "secret@" not in str(done.cursor)
    assert ("locked", 1) in ingested(world) and ("grows", 1) not in ingested(world)
    (world.paths.root / "providers" / "rail_primary.yml").write_text(
        f"reference_normalizer: alphanumeric\ndrops: [{{url: '{folder}', files: set_2026_04_20.csv}}]\n"
    )
    (folder / "set_2026_04_20.csv").write_bytes(b"line_id\nL2\n")
    again = look(world, instance, look(world, instance, done.cursor).cursor)
    assert "set_2026_04_20.csv was refused: " in str(again.skip_message)
    drops(world, f"- {{url: '{folder}', files: set_2026_04_20.csv}}")  # another profile: it is read once more
    read = str(look(world, instance, again.cursor).skip_message)
    assert read.startswith("1 files ingested; ") and "set_2026_04_20.csv was refused: " in read


def test_folders_named_in_a_drops_yml_of_older_releases_are_read_beside_those_of_profiles(world: World) -> None:
    listed = world.paths.root / "drops.yml"
    listed.write_text(
        "drops:\n- {provider: rail_primary, kind: settlement, url: /srv/a}\n"
        "- {provider: rail_us, kind: ledger, url: here, files: '*.csv'}\n",
        encoding="utf-8",
    )
    drops(world, "- {url: /srv/a}\n- {kind: callbacks, url: 's3://inbox/rail', files: '*.jsonl'}")
    found, faults = drop_folders(world.paths)
    assert [(each.provider, each.drop.kind, each.drop.url, each.drop.files) for each in found] == [
        ("rail_primary", "settlement", "/srv/a", "*"),
        ("rail_primary", "callbacks", "s3://inbox/rail", "*.jsonl"),
        ("rail_us", "ledger", "here", "*.csv"),
    ]
    assert faults == []
    for text, why in (
        ("folders: []\n", "drops.yml: one key `drops` with a list of folders is expected"),
        ("drops:\n- {provider: rail, kind: settlement}\n", "drops.yml: 0.url: Field required"),
        ("drops:\n- {provider: rail, kind: bank, url: /drop}\n", "drops.yml: 0.kind: Input should be"),
        ("drops:\n- {provider: rail, kind: ledger, url: /drop, pattern: '*'}\n", "drops.yml: 0.pattern: Extra"),
        ("drops:\n- {provider: '../x', kind: ledger, url: /drop}\n", "drops.yml: 0.provider: Value error, provider"),
    ):
        listed.write_text(text, encoding="utf-8")
        found, (fault,) = drop_folders(world.paths)
        assert len(found) == 2 and fault.startswith(why)


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


def test_notices_are_a_job_on_two_schedules_that_fails_where_a_receiver_was_not_reached(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add(settle("L1", "R1", 500))
    world.make(MON)
    (world.paths.root / "notices.yml").write_text("lanes: {'*': [{slack: ZENTRA_SLACK_TEST}]}\n", encoding="utf-8")
    repository = defs().get_repository_def()
    for name, kind in (("daily_digest", "digest"), ("hourly_escalation", "escalation")):
        schedule = repository.get_schedule_def(name)
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
        (asked,) = schedule.evaluate_tick(dg.build_schedule_context()).run_requests or ()
        assert asked.run_config["ops"]["send_lane_notices"]["config"] == {"kind": kind}
        resources = {"reconciler": Reconciler(world.home)}
        done = send_notices.execute_in_process(asked.run_config, resources=resources, raise_on_error=False)
        (failed,) = [event for event in done.all_events if event.is_step_failure]
        assert f"{TENANT}: slack by ZENTRA_SLACK_TEST: ZENTRA_SLACK_TEST is not set" in str(failed.event_specific_data)
    monkeypatch.setattr(notices, "_deliver", lambda *_: None)
    assert send_notices.execute_in_process(asked.run_config, resources=resources).success
