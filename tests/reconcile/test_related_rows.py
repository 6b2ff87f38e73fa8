"""A run reads of the past what is related to what is new or open, and says what it would say with all of it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.rows import MON, THU, TUE, WED, call, entry, post, settle, settlement_file
from tests.scenarios.world import World
from tests.support.whole_history import compared_with_whole_history
from zentra_pipeline.reconcile import fetched_rows, gather, looked_up_keys, row_keys, run_database
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.upkeep import doctor
from zentra_pipeline.upkeep.rebuild import rebuild

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("catalog_as_shipped")]

PROFILE: Mapping[str, Any] = {"reference_normalizer": "alphanumeric", "settlement_lag_days": 1}


def read_of(world: World, window: str) -> dict[str, set[str]]:
    """The ids of the rows that the models of a window's run see, by table."""
    with world.tenant.reading() as connection:
        run = next(run for run in run_store.list_runs(connection) if run.ledger_window == window)
    inputs = gather.run_inputs(world.tenant, run)
    ids = {
        "raw.settlement_lines": "line_id",
        "raw.ledger_entries": "transaction_id",
        "raw.callbacks": "provider_event_id",
        "earlier.match_legs": "leg_id",
    }
    with run_database.run_database(inputs, world.paths.scratch / "looked_at", world.paths.root) as database:
        return {
            table: {found for (found,) in database.execute(f"select {column} from {table}").fetchall()}
            for table, column in ids.items()
        }


