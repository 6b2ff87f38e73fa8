"""What surfaces show beside runs and exceptions: who asks, the statement, open items, history, calendar, workbook."""

import io

import pytest
from openpyxl import load_workbook

from tests.api.conftest import ROLES, Api
from zentra_pipeline.api.paging import cursor
from zentra_pipeline.published import lake


def test_a_token_says_for_whom_it_acts_and_what_it_may(api: Api) -> None:
    for role in ROLES:
        found = api.as_(role).get("/whoami").json()
        assert (found["tenant"], found["actor"], found["role"]) == ("acme", f"{role}_acme", role)
    assert api.as_("analyst").get("/whoami").json()["decisions"] == []
    assert "approve" in api.as_("approver").get("/whoami").json()["may"]
    assert api.get("/whoami").status_code == 401


def test_the_statement_conservation_and_open_items_of_a_run_are_the_published_rows(api: Api) -> None:
    analyst = api.as_("analyst")
    run_id = analyst.items("/reconciliation/runs")[1]["id"]
    for part, table in (("rollforward",) * 2, ("conservation",) * 2, ("open-items", "open_items")):
        found = analyst.items(f"/reconciliation/runs/{run_id}/{part}", limit=2)
        (count,) = lake.query(api.books.paths("acme"), f"select count(*) from {table} where run_id = ?", [run_id]).rows
        assert len(found) == count[0] > 0, part
        assert all(row["run_id"] == run_id for row in found)
        assert api.as_("admin", "globex").get(f"/reconciliation/runs/{run_id}/{part}").status_code == 404


def test_a_payments_history_and_a_calendar_over_http(api: Api) -> None:
    analyst = api.as_("analyst")
    history = analyst.get("/reconciliation/payments", reference="pay_02").json()
    assert history["providers"] == ["rail_primary"]
    assert {"ledger", "settlement", "callback"} <= {entry["kind"] for entry in history["entries"]}
    assert analyst.get("/reconciliation/payments", reference="nothing").status_code == 404
    assert analyst.get("/reconciliation/payments", reference="a\0b").status_code == 422
    days = {"provider": "rail_primary", "from": "2026-04-15", "to": "2026-04-17"}
    found = analyst.get("/reconciliation/calendar", **days).json()["items"]
    assert [(item["ledger_window"], item["state"] == "missing") for item in found] == [
        ("2026-04-15", False),
        ("2026-04-16", True),
        ("2026-04-17", True),
    ]
    assert len(analyst.get("/reconciliation/calendar", provider="rail_primary").json()["items"]) == 4
    assert analyst.get("/reconciliation/calendar", provider="nobody").json() == {"items": []}
    for wrong in ({"from": "2026-04-17", "to": "2026-04-15"}, {"from": "2020-01-01"}, {"from": "2026-02-30"}):
        assert analyst.get("/reconciliation/calendar", provider="rail_primary", **wrong).status_code == 422, wrong


def test_a_runs_workbook_is_a_file_and_a_run_without_seal_has_no_bundle(api: Api) -> None:
    analyst = api.as_("analyst")
    run_id = analyst.items("/reconciliation/runs")[0]["id"]
    answer = analyst.get(f"/reconciliation/runs/{run_id}/workbook")
    assert answer.headers["content-disposition"] == 'attachment; filename="rail_primary-2026-04-15.xlsx"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Matches" in load_workbook(io.BytesIO(answer.content)).sheetnames
    for part in ("bundle", "report"):
        assert analyst.get(f"/reconciliation/runs/{run_id}/closeout/1/{part}").status_code == 404


@pytest.mark.on_postgresql
def test_what_no_page_and_no_database_can_hold_is_refused(api: Api) -> None:
    """Each was once a fault of the server, or answered otherwise: the ids and the reason on PostgreSQL."""
    analyst, operator = api.as_("analyst"), api.as_("operator")
    run = analyst.items("/reconciliation/runs")[0]
    for table in ("three-way", "evidence"):
        path = f"/reconciliation/runs/{run['id']}/{table}"
        answer = analyst.get(path, after=cursor((run["revision"], 2**63 - 1)))
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid"), table
    for path in (
        f"/reconciliation/exceptions/exc%00/attachments/{'a' * 64}",
        "/reconciliation/periods/2026-01%00/sign-off/1/bundle",
        "/reconciliation/periods/2026-01%00/sign-off/1/report",
    ):
        assert analyst.get(path).status_code == 404, path
    found = analyst.items("/reconciliation/exceptions")[0]["exception_id"]
    path = f"/reconciliation/exceptions/{found}/attachments"
    answer = operator.post(path, content=b"x", media_type="text/plain", name="note.txt", reason="a\0b")
    assert (answer.status_code, answer.json()["errors"][0]["name"]) == (422, "reason")
