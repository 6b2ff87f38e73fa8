"""Runs as a calendar and one by one, a payment's history, and a closeout by two people from blockers to the zip."""

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openpyxl import load_workbook

from tests.api.conftest import Books
from tests.console.conftest import HOSTILE
from tests.console.test_sign_in_and_approvals import rows
from tests.console.visitor import Visitor
from zentra_pipeline import money
from zentra_pipeline.closeout.verify import verify
from zentra_pipeline.store import requests as request_store

Visit = Callable[..., Visitor]


def run_of(books: Books, provider: str, window: str, tenant: str = "acme") -> str:
    sql = f"select run_id from runs where provider = '{provider}' and ledger_window = '{window}'"
    (row,) = rows(books, sql, tenant)
    return str(row["run_id"])


def test_a_month_shows_every_providers_windows_and_their_states(visit: Visit, books: Books) -> None:
    analyst = visit("analyst")
    page = analyst.open("/console/runs")
    assert "Runs of 2026-04" in page.text
    labels = [str(each) for each in page.tree.xpath("//table[contains(@class, 'calendar')]//@aria-label")]
    assert {"many, 2026-04-21: open", "rail_primary, 2026-04-20: open"} <= set(labels)
    flows = rows(
        books,
        "select cast(sum(posted_minor) as bigint) as posted, currency from rollforward join runs using (run_id) "
        "where runs.provider = 'rail_primary' and currency = 'USD' group by currency",
    )
    assert money.amount_text(flows[0]["posted"], "USD") in page.of("amount")
    assert "The month is closed when all are sealed." in page.text
    titles = [str(each) for each in page.tree.xpath("//span/@title")]
    assert "rail_primary, 2026-04-16: missing" in titles
    assert "No run in this month." in analyst.open("/console/runs?month=2031-01").text
    wrong = analyst.open("/console/runs?month=yesterday")
    assert (wrong.status, "yesterday is not a month: write it as 2026-04." in wrong.text) == (422, True)
    assert "`" not in wrong.text, "what to do about a body is nothing for a page"


def test_a_run_shows_its_spine_statement_and_where_every_row_went(visit: Visit, books: Books) -> None:
    path = f"/console/runs/{run_of(books, 'rail_primary', '2026-04-15')}"
    page = visit("analyst").open(path)
    spine = page.of("spine")[0]
    for step in ("Ingest", "Match", "Compare", "Own", "Close"):
        assert step in spine
    for said in ("Brought forward", "unexplained", "Lines matched", "Who owns what", "in review"):
        assert said in page.text
    assert page.buttons == []
    asked = visit("operator").open(path).press("Run it again")
    assert asked.of("good") == ["Asked for. The run is made as soon as the worker gets to it."]
    assert "operator_acme asked for it: it waits for its turn." in asked.text
    waiting = asked.visitor.client.get(path, headers={"HX-Request": "true", "HX-Trigger": "progress"})
    assert (waiting.status_code, 'id="progress"' in waiting.text) == (200, True)
    with books.tenant("acme").writing() as connection:
        request_store.finish(connection, run_of(books, "rail_primary", "2026-04-15"), datetime.now(UTC))
    made = asked.visitor.client.get(path, headers={"HX-Request": "true", "HX-Trigger": "progress"})
    assert (made.status_code, made.headers["hx-refresh"]) == (204, "true")
    workbook = visit("analyst").client.get(f"{path}/workbook")
    assert workbook.headers["content-disposition"] == 'attachment; filename="rail_primary-2026-04-15.xlsx"'
    assert "Matches" in load_workbook(io.BytesIO(workbook.content)).sheetnames
    assert not list(books.paths("acme").scratch.glob("download-*"))


def test_a_payments_history_is_a_page_and_an_unknown_one_says_so(visit: Visit) -> None:
    analyst = visit("analyst")
    page = analyst.open("/console/exceptions").press("Find", reference="pay_02")
    assert page.status == 200
    assert "pay_02" in page.text
    assert {"ledger", "settlement", "callback"} <= set(page.of("badge"))
    hostile = analyst.open("/console/exceptions").press("Find", reference=HOSTILE[0])
    assert hostile.status == 200
    assert not hostile.tree.xpath("//main//script")
    unknown = analyst.open("/console/exceptions").press("Find", reference="<img src=x>")
    assert (unknown.status, "nothing has the provider reference" in unknown.text) == (404, True)
    assert not unknown.tree.xpath("//main//img")
    for wrong in ("", "?reference=", "?reference=%00", "?reference=" + "x" * 5_000):
        assert analyst.open(f"/console/payments{wrong}").status == 422


