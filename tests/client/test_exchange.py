"""A call is tried again when that is safe, as often and as late as it should be; played by hand, without a network."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from zentra_pipeline.client import operations
from zentra_pipeline.client.errors import (
    AnswerError,
    BusyError,
    ConflictError,
    ConnectionLostError,
    InvalidError,
    ProblemError,
    RunEndedError,
    ServerError,
    WaitTimeoutError,
)
from zentra_pipeline.client.exchange import Lost, Pause, Reply, Request, Retry, Script, Session, answered, get, post

RETRY = Retry(attempts=3, first_delay=1.0, longest_delay=1.5, longest_wait=30.0, chance=lambda: 0.0)
OK = Reply(200, {"content-type": "application/json"}, b"{}")
UNSENT = Lost(httpx.ConnectError("refused"), was_sent=False)
BROKEN = Lost(httpx.ReadError("reset"), was_sent=True)
RUN = {
    "id": "run_1",
    "provider": "p",
    "settlement_file": "s",
    "ledger_window": "2026-04-26",
    "owner": "o",
    "actor": "a",
    "as_of": "2026-04-27T00:00:00Z",
    "status": "matching",
    "closeout_status": "open",
    "revision": 0,
    "inputs_digest": None,
    "failure": None,
    "created_at": "2026-04-27T00:00:00Z",
    "links": {},
    "transitions": [],
}


def problem(status: int, **headers: str) -> Reply:
    content = {"type": "/problems/x", "title": "No", "status": status, "detail": "why", "remedy": "what", "current": 7}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named | {"content-type": "application/problem+json"}, json.dumps(content).encode())


def run_view(status: str, failure: str | None = None) -> Reply:
    execution = {"status": status, "requested_by": "a", "requested_at": "2026-04-27T00:00:00Z"}
    execution |= {"finished_at": None, "failure": failure}  # type: ignore[dict-item]
    return Reply(200, {}, json.dumps(RUN | {"execution": execution}).encode())


def play(script: Script[Any], outcomes: Sequence[Reply | Lost]) -> tuple[Any, list[Request], list[float]]:
    """Play a script against these outcomes: what it came to (or raised), the requests, and the pauses."""
    waiting, requests, pauses = list(outcomes), [], []
    outcome: Reply | Lost | None = None
    try:
        while True:
            effect = script.send(outcome)
            outcome = None
            if isinstance(effect, Pause):
                pauses.append(effect.seconds)
            else:
                requests.append(effect)
                outcome = waiting.pop(0)
    except StopIteration as end:
        result: Any = end.value
    except Exception as raised:
        result = raised
    assert not waiting, "not every outcome was asked for"
    return result, requests, pauses


@pytest.mark.parametrize(
    ("outcomes", "pauses"),
    [
        ([OK], []),
        ([UNSENT, OK], [1.0]),
        ([BROKEN, UNSENT, OK], [1.0, 1.5]),
        ([problem(429, retry_after="7"), OK], [7.0]),
        ([problem(503, retry_after="0"), OK], [1.0]),
        ([problem(503, retry_after="soon"), problem(500), OK], [1.0, 1.5]),
        ([problem(502), problem(504), OK], [1.0, 1.5]),
    ],
)
def test_what_passes_is_tried_again(outcomes: list[Reply | Lost], pauses: list[float]) -> None:
    result, requests, waited = play(answered(Session(RETRY), get("/x")), outcomes)
    assert (result, waited) == (OK, pauses)
    assert len(requests) == len(outcomes)


@pytest.mark.parametrize(
    ("outcomes", "error"),
    [
        ([problem(400)], InvalidError),
        ([problem(409)], ConflictError),
        ([problem(422)], InvalidError),
        ([problem(429, retry_after="31")], BusyError),
        ([problem(503)] * 3, BusyError),
        ([problem(500)] * 3, ServerError),
        ([BROKEN] * 3, ConnectionLostError),
        ([UNSENT] * 3, ConnectionLostError),
    ],
)
def test_what_does_not_pass_is_raised(outcomes: list[Reply | Lost], error: type[Exception]) -> None:
    result, requests, _ = play(answered(Session(RETRY), get("/x")), outcomes)
    assert type(result) is error
    assert len(requests) == len(outcomes)


@pytest.mark.parametrize(
    ("outcome", "is_tried_again"),
    [(UNSENT, True), (BROKEN, False), (problem(503), True), (problem(429), True), (problem(500), False)],
)
def test_what_must_not_be_done_twice_is_tried_again_only_when_it_was_not_done(
    outcome: Reply | Lost, is_tried_again: bool
) -> None:
    script = answered(Session(RETRY), post("/x", {}, is_repeatable=False))
    result, _, _ = play(script, [outcome, OK] if is_tried_again else [outcome])
    assert (result == OK) == is_tried_again
    if isinstance(result, ConnectionLostError):
        assert result.may_have_been_done


def test_chance_takes_up_to_half_of_a_delay_away() -> None:
    assert Retry(first_delay=1.0, chance=lambda: 1.0).delay(1) == 0.5
    assert Retry(first_delay=1.0, longest_delay=8.0, chance=lambda: 0.0).delay(20) == 8.0


def test_a_call_has_one_idempotency_key_however_often_it_is_tried() -> None:
    keys = iter(["key_1", "key_2"])
    session = Session(RETRY, new_key=lambda: next(keys))
    asked = {"provider": "p", "settlement_file": "s", "ledger_window": "2026-04-26", "owner": "o"}
    accepted = {"id": "run_1", "status": "matching", "event": "e", "evidence": [], "links": {}}
    last = Reply(202, {}, json.dumps(accepted).encode())
    result, requests, _ = play(operations.create_run(session, **asked), [BROKEN, problem(503), last])
    assert result.id == "run_1"
    assert [request.headers["idempotency-key"] for request in requests] == ["key_1"] * 3
    _, requests, _ = play(operations.create_run(session, **asked), [last])
    assert requests[0].headers["idempotency-key"] == "key_2"


def test_a_decision_on_a_state_is_not_repeated_blindly_and_one_without_is() -> None:
    decide = operations.decide(Session(RETRY), "exc_1", action="comment", if_match='"1-a"')
    result, (request,), _ = play(decide, [BROKEN])
    assert isinstance(result, ConnectionLostError)
    assert request.headers["if-match"] == '"1-a"'
    _, requests, _ = play(operations.decide(Session(RETRY), "exc_1", action="comment"), [BROKEN, problem(404)])
    assert len(requests) == 2


def test_a_problem_keeps_all_that_it_says() -> None:
    result, _, _ = play(answered(Session(RETRY), get("/x")), [problem(409)])
    assert isinstance(result, ProblemError)
    reported = result.problem
    assert (reported.type, reported.status, reported.detail, reported.remedy) == ("/problems/x", 409, "why", "what")
    assert reported.members == {"current": 7}


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"", b"[1]"])
def test_an_error_that_is_no_problem_is_reported_as_one(body: bytes) -> None:
    for media_type in ("text/html", "application/problem+json"):
        result, _, _ = play(answered(Session(RETRY), get("/x")), [Reply(404, {"content-type": media_type}, body)])
        assert isinstance(result, ProblemError)
        assert result.problem.status == 404


def test_an_answer_that_is_not_the_apis_says_so() -> None:
    for body in (b"<html>", b"{}", b"[]"):
        result, _, _ = play(operations.get_run(Session(RETRY), "run_1"), [Reply(200, {}, body)])
        assert isinstance(result, AnswerError)


def test_an_id_stays_one_segment_of_its_path() -> None:
    _, (request,), _ = play(operations.get_run(Session(RETRY), "../a?b#c/d"), [problem(404)])
    assert request.path == "/reconciliation/runs/..%2Fa%3Fb%23c%2Fd"
    for name in ("", ".", ".."):
        result, requests, _ = play(operations.get_run(Session(RETRY), name), [])
        assert isinstance(result, ValueError)
        assert requests == []


def test_waiting_ends_with_the_run() -> None:
    session = Session(RETRY, clock=lambda: 0.0)
    outcomes = [run_view("queued"), run_view("launched"), run_view("done")]
    result, requests, pauses = play(operations.wait_for_run(session, "run_1", poll=2.0), outcomes)
    assert (result.execution.status, len(requests), pauses) == ("done", 3, [2.0, 3.0])


def test_waiting_for_a_run_that_fails_says_why() -> None:
    result, _, _ = play(operations.wait_for_run(Session(RETRY), "run_1"), [run_view("failed", "a control")])
    assert isinstance(result, RunEndedError)
    assert "a control" in str(result)
    assert result.run.id == "run_1"


def test_waiting_does_not_last_longer_than_asked() -> None:
    times = iter([0.0, 0.0, 4.0, 5.0])
    session = Session(RETRY, clock=lambda: next(times))
    script = operations.wait_for_run(session, "run_1", timeout=5.0, poll=4.0)
    result, _, pauses = play(script, [run_view("queued")] * 3)
    assert isinstance(result, WaitTimeoutError)
    assert pauses == [4.0, 1.0]


def test_following_events_goes_on_behind_the_last_one() -> None:
    event = {"id": "e", "type": "t", "source": "s", "subject": "x", "time": "2026-04-27T00:00:00Z"}
    event |= {"tenant": "acme", "actor": "a", "runid": "r", "sequence": "3"}
    first = {"items": [event | {"data": {}}], "next": None, "last": "3"}
    nothing = {"items": [], "next": None, "last": "3"}
    listing = operations.follow_events(Session(RETRY), poll=2.0)
    replies = [Reply(200, {}, json.dumps(content).encode()) for content in (first, nothing, first)]
    page, (request,), _ = play(listing.page(None), replies[:1])
    assert "after" not in request.parameters
    page, requests, pauses = play(listing.page(page.next), replies[1:])
    assert [request.parameters["after"] for request in requests] == ["3", "3"]
    assert (pauses, len(page.items)) == ([2.0], 1)
