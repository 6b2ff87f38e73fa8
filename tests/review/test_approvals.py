"""Whoever approves sees what: both sides, the difference, the lines of the statement that change, the policy's limit.

A Monday with a movement that is never settled, a line that is never posted, a match that is off, and a pair that
operators match against the amounts; all wait for approval.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.rows import MON, TUE, call, post, settle
from tests.scenarios.test_write_offs import decide
from tests.scenarios.world import TENANT, World
from zentra_pipeline import cli
from zentra_pipeline.decisions import policy
from zentra_pipeline.review import approvals
from zentra_pipeline.store import decisions as decision_store


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("approvals"), {"amount_date_rule": "off", "settlement_lag_days": 0})
    made.add(
        *(post("T0", "R0", 50), call("C0", "R0", 50), settle("L3", "R3", 300)),
        *(post("T7", "R7", 1000), settle("L7", "R7", 997), call("C7", "R7", 997)),
        *(post("T9", "R9", 900), settle("L9", "RX", 800)),
    )
    made.make(MON)
    made.run(TUE)
    (made.paths.root / "policy.yml").write_text("limits:\n  approver: {USD: 49}\n  admin: {'*': 400}\n")
    for subject in ("T0", "L3", "L7"):
        decide(made, subject, "write_off", "ann", reason="not worth a letter")
    decide(made, "T9", "match", "ann", reason="one order", settlement_lines=["L9"], ledger_transactions=["T9"])
    return made


def waiting(world: World) -> dict[str, dict[str, Any]]:
    rows = world.query("select * from exceptions where status = 'pending_approval'")
    with world.tenant.reading() as connection:
        log = decision_store.listed(connection)
        found = approvals.pending(connection, world.paths, policy.load_policy(world.paths), rows, log)
    return {row["subject_id"]: found[row["exception_id"]] for row in rows}


def lines(content: dict[str, Any]) -> list[str]:
    return [
        f"{line['table']} {line['side']} {line['line']}: {line['before_minor']} → {line['after_minor']}"
        for line in content["statement"]
    ]


def sides(content: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
    return {
        side: [(item["item_id"], item["amount_minor"]) for item in content[side]["items"]]
        for side in ("settlement", "ledger", "callback")
    }


def test_a_write_off_shows_its_item_and_the_lines_it_changes(world: World) -> None:
    found = waiting(world)
    movement, line = found["T0"], found["L3"]
    assert sides(movement) == {"settlement": [], "ledger": [("T0", 50)], "callback": []}
    assert (movement["difference_minor"], line["difference_minor"]) == (-50, 300)
    assert lines(movement) == [
        "rollforward ledger written_off_minor: 0 → 50",
        "rollforward ledger closing_minor: 950 → 900",
        "conservation ledger excepted_minor: 950 → 900",
        "conservation ledger accounted_minor: 0 → 50",
    ]
    assert lines(line) == [
        "conservation settlement excepted_minor: 1100 → 800",
        "conservation settlement accounted_minor: 0 → 300",
    ]
    assert movement["run"]["ledger_window"] == TUE  # the newest run that carries it
    assert (movement["proposed_by"], movement["reason"]) == ("ann", "not worth a letter")


def test_a_match_that_is_off_shows_the_legs_and_changes_no_line(world: World) -> None:
    content = waiting(world)["L7"]
    assert sides(content) == {"settlement": [("L7", 997)], "ledger": [("T7", 1000)], "callback": [("C7", 997)]}
    assert (content["difference_minor"], content["statement"]) == (-3, [])


def test_a_match_against_the_amounts_shows_both_sides_and_what_it_settles(world: World) -> None:
    content = waiting(world)["T9"]
    assert sides(content) == {"settlement": [("L9", 800)], "ledger": [("T9", 900)], "callback": []}
    assert (content["method"], content["difference_minor"]) == ("forced", -100)
    assert lines(content)[:2] == [
        "rollforward ledger settled_minor: 0 → 900",
        "rollforward ledger closing_minor: 950 → 50",
    ]
    assert content["policy"]["rule"] == "second_person.forced"
    assert content["policy"]["amount_minor"] == 100


def test_the_limit_of_each_role_is_beside_the_amount(world: World) -> None:
    assert waiting(world)["T0"]["policy"] == {
        "rule": "second_person.written_off",
        "digest": policy.load_policy(world.paths).digest(),
        "amount_minor": 50,
        "limits": [
            {"role": "approver", "limit_minor": 49, "may_approve": False},
            {"role": "admin", "limit_minor": 400, "may_approve": True},
        ],
    }


def shown(world: World, capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> str:
    capsysbinary.readouterr()
    assert cli.invoke(["exceptions", *arguments, "--tenant", TENANT, "--home", str(world.home.root)]) == 0
    return capsysbinary.readouterr()[0].decode()


def test_the_command_line_shows_the_same_before_and_after(
    world: World, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    (row,) = world.query("select exception_id from exceptions where subject_id = 'T0'")
    content = json.loads(json.dumps(waiting(world)["T0"]))
    listed = json.loads(shown(world, capsysbinary, "list", "--pending", "--json"))["items"]
    assert len(listed) == 4
    assert [item["pending_approval"] for item in listed if item["subject_id"] == "T0"] == [content]
    one = json.loads(shown(world, capsysbinary, "show", row["exception_id"], "--json"))
    assert one["pending_approval"] == content
    text = shown(world, capsysbinary, "show", row["exception_id"])
    for line in (
        "  T0  0.50 USD, reference R0, window 2026-04-20",
        "difference   -0.50 USD (settlement less ledger)",
        "statement    roll-forward, less written off: 0.00 USD → 0.50 USD",
        "approver: up to 0.49 USD, so not this one",
    ):
        assert line in text
        assert line in shown(world, capsysbinary, "list", "--pending")

    decide(world, "T0", "approve", "bob")
    approved = json.loads(shown(world, capsysbinary, "show", row["exception_id"], "--json"))
    assert approved["pending_approval"] is None
    assert [decision["approval"]["statement"] for decision in approved["decisions"]] == [content["statement"]] * 2
    # What was shown is what came of it.
    (rolled,) = world.query(f"select * from rollforward where ledger_window = date '{TUE}'")
    for changed in content["statement"][:2]:
        assert rolled[changed["line"]] == changed["after_minor"]