@pytest.fixture(scope="module", name="week")
def _week(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Monday settles what Tuesday, Wednesday and Thursday come back to, and something that nobody does."""
    world = World(tmp_path_factory.mktemp("week"), PROFILE)
    for number in range(1, 7):
        world.add(settle(f"L{number}", f"R-{number}", 100 * number), post(f"T{number}", f"R-{number}", 100 * number))
        world.add(call(f"E{number}", f"R-{number}", 100 * number))
    world.run(MON)
    world.add(settle("L11", "R-11", 5, on=TUE), post("T11", "R-11", 5, on=TUE), call("E11", "R-11", 5, on=TUE))
    world.run(TUE)
    return world


def test_a_window_reads_nothing_of_what_shares_no_key_with_it(week: World) -> None:
    assert read_of(week, TUE) == {
        "raw.settlement_lines": {"L11"},
        "raw.ledger_entries": {"T11"},
        "raw.callbacks": {"E11"},
        "earlier.match_legs": set(),
    }


def test_a_reference_brings_back_its_rows_with_all_that_matched_them(week: World) -> None:
    """A refund names its original; a line names a payment of Monday in another spelling, normalized to the same."""
    week.add(settle("L21", "R-21", -40, on=WED, type="refund", original="R-2"))
    week.run(WED)
    assert read_of(week, WED) == {
        "raw.settlement_lines": {"L21", "L2"},
        "raw.ledger_entries": {"T2"},
        "raw.callbacks": {"E2"},
        "earlier.match_legs": {"L2", "T2", "E2"},
    }
    week.add(settle("L31", "r3", 1, on=THU))
    week.run(THU)
    found = read_of(week, THU)
    assert found["raw.settlement_lines"] == {"L31", "L3", "L21", "L2"}, "L21 is open, and L2 its original"
    assert found["earlier.match_legs"] == {"L2", "T2", "E2", "L3", "T3", "E3"}


@pytest.mark.parametrize(
    ("is_large", "damage"),
    [(False, None), (True, None), (True, b"no Parquet")],
    ids=["read again", "kept", "kept and damaged"],
)
def test_a_run_says_what_it_would_say_with_all_of_the_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool, damage: bytes | None
) -> None:
    """Late callbacks, parts, refunds, restated entries, redeliveries: each reaches back to a window of its own.

    What keys lead to in large key files, and rows that were fetched from large files, are kept for the next run, which
    leaves out what is damaged. Large files are read one by one, small ones together.
    """
    if is_large:
        monkeypatch.setattr(fetched_rows, "LARGE_ROWS", 0)
        monkeypatch.setattr(fetched_rows, "READ_ALONE_BYTES", 0)
        monkeypatch.setattr(looked_up_keys, "LARGE_BYTES", 0)
    world = World(tmp_path, PROFILE)
    with compared_with_whole_history() as compared:
        for number in range(1, 6):
            world.add(settle(f"L{number}", f"R{number}", 100), post(f"T{number}", f"R{number}", 100))
            world.add(call(f"E{number}", f"R{number}", 100))
        world.add(settle("L6", "R6", 60), post("T6", "R6", 100), settle("L7", "R7", 70), post("T8", "R8", 80))
        world.run(MON)
        world.add(settle("L9", "r-6", 40, on=TUE), call("E7", "R7", 70, on=TUE), call("E6", "R6", 100, on=TUE))
        world.add(settle("L10", "R10", -150, on=TUE, type="refund", original="R1"))
        world.run(TUE)
        folder = world.paths.root / row_keys.FOLDER
        kept = [path for path in folder.rglob("*.parquet") if not {"fetched", "looked_up"}.isdisjoint(path.parts)]
        assert {"looked_up", "fetched"} & {part for path in kept for part in path.parts} == (
            {"looked_up", "fetched"} if is_large else set()
        )
        for path in kept if damage else ():
            path.write_bytes(damage or b"")
        world.add(
            entry("T2.3", "T2", "", "fees", "debit", 5), entry("T2.4", "T2", "R2", "settlement_account", "credit", 5)
        )
        world.add(settle("L8", "R8", 80, on=WED), post("T7", "R7", 70, on=WED), settle("L3", "R3", 100))
        world.run(WED)
    assert len(compared) == 2


def test_a_key_that_was_looked_up_is_looked_up_in_files_that_came_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L1 is open after Monday; Wednesday reads of Monday and Tuesday what Tuesday found, and what Tuesday published.

    Monday's run made again has seen fewer files, and leaves what Tuesday's kept.
    """
    monkeypatch.setattr(looked_up_keys, "LARGE_BYTES", 0)
    world = World(tmp_path)
    world.add(settle("L1", "R1", 100), post("T2", "R2", 70))
    world.run(MON)
    world.add(settle("L2", "R2", 70, on=TUE))
    world.run(TUE)
    folder = world.paths.root / row_keys.FOLDER

    def kept() -> list[Path]:
        return [path for path in folder.rglob("*.parquet") if "looked_up" in path.parts]

    after_tuesday = kept()
    assert len(after_tuesday) == 1
    world.request(MON, settlement_file(MON))
    assert kept() == after_tuesday
    world.add(post("T1", "R1", 100, on=WED), settle("L3", "R2", 5, on=WED))
    said = [statement.text for statement in world.run(WED)]
    assert "exact_reference one_to_one exact: L1 = T1, 100 USD" in said
    assert kept() != after_tuesday
    found = read_of(world, WED)
    assert found["earlier.match_legs"] == {"L2", "T2"}, "of L3, by the reference of a match that Tuesday made"
    assert found["raw.settlement_lines"] == {"L1", "L2", "L3"}


def test_a_key_file_that_lacks_keys_is_found_and_made_again(week: World) -> None:
    folder = week.paths.root / row_keys.FOLDER
    one, other = sorted(path for path in folder.rglob("*.parquet") if "ledger_entries" in path.parts)[:2]
    shutil.copyfile(other, one)
    found = [finding for finding in doctor.examine(week.tenant.home)[1].findings if finding.check == "row_keys"]
    assert [finding.subject for finding in found] == [one.relative_to(week.paths.root).as_posix()]
    assert rebuild(week.tenant).refused is None
    assert not folder.exists()
    week.request(TUE, settlement_file(TUE))
    assert [finding.check for finding in doctor.examine(week.tenant.home)[1].findings] == []


def test_what_came_again_before_a_run_was_repeated_is_counted_by_the_next(tmp_path: Path) -> None:
    """A repeated run publishes nothing for repeats, so it has not met them: the next window counts them.

    T1 has two entries, and each of them came again.
    """
    world = World(tmp_path)
    world.add(settle("L1", "R1", 100), post("T1", "R1", 100), call("E1", "R1", 100))
    world.run(MON)
    world.ingest("ledger", "ledger_again", list(post("T1", "R1", 100)))
    world.ingest("callbacks", "callbacks_again", [call("E1", "R1", 100)])
    assert not world.request(MON, settlement_file(MON)).is_new_revision
    world.add(settle("L2", "R2", 5, on=TUE), post("T2", "R2", 5, on=TUE), call("E2", "R2", 5, on=TUE))
    world.run(TUE)
    rows = world.query(
        "select side, rows_in, matched, duplicates from conservation "
        f"where ledger_window = '{TUE}' and currency = 'USD' order by side"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("callback", 2, 1, 1),
        ("ledger", 3, 1, 2),
        ("settlement", 1, 1, 0),
    ]
