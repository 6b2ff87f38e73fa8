"""Scoring notices what is missing, made up, confident or said otherwise, and judges nothing the key leaves open."""

from dataclasses import replace

import pytest

from zentra_pipeline.simulation.replay import Published
from zentra_pipeline.simulation.scoring import Row, Tally, read_key, score
from zentra_pipeline.simulation.world import build_world
from zentra_pipeline.simulation.write import write_world

Key = dict[str, list[Row]]


@pytest.fixture(scope="module", name="key")
def _key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    folder = tmp_path_factory.mktemp("world") / "world"
    write_world(build_world(1, 200), folder)
    return read_key(folder)


def as_published(key: Key) -> Published:
    """What an engine that is right about everything publishes."""
    return Published(
        matches=[row for row in key["matches"] if row["status"] != "suggested"],
        suggestions=[row for row in key["matches"] if row["status"] == "suggested"],
        exceptions=[{**row, "exception_type": row["exception_type"].partition("|")[0]} for row in key["exceptions"]],
        open_items=key["open_items"],
        rollforward=key["rollforward"],
        quarantine=key["quarantine"],
        closeouts=key["closeouts"],
        failed_controls=[],
    )


def short(key: Key, published: Published) -> dict[str, Tally]:
    return {tally.kind: tally for tally in score(key, published).tallies if not tally.is_perfect}


def test_an_engine_that_is_right_scores_one_everywhere(key: Key) -> None:
    result = score(key, as_published(key))
    assert result.is_perfect
    assert {(tally.precision, tally.recall) for tally in result.tallies} == {("1.0000", "1.0000")}
    assert len(result.tallies) > 20


def test_a_missing_match_costs_recall(key: Key) -> None:
    right = as_published(key)
    found = short(key, replace(right, matches=right.matches[1:]))
    assert found["matches"].precision == "1.0000"
    assert found["matches"].recall < "1.0000"
    assert found["matches"].disagreements[0].side == "key"


def test_an_exception_made_up_costs_precision(key: Key) -> None:
    right = as_published(key)
    made_up = {**right.exceptions[0], "exception_type": "orphan_callback", "subject_id": "evt_nobody"}
    found = short(key, replace(right, exceptions=[*right.exceptions, made_up]))
    assert list(found) == ["orphan_callback"]
    assert found["orphan_callback"].recall == "1.0000"
    assert found["orphan_callback"].precision < "1.0000"


def test_an_exception_opened_by_another_run_is_wrong(key: Key) -> None:
    right = as_published(key)
    first, *others = right.exceptions
    found = short(key, replace(right, exceptions=[{**first, "ledger_window": "2000-01-01"}, *others]))
    [tally] = found.values()
    assert (tally.precision < "1.0000", tally.recall < "1.0000") == (True, True)
    assert "2000-01-01" in tally.disagreements[0].other


def test_a_confident_match_of_what_nobody_can_decide_is_wrong(key: Key) -> None:
    right = as_published(key)
    line = next(row["leg_id"] for row in key["undecidable"] if row["leg_type"] == "settlement_line")
    confident = {**right.matches[0], "status": "confirmed", "settlement_lines": line}
    found = short(key, replace(right, matches=[*right.matches, confident]))
    assert {"matches", "undecided by luck"} <= set(found)


def test_a_roll_forward_off_by_one_is_wrong(key: Key) -> None:
    right = as_published(key)
    first, *others = right.rollforward
    off = {**first, "closing_minor": str(int(first["closing_minor"]) + 1)}
    assert list(short(key, replace(right, rollforward=[off, *others]))) == ["roll-forward"]


def test_an_exception_with_another_resolution_is_wrong(key: Key) -> None:
    """Written off by operators is not matched late, and not accepted as timing."""
    right = as_published(key)
    given_up = next(row for row in right.exceptions if row["resolution"] == "written_off")
    others = [row for row in right.exceptions if row is not given_up]
    found = short(key, replace(right, exceptions=[*others, {**given_up, "resolution": "matched_late"}]))
    assert list(found) == [given_up["exception_type"]]


def test_a_seal_that_is_missing_is_wrong(key: Key) -> None:
    right = as_published(key)
    found = short(key, replace(right, closeouts=right.closeouts[1:]))
    assert list(found) == ["closeouts"]
    assert found["closeouts"].recall < "1.0000"


def test_a_failed_control_is_wrong(key: Key) -> None:
    failed: list[Row] = [{"control": "conservation of ledger USD does not hold"}]
    assert list(short(key, replace(as_published(key), failed_controls=failed))) == ["failed controls"]


def test_the_method_of_a_match_beyond_tolerance_is_not_judged(key: Key) -> None:
    right = as_published(key)
    matches = [row if row["method"] else {**row, "method": "exact"} for row in right.matches]
    assert matches != right.matches
    assert short(key, replace(right, matches=matches)) == {}