def test_a_closeout_goes_from_blockers_to_a_seal_by_two_people(visit: Visit, books: Books, tmp_path: Path) -> None:
    run_id = run_of(books, "rail_primary", "2026-04-26", "globex")
    path = f"/console/runs/{run_id}/closeout"
    operator, approver = visit("operator", "globex"), visit("approver", "globex")
    page = operator.open(path)
    for said in ("1 blocker", "unmatched_provider_row", "What would be sealed", "Why evidence is incomplete"):
        assert said in page.text, said
    assert "Prepare" not in page.buttons
    word = operator.csrf
    assert operator.send(path, {"csrf": word, "action": "prepare"}).status == 409
    (decide,) = [link for link in page.links() if "/exceptions/exc_" in link]
    operator.open(decide).press("Resolve", resolution="adjustment_required", reason="posted by hand tomorrow")
    assert operator.open(path).press("Prepare").of("good") == ["Prepared. A second person has to approve it."]
    assert "an approver or admin approves a closeout" in operator.open(path).text
    assert operator.send(path, {"csrf": word, "action": "approve"}).status == 403
    seen = approver.open("/console/approvals")
    assert "Closeout of rail_primary, 2026-04-26" in seen.text
    assert approver.send(path, {"csrf": approver.csrf, "action": "approve", "seen": "another"}).status == 409
    assert seen.press("Approve and seal").of("good") == ["Approved and sealed."]
    for stale in ("another", "clo_1 2026-05-01T00:00:00.000000Z", ""):  # what is sealed is not what was looked at
        again = approver.send(path, {"csrf": approver.csrf, "action": "approve", "seen": stale})
        assert again.status == 409, stale
    checked = approver.open(f"{path}?check=yes")
    assert "Every check holds." in checked.text
    assert "prepared by operator_globex, approved by approver_globex" in checked.text
    packed = approver.client.get(f"{path}/1/bundle")
    assert packed.headers["content-disposition"] == 'attachment; filename="rail_primary-2026-04-26-r1.zip"'
    assert packed.content == approver.client.get(f"{path}/1/bundle").content
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        archive.extractall(tmp_path)
    assert verify(tmp_path / "rail_primary-2026-04-26-r1", books.home.trust).holds
    report = approver.client.get(f"{path}/1/report")
    assert report.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert report.headers["x-content-type-options"] == "nosniff"
    assert approver.client.get(f"{path}/2/report").status_code == 404


def test_another_tenants_run_is_none_and_a_readers_forms_are_refused(visit: Visit, books: Books) -> None:
    acme, analyst = visit("admin"), visit("analyst", "globex")
    path = f"/console/runs/{run_of(books, 'rail_primary', '2026-04-26', 'globex')}"
    for part in ("", "/closeout", "/closeout/1/bundle", "/closeout/1/report", "/workbook"):
        assert acme.open(path + part).status == 404, part
    for part, fields in (("/again", {}), ("/closeout", {"action": "prepare"})):
        assert acme.send(path + part, {"csrf": acme.csrf, **fields}).status == 404, part
        assert analyst.send(path + part, {"csrf": analyst.csrf, **fields}).status == 403, part


def test_a_run_leads_to_its_dagster_runs_where_it_is_said_where_they_are(
    visit: Visit, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = rows(books, "select run_id from runs where provider = 'rail_primary'")[0]["run_id"]
    assert "In Dagster" not in visit("analyst").open(f"/console/runs/{run_id}").text
    monkeypatch.setenv("ZENTRA_DAGSTER_URL", "https://dagster.example.com")
    links = visit("analyst").open(f"/console/runs/{run_id}").links()
    assert f"https://dagster.example.com/runs?q%5B0%5D=tag%3Azentra%2Frun_id%3D{run_id}" in links


def test_a_window_without_a_file_is_asked_for_from_the_page_of_its_month(visit: Visit, books: Books) -> None:
    operator, path = visit("operator", "globex"), "/console/periods/2026-04"
    fields = {"csrf": operator.csrf, "provider": "rail_primary", "ledger_window": "2026-04-29", "owner": "ops"}
    fields["settlement_file"] = "set_2026_04_29"
    assert operator.send(f"{path}/run", fields).status == 422, "the file was never ingested"
    for name, wrong in (("owner", ""), ("ledger_window", "2026-02-30"), ("settlement_file", "../x"), ("provider", "?")):
        assert operator.send(f"{path}/run", {**fields, name: wrong}).status == 422, name
    asked = operator.send(f"{path}/run", {**fields, "no_settlement": "yes"})
    assert (asked.status, asked.of("good")) == (200, ["Asked for. The run is made as soon as the worker gets to it."])
    (file,) = rows(books, "select rows, received_by from files where settlement_file = 'set_2026_04_29'", "globex")
    assert file == {"rows": 0, "received_by": "operator_globex"}
    analyst = visit("analyst", "globex")
    assert analyst.send(f"{path}/run", {**fields, "csrf": analyst.csrf, "no_settlement": "yes"}).status == 403
