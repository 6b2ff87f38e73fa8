"""Intents are recorded once, whatever happens, and become staged rows once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.runtime.asking import NOW, PROVIDER, TENANT, asked, new_tenant, rows
from zentra_pipeline import worker
from zentra_pipeline.errors import UsageError
from zentra_pipeline.ingest import files
from zentra_pipeline.runtime import intent as posting
from zentra_pipeline.runtime.intents import IntentReusedError, files_of, record, stage_intents
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import intents as intent_store
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.on_postgresql

ENTRIES = "select transaction_id, account, direction, amount_minor from ledger_entries order by entry_id"
STAGES = "select intent_id, stage, policy_result from internal_events order by event_id"


@pytest.fixture
def tenant(tmp_path: Path, database: str) -> Tenant:
    return new_tenant(tmp_path, "intents:\n  limit_minor: {USD: 20000}\n")


def registered(tenant: Tenant) -> int:
    with tenant.reading() as connection:
        return sum(len(file_store.staged_files(connection, kind)) for kind in ("ledger", "internal_events"))


def test_an_accepted_intent_becomes_four_stages_and_two_balanced_transactions(tenant: Tenant) -> None:
    record(tenant, asked(), "service", NOW)
    assert stage_intents(tenant, PROVIDER, NOW) == 1
    reserve, settle = posting.reservation_id(TENANT, "int_1"), posting.settlement_id(TENANT, "int_1")
    assert sorted(rows(tenant, ENTRIES)) == sorted(
        [
            (reserve, "customer", "debit", 12_500),
            (reserve, "reserved", "credit", 12_500),
            (settle, "reserved", "debit", 12_500),
            (settle, "settlement_account", "credit", 12_500),
        ]
    )
    stages = ("accepted", "controlled", "ledgered", "routed")
    assert rows(tenant, STAGES) == [("int_1", stage, "passed") for stage in stages]
    asked_by = "select distinct actor, scope, policy from internal_events where stage = 'controlled'"
    assert rows(tenant, asked_by) == [("agent_7", "payments:transfer", "limit_check")]


def test_a_refund_goes_the_other_way(tenant: Tenant) -> None:
    record(tenant, asked(movement_type="refund"), "service", NOW)
    stage_intents(tenant, PROVIDER, NOW)
    on_clearing = "select direction, amount_minor from ledger_entries where account = 'settlement_account'"
    assert rows(tenant, on_clearing) == [("debit", 12_500)]
    assert rows(tenant, "select direction from ledger_entries where account = 'customer'") == [("credit",)]


def test_a_refused_intent_is_on_record_and_posts_nothing(tenant: Tenant) -> None:
    recorded = record(tenant, asked(amount_minor=20_001), "service", NOW)
    assert recorded.intent.status == "refused"
    stage_intents(tenant, PROVIDER, NOW)
    assert rows(tenant, STAGES) == [("int_1", "accepted", "passed"), ("int_1", "controlled", "refused")]
    assert rows(tenant, ENTRIES) == []


def test_the_same_intent_again_is_the_recorded_one_whatever_policy_says_now(tenant: Tenant) -> None:
    first = record(tenant, asked(), "service", NOW)
    tenant.paths.policy.write_text("intents:\n  limit_minor: {USD: 1}\n", encoding="utf-8")
    again = record(tenant, asked(), "somebody else", NOW + timedelta(days=1))
    assert (first.is_new, again.is_new) == (True, False)
    assert again.intent == first.intent
    named = record(tenant, asked("int_2", amount_minor=1), "service", NOW)
    assert named.is_new


def test_other_content_under_the_same_id_is_no_intent(tenant: Tenant) -> None:
    record(tenant, asked(), "service", NOW)
    for changes in ({"amount_minor": 1}, {"actor": "agent_8"}, {"provider_reference": "p"}, {"provider": "other"}):
        with pytest.raises(IntentReusedError, match="int_1"):
            record(tenant, asked(**changes), "service", NOW)


def test_many_at_once_record_one_intent(tenant: Tenant) -> None:
    assert tenant.store
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: record(tenant, asked(), "service", NOW), range(16)))
    assert sum(recorded.is_new for recorded in found) == 1
    assert {recorded.intent.sequence for recorded in found} == {1}


def test_a_drain_that_is_cut_off_anywhere_stages_every_row_once(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tenant, asked(), "service", NOW)
    ingest_files, calls = files.ingest_files, []

    class CutOffError(Exception):
        pass

    def cut_off(*arguments: object, **options: object) -> object:
        calls.append(options["kind"])
        if len(calls) in (1, 3):  # before the first file, and between the two
            raise CutOffError
        return ingest_files(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "ingest_files", cut_off)
    for _ in range(2):
        with pytest.raises(CutOffError):
            stage_intents(tenant, PROVIDER, NOW)
        record(tenant, asked(f"int_{len(calls)}_later"), "service", NOW)
    monkeypatch.setattr(files, "ingest_files", ingest_files)
    with monkeypatch.context() as patched:
        patched.setattr(intent_store, "mark_ingested", cut_off_marking)
        with pytest.raises(ZeroDivisionError):
            stage_intents(tenant, PROVIDER, NOW)
    assert stage_intents(tenant, PROVIDER, NOW + timedelta(hours=1)) == 3
    assert stage_intents(tenant, PROVIDER, NOW) == 0
    assert len(rows(tenant, ENTRIES)) == 3 * 4
    assert len(rows(tenant, STAGES)) == 3 * 4
    assert registered(tenant) == 4  # the batch that was cut off, and the one of those that came since


def test_the_worker_stages_intents_that_nobody_runs(tenant: Tenant) -> None:
    home, reported = tenant.home, list[str]()
    record(tenant, asked(), "service", NOW)
    assert not worker.work_once(home, NOW + worker.INBOX_PATIENCE / 2, reported.append)
    assert registered(tenant) == 0
    assert worker.work_once(home, NOW + worker.INBOX_PATIENCE, reported.append)
    assert (registered(tenant), reported) == (2, [])
    assert not worker.work_once(home, NOW + worker.INBOX_PATIENCE, reported.append)


def cut_off_marking(*_arguments: object) -> None:
    raise ZeroDivisionError


def test_what_is_staged_does_not_change_when_it_is_drained_again(tenant: Tenant) -> None:
    record(tenant, asked(), "service", NOW)
    with tenant.reading() as connection:
        stored = intent_store.find(connection, "int_1")
    assert stored is not None
    assert files_of(TENANT, [stored]) == files_of(TENANT, [replace(stored, batch="b")])
    assert files_of(TENANT, []) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settlement_account": "elsewhere"}, "is none that rail_primary settles"),
        ({"customer_account": "settlement_account"}, "customer_account 'settlement_account' is one that"),
        ({"reserved_account": "customer"}, "are the same"),
    ],
)
def test_accounts_that_would_hide_the_movement_are_refused(tenant: Tenant, changes: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        record(tenant, asked(**changes), "service", NOW)
    with tenant.reading() as connection:
        assert intent_store.find(connection, "int_1") is None


def test_an_account_has_to_be_named_where_a_provider_settles_several(tenant: Tenant) -> None:
    (tenant.paths.providers / f"{PROVIDER}.yml").write_text("clearing_accounts: [one, two]\n", encoding="utf-8")
    with pytest.raises(UsageError, match="one of one, two"):
        record(tenant, asked(), "service", NOW)
    assert record(tenant, asked(settlement_account="two"), "service", NOW).intent.content["settlement_account"] == "two"


def test_a_profile_that_changes_later_does_not_make_the_same_intent_another(tenant: Tenant) -> None:
    record(tenant, asked(), "service", NOW)
    (tenant.paths.providers / f"{PROVIDER}.yml").write_text("clearing_accounts: [nostro]\n", encoding="utf-8")
    again = record(tenant, asked(), "service", NOW)
    assert (again.is_new, again.intent.content["settlement_account"]) == (False, "settlement_account")
