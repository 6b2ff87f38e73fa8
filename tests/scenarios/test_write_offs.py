"""Decisions as part of a run: what is written off leaves it once and for good, and what operators resolved stays.

One story over four windows. Decisions are taken after Tuesday's run, about it; later facts arrive on Wednesday and
Thursday.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.scenarios.rows import MON, THU, TUE, WED, call, post, settle
from tests.scenarios.world import World
from zentra_pipeline.desk import deciding
from zentra_pipeline.desk.deciding import DecisionResult
from zentra_pipeline.errors import RefusedError
from zentra_pipeline.review.record import DecisionRequest

NOW = datetime(2026, 4, 22, 9, tzinfo=UTC)
PROFILE = {"amount_date_rule": "off", "settlement_lag_days": 0}


@dataclass(frozen=True)
class Story:
    """The world at the end, and what each window's run newly said."""

    world: World
    said: dict[str, list[str]]


def decide(world: World, subject: str, action: str, actor: str, **given: Any) -> DecisionResult:
    (row,) = world.query(f"select exception_id from exceptions where subject_id = '{subject}' and status <> 'resolved'")
    return deciding.decide(world.tenant, DecisionRequest(row["exception_id"], action, actor, **given), NOW)


def write_off(world: World, subject: str) -> DecisionResult:
    decide(world, subject, "write_off", "ann", reason="not worth a letter")
    return decide(world, subject, "approve", "bob")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = World(tmp_path_factory.mktemp("write_offs"), PROFILE)
    world.add(
        # T0 and T1 were announced and posted but are not settled in time, T0 never; L3 is settled but never posted.
        *(post("T0", "R0", 50), call("C0", "R0", 50)),
        *(post("T1", "R1", 500), call("C1", "R1", 500)),
        settle("L3", "R3", 300),
        # T6 repeats T5; L8 has failed; L7 and T7 differ.
        *(post("T5", "R5", 100), settle("L5", "R5", 100), call("C5", "R5", 100), post("T6", "R5", 100, at="09:30")),
        *(post("T7", "R7", 1000), settle("L7", "R7", 997), call("C7", "R7", 997)),
        settle("L8", "R8", 800, status="failed"),
        # A batch of which one line is given up before its movement comes.
        *(settle("LA", "RA", 40, batch="B1"), settle("LB", "RB", 60, batch="B1")),
        # Written off and taken back; accepted as timing; assigned; all three are settled on Wednesday.
        *(post("T2", "R2", 700), post("T9", "R9", 900), post("T4", "R4", 400)),
    )
    said = {day: [statement.text for statement in world.run(day)] for day in (MON, TUE)}
    asked: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deciding, "_rerun", lambda _tenant, run, _actor: asked.append(run.run_id))
        for subject in ("T0", "T1", "T6", "L3", "L8", "LA", "T2", "L7"):
            write_off(world, subject)
        (taken_back,) = world.query("select exception_id from exceptions where subject_id = 'T2'")
        deciding.decide(
            world.tenant, DecisionRequest(taken_back["exception_id"], "reopen", "ann", reason="it is on its way"), NOW
        )
    assert set(asked) == {world.revision(TUE).run_id}
    decide(world, "T9", "accept_timing", "ann", reason="a holiday there")
    decide(world, "T4", "assign", "ann", owner="treasury")
    world.request(TUE, "set_2026_04_21")
    world.add(
        *(settle(f"L{name}", f"R{name}", amount, on=WED) for name, amount in (("2", 700), ("9", 900), ("4", 400))),
        *(call(f"C{name}", f"R{name}", amount, on=WED) for name, amount in (("2", 700), ("9", 900), ("4", 400))),
        settle("L1", "R1", 500, on=WED),
        post("T3", "R3", 300, on=WED),
        post("TB", "B1", 100, on=WED),
        settle("L3", "R3", 300, on=MON, file="set_2026_04_22"),
    )
    for day in (WED, THU):
        said[day] = [statement.text for statement in world.run(day)]
    return Story(world, said)


