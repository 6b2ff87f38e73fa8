"""Asking for runs: the same request is one run, executed once, and what cannot be is refused with nothing stored."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.conftest import PROVIDER, Api, Books, story
from zentra_pipeline import worker
from zentra_pipeline.defs import launch
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.store import event_log
from zentra_pipeline.store import requests as request_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.tenants.tenant import Tenant

GLOBEX_RUN = {
    "provider": PROVIDER,
    "settlement_file": "set_2026_04_26",
    "ledger_window": "2026-04-26",
    "owner": "finance_ops",
}
ACME_RUN = {**GLOBEX_RUN, "settlement_file": "set_2026_04_15", "ledger_window": "2026-04-15"}
LATER_RUN = {**GLOBEX_RUN, "settlement_file": "set_2026_04_20", "ledger_window": "2026-04-20"}


def stored(books: Books, tenant: str) -> tuple[list[run_store.Run], list[str], int]:
    """Runs, the types of events that were emitted one by one, and queued requests."""
    with reading(operational_store(books.paths(tenant))) as connection:
        runs = run_store.list_runs(connection)
        reported = [str(entry.event_type) for entry in event_log.entries(connection) if entry.content]
        return runs, reported, len(request_store.of_status(connection, "queued"))


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the runs that the worker executes, in order, instead of executing them."""
    ids: list[str] = []

    def execute(tenant: Tenant, request: request_store.Request) -> None:
        ids.append(request.run_id)
        with tenant.writing() as connection:
            request_store.finish(connection, request.run_id, datetime.now(UTC))

    monkeypatch.setattr(launch, "execute", execute)
    return ids


def work(books: Books) -> None:
    while worker.work_once(books.home, datetime.now(UTC), lambda _text: None):
        pass


def test_an_accepted_run_says_what_it_will_come_to(own_api: Api) -> None:
    answer = own_api.as_("service", "globex").post("/reconciliation/runs", GLOBEX_RUN)
    assert answer.status_code == 202
    reported = answer.json()
    assert reported["id"].startswith("run_")
    assert (reported["status"], reported["event"]) == ("matching", "reconciliation.run.created")
    assert reported["evidence"] == [
        *("provider_reference", "settlement_file", "ledger_entry", "exception_owner", "closeout_status")
    ]
    assert answer.headers["location"] == reported["links"]["self"] == f"/reconciliation/runs/{reported['id']}"
    shown = own_api.as_("analyst", "globex").get(reported["links"]["self"]).json()
    assert (shown["status"], shown["execution"]["status"]) == ("created", "queued")
    assert shown["execution"]["requested_by"] == "service_globex"
    for link in reported["links"].values():
        assert own_api.as_("analyst", "globex").get(link).status_code == 200


def test_twenty_identical_requests_at_once_are_one_run_one_event_and_one_execution(
    own_api: Api, own_books: Books, executed: list[str]
) -> None:
    service = own_api.as_("service")
    barrier = threading.Barrier(20)

    def ask(_number: int) -> Any:
        barrier.wait()
        return service.post("/reconciliation/runs", ACME_RUN)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    runs, reported, queued = stored(own_books, "acme")
    assert ([run.run_id for run in runs], queued) == ([answers[0].json()["id"]], 1)
    assert reported == ["reconciliation.run.created"]
    work(own_books)
    assert executed.count(runs[0].run_id) == 1
    assert stored(own_books, "acme")[2] == 0


def test_a_run_is_executed_again_only_when_it_has_something_new_to_see(
    own_api: Api, own_books: Books, executed: list[str]
) -> None:
    """The worker does it in earnest once, through the Dagster assets."""
    service = own_api.as_("service", "globex")
    run_id = service.post("/reconciliation/runs", GLOBEX_RUN).json()["id"]
    with operational_store(own_books.paths("globex")).begin() as connection:
        request = request_store.launch(connection, run_id, request_store.WORKER, datetime.now(UTC))
    EXECUTE(own_books.tenant("globex"), request)
    shown = service.get(f"/reconciliation/runs/{run_id}").json()
    assert (shown["status"], shown["execution"]["status"], shown["revision"]) == ("in_review", "done", 1)
    assert [step["status"] for step in shown["transitions"]] == [
        *("created", "ingesting", "matching", "comparing", "in_review")
    ]

    assert service.post("/reconciliation/runs", GLOBEX_RUN).json()["id"] == run_id
    assert stored(own_books, "globex")[2] == 0
    folder = story("globex").folder / "inputs"
    ingest_files(
        own_books.tenant("globex"),
        provider=PROVIDER,
        kind="ledger",
        files=[folder / "ledger_2026_04_26.csv"],
        file_id="again",
        format="canonical",
        now=datetime.now(UTC),
    )
    service.post("/reconciliation/runs", GLOBEX_RUN)
    assert stored(own_books, "globex")[2] == 1
    work(own_books)
    assert executed == [run_id]


EXECUTE = launch.execute


