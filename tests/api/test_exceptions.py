"""Exceptions over HTTP: what was read is what is decided on, two operators where policy wants them, and sheets."""

import csv
import io
from typing import Any

import pytest

from tests.api.conftest import Api
from zentra_pipeline.desk.sheets import MOST_BYTES


def opened(api: Api, exception_type: str) -> dict[str, Any]:
    (found,) = api.items("/reconciliation/exceptions", exception_type=exception_type)
    return found


def decide(api: Api, exception_id: str, etag: str | None = None, **decision: Any) -> Any:
    headers = {} if etag is None else {"If-Match": etag}
    return api.post(f"/reconciliation/exceptions/{exception_id}/decisions", decision, headers=headers)


def test_pages_of_any_size_hold_each_exception_once_and_in_order(api: Api) -> None:
    analyst = api.as_("analyst")
    whole = analyst.items("/reconciliation/exceptions")
    assert len(whole) > 8
    assert [(row["due_at"], row["exception_id"]) for row in whole] == sorted(
        (row["due_at"], row["exception_id"]) for row in whole
    )
    for limit in (1, 3, len(whole), 1000):
        assert analyst.items("/reconciliation/exceptions", limit=limit) == whole


def test_filters_leave_the_rest_out(api: Api) -> None:
    analyst = api.as_("analyst")
    run_id = analyst.items("/reconciliation/runs")[1]["id"]
    of_run = analyst.items("/reconciliation/exceptions", run_id=run_id)
    assert {row["run_id"] for row in of_run} == {run_id}
    assert of_run == analyst.items(f"/reconciliation/runs/{run_id}/exceptions")
    assert analyst.items("/reconciliation/exceptions", owner="nobody") == []
    everything = analyst.items("/reconciliation/exceptions")
    by_provider = {run["id"]: run["provider"] for run in analyst.items("/reconciliation/runs")}
    provider = by_provider[everything[0]["run_id"]]
    of_provider = [row for row in everything if by_provider[row["run_id"]] == provider]
    assert analyst.items("/reconciliation/exceptions", provider=provider) == of_provider
    assert analyst.items("/reconciliation/exceptions", provider="nobody") == []
    for column in ("subject_id", "provider_reference"):
        wanted = next(row[column] for row in everything if row[column])
        about = [row for row in everything if wanted in (row["subject_id"], row["provider_reference"])]
        assert analyst.items("/reconciliation/exceptions", reference=wanted) == about
    wrong = analyst.get("/reconciliation/exceptions", exception_type="nonsense")
    assert (wrong.status_code, wrong.json()["errors"][0]["name"]) == (422, "exception_type")


def test_a_name_that_is_not_known_is_answered_with_those_that_are(api: Api) -> None:
    """It was `Extra inputs are not permitted`, which names nothing that would do."""
    operator = api.as_("operator")
    filtered = operator.get("/reconciliation/exceptions", type="fee_variance")
    (found,) = filtered.json()["errors"]
    assert (filtered.status_code, found["in"], found["name"]) == (422, "query", "type")
    known = "run_id, provider, status, exception_type, owner, lane, reference, overdue, as_of, after, limit"
    assert found["reason"] == f"not a known name; use one of {known}"
    decided = decide(operator, "exc_1", action="comment", comment="ours")
    (found,) = decided.json()["errors"]
    assert (decided.status_code, found["in"], found["name"]) == (422, "body", "comment")
    known = "action, reason, owner, resolution, settlement_lines, ledger_transactions"
    assert found["reason"] == f"not a known name; use one of {known}"


@pytest.mark.parametrize("after", ["x", "W10", "WyJhIl0", "WzEsMl0", "bnVsbA", "!!", "é", "WyJcdWQ4MDAiLCJhIl0"])
def test_a_cursor_that_is_none_is_refused(api: Api, after: str) -> None:
    answer = api.as_("analyst").get("/reconciliation/exceptions", after=after)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")


def test_a_decision_on_what_has_changed_is_a_conflict_that_shows_what_it_is_now(api: Api) -> None:
    operator = api.as_("operator")
    found = opened(operator, "fee_variance")["exception_id"]
    seen = operator.get(f"/reconciliation/exceptions/{found}")
    assert seen.json()["version"] == 0
    first = decide(operator, found, seen.headers["etag"], action="assign", owner="treasury")
    assert (first.status_code, first.json()["owner"], first.json()["version"]) == (200, "treasury", 1)
    stale = decide(operator, found, seen.headers["etag"], action="assign", owner="controlling")
    assert (stale.status_code, stale.json()["type"]) == (409, "/problems/outdated")
    assert stale.json()["current"]["owner"] == "treasury"
    now = operator.get(f"/reconciliation/exceptions/{found}")
    assert now.headers["etag"] == first.headers["etag"]
    either = f'"another", {now.headers["etag"]}'
    assert decide(operator, found, either, action="investigate").status_code == 200


def test_a_write_off_needs_a_second_person(api: Api) -> None:
    approver = api.as_("approver")
    found = opened(approver, "control_total_mismatch")["exception_id"]
    proposed = decide(approver, found, action="write_off", reason="38 cents")
    assert (proposed.status_code, proposed.json()["status"]) == (200, "pending_approval")
    alone = decide(approver, found, action="approve")
    assert (alone.status_code, alone.json()["type"]) == (403, "/problems/refused")
    lower = decide(api.as_("operator"), found, action="approve")
    assert (lower.status_code, lower.json()["type"]) == (403, "/problems/forbidden")
    together = decide(api.as_("admin"), found, action="approve")
    assert (together.status_code, together.json()["resolution"]) == (200, "written_off")
    assert decide(api.as_("admin"), found, action="approve").status_code == 200  # the same again changes nothing
    late = decide(approver, found, action="assign", owner="x")
    assert (late.status_code, late.json()["type"]) == (409, "/problems/conflict")
    assert late.json()["current"]["status"] == "resolved"