def amounts_of(world: World, window: str) -> dict[str, int]:
    (row,) = world.query(
        f"select rollforward.* from rollforward where currency = 'USD' and ledger_window = date '{window}'"
    )
    return {name.removesuffix("_minor"): value for name, value in row.items() if name.endswith("_minor")}


def exceptions_of(world: World, subject: str) -> list[tuple[str, str, str | None]]:
    rows = world.query(f"select * from exceptions where subject_id = '{subject}' order by exception_type")
    return [(row["exception_type"], row["status"], row["resolution"]) for row in rows]


def test_the_roll_forward_goes_on_without_what_was_written_off(story: Story) -> None:
    monday, tuesday, wednesday, thursday = (amounts_of(story.world, day) for day in (MON, TUE, WED, THU))
    assert monday["written_off"] == 0
    assert tuesday == {
        "opening": 2650,
        "posted": 0,
        "settled": 0,
        "written_off": 650,
        "closing": 2000,
        "difference": 0,
    }
    assert wednesday == {
        "opening": 2000,
        "posted": 400,
        "settled": 2000,
        "written_off": 0,
        "closing": 400,
        "difference": 0,
    }
    assert (thursday["opening"], thursday["closing"], thursday["written_off"]) == (400, 400, 0)


def test_decisions_make_one_new_revision_of_the_run_they_belong_to(story: Story) -> None:
    assert [story.world.revision(day).revision for day in (MON, TUE, WED)] == [1, 2, 1]
    story.world.request(MON, "set_2026_04_20")
    assert [story.world.revision(day).revision for day in (MON, TUE, WED)] == [1, 2, 1]


def test_what_is_written_off_is_listed_once_with_its_decision(story: Story) -> None:
    rows = story.world.query(
        "select item_id, amount_minor, decisions.actor, resolution, runs.ledger_window from write_offs "
        "inner join decisions using (decision_id) inner join runs on write_offs.run_id = runs.run_id order by 1"
    )
    assert [(row["item_id"], row["amount_minor"]) for row in rows] == [
        ("L3", 300),
        ("L8", 800),
        ("LA", 40),
        ("T0", 50),
        ("T1", 500),
        ("T6", 100),
    ]
    assert {(row["actor"], row["resolution"], row["ledger_window"].isoformat()) for row in rows} == {
        ("bob", "written_off", TUE)
    }


def test_conservation_counts_it_as_accounted_in_the_run_that_wrote_it_off(story: Story) -> None:
    rows = story.world.query(
        "select side, accounted, accounted_minor, rows_unexplained from conservation "
        f" where ledger_window = date '{TUE}' and side <> 'callback' and currency = 'USD'"
    )
    assert {row["side"]: (row["accounted"], row["accounted_minor"], row["rows_unexplained"]) for row in rows} == {
        "ledger": (3, 650, 0),
        "settlement": (3, 1140, 0),
    }


def test_it_is_open_no_more(story: Story) -> None:
    rows = story.world.query(f"select distinct item_id from open_items where ledger_window >= date '{TUE}' order by 1")
    assert [row["item_id"] for row in rows] == ["L1", "LB", "T2", "T3", "T4", "T9", "TB"]


@pytest.mark.parametrize(
    ("subject", "exception_type"),
    [
        ("T1", "unmatched_ledger_entry"),
        ("T6", "duplicate_ledger_posting"),
        ("L3", "unmatched_provider_row"),
        ("L8", "failed_settlement"),
        ("LA", "unmatched_provider_row"),
        ("L7", "amount_mismatch"),
    ],
)
def test_its_exception_stays_written_off(story: Story, subject: str, exception_type: str) -> None:
    assert (exception_type, "resolved", "written_off") in exceptions_of(story.world, subject)
    assert len([name for name, *_ in exceptions_of(story.world, subject) if name == exception_type]) == 1


