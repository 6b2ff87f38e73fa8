"""`zentra exceptions list --format csv` and `exceptions decide`: the queue as a sheet, taken row by row."""

import csv
import io
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Api, Books, serving
from tests.cli.conftest import Done, Publish, Zentra
from tests.cli.test_exceptions import FIRST, MISMATCH, SECOND, UNMATCHED, listed
from zentra_pipeline.desk import deciding
from zentra_pipeline.errors import RunFailedError
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access
from zentra_pipeline.tenants.tenant import Tenant

NOW = ("--as-of", "2026-05-04T12:00:00Z")
Decide = Callable[..., Done]


@pytest.fixture
def queue(acme: Zentra, publish: Publish) -> Callable[..., str]:
    """The queue as CSV; the second exception belongs to somebody whose name looks like a formula."""
    publish(date(2026, 4, 26), exceptions=[MISMATCH, UNMATCHED | {"owner": "=desk()"}])

    def listed(*filters: str) -> str:
        done = acme("exceptions", "list", "--tenant", "acme", "--format", "csv", *NOW, *filters)
        assert (done.code, done.err) == (0, "")
        return done.out

    return listed


@pytest.fixture
def decide(acme: Zentra, tmp_path: Path) -> Decide:
    """Decide by a sheet of these bytes, as ann."""

    def run(content: str | bytes, *options: str) -> Done:
        sheet = tmp_path / "sheet.csv"
        sheet.write_bytes(content.encode() if isinstance(content, str) else content)
        return acme("exceptions", "decide", sheet, "--tenant", "acme", "--actor", "ann", *options)

    return run


def filled(sheet: str, **decisions: dict[str, str]) -> str:
    """The queue with these fields written into the rows of these exceptions."""
    rows = list(csv.DictReader(io.StringIO(sheet, newline="")))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(row | decisions.get(row["exception_id"], {}) for row in rows)
    return text.getvalue()


def shown(zentra: Zentra, exception_id: str) -> Any:
    return zentra("exceptions", "show", "--tenant", "acme", exception_id, "--json").json


def test_the_queue_is_the_same_bytes_over_http_and_narrowed_by_the_same_filters(
    acme: Zentra, queue: Callable[..., str], tmp_path: Path
) -> None:
    home = Home.at(tmp_path / "home")
    now = datetime.now(UTC)
    token, _ = access.create_token(home, tenant="acme", actor="ann", role="operator", now=now)
    assert acme("exceptions", "assign", FIRST, "--tenant", "acme", "--owner", "tokyo, desk").code == 0
    with serving(Books(home, {})) as nobody:
        ann: Api = nobody.with_token(token)

        def over_http(**filters: str) -> str:
            answer = ann.get("/reconciliation/exceptions.csv", as_of=NOW[1], **filters)
            assert answer.status_code == 200, answer.text
            return answer.content.decode()

        assert queue() == over_http()
        assert queue("--owner", "tokyo, desk") == over_http(owner="tokyo, desk")
        assert queue("--overdue", "--type", "amount_mismatch") == over_http(
            overdue="true", exception_type="amount_mismatch"
        )
        assert queue("--reference", "L1") == over_http(reference="L1")
        assert queue("--status", "resolved") == over_http(status="resolved")
    header, *rows = csv.reader(io.StringIO(queue(), newline=""))
    assert [row[header.index("exception_id")] for row in rows] == listed(acme) == [SECOND, FIRST]
    assert [row[header.index("version")] for row in rows] == ["0", "1"]
    assert [row[header.index("owner")] for row in rows] == ["'=desk()", "tokyo, desk"]
    assert len(queue("--open", "--owner", "tokyo, desk").splitlines()) == 2


def test_the_queue_is_filled_in_and_each_row_taken_or_refused_by_itself(
    acme: Zentra, queue: Callable[..., str], decide: Decide
) -> None:
    sheet = filled(
        queue(),
        **{
            FIRST: {"action": "resolve", "resolution": "false_positive", "reason": "=1+1, said the bank"},
            # Its owner is there as the queue wrote it, guarded from being a formula.
            SECOND: {"action": "assign"},
        },
    )
    done = decide(sheet)
    assert (done.code, done.err) == (0, "2 rows accepted, 0 refused\n")
    assert done.out == f"row 1  {SECOND}  accepted\nrow 2  {FIRST}  accepted\n"
    assert shown(acme, SECOND)["owner"] == "=desk()"
    ended = shown(acme, FIRST)
    assert (ended["status"], ended["resolution"]) == ("resolved", "false_positive")
    assert [(made["actor"], made["reason"]) for made in ended["decisions"]] == [("ann", "=1+1, said the bank")]
    # The same again, by the same actor: nothing new, and no refusal for what it has changed itself.
    assert decide(sheet).code == 0
    assert shown(acme, FIRST)["version"] == 1
    # What the queue shows of rows without an action decides nothing.
    assert decide(queue()).err == "0 rows accepted, 0 refused\n"