@pytest.mark.parametrize(
    ("decision", "status"),
    [
        ({"action": "resolve", "reason": "x"}, 422),
        ({"action": "resolve", "reason": "x", "resolution": "matched_late"}, 422),
        ({"action": "resolve", "resolution": "false_positive"}, 422),
        ({"action": "assign"}, 422),
        ({"action": "comment", "reason": "x", "owner": "o"}, 422),
        ({"action": "delete"}, 422),
        ({"reason": "x"}, 422),
        ({"action": "comment", "reason": "x", "actor": "boss"}, 422),
        ({"action": "comment", "reason": "x" * 4097}, 422),
        ({"action": "comment", "reason": "a\0b"}, 422),  # was a fault of the server with PostgreSQL
        ({"action": "match", "reason": "x", "settlement_lines": ["a\0b"], "ledger_transactions": ["c"]}, 422),
    ],
    ids=str,
)
def test_words_that_cannot_be_are_refused(api: Api, decision: dict[str, Any], status: int) -> None:
    found = api.as_("operator").items("/reconciliation/exceptions")[0]["exception_id"]
    assert decide(api.as_("operator"), found, **decision).status_code == status


def test_the_sheet_holds_every_exception_and_no_formula(api: Api) -> None:
    operator = api.as_("operator")
    found = opened(operator, "status_conflict")["exception_id"]
    assert decide(operator, found, action="assign", owner="=cmd()").status_code == 200
    answer = operator.get("/reconciliation/exceptions.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    listed = operator.items("/reconciliation/exceptions")
    assert [row["exception_id"] for row in rows] == [row["exception_id"] for row in listed]
    assert {row["owner"] for row in rows if row["exception_id"] == found} == {"'=cmd()"}
    negative = [row for row in listed if (row["amount_minor"] or 0) < 0]
    assert negative
    assert all(str(row["amount_minor"]) in answer.text for row in negative)
    some = operator.get("/reconciliation/exceptions.csv", owner="=cmd()").text
    assert len(some.splitlines()) == 2


def test_each_row_of_a_sheet_of_decisions_stands_for_itself(api: Api) -> None:
    operator = api.as_("operator")
    first, second = (row["exception_id"] for row in operator.items("/reconciliation/exceptions", status="open")[:2])
    theirs = api.as_("admin", "globex").items("/reconciliation/exceptions")[0]["exception_id"]
    version = operator.get(f"/reconciliation/exceptions/{first}").json()["version"]
    sheet = (
        "exception_id,action,reason,owner,version\r\n"
        f'{first},assign,"because, of it",treasury,{version}\r\n'
        f"{second},assign,,,\r\n"
        f"{theirs},comment,mine,,\r\n"
        f"{first},assign,,controlling,{version}\r\n"
        f"{first},approve,,,\r\n"
    )
    answer = operator.post("/reconciliation/exceptions/decisions", content=sheet.encode(), media_type="text/csv")
    assert answer.status_code == 200
    reported = answer.json()
    assert (reported["accepted"], reported["refused"]) == (1, 4)
    assert [row["problem"] for row in reported["items"]] == [
        None,
        "/problems/invalid",
        "/problems/not-found",
        "/problems/outdated",
        "/problems/forbidden",
    ]
    assert all(row["reason"] for row in reported["items"][1:])
    assert operator.get(f"/reconciliation/exceptions/{first}").json()["owner"] == "treasury"


def test_a_sheet_that_was_downloaded_is_filled_in_and_sent_back_whole(api: Api) -> None:
    operator = api.as_("operator")
    downloaded = operator.get("/reconciliation/exceptions.csv", status="open").text
    header, *records = csv.reader(io.StringIO(downloaded, newline=""))
    rows = [dict(zip(header, record, strict=True)) for record in records]
    rows[0] |= {"action": "comment", "reason": "seen"}
    rows[1] |= {"action": "assign", "owner": "controlling", "version": "99"}
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header)
    writer.writeheader()
    writer.writerows(rows)
    answer = operator.post(
        "/reconciliation/exceptions/decisions", content=text.getvalue().encode(), media_type="text/csv"
    )
    assert [(reported["row"], reported["is_accepted"], reported["problem"]) for reported in answer.json()["items"]] == [
        (1, True, None),
        (2, False, "/problems/outdated"),
    ]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"exception_id\nx\n", 400),
        (b"exception_id,action,tenant\nx,comment,globex\n", 400),
        (b"exception_id,action,action\nx,comment,comment\n", 400),
        (b"exception_id,action\nx\n", 400),
        (b'exception_id,action\n"x,comment\n', 400),
        (b"exception_id,action\n\xff,comment\n", 400),
        (b"exception_id,action\nx\x00,comment\n", 400),
        (b"exception_id,action\n" + b"x,comment\n" * 501, 413),
        (b"x" * (MOST_BYTES + 1), 413),
    ],
)
def test_a_sheet_that_is_none_is_refused_whole(api: Api, content: bytes, status: int) -> None:
    answer = api.as_("operator").post("/reconciliation/exceptions/decisions", content=content, media_type="text/csv")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