def test_a_counterpart_that_comes_later_is_an_exception_of_its_own(story: Story) -> None:
    assert exceptions_of(story.world, "L1") == [("unmatched_provider_row", "open", None)]
    assert exceptions_of(story.world, "T3") == [("unmatched_ledger_entry", "open", None)]


def test_a_batch_with_a_line_that_was_written_off_does_not_match_as_a_whole(story: Story) -> None:
    assert exceptions_of(story.world, "TB") == [("unmatched_ledger_entry", "open", None)]
    assert exceptions_of(story.world, "LB") == [("unmatched_provider_row", "open", None)]


def test_a_line_written_off_that_is_delivered_again_is_a_repeat(story: Story) -> None:
    (row,) = story.world.query(
        "select duplicates from conservation "
        f"where ledger_window = date '{WED}' and side = 'settlement' and currency = 'USD'"
    )
    assert row["duplicates"] == 1


def test_a_callback_about_it_is_no_orphan_and_is_waited_for_no_more(story: Story) -> None:
    assert exceptions_of(story.world, "C0") == exceptions_of(story.world, "C1") == []
    rows = story.world.query(
        "select ledger_window, in_transit, accounted from conservation "
        f"where side = 'callback' and currency = 'USD' and ledger_window >= date '{WED}' order by 1"
    )
    assert [(row["ledger_window"].isoformat(), row["in_transit"], row["accounted"]) for row in rows] == [(WED, 0, 2)]
    alone = "provider_event_id in ('C0', 'C1') and transaction_id is null and line_id is null"
    assert story.world.query(f"select * from three_way where {alone}") == []


def test_a_write_off_taken_back_leaves_the_item_open_and_a_later_run_matches_it(story: Story) -> None:
    assert "exact_reference one_to_one exact: L2 = T2, 700 USD" in story.said[WED]
    assert exceptions_of(story.world, "T2") == [("unmatched_ledger_entry", "resolved", "matched_late")]


def test_a_write_off_cannot_be_taken_back_once_a_later_run_rests_on_it(story: Story) -> None:
    (row,) = story.world.query("select exception_id from exceptions where subject_id = 'T1'")
    with pytest.raises(RefusedError, match="was reconciled on top of it: it cannot be reopened"):
        deciding.decide(
            story.world.tenant,
            DecisionRequest(row["exception_id"], "reopen", "ann", reason="it came"),
            NOW,
        )


def test_what_a_person_resolved_stays_so_though_a_later_run_matches_the_item(story: Story) -> None:
    assert "exact_reference one_to_one exact: L9 = T9, 900 USD" in story.said[WED]
    assert exceptions_of(story.world, "T9") == [("unmatched_ledger_entry", "resolved", "accepted_timing")]
    (row,) = story.world.query("select explanation from exceptions where subject_id = 'T9'")
    assert "matched late" not in row["explanation"]


def test_an_assigned_owner_is_still_the_owner_when_the_system_resolves(story: Story) -> None:
    (row,) = story.world.query("select * from exceptions where subject_id = 'T4'")
    assert (row["status"], row["resolution"], row["owner"]) == ("resolved", "matched_late", "treasury")


def test_what_the_system_resolved_is_not_for_operators_to_resolve(story: Story) -> None:
    (row,) = story.world.query("select exception_id from exceptions where subject_id = 'T4'")
    with pytest.raises(RefusedError, match="resolved by the system"):
        deciding.decide(story.world.tenant, DecisionRequest(row["exception_id"], "reopen", "ann", reason="no"), NOW)


def test_the_manifest_holds_what_was_decided(story: Story) -> None:
    reported = story.world.revision(TUE).manifest["decisions"]
    assert sorted(write_off["item_id"] for write_off in reported["write_offs"]) == ["L3", "L8", "LA", "T0", "T1", "T6"]
    assert {state["resolution"] for state in reported["states"]} == {None, "accepted_timing", "written_off"}
    assert story.world.revision(MON).manifest["decisions"] == {"states": [], "write_offs": [], "matches": []}
