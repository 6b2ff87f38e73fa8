"""An intent is followed from the request to sealed evidence, and no state is reached before something shows it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.api.deliveries import SECRET, callback, signed
from tests.runtime.asking import NOW, PROVIDER, TENANT, asked
from zentra_pipeline.api.app import create_app
from zentra_pipeline.closeout.verify import verify
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import run_window
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access, tenancy

RECORDED = ["accepted", "controlled", "ledgered", "routed"]
LATER = datetime(2026, 4, 27, 15, tzinfo=UTC)
AFTERWARDS = datetime(2026, 4, 29, tzinfo=UTC)
COLUMNS = (
    "line_id,line_type,provider_reference,merchant_reference,gross_minor,fee_minor,net_minor,currency,settled_at,"
    "batch_id"
)


class Server:
    """The API of a home, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.home = Home.at(folder / "home")
        tenancy.init_home(self.home)
        self.tenant = tenancy.add_tenant(self.home, TENANT, NOW)
        self.tenant.paths.policy.write_text("intents:\n  limit_minor: {USD: 20000}\n", encoding="utf-8")
        self.now = NOW
        self.client = TestClient(create_app(self.home, now=lambda: self.now), raise_server_exceptions=False)
        self.tokens = {
            role: access.create_token(self.home, tenant=TENANT, actor=f"{role}_1", role=role, now=NOW)[0]
            for role in ("service", "operator", "approver", "analyst")
        }

    def post(self, path: str, role: str = "service", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} | options.pop("headers", {})
        return self.client.post(path, headers=headers, **options)

    def ask(self, intent_id: str = "int_1", role: str = "service", **changes: Any) -> httpx.Response:
        content = asked(intent_id, **changes).content()
        if not content["settlement_account"]:
            del content["settlement_account"]
        return self.post("/runtime/intents", role, json=content)

    def trace(self, intent_id: str = "int_1") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.tokens['analyst']}"}
        answer = self.client.get(f"/runtime/intents/{intent_id}/trace", headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def call(self, number: int, at: datetime = LATER, signature: bool = True, **changes: object) -> None:
        content = {"provider_reference": "pay_1", "merchant_reference": "int_1", "amount_minor": 12_500}
        body = callback(number, **{**content, "occurred_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), **changes})
        self.now = at
        headers = signed(body, f"msg_{number}", int(at.timestamp())) if signature else {}
        answer = self.post(
            f"/callbacks/{PROVIDER}", content=body, headers=headers | {"Content-Type": "application/json"}
        )
        assert answer.status_code == 200, answer.text

    def settle(self, *lines: str) -> None:
        content = "\n".join([COLUMNS, *lines, ""]).encode()
        path = f"/files/{PROVIDER}/settlement?settlement_file=set_2026_04_27"
        answer = self.post(path, content=content, headers={"Content-Type": "text/csv"})
        assert answer.status_code == 200, answer.text

    def run(self) -> str:
        request = RunRequest(PROVIDER, "set_2026_04_27", date(2026, 4, 27), "finance_ops", AFTERWARDS, "scheduler")
        return run_window(self.tenant, request).run.run_id

    def step(self, run_id: str, action: str, role: str) -> dict[str, Any]:
        self.now = AFTERWARDS
        answer = self.post(f"/reconciliation/runs/{run_id}/closeout", role, json={"action": action})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


LINE = "L1,payment,pay_1,int_1,12500,0,12500,USD,2026-04-27T18:00:00Z,B1"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("ZENTRA_CALLBACK_SECRETS__ACME__RAIL_PRIMARY", SECRET)
    made = Server(tmp_path)
    with made.client:
        yield made


def reached(trace: dict[str, Any]) -> list[str]:
    assert [state["state"] for state in trace["states"]] == [*RECORDED, "synchronized", "evidenced"]
    return [state["state"] for state in trace["states"] if state["is_reached"]]


def state(trace: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (state for state in trace["states"] if state["state"] == name)
    return dict(found)


def test_an_intent_goes_through_all_six_states(server: Server) -> None:
    answer = server.ask()
    assert answer.status_code == 202, answer.text
    transaction = answer.json()["transaction_id"]
    trace = server.trace()
    assert reached(trace) == RECORDED
    assert "file_id" not in state(trace, "ledgered")["evidence"]

    server.call(1)
    server.settle(LINE)
    assert reached(server.trace()) == RECORDED, "nothing is synchronized before a run has taken it in"

    run_id = server.run()
    trace = server.trace()
    assert reached(trace) == [*RECORDED, "synchronized"]
    assert state(trace, "ledgered")["evidence"]["transaction_ids"][1] == transaction
    assert state(trace, "ledgered")["evidence"]["file_id"] == "intents_000000000001_000000000001"
    answered = state(trace, "synchronized")
    assert (answered["actor"], answered["policy_result"]) == ("scheduler", "verified")
    assert datetime.fromisoformat(answered["at"]) == LATER
    assert (answered["evidence"]["run_id"], answered["evidence"]["provider_event_id"]) == (run_id, "evt_1")

    server.step(run_id, "prepare", "operator")
    assert reached(server.trace()) == [*RECORDED, "synchronized"], "what is prepared is not sealed"
    sealed = server.step(run_id, "approve", "approver")
    trace = server.trace()
    assert reached(trace) == [*RECORDED, "synchronized", "evidenced"]
    evidence = state(trace, "evidenced")
    assert (evidence["actor"], evidence["policy_result"]) == ("approver_1", "audit_ready")
    assert evidence["evidence"]["closeout_id"] == sealed["closeout_id"]
    assert evidence["evidence"]["seal_digest"] == sealed["seal_digest"]
    assert verify(server.tenant.paths.root / sealed["bundle"], server.home.trust).holds


def test_a_callback_that_says_no_in_the_end_leaves_it_unsynchronized(server: Server) -> None:
    server.ask()
    server.call(1)
    server.call(2, LATER.replace(hour=16), status="reversed", event_type="payment.reversed")
    server.settle(LINE)
    server.run()
    trace = server.trace()
    assert reached(trace) == RECORDED
    assert state(trace, "synchronized")["detail"] == "the provider's last word is reversed"


def test_a_failed_attempt_is_not_the_last_word_by_its_id_or_by_our_name_alone(server: Server) -> None:
    """As runs weigh them (§10.8): success outranks failure of the same instant, the line's reference all others."""
    server.ask()
    server.call(1)
    server.call(2, status="failed", event_type="payment.failed")
    server.call(3, LATER.replace(hour=16), status="failed", event_type="payment.failed", provider_reference="pay_0")
    server.settle(LINE)
    server.run()
    answered = state(server.trace(), "synchronized")
    assert (answered["policy_result"], answered["evidence"]["provider_event_id"]) == ("verified", "evt_1")


def test_without_a_callback_a_settlement_line_synchronizes(server: Server) -> None:
    server.ask()
    server.settle(LINE)
    run_id = server.run()
    answered = state(server.trace(), "synchronized")
    assert (answered["is_reached"], answered["policy_result"]) == (True, "matched")
    assert (answered["evidence"]["line_id"], answered["evidence"]["run_id"]) == ("L1", run_id)


def test_a_verified_callback_synchronizes_before_the_line_has_come(server: Server) -> None:
    server.ask()
    server.call(1)
    server.settle("L2,payment,pay_2,int_2,5,0,5,USD,2026-04-27T18:00:00Z,B1")
    server.run()
    answered = state(server.trace(), "synchronized")
    assert (answered["is_reached"], answered["policy_result"]) == (True, "verified")
    assert "match_id" not in answered["evidence"]


def test_where_movements_share_a_line_a_callback_is_that_of_the_intent_it_names(server: Server) -> None:
    for intent_id in ("int_1", "int_2"):
        server.ask(intent_id, provider_reference="pay_1")
    server.call(1, amount_minor=12_500)
    server.settle("L1,payment,pay_1,,25000,0,25000,USD,2026-04-27T18:00:00Z,B1")
    server.run()
    found = [state(server.trace(intent_id), "synchronized") for intent_id in ("int_1", "int_2")]
    assert [answered["policy_result"] for answered in found] == ["verified", "matched"]
    assert found[0]["evidence"]["match_id"] == found[1]["evidence"]["match_id"]


def test_a_callback_that_nobody_verified_does_not_synchronize(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZENTRA_CALLBACK_SECRETS__ACME__RAIL_PRIMARY")
    server.ask()
    server.call(1, signature=False)
    server.settle("L2,payment,pay_2,int_2,5,0,5,USD,2026-04-27T18:00:00Z,B1")
    server.run()
    trace = server.trace()
    assert reached(trace) == RECORDED
    assert state(trace, "synchronized")["detail"] == "no callback of it is both verified and successful"


def test_a_refused_intent_is_a_problem_that_names_it_and_goes_no_further(server: Server) -> None:
    first, again = server.ask(amount_minor=20_001), server.ask(amount_minor=20_001)
    assert (first.status_code, first.headers["content-type"]) == (403, "application/problem+json")
    assert first.json() == again.json()
    reported = first.json()
    assert (reported["type"], reported["status"], reported["intent_id"]) == ("/problems/refused", 403, "int_1")
    assert reported["policy"]["rule"] == "limit_check"
    trace = server.trace()
    assert reached(trace) == ["accepted", "controlled"]
    assert (trace["is_accepted"], trace["transaction_id"], trace["status"]) == (False, None, "controlled")
    assert state(trace, "controlled")["policy_result"] == "refused"
    assert state(trace, "evidenced")["detail"] == "the intent was refused, so nothing was posted"


def test_the_same_intent_is_answered_the_same_and_another_under_its_id_is_a_conflict(server: Server) -> None:
    first = server.ask()
    server.now = LATER
    assert server.ask().content == first.content
    other = server.ask(amount_minor=1)
    assert (other.status_code, other.json()["type"], other.json()["intent_id"]) == (409, "/problems/conflict", "int_1")


def test_who_asks_is_the_tokens_actor_unless_a_service_speaks_for_them(server: Server) -> None:
    assert server.ask(role="operator").status_code == 403
    assert server.ask(role="analyst", actor="analyst_1").status_code == 403
    assert server.ask(role="operator", actor="operator_1").status_code == 202
    assert server.trace()["submitted_by"] == "operator_1"


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": True},
        {"amount_minor": "12500"},
        {"amount_minor": 10**15},
        {"currency": "usd"},
        {"movement_type": "chargeback"},
        {"provider": "../x"},
        {"intent_id": "a/b"},
        {"actor": "a\n"},
        {"settlement_account": "elsewhere"},
        {"customer_account": "settlement_account"},
    ],
)
def test_what_cannot_be_is_refused_and_not_recorded(server: Server, changes: dict[str, Any]) -> None:
    intent_id = changes.pop("intent_id", "int_1")
    answer = server.ask(intent_id, **changes)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert server.ask().status_code == 202, "the id is still free"


SEED = {
    "intent_id": "intent_042",
    "scope": "workspace_scope",
    "money_model": "minor_units + ledger_currency",
    "primitives": ["policy", "ledger", "events"],
}
STEPS = ["intent_accepted", "workspace_scope_resolved", "runtime_trace_attached"]


def flow_of(trace: dict[str, Any]) -> list[tuple[str, int, str]]:
    return [(account["role"], account["net_minor"], account["state"]) for account in trace["ledger_flow"]]


def test_an_intent_is_stated_call_by_call_and_posted_once_amount_currency_and_provider_are_known(
    server: Server,
) -> None:
    first = server.post("/runtime/intents", json=SEED)
    assert (first.status_code, first.json()["steps"], first.json()["status"]) == (202, STEPS, "accepted")
    assert (first.json()["missing"], first.json()["transaction_id"]) == (["amount_minor", "currency", "provider"], None)
    assert first.json()["submitted_by"] == "service_1"
    waiting = server.trace("intent_042")
    assert [state["state"] for state in waiting["states"] if state["is_reached"]] == ["accepted"]
    assert waiting["request"] == SEED | {"actor": "service_1"}
    assert {state for _, _, state in flow_of(waiting)} == {"pending"}

    amount = server.post(
        "/runtime/intents", json={"intent_id": "intent_042", "amount_minor": 12_500, "currency": "USD"}
    )
    assert amount.json()["missing"] == ["provider"]
    again = server.post("/runtime/intents", json=SEED)
    assert (again.status_code, again.json()) == (202, amount.json())

    posted = server.post("/runtime/intents", json={"intent_id": "intent_042", "transfer": {"provider": PROVIDER}})
    assert (posted.status_code, posted.json()["status"], posted.json()["missing"]) == (202, "routed", [])
    whole = SEED | {"amount_minor": 12_500, "currency": "USD", "provider": PROVIDER}
    for same in (SEED, whole, {"intent_id": "intent_042"}):
        assert server.post("/runtime/intents", json=same).json() == posted.json()

    trace = server.trace("intent_042")
    assert [state["state"] for state in trace["states"] if state["is_reached"]] == RECORDED
    assert trace["states"][1]["policy"] == "limit_check.passed"
    assert trace["request"]["primitives"] == ["policy", "ledger", "events"]
    assert flow_of(trace) == [
        ("customer", -12_500, "debited"),
        ("reserved", 0, "released"),
        ("settlement", 12_500, "posted"),
        ("merchant", 0, "pending"),
        ("payout", 0, "pending"),
    ]


def test_a_member_of_an_intent_has_one_value_for_ever(server: Server) -> None:
    server.post("/runtime/intents", json=SEED | {"currency": "USD"})
    for other in ({"scope": "another"}, {"currency": "EUR"}, {"primitives": ["policy"]}):
        answer = server.post("/runtime/intents", json={"intent_id": "intent_042"} | other)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict"), answer.text
    twice = {"amount_minor": 1, "transfer": {"amount_minor": 2}}
    assert server.post("/runtime/intents", json={"intent_id": "intent_042"} | twice).status_code == 422
    assert server.trace("intent_042")["request"]["currency"] == "USD"


def test_an_intent_without_a_scope_and_one_of_an_unknown_scope_are_not_recorded(server: Server) -> None:
    assert server.post("/runtime/intents", json={"intent_id": "int_9"}).status_code == 422
    server.tenant.paths.policy.write_text("intents:\n  scopes: {payments:transfer: [transfer]}\n", encoding="utf-8")
    refused = server.post("/runtime/intents", json=SEED)
    assert (refused.status_code, "workspace_scope" in refused.json()["detail"]) == (403, True)
    headers = {"Authorization": f"Bearer {server.tokens['analyst']}"}
    assert server.client.get("/runtime/intents/intent_042/trace", headers=headers).status_code == 404


def test_an_intent_that_came_as_a_file_is_followed_as_well(server: Server, tmp_path: Path) -> None:
    for kind, rows in (("internal_events", EVENTS), ("ledger", LEDGER)):
        file = tmp_path / f"{kind}.jsonl"
        file.write_text(rows, encoding="utf-8")
        ingest_files(
            server.tenant,
            provider=PROVIDER,
            kind=kind,
            files=[file],
            file_id=f"{kind}_1",
            format="canonical",
            now=NOW,
        )
    server.settle("L1,payment,pay_1,,12500,0,12500,USD,2026-04-27T12:00:00Z,")
    server.run()
    trace = server.trace("int_file")
    assert [state["state"] for state in trace["states"] if state["is_reached"]] == [
        "accepted",
        "controlled",
        "ledgered",
        "synchronized",
    ]
    assert [state["policy"] for state in trace["states"][:2]] == ["request_is_signed.passed", "transfer_limit.passed"]
    assert (trace["status"], trace["transaction_id"], trace["submitted_by"]) == ("synchronized", "T1", "api")
    assert flow_of(trace)[1:3] == [("reserved", -12_500, "debited"), ("settlement", 12_500, "settled")]


def _event(number: int, stage: str, actor: str, policy: str) -> str:
    return (
        f'{{"event_id": "iev_{number}", "intent_id": "int_file", "stage": "{stage}", "actor": "{actor}", '
        f'"scope": "payments:transfer", "policy": "{policy}", "policy_result": "passed", '
        f'"occurred_at": "2026-04-27T09:0{number}:00Z", "transaction_id": null}}\n'
    )


def _entry(entry_id: str, account: str, direction: str) -> str:
    return (
        f'{{"entry_id": "{entry_id}", "transaction_id": "T1", "movement_type": "transfer", "account": "{account}", '
        f'"direction": "{direction}", "amount_minor": 12500, "currency": "USD", "posted_at": "2026-04-27T09:05:00Z", '
        f'"provider": "{PROVIDER}", "provider_reference": "pay_1", "intent_id": "int_file"}}\n'
    )


EVENTS = _event(1, "accepted", "api", "request_is_signed") + _event(2, "controlled", "policy_engine", "transfer_limit")
LEDGER = _entry("E1", "reserved", "debit") + _entry("E2", "settlement_account", "credit")