def test_rows_are_refused_each_with_its_problem_and_the_others_are_kept(
    acme: Zentra, queue: Callable[..., str], decide: Decide
) -> None:
    stale = filled(queue(), **{FIRST: {"action": "comment", "reason": "late"}})
    assert acme("exceptions", "assign", FIRST, "--tenant", "acme", "--actor", "bob", "--owner", "fees").code == 0
    done = decide(stale, "--json")
    assert done.code == 3
    assert done.json == {
        "accepted": 0,
        "refused": 1,
        "items": [
            {
                "row": 2,
                "exception_id": FIRST,
                "is_accepted": False,
                "problem": "/problems/outdated",
                "reason": f"exception {FIRST} is at version 1, not 0: somebody has decided on it since; "
                "read it again before you decide",
            }
        ],
    }
    done = decide(
        "exception_id,action,reason,owner,resolution,version\n"
        "exc_none,comment,hello,,,\n"
        f"{SECOND},comment,-5 USD?,,,0\n"
        f"{SECOND},haggle,,,,\n"
        f"{SECOND},approve,,,,\n"
        f"{SECOND},resolve,x,,matched_late,\n"
        f"{SECOND},comment,x,,,=0\n"
        f"{SECOND},match,x,,,\n"
        f"{SECOND},write_off,too small,,,\n"
        f"{SECOND},approve,,,,\n",
        "--json",
    )
    assert done.code == 3
    assert [item["problem"] and item["problem"].rpartition("/")[2] for item in done.json["items"]] == [
        "not-found",
        None,
        "invalid",
        "conflict",
        "invalid",
        "invalid",
        "invalid",
        None,
        "refused",
    ]
    assert all((item["reason"] is None) == item["is_accepted"] for item in done.json["items"])
    assert (done.json["accepted"], done.json["refused"]) == (2, 7)
    assert [made["action"] for made in shown(acme, SECOND)["decisions"]] == ["comment", "write_off"]


def test_operators_read_a_verdict_a_row_on_one_line(acme: Zentra, queue: Callable[..., str], decide: Decide) -> None:
    done = decide(f'exception_id,action,reason\n"exc_\x1b[2J",comment,x\n{FIRST},comment,y\n')
    assert (done.code, done.err) == (3, "1 row accepted, 1 refused\n")
    refused, accepted = done.out.splitlines()
    assert refused.startswith("row 1  exc_\\x1b[2J  refused: there is no exception ")
    assert accepted == f"row 2  {FIRST}  accepted"


def test_a_sheet_comes_from_standard_input(
    acme: Zentra, queue: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = filled(queue(), **{FIRST: {"action": "investigate"}}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sheet), encoding="ascii"))
    assert acme("exceptions", "decide", "-", "--tenant", "acme").code == 0
    assert shown(acme, FIRST)["status"] == "investigating"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not CSV in UTF-8 with a header"),
        (b"exception_id,action\n\xff,comment\n", "is not CSV in UTF-8 with a header"),
        (b'exception_id,action,reason\n%s,comment,x\n"y', "is not CSV in UTF-8 with a header"),
        (b"exception_id,action,reason\n%s,comment,x\ny\n", "row 2 of the sheet has a different number of fields"),
        (b"exception_id,reason\n%s,x\n", "the sheet has columns 'exception_id', 'reason'; it takes exception_id"),
        (b"exception_id,action,reason\n" + b"%s,comment,x\n" * 501, "the sheet has 501 decisions; 500 are allowed"),
        (b"x" * (16 * 1024 * 1024 + 1), "the sheet has more than 16,777,216 bytes"),
    ],
    ids=["empty", "not UTF-8", "open quote", "short row", "no action", "too many", "too large"],
)
def test_a_broken_sheet_changes_nothing(
    acme: Zentra, queue: Callable[..., str], decide: Decide, content: bytes, reason: str
) -> None:
    done = decide(content.replace(b"%s", FIRST.encode()))
    assert (done.code, done.out) == (4, "")
    assert reason in done.err
    assert shown(acme, FIRST)["version"] == 0


def test_a_fault_behind_a_row_is_one_and_the_next_row_is_taken(
    acme: Zentra, queue: Callable[..., str], decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = deciding.decide

    def failing(tenant: Tenant, request: DecisionRequest, now: datetime) -> deciding.DecisionResult:
        recorded = made(tenant, request, now)
        if request.exception_id == FIRST:
            raise RunFailedError("the decision is recorded, but run run_1 could not be re-reconciled")
        return recorded

    monkeypatch.setattr(deciding, "decide", failing)
    done = decide(f"exception_id,action\n{FIRST},investigate\n{SECOND},investigate\n", "--json")
    assert (done.code, done.json["accepted"]) == (1, 1)
    assert shown(acme, SECOND)["status"] == "investigating"


def test_a_file_or_tenant_that_is_none_is_misuse(acme: Zentra, decide: Decide, tmp_path: Path) -> None:
    assert acme("exceptions", "decide", tmp_path / "nothing.csv", "--tenant", "acme").code == 2
    (tmp_path / "sheet.csv").write_text("exception_id,action\n", encoding="utf-8")
    assert acme("exceptions", "decide", tmp_path / "sheet.csv", "--tenant", "nobody").code == 2
