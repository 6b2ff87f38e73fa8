"""The run a decision belongs to: the newest, but for a write-off the newest that carries the item, which runs again."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.scenarios.rows import MON
from tests.scenarios.world import World
from zentra_pipeline.desk import deciding
from zentra_pipeline.errors import RefusedError
from zentra_pipeline.review.record import DecisionRequest

NOW = datetime(2026, 4, 28, 9, tzinfo=UTC)
SUNDAY_BEFORE = "2026-04-19"


def test_a_write_off_reruns_the_run_that_carries_the_item_though_an_older_window_was_run_since(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, {"amount_date_rule": "off", "expects_callbacks": False})
    world.settle("L1", "R1", 500)
    world.make(MON)
    world.make(SUNDAY_BEFORE)
    (row,) = world.query("select exception_id from exceptions")
    exception_id = row["exception_id"]
    proposed = deciding.decide(world.tenant, DecisionRequest(exception_id, "write_off", "ann", reason="a cent"), NOW)
    assert proposed.run_id == world.revision(SUNDAY_BEFORE).run_id
    approved = deciding.decide(world.tenant, DecisionRequest(exception_id, "approve", "bob"), NOW)
    assert (approved.run_id, approved.is_reconciled) == (world.revision(MON).run_id, True)
    assert [world.revision(day).revision for day in (MON, SUNDAY_BEFORE)] == [2, 1]
    assert [row["item_id"] for row in world.query("select item_id from write_offs")] == ["L1"]
    assert world.query("select * from open_items") == []
    assert [row["status"] for row in world.query("select status from exceptions")] == ["resolved"]
    again = deciding.decide(world.tenant, DecisionRequest(exception_id, "approve", "bob"), NOW)
    assert (again.is_new, world.revision(MON).revision) == (False, 2)
    with pytest.raises(RefusedError, match="was reconciled on top of it"):
        deciding.decide(world.tenant, DecisionRequest(exception_id, "reopen", "ann", reason="it came"), NOW)
