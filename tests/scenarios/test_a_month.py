"""A month of two providers is closed window by window, signed off by two people, and again after a late fact.

April has four business days here, Monday 27 to Thursday 30; card_rail has its first window on Tuesday.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Api, Books, Client
from tests.console.visitor import Page, Visitor
from tests.scenarios.rows import NEXT_MON, NEXT_TUE, call, post, settle
from tests.scenarios.world import TENANT, World
from zentra_pipeline import cli
from zentra_pipeline.closeout import merkle, verify
from zentra_pipeline.console.app import create_app
from zentra_pipeline.tenants import access
from zentra_pipeline.upkeep.doctor import examine

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("catalog_as_shipped")]

APRIL = "2026-04"
NOW = datetime(2026, 5, 4, 8, tzinfo=UTC)
PEOPLE = {"operator": "olga", "approver": "anton", "admin": "ada", "analyst": "ines"}


@dataclass
class Story:
    """What each step of the month left, by the step's name."""

    world: World
    api: Api
    visitors: dict[str, Visitor]
    left: dict[str, Any] = field(default_factory=dict)

    def as_(self, role: str) -> Api:
        return self.api.as_(role, TENANT)

    def month(self) -> Any:
        return self.as_("analyst").get(f"/reconciliation/periods/{APRIL}").json()

    def page(self, role: str) -> Page:
        return self.visitors[role].open(f"/console/periods/{APRIL}")

    def step(self, role: str, action: str, what: str = "sign-off", **given: Any) -> Any:
        return self.as_(role).post(f"/reconciliation/periods/{APRIL}/{what}", {"action": action, **given})


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The month from its first run to its second sign-off."""
    world = World(tmp_path_factory.mktemp("month"))
    days = ", ".join(f'"2026-04-{day:02}"' for day in range(1, 27))
    world.paths.calendar.write_text(f"holidays: [{days}]\n", encoding="utf-8")
    world.add(settle("L1", "R1", 500, on=NEXT_MON), post("T1", "R1", 500, on=NEXT_MON))
    world.add(call("E1", "R1", 500, on=NEXT_MON), post("T2", "R2", 700, on=NEXT_MON))
    world.make(NEXT_MON)
    world.add(settle("L2", "R2", 700, on=NEXT_TUE), call("E2", "R2", 700, on=NEXT_TUE))
    world.make(NEXT_TUE)
    card = world.beside("card_rail")
    (world.paths.providers / "card_rail.yml").write_text("expects_callbacks: false\n", encoding="utf-8")
    card.add(settle("C1", "K1", 300, on=NEXT_TUE), post("U1", "K1", 300, on=NEXT_TUE, provider="card_rail"))
    card.add(post("U2", "K2", 90, on=NEXT_TUE, provider="card_rail"))
    card.make(NEXT_TUE)
    tokens = {
        (TENANT, role): access.create_token(world.home, tenant=TENANT, actor=actor, role=role, now=NOW)[0]
        for role, actor in PEOPLE.items()
    }
    app = create_app(world.home, now=lambda: NOW)
    visitors = {role: Visitor(app) for role in PEOPLE}
    for role, visitor in visitors.items():
        visitor.sign_in(tokens[TENANT, role])
    client = Client(app)
    made = Story(world, Api(client, Books(world.home, tokens)), visitors)
    _close_and_sign(made)
    _come_late(made, card)
    yield made
    client.close()


def _close_and_sign(story: Story) -> None:
    left = story.left
    left["open"], left["too soon"] = story.month(), story.step("operator", "prepare")
    page = story.page("operator")
    left["open page"] = page.text
    left["prepared"] = page.press("Prepare the ticked", no_activity="yes")
    left["own windows"] = story.step("operator", "approve", "windows")
    left["windows page"] = story.page("analyst").text
    left["sealed"] = story.page("approver").press("Approve and seal the ticked")
    left["ready"] = story.month()
    left["unprepared"] = story.step("approver", "approve")
    left["prepare"] = story.step("admin", "prepare")
    left["again"] = story.step("operator", "prepare")
    left["own"] = story.step("admin", "approve")
    left["approvals"] = story.visitors["approver"].open("/console/approvals")
    left["signed"] = left["approvals"].press("Approve and sign off")
    left["repeated"] = story.step("approver", "approve")
    left["first"] = story.month()
    left["first bundle"] = sorted(_bundle(story, 1).rglob("*"))
    left["first bytes"] = {path.name: path.read_bytes() for path in left["first bundle"] if path.is_file()}


def _come_late(story: Story, card: World) -> None:
    left = story.left
    card.add(post("U3", "K3", 10, on=NEXT_TUE, provider="card_rail"))
    card.deliver()
    left["arrived"], left["arrived page"] = story.month(), story.page("analyst").text
    left["asked"] = story.page("operator").press("Run it again")
    card.make(NEXT_TUE)
    left["reopened"], left["reopened page"] = story.month(), story.page("approver").text
    left["blocked"] = story.step("operator", "prepare")
    assert story.step("admin", "prepare", "windows").json()["items"][0]["status"] == "prepared"
    left["own window"] = story.step("admin", "approve", "windows").json()["items"]
    (waiting,) = [each for each in story.as_("analyst").items("/reconciliation/approvals") if each["closeout"]]
    seen = {waiting["id"]: waiting["closeout"]["prepared_at"]}
    left["stale window"] = story.step("approver", "approve", "windows", seen={waiting["id"]: "2026-05-01"})
    left["other window"] = story.step("approver", "approve", "windows", seen={"clo_1": "2026-05-01"})
    left["seen to prepare"] = story.step("admin", "prepare", "windows", seen=seen)
    assert story.step("approver", "approve", "windows", seen=seen).json()["items"][0]["status"] == "sealed"
    left["changed"] = story.month()
    left["warned"] = verify.verify(story.world.paths.closeouts, story.world.home.trust)
    left["second"] = story.step("operator", "prepare")
    why = left["second"].json()["reason"]
    left["reasons"] = [story.step("operator", "prepare", reason=each).json() for each in ("told by phone", why, why)]
    (left["waits"],) = story.as_("analyst").items("/reconciliation/approvals")
    seen = {left["waits"]["id"]: left["waits"]["sign_off"]["prepared_at"]}
    left["stale"] = story.step("approver", "approve", seen={left["waits"]["id"]: "2026-05-01T00:00:00Z"})
    left["signed again"] = story.step("approver", "approve", seen=seen)
    left["last"] = story.month()


def _bundle(story: Story, revision: int) -> Path:
    return story.world.paths.closeouts / f"period_{APRIL}" / f"r{revision}"


def amounts(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        row[name]
        for name in (
            *("currency", "windows", "opening_minor", "posted_minor", "settled_minor", "written_off_minor"),
            *("between_minor", "closing_minor"),
        )
    )


def test_a_month_with_windows_left_is_not_signed_off_and_each_is_named(story: Story) -> None:
    month, refused = story.left["open"], story.left["too soon"]
    assert (month["state"], month["windows"]) == ("open", {"missing": 4, "open": 3})
    wanted = [
        ("missing_window", "card_rail 2026-04-29"),
        ("missing_window", "card_rail 2026-04-30"),
        ("missing_window", "rail_primary 2026-04-29"),
        ("missing_window", "rail_primary 2026-04-30"),
        ("open_window", "card_rail 2026-04-28"),
        ("open_window", "rail_primary 2026-04-27"),
        ("open_window", "rail_primary 2026-04-28"),
    ]
    assert sorted((each["kind"], each["subject"]) for each in month["blockers"]) == wanted
    assert (refused.status_code, len(refused.json()["blockers"])) == (409, 7)
    assert "card_rail 2026-04-29 has no run and is not closed" in story.left["open page"]


def test_windows_are_closed_together_by_two_people(story: Story) -> None:
    assert story.left["prepared"].of("good") == ["Prepared. A second person has to approve it."]
    assert story.left["own windows"].status_code == 403
    assert "prepared by olga, without activity" in story.left["windows page"]
    assert story.left["sealed"].of("good") == ["Approved and sealed."]
    assert (story.left["ready"]["windows"], story.left["ready"]["blockers"]) == ({"sealed": 7}, [])


def test_whoever_prepared_a_window_of_a_month_does_not_approve_it(story: Story) -> None:
    (refused,) = story.left["own window"]
    assert (refused["status"], "ada prepared the closeout" in refused["detail"]) == ("refused", True)
    closed = story.world.query("select distinct prepared_by, approved_by from closeouts order by all")
    assert [tuple(row.values()) for row in closed] == [("ada", "anton"), ("olga", "anton")]


def test_what_was_looked_at_is_what_is_approved_over_http(story: Story) -> None:
    left = story.left
    (stale,) = left["stale window"].json()["items"]
    assert (stale["status"], stale["detail"]) == ("refused", "it was prepared again since you looked")
    other = left["other window"]
    assert (other.status_code, "was never prepared for approval" in other.json()["detail"]) == (422, True)
    assert left["seen to prepare"].status_code == 422
    assert (left["waits"]["kind"], left["waits"]["sign_off"]["period"]) == ("sign_off", APRIL)
    assert left["waits"]["sign_off"]["totals"]["windows"] == 7
    assert (left["stale"].status_code, "prepared again since you looked" in left["stale"].text) == (409, True)
    assert left["signed again"].status_code == 200


def test_a_month_is_signed_off_by_two_people(story: Story) -> None:
    left = story.left
    assert left["unprepared"].status_code == 409
    assert left["prepare"].json()["is_new"]
    assert (left["again"].json()["is_new"], left["again"].json()["prepared_by"]) == (False, "ada")
    assert (left["own"].status_code, left["own"].json()["type"]) == (403, "/problems/refused")
    assert "Sign-off of 2026-04" in left["approvals"].text
    assert left["signed"].of("good") == ["Approved and sealed."]
    assert (left["repeated"].status_code, left["repeated"].json()["is_new"]) == (200, False)
    assert left["first"]["state"] == "signed_off"
    (signed,) = left["first"]["sign_offs"]
    assert (signed["prepared_by"], signed["approved_by"], signed["evidence_rows"]) == ("ada", "anton", 7)


def test_the_totals_of_a_month_are_those_of_its_windows(story: Story) -> None:
    totals = story.left["first"]["totals"]
    assert [(row["provider"], *amounts(row)) for row in totals["providers"]] == [
        ("card_rail", "USD", 1, 0, 390, 300, 0, 0, 90),
        ("rail_primary", "USD", 2, 0, 1200, 1200, 0, 0, 0),
    ]
    assert list(map(amounts, totals["currencies"])) == [("USD", 3, 0, 1590, 1500, 0, 0, 90)]
    assert [amounts(row) for row in story.left["last"]["totals"]["currencies"]] == [
        ("USD", 3, 0, 1600, 1500, 0, 0, 100)
    ]


def test_a_bundle_cites_the_closeout_root_and_seal_of_each_window(story: Story) -> None:
    lines = (_bundle(story, 1) / "files" / "windows.jsonl").read_bytes().splitlines()
    cited = [json.loads(line) for line in lines]
    sealed = {
        each["closeout_id"]: each
        for each in story.world.query("select * from closeouts where revision = 1 order by closeout_id")
    }
    assert len(cited) == 7
    for window in cited:
        row = sealed[window["closeout_id"]]
        assert (window["evidence_root"], window["seal_digest"]) == (row["evidence_root"], row["seal_digest"])
    root = merkle.root([merkle.leaf_hash(line) for line in lines])
    assert story.left["first"]["sign_off"]["evidence_root"] == root
    heads = json.loads((_bundle(story, 1) / "files" / "heads.json").read_bytes())["heads"]
    assert [(head["provider"], head["sequence"]) for head in heads] == [("card_rail", 3), ("rail_primary", 4)]


def test_a_file_that_comes_after_the_sign_off_is_named_before_any_run_reads_it(story: Story) -> None:
    assert story.left["first"]["blockers"] == []
    arrived = story.left["arrived"]
    assert (arrived["state"], arrived["changes"]) == ("signed_off", [])
    assert [each["kind"] for each in arrived["blockers"]] == ["newer_facts"]
    assert "of card_rail arrived, and no run has read it" in arrived["blockers"][0]["explanation"]
    assert "What came since, and is in no window" in story.left["arrived page"]
    assert "Nothing has changed since" not in story.left["arrived page"]
    assert "Run it again" not in story.left["arrived page"], "an analyst asks for nothing"
    assert story.left["asked"].of("good") == ["Asked for. The run is made as soon as the worker gets to it."]


def test_a_late_fact_after_the_sign_off_is_shown_and_signed_as_a_change(story: Story) -> None:
    reopened, changed, last = (story.left[name] for name in ("reopened", "changed", "last"))
    assert (reopened["state"], [c["what"] for c in reopened["changes"]]) == ("reopened", ["reopened"])
    assert "1 window changed since anton signed it off" in story.left["reopened page"]
    assert "changed, and not sealed yet" in story.left["reopened page"]
    assert story.left["blocked"].status_code == 409
    (change,) = changed["changes"]
    assert (change["what"], change["provider"], change["ledger_window"]) == ("amended", "card_rail", NEXT_TUE)
    assert story.left["second"].json()["reason"] == "card_rail 2026-04-28 amended"
    reasons = [(each["reason"], each["is_new"]) for each in story.left["reasons"]]
    why = "card_rail 2026-04-28 amended"
    assert reasons == [("told by phone", True), (why, True), (why, False)], "the first reason was kept without a word"
    assert last["state"] == "signed_off"
    assert [(each["revision"], each["status"]) for each in last["sign_offs"]] == [(1, "amended"), (2, "sealed")]
    assert last["sign_offs"][1]["amends"] == last["sign_offs"][0]["closeout_id"]
    (row,) = map(json.loads, (_bundle(story, 2) / "files" / "changes.jsonl").read_bytes().splitlines())
    assert (row["before"], row["after"]) == (change["before"], change["after"])
    now = {path.name: path.read_bytes() for path in story.left["first bundle"] if path.is_file()}
    assert now == story.left["first bytes"], "a sealed byte changed"


def test_a_window_amended_after_the_sign_off_is_warned_of_until_the_month_is_signed_again(story: Story) -> None:
    warned = story.left["warned"]
    assert warned.holds
    (warning,) = warned.warnings
    assert f"period_{APRIL}/r1: card_rail {NEXT_TUE} was amended after its month was signed off" in warning
    assert "is revision 2, and the sign-off cites 1" in warning
    assert verify.verify(story.world.paths.closeouts, story.world.home.trust).warnings == ()


def test_sign_offs_verify_offline_with_the_windows_they_cite(story: Story) -> None:
    trust = story.world.home.trust
    checked = verify.verify(story.world.paths.closeouts, trust)
    assert [found for found in checked.findings if not found.holds] == []
    assert {found.check for found in checked.findings} >= {"cited_windows", "month_changes", "heads", "changes"}
    assert any(found.detail == "14 windows cited by 2 sign-offs, each as it is sealed" for found in checked.findings)
    head = story.world.paths.heads / "_periods.json"
    assert verify.verify(_bundle(story, 2), trust, head).holds
    assert verify.verify(_bundle(story, 1).parent, trust, head).holds


def test_a_sign_off_that_was_tampered_with_does_not_verify(story: Story, tmp_path: Path) -> None:
    def failing(folder: Path) -> set[str]:
        return {each.check for each in verify.verify(folder, story.world.home.trust).findings if not each.holds}

    whole = tmp_path / "closeouts"
    shutil.copytree(story.world.paths.closeouts, whole)
    windows = whole / f"period_{APRIL}" / "r2" / "files" / "windows.jsonl"
    content = windows.read_bytes()
    windows.write_bytes(content.replace(b'"posted_minor":"400"', b'"posted_minor":"401"'))
    assert failing(whole) >= {"files", "evidence_root", "control_totals"}
    windows.write_bytes(content)
    cited = json.loads(content.splitlines()[0])
    shutil.rmtree(whole / cited["run_id"])
    assert "cited_windows" in failing(whole)


def test_months_are_events_a_table_and_a_command(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    found = [each for each in story.as_("analyst").items("/events") if ".period." in each["type"]]
    assert [each["type"] for each in found] == ["reconciliation.period.completed", "reconciliation.period.amended"]
    assert [change["what"] for change in found[1]["data"]["changes"]] == ["amended"]
    rows = story.world.query("select period, revision, status, windows from period_closeouts order by revision")
    assert [tuple(row.values()) for row in rows] == [(APRIL, 1, "amended", 7), (APRIL, 2, "sealed", 7)]
    where = ["--tenant", TENANT, "--home", str(story.world.home.root)]
    for command, said in (
        (["list"], "signed_off"),
        (["show", APRIL], "revision 2  sealed"),
        (["prepare", APRIL, "--actor", "olga"], "sealed already"),
    ):
        assert cli.invoke(["period", *command, *where]) == 0
        assert said in capsys.readouterr().out
    assert cli.invoke(["period", "show", "2026-13", *where]) == 2
    assert cli.invoke(["period", "prepare", "2026-03", *where]) == 3
    assert "no window of it was run or closed" in capsys.readouterr().err
    assert cli.invoke(["period", "show", APRIL, "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["totals"] == story.left["last"]["totals"]


def test_the_doctor_knows_sign_offs(story: Story) -> None:
    assert [finding for found in examine(story.world.home) for finding in found.findings] == []


def test_a_months_report_and_bundle_are_handed_out_with_safe_headers(story: Story) -> None:
    analyst = story.visitors["analyst"]
    page = analyst.open(f"/console/periods/{APRIL}?check=yes")
    assert "Every check holds." in page.text
    assert page.buttons == []
    assert analyst.open("/console/periods").of("badge") == ["signed off"]
    report = analyst.client.get(f"/console/periods/{APRIL}/sign-off/2/report")
    assert report.headers["content-security-policy"].startswith("sandbox")
    assert "What changed since" in report.text
    answer = story.as_("analyst").get(f"/reconciliation/periods/{APRIL}/sign-off/2/bundle")
    assert answer.headers["content-disposition"] == 'attachment; filename="sign-off-2026-04-r2.zip"'
    for path in ("2026-4", "2026-04/sign-off/3/bundle", "..%2f/sign-off/1/report"):
        assert story.as_("analyst").get(f"/reconciliation/periods/{path}").status_code == 404


def test_the_doctor_sees_that_the_published_chain_of_months_is_another(story: Story) -> None:
    head = story.world.paths.heads / "_periods.json"
    content = head.read_bytes()
    head.write_bytes(content.replace(b'"sequence":2', b'"sequence":3'))
    found = [finding for found in examine(story.world.home) for finding in found.findings]
    assert [(each.check, each.subject) for each in found] == [("heads", "heads/_periods.json")]
    head.write_bytes(content)
