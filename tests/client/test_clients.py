"""Both clients against a real server: the same calls, the same answers, and one run however often a line breaks."""

import asyncio
import inspect
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Any

import pytest

from tests.api.conftest import PROVIDER, Books
from tests.client.conftest import AT_ONCE, breaking_line
from tests.runtime.asking import asked
from zentra_pipeline import worker
from zentra_pipeline.client import (
    ConflictError,
    ConnectionLostError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
    Zentra,
    ZentraSync,
    clients,
)
from zentra_pipeline.client.exchange import Listing, Request, Session
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import DBT_PROJECT, PACKAGE_ROOT
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading

pytestmark = pytest.mark.ci

PROJECT = PACKAGE_ROOT.parent
ASKED: dict[str, Any] = {
    "provider": PROVIDER,
    "settlement_file": "set_2026_04_26",
    "ledger_window": "2026-04-26",
    "owner": "finance_ops",
}


def in_loop(url: str, token: str, use: Callable[[Zentra], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """What a coroutine that uses a client comes to."""

    async def main() -> Any:
        async with Zentra(url, token, retry=AT_ONCE, **options) as zentra:
            return await use(zentra)

    return asyncio.run(main())


def sync(url: str, token: str) -> ZentraSync:
    return Zentra.sync(url, token, retry=AT_ONCE)


def test_both_clients_have_the_same_calls() -> None:
    def operations(noun: type) -> dict[str, object]:
        return {name: call._operation for name, call in vars(noun).items() if hasattr(call, "_operation")}

    names = {name.removeprefix("Async") for name, noun in vars(clients).items() if inspect.isclass(noun)}
    nouns = [name for name in names if operations(getattr(clients, f"Async{name}", object))]
    assert sorted(nouns) == [
        *("Closeouts", "Events", "Exceptions", "Files", "Intents", "Payments", "Periods", "Runs", "Server", "Token"),
        "Webhooks",
    ]
    for name in nouns:
        assert operations(getattr(clients, f"Async{name}")) == operations(getattr(clients, f"Sync{name}"))


def first_request(operation: Callable[..., Any]) -> Request:
    """What an operation asks for first, its arguments made up from its signature."""
    given: dict[str, Any] = {"content": b"x", "headers": {}, "revision": 1, "kind": "settlement"}
    parameters = list(inspect.signature(operation).parameters.values())[1:]
    needed = {each.name: given.get(each.name, "made_up") for each in parameters if each.default is each.empty}
    made = operation(Session(), **needed)
    asked = next(made.page(None) if isinstance(made, Listing) else made)
    assert isinstance(asked, Request)
    return asked


def test_the_clients_cover_every_route() -> None:
    operations = {
        call._operation
        for noun in vars(clients).values()
        if inspect.isclass(noun)
        for call in vars(noun).values()
        if hasattr(call, "_operation")
    }
    described = json.loads((PROJECT / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    asked = {(request.method, request.path) for request in map(first_request, operations)}
    covered = {
        min((route for route in routes if route[0] == method and is_of(path, route[1])), key=lambda r: r[1].count("{"))
        for method, path in asked
    }
    assert covered == routes


def is_of(path: str, template: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path) is not None


def test_what_a_run_came_to_and_its_files_come_by_the_client(books: Books, url: str) -> None:
    with sync(url, books.tokens["acme", "admin"]) as zentra:
        (run, *_) = zentra.reconciliation.runs.list(provider=PROVIDER)
        for rows in ("matches", "three_way", "exceptions", "events"):
            assert list(getattr(zentra.reconciliation.runs, rows)(run.id, page_size=2)), rows
        assert zentra.reconciliation.closeouts.get(run.id).closeout_status == "open"
        assert list(zentra.reconciliation.closeouts.approvals()) == []
        workbook = zentra.reconciliation.runs.workbook(run.id)
        assert (workbook.name, workbook.content[:2]) == (f"{PROVIDER}-{run.ledger_window}.xlsx", b"PK")
        sheet = zentra.reconciliation.exceptions.sheet(run_id=run.id)
        assert (sheet.media_type, sheet.content[:14]) == ("text/csv", b"action,reason,")
        (row, *_) = zentra.reconciliation.runs.exceptions(run.id)
        done = zentra.reconciliation.exceptions.decide_sheet(
            f"exception_id,action,reason\r\n{row.exception_id},comment,seen\r\n".encode()
        )
        assert (done.accepted, done.refused) == (1, 0)
        told = zentra.reconciliation.exceptions.attach(row.exception_id, b"a note", name="note.txt", reason="see")
        digest = told.decisions[-1].model_extra["attachment"]["sha256"]  # type: ignore[index]
        assert zentra.reconciliation.exceptions.attachment(row.exception_id, digest).content == b"a note"
        line = b"line_id,line_type,provider_reference,merchant_reference,gross_minor,fee_minor,net_minor,currency,"
        line += b"settled_at,batch_id\nx1,payment,r,,1,0,1,USD,2026-04-21T10:00:00Z,\n"
        file = zentra.files.upload(
            "rail_new", "settlement", line, settlement_file="set_x", media_type="text/csv", confirm=True
        )
        assert (file.staged, file.unchanged) == (1, False)
        endpoint = zentra.webhooks.add(url="https://hooks.example.com/z", events=["reconciliation.run.*"])
        assert (endpoint.secret or "").startswith("whsec_")
        assert zentra.webhooks.change(endpoint.id, status="disabled").status == "disabled"
        assert [each.id for each in zentra.webhooks.list()] == [endpoint.id]
        assert zentra.webhooks.remove(endpoint.id) is None
        assert zentra.server.health().status == "ok"
        assert zentra.server.problem_kind("not-found").status == 404


def test_a_call_is_described_as_its_operation() -> None:
    with sync("http://127.0.0.1:1", "t") as zentra:
        assert "Ask for a run" in (zentra.reconciliation.runs.create.__doc__ or "")
        assert "settlement_file" in inspect.signature(zentra.reconciliation.runs.create).parameters


def test_the_client_imports_no_engine() -> None:
    program = (
        "import sys, zentra_pipeline.client\n"
        "heavy = {'dagster', 'dbt', 'duckdb', 'pyarrow', 'polars', 'pandas', 'pandera', 'sqlalchemy', 'fastapi'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=DBT_PROJECT.parent
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_a_run_is_asked_for_and_waited_for(books: Books, url: str) -> None:
    token = books.tokens["globex", "operator"]
    stop = threading.Event()
    thread = threading.Thread(target=worker.work, args=(books.home, stop, lambda _text: None))
    thread.start()
    try:

        async def use(zentra: Zentra) -> Any:
            accepted = await zentra.reconciliation.runs.create(**ASKED)
            return accepted, await zentra.reconciliation.runs.wait(accepted.id, timeout=120, poll=0.1)

        accepted, run = in_loop(url, token, use)
    finally:
        stop.set()
        thread.join()
    assert (accepted.status, accepted.event) == ("matching", "reconciliation.run.created")
    assert set(accepted.evidence) >= {"provider_reference", "settlement_file", "ledger_entry", "closeout_status"}
    assert (run.id, run.status, run.execution.status, run.revision) == (accepted.id, "in_review", "done", 1)
    assert run.ledger_window == date(2026, 4, 26)
    assert [step.status for step in run.transitions][-1] == "in_review"
    with sync(url, token) as zentra:
        again = zentra.reconciliation.runs.create(**ASKED | {"ledger_window": date(2026, 4, 26)})
        assert again == accepted
        assert zentra.reconciliation.runs.wait(again.id, timeout=0).revision == 1
        assert [found.id for found in zentra.reconciliation.runs.list(provider=PROVIDER)] == [accepted.id]
        assert list(zentra.reconciliation.runs.list(status="failed")) == []


def test_answers_that_are_lost_leave_one_run(books: Books, url: str) -> None:
    window = ASKED | {"ledger_window": "2026-04-27"}
    with breaking_line(url, lost=3) as line:
        token = books.tokens["globex", "operator"]
        created = in_loop(line.url, token, lambda zentra: zentra.reconciliation.runs.create(**window))
        assert (line.dropped, len(line.keys), len(set(line.keys))) == (3, 4, 1)
        line.lost += 2
        with sync(line.url, token) as zentra:
            assert zentra.reconciliation.runs.create(**window).id == created.id
        assert (line.dropped, len(line.keys), len(set(line.keys))) == (5, 7, 2)
    with reading(operational_store(books.paths("globex"))) as connection:
        runs = [run for run in run_store.list_runs(connection) if run.ledger_window == "2026-04-27"]
        request = request_store.find(connection, created.id)
    assert [run.run_id for run in runs] == [created.id]
    assert request is not None
    assert (request.status, request.launch) == ("queued", 0)
    with sync(url, token) as zentra:
        reported = [event.type for event in zentra.events.list() if event.runid == created.id]
    assert reported == ["reconciliation.run.created"]


def test_a_line_that_never_answers_is_reported_as_one(books: Books, url: str) -> None:
    token = books.tokens["globex", "operator"]
    with breaking_line(url, lost=99) as line, sync(line.url, token) as zentra:
        with pytest.raises(ConnectionLostError, match="ask again") as lost:
            zentra.reconciliation.runs.get("run_0")
        assert lost.value.may_have_been_done
        assert line.dropped == AT_ONCE.attempts
    with sync("http://127.0.0.1:9", token) as zentra, pytest.raises(ConnectionLostError) as lost:
        zentra.reconciliation.runs.get("run_0")
    assert not lost.value.may_have_been_done


def test_a_list_is_read_to_its_end_whatever_the_size_of_its_pages(books: Books, url: str) -> None:
    token = books.tokens["acme", "analyst"]

    async def use(zentra: Zentra) -> Any:
        listed = zentra.reconciliation.exceptions.list(page_size=2)
        return [item.exception_id async for item in listed], [page async for page in listed.pages()]

    found, pages = in_loop(url, token, use)
    assert len(found) == len(set(found)) > 4
    assert [len(page.items) for page in pages][:-1] == [2] * (len(pages) - 1)
    with sync(url, token) as zentra:
        assert [item.exception_id for item in zentra.reconciliation.exceptions.list()] == found
        first = next(zentra.reconciliation.exceptions.list(page_size=2).pages())
        rest = [item.exception_id for item in zentra.reconciliation.exceptions.list(after=first.next)]
        assert rest == found[2:]
        one = next(iter(zentra.reconciliation.exceptions.list()))
        about = zentra.reconciliation.exceptions.list(reference=one.subject_id)
        assert one.exception_id in [item.exception_id for item in about]
        of_type = list(zentra.reconciliation.exceptions.list(exception_type=one.exception_type))
        run = next(iter(zentra.reconciliation.runs.list()))
        statement = list(zentra.reconciliation.runs.rollforward(run.id))
        assert {row.run_id for row in statement} == {run.id}
        assert next(iter(zentra.reconciliation.runs.conservation(run.id))).run_id == run.id
        assert list(zentra.reconciliation.runs.open_items(run.id, page_size=1))
        assert zentra.reconciliation.payments.history("pay_02", provider="rail_primary").entries
        windows = zentra.reconciliation.closeouts.calendar("rail_primary", first="2026-04-15", last="2026-04-15").items
        assert [window.run_id for window in windows] == [run.id]
        assert (zentra.token.whoami().actor, zentra.token.whoami().role) == ("analyst_acme", "analyst")
    assert one.exception_id in [item.exception_id for item in of_type]
    assert {item.exception_type for item in of_type} == {one.exception_type}


def test_a_decision_is_made_on_the_state_that_was_read(books: Books, url: str) -> None:
    with sync(url, books.tokens["acme", "operator"]) as zentra:
        exceptions = zentra.reconciliation.exceptions
        before = exceptions.get(next(iter(exceptions.list())).exception_id)
        assert before.etag
        after = exceptions.decide(before.exception_id, action="comment", reason="seen", if_match=before.etag)
        assert (after.version, after.decisions[-1].reason) == (before.version + 1, "seen")
        assert after.etag != before.etag
        with pytest.raises(ConflictError) as stale:
            exceptions.decide(before.exception_id, action="comment", reason="again", if_match=before.etag)
        assert stale.value.problem.members["current"]["version"] == after.version

        async def read(client: Zentra) -> Any:
            return await client.reconciliation.exceptions.get(before.exception_id)

        assert in_loop(url, books.tokens["acme", "analyst"], read) == after


def test_events_are_listed_and_followed(books: Books, url: str) -> None:
    token = books.tokens["acme", "analyst"]
    with sync(url, token) as zentra:
        listed = list(zentra.events.list(page_size=3))
        created = list(zentra.events.list(type="reconciliation.run.created"))
    assert [event.sequence for event in listed] == sorted(str(event.sequence) for event in listed)
    assert created == [event for event in listed if event.type == "reconciliation.run.created"]

    async def use(zentra: Zentra) -> Any:
        found = []
        followed = zentra.reconciliation.events.follow(after=listed[-2].sequence, poll=0.02)
        async for event in followed:
            found.append(event)
            if len(found) == 1:  # nothing more is there: somebody does something
                item = await anext(aiter(zentra.reconciliation.exceptions.list(status="open")))
                async with Zentra(url, books.tokens["acme", "operator"]) as other:
                    await other.reconciliation.exceptions.decide(item.exception_id, action="assign", owner="ops")
            else:
                return found
        return found

    last, assigned = in_loop(url, token, use)
    assert last == listed[-1]
    assert (assigned.type, assigned.actor) == ("reconciliation.exception.assigned", "operator_acme")


def test_an_intent_is_created_once_and_traced(books: Books, url: str) -> None:
    token = books.tokens["acme", "service"]
    content = asked("int_client").content() | {"settlement_account": None}
    with breaking_line(url, lost=1) as line, sync(line.url, token) as zentra:
        intent = zentra.runtime.intents.create(**content)
        assert line.dropped == 1

    async def use(zentra: Zentra) -> Any:
        again = await zentra.runtime.intents.create(**content)
        return again, await zentra.runtime.intents.trace("int_client")

    again, trace = in_loop(url, token, use)
    assert again == intent
    assert trace.reached == ("accepted", "controlled", "ledgered", "routed")
    assert trace.state("ledgered").evidence["transaction_ids"][1] == intent.transaction_id
    with sync(url, token) as zentra:
        with pytest.raises(ForbiddenError) as refused:
            zentra.runtime.intents.create(**content | {"intent_id": "int_nothing", "amount_minor": 0})
        assert refused.value.problem.members["policy"]["rule"] == "amount_check"
        assert zentra.runtime.intents.trace("int_nothing").reached == ("accepted", "controlled")
        with pytest.raises(ConflictError):
            zentra.runtime.intents.create(**content | {"amount_minor": 1})


def test_refusals_are_raised_by_what_they_are(books: Books, url: str) -> None:
    with sync(url, "zt_" + "A" * 43) as nobody, pytest.raises(UnauthenticatedError):
        nobody.reconciliation.runs.get("run_0")
    with sync(url, books.tokens["acme", "analyst"]) as zentra:
        with pytest.raises(NotFoundError):
            zentra.reconciliation.runs.get("run_0")
        with pytest.raises(ForbiddenError):
            zentra.reconciliation.runs.create(**ASKED)
        with pytest.raises(NotFoundError):
            zentra.runtime.intents.trace("../../healthz")
    with sync(url, books.tokens["acme", "operator"]) as zentra, pytest.raises(InvalidError, match="never ingested"):
        zentra.reconciliation.runs.create(**ASKED | {"settlement_file": "set_never"})


@pytest.mark.parametrize(
    ("url", "token"), [("ftp://x", "t"), ("x", "t"), ("http://x", ""), ("http://x", "a b"), ("http://x", "a\n")]
)
def test_a_client_that_cannot_work_is_not_made(url: str, token: str) -> None:
    with pytest.raises(UsageError):
        ZentraSync(url, token)
    with pytest.raises(UsageError):
        Zentra(url, token)