def test_a_failed_execution_says_why_and_can_be_asked_for_again(own_api: Api, own_books: Books) -> None:
    service = own_api.as_("service", "globex")
    window = {**GLOBEX_RUN, "ledger_window": "2026-04-27"}
    run_id = service.post("/reconciliation/runs", window).json()["id"]
    profile = own_books.paths("globex").providers / f"{PROVIDER}.yml"
    before = profile.read_text()
    profile.write_text("{nonsense: 1}")
    try:
        work(own_books)
    finally:
        profile.write_text(before)
    execution = service.get(f"/reconciliation/runs/{run_id}").json()["execution"]
    assert execution["status"] == "failed"
    assert "nonsense" in execution["failure"]
    service.post("/reconciliation/runs", window)
    assert service.get(f"/reconciliation/runs/{run_id}").json()["execution"]["status"] == "queued"


def test_an_idempotency_key_stands_for_one_request(own_api: Api, own_books: Books) -> None:
    service = own_api.as_("service")
    first = service.post("/reconciliation/runs", ACME_RUN, headers={"Idempotency-Key": "key-1"})
    again = service.post("/reconciliation/runs", ACME_RUN, headers={"Idempotency-Key": "key-1"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    other = service.post(
        "/reconciliation/runs", {**ACME_RUN, "owner": "treasury"}, headers={"Idempotency-Key": "key-1"}
    )
    assert (other.status_code, other.json()["type"]) == (422, "/problems/key-reused")
    run_id = first.json()["id"]
    assert [run.owner for run in stored(own_books, "acme")[0] if run.run_id == run_id] == ["finance_ops"]
    elsewhere = own_api.as_("service", "globex").post(
        "/reconciliation/runs", GLOBEX_RUN, headers={"Idempotency-Key": "key-1"}
    )
    assert elsewhere.status_code == 202  # a key is a tenant's own


def test_a_settlement_file_never_ingested_is_refused_and_nothing_is_stored(own_api: Api, own_books: Books) -> None:
    before = stored(own_books, "acme")
    answer = own_api.as_("service").post("/reconciliation/runs", {**ACME_RUN, "settlement_file": "nowhere"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/rejected")
    assert "nowhere" in answer.json()["detail"]
    assert stored(own_books, "acme") == before


@pytest.mark.parametrize(
    "change",
    [
        {"provider": "../x"},
        {"provider": "p" * 65},
        {"settlement_file": ".hidden"},
        {"ledger_window": "2026-02-30"},
        {"ledger_window": "26 April"},
        {"owner": " "},
        {"owner": ""},
        {"owner": "a\nb"},
        {"owner": True},
        {"owner": 7},
        {"owner": None},
        {"as_of": "2026-04-26"},
        {"as_of": "2026-13-26T00:00:00Z"},
        {"tenant": "globex"},
        {"actor": "somebody else"},
    ],
    ids=str,
)
def test_what_cannot_be_a_run_is_refused_by_name(own_api: Api, change: dict[str, object]) -> None:
    answer = own_api.as_("service").post("/reconciliation/runs", {**ACME_RUN, **change})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    (name,) = change
    assert [finding["name"] for finding in answer.json()["errors"]] == [name]


def test_a_body_that_is_no_object_is_refused(own_api: Api) -> None:
    answer = own_api.as_("service").post("/reconciliation/runs", [])
    assert answer.json()["errors"] == [{"in": "body", "name": "", "reason": "Input should be a JSON object"}]


@pytest.mark.parametrize(
    "wanted", [{"ledger_window": "0"}, {"ledger_window": "2026-02-30"}, {"provider": "a\0b"}], ids=str
)
def test_a_filter_that_no_run_can_meet_is_refused(own_api: Api, wanted: dict[str, str]) -> None:
    """A window `0` was once the first day of 1970, and U+0000 a fault of the server with PostgreSQL."""
    answer = own_api.as_("analyst").get("/reconciliation/runs", **wanted)
    assert (answer.status_code, answer.json()["errors"][0]["name"]) == (422, *wanted)


def test_a_request_that_was_cut_off_is_begun_anew(own_api: Api, own_books: Books, executed: list[str]) -> None:
    run_id = own_api.as_("service").post("/reconciliation/runs", LATER_RUN).json()["id"]
    with operational_store(own_books.paths("acme")).begin() as connection:
        request_store.launch(connection, run_id, request_store.WORKER, datetime.now(UTC))
    stop = threading.Event()
    working = threading.Thread(target=worker.work, args=(own_books.home, stop, lambda _text: None))
    working.start()
    try:
        for _ in range(200):
            if run_id in executed:
                break
            stop.wait(0.05)
    finally:
        stop.set()
        working.join()
    assert executed.count(run_id) == 1


def test_a_run_that_ends_its_worker_every_time_is_given_up(own_api: Api, own_books: Books, executed: list[str]) -> None:
    engine = operational_store(own_books.paths("acme"))
    run_id = own_api.as_("service").post("/reconciliation/runs", LATER_RUN).json()["id"]
    with engine.begin() as connection:
        request_store.queue(connection, run_id, "somebody", datetime.now(UTC))
    for _ in range(5):
        with engine.begin() as connection:
            request_store.launch(connection, run_id, request_store.WORKER, datetime.now(UTC))
            request_store.put_back(connection, run_id, datetime.now(UTC))
    work(own_books)
    with reading(engine) as connection:
        request = request_store.find(connection, run_id)
    assert request is not None and request.status == "failed" and "5 times" in str(request.failure)
    assert run_id not in executed
