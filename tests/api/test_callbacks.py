"""Callbacks over HTTP: verified on their bytes, kept before they are acknowledged, and rows of the next run once."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.conftest import Api, Books, serving
from tests.api.deliveries import (
    ADYEN,
    ADYEN_KEY,
    PROVIDER,
    SECRET,
    SIGNED_BODIES,
    STRIPE,
    adyen_item,
    adyen_notification,
    callback,
    signed,
    stripe_charge,
    stripe_signed,
)
from zentra_pipeline import worker
from zentra_pipeline.api.callbacks import BODY_BYTES
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.ingest import callback_staging
from zentra_pipeline.published import lake
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.on_postgresql


@pytest.fixture(scope="module")
def signing(own_books: Books) -> Iterator[Api]:
    """The API with secrets of our own callbacks and of the providers that sign in a way of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        for provider in (PROVIDER, STRIPE):
            patch.setenv(f"ZENTRA_CALLBACK_SECRETS__ACME__{provider.upper()}", f"an old one, {SECRET}")
        patch.setenv(f"ZENTRA_CALLBACK_SECRETS__ACME__{ADYEN.upper()}", f"00ff, {ADYEN_KEY}")
        patch.setenv("ZENTRA_CALLBACK_SECRETS__ACME__SQUARE", f"{SECRET}@https://shop.example/hooks")
        patch.setenv("ZENTRA_CALLBACK_SECRETS__ACME__BRAINTREE", f"public={SECRET}")
        patch.setenv("ZENTRA_CALLBACK_SECRETS__ACME__GOCARDLESS", SECRET)
        patch.setenv("ZENTRA_CALLBACK_SECRETS__ACME__MOLLIE", SECRET)
        for provider in (STRIPE, ADYEN, *SIGNED_BODIES, "mollie"):
            profile = own_books.paths("acme").providers / f"{provider}.yml"
            profile.write_text(f"callback_format: {provider}\n", encoding="utf-8")
        with serving(own_books) as served:
            yield served


@pytest.fixture
def tenant(own_books: Books) -> Tenant:
    """Acme, its inbox emptied."""
    for provider in (PROVIDER, STRIPE, ADYEN, "plain", *SIGNED_BODIES, "mollie"):
        callback_staging.stage_callbacks(own_books.tenant("acme"), provider, datetime.now(UTC))
    return own_books.tenant("acme")


def deliver(api: Api, body: bytes, headers: dict[str, str] | None = None, provider: str = PROVIDER) -> httpx.Response:
    return api.as_("service").post(f"/callbacks/{provider}", content=body, headers=headers or signed(body))


def rows(tenant: Tenant, sql: str) -> list[tuple[Any, ...]]:
    return lake.query(tenant.paths, sql).rows


def waiting(tenant: Tenant) -> dict[str, int]:
    with tenant.reading() as connection:
        return {found.provider: found.deliveries for found in inbox_store.waiting(connection)}


def test_a_delivery_is_kept_and_becomes_one_row_with_our_own_word_on_it(signing: Api, tenant: Tenant) -> None:
    body = callback(1, received_at="1999-01-01T00:00:00Z", signature_verified=False, extra={"n": 1.10, "big": 10**30})
    before = datetime.now(UTC)
    answer = deliver(signing, body)
    assert (answer.status_code, answer.json()["is_new"], answer.json()["verification"]) == (200, True, "verified")
    again = deliver(signing, body, signed(body, "msg_2"))
    assert (again.status_code, again.json()) == (200, {**answer.json(), "is_new": False})
    assert waiting(tenant) == {PROVIDER: 1}
    (outcome,) = callback_staging.stage_callbacks(tenant, PROVIDER, datetime.now(UTC))
    assert (outcome.files[0].staged, outcome.files[0].quarantined) == (1, 0)
    assert callback_staging.stage_callbacks(tenant, PROVIDER, datetime.now(UTC)) == []
    found = rows(tenant, "select * from callbacks where provider_event_id = 'evt_1'")
    columns = lake.query(tenant.paths, "select * from callbacks limit 0").columns
    (row,) = (dict(zip(columns, values, strict=True)) for values in found)
    assert (row["provider"], row["amount_minor"], row["signature_verified"]) == (PROVIDER, 1001, True)
    assert before.replace(tzinfo=None) <= row["received_at"] <= datetime.now(UTC).replace(tzinfo=None)
    assert row["raw"] == '{"extra":{"n":1.1,"big":1000000000000000000000000000000}}'


def test_a_delivery_whose_signature_does_not_hold_goes_to_quarantine_and_is_refused(
    signing: Api, tenant: Tenant
) -> None:
    body = callback(2)
    quarantined = "select count(*) from quarantine where reason like '%signature not verified%'"
    ((before,),) = rows(tenant, quarantined)
    for headers in (
        signed(body, key="another"),
        signed(body + b" "),
        signed(body, at=1_700_000_000),
        signed(body) | {"webhook-id": "msg.2"},
        {"webhook-id": "msg_2"},
    ):
        answer = deliver(signing, body, headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/signature")
    assert deliver(signing, body).json()["is_new"] is True  # the refused ones hold nothing up
    callback_staging.stage_callbacks(tenant, PROVIDER, datetime.now(UTC))
    assert rows(tenant, quarantined) == [(before + 1,)]
    assert rows(tenant, "select count(*) from callbacks where provider_event_id = 'evt_2'") == [(1,)]


def test_a_batch_of_nothing_but_refused_deliveries_is_counted_too(signing: Api, tenant: Tenant) -> None:
    deliver(signing, callback(3), signed(callback(3), key="another"))
    (outcome,) = callback_staging.stage_callbacks(tenant, PROVIDER, datetime.now(UTC))
    assert (outcome.files[0].staged, outcome.files[0].quarantined) == (0, 1)
    assert waiting(tenant) == {}


def test_the_providers_own_scheme_is_verified_on_the_bytes(signing: Api, tenant: Tenant) -> None:
    body = stripe_charge(7)
    assert deliver(signing, body, stripe_signed(body), STRIPE).status_code == 200
    reordered = json.dumps(json.loads(body), sort_keys=True).encode()
    assert deliver(signing, reordered, stripe_signed(body), STRIPE).status_code == 400
    (outcome,) = callback_staging.stage_callbacks(tenant, STRIPE, datetime.now(UTC))
    assert (outcome.files[0].staged, outcome.files[0].quarantined) == (1, 1)
    sql = "select provider_event_id, signature_verified from callbacks where provider = 'stripe'"
    assert rows(tenant, sql) == [("evt_7", True)]


def test_adyens_items_are_judged_one_by_one_and_answered_as_adyen_expects(signing: Api, tenant: Tenant) -> None:
    forged = adyen_item("8836B", key="00")
    stolen = adyen_item("8836C") | {"amount": {"value": 999_999, "currency": "EUR"}}
    body = adyen_notification(adyen_item("8836A"), forged, stolen, adyen_item("8836D", success="false"))
    answer = deliver(signing, body, {"Content-Type": "application/json; charset=utf-8"}, ADYEN)
    assert (answer.status_code, answer.text) == (200, "[accepted]")
    again = deliver(signing, body, {"Content-Type": "application/json"}, ADYEN)
    assert (again.status_code, again.text, waiting(tenant)) == (200, "[accepted]", {ADYEN: 1})
    (outcome,) = callback_staging.stage_callbacks(tenant, ADYEN, datetime.now(UTC))
    assert (outcome.files[0].staged, outcome.files[0].quarantined) == (2, 2)
    assert outcome.files[0].reason_rows == {"callback signature not verified": (2, 3)}
    sql = "select provider_event_id, amount_minor, status, signature_verified from callbacks where provider = 'adyen'"
    assert sorted(rows(tenant, sql)) == [
        ("AUTHORISATION:8836A:true", 1130, "succeeded", True),
        ("AUTHORISATION:8836D:false", 1130, "failed", True),
    ]


def test_a_delivery_of_adyen_without_a_signed_item_is_refused(signing: Api, tenant: Tenant) -> None:
    headers = {"Content-Type": "application/json"}
    unsigned = {key: value for key, value in adyen_item("8836E").items() if key != "additionalData"}
    for body in (adyen_notification(adyen_item("8836E", key="00")), adyen_notification(unsigned), b"{}", b"[]", b"{"):
        answer = deliver(signing, body, headers, ADYEN)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/signature")
    assert waiting(tenant) == {ADYEN: 5}


def test_providers_that_sign_the_whole_body_are_verified_on_it(signing: Api, tenant: Tenant) -> None:
    for provider, (body, headers, event_id) in SIGNED_BODIES.items():
        altered = body.replace(b"1250", b"9250") if provider != "braintree" else body.replace(b"%7C", b"%7C0")
        assert altered != body
        assert [deliver(signing, sent, headers, provider).status_code for sent in (body, altered)] == [200, 400], (
            provider
        )
        (outcome,) = callback_staging.stage_callbacks(tenant, provider, datetime.now(UTC))
        assert (outcome.files[0].staged, outcome.files[0].quarantined) == (1, 1), provider
        sql = f"select provider_event_id, amount_minor, signature_verified from callbacks where provider = '{provider}'"
        assert rows(tenant, sql) == [(event_id, 1250, True)], provider


def test_a_classic_webhook_of_mollie_is_refused_with_what_to_do_instead(signing: Api, tenant: Tenant) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert deliver(signing, b"id=tr_7UhSN1zuXS", form, "mollie").status_code == 400
    callback_staging.stage_callbacks(tenant, "mollie", datetime.now(UTC))
    ((reason,),) = rows(tenant, "select reason from quarantine where reason like '%classic webhook%'")
    assert "carries only the id tr_7UhSN1zuXS and no signature, and cannot be believed" in reason
    assert deliver(signing, b"id=tr_7UhSN1zuXS", form, "square").status_code == 415


def test_without_a_secret_our_own_callbacks_rest_on_the_token_and_others_are_refused(
    signing: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deliver(signing, callback(5), {}, "plain").json()["verification"] == "unsigned"
    callback_staging.stage_callbacks(tenant, "plain", datetime.now(UTC))
    sql = "select signature_verified from callbacks where provider = 'plain'"
    assert rows(tenant, sql) == [(None,)]
    monkeypatch.delenv("ZENTRA_CALLBACK_SECRETS__ACME__STRIPE")
    answer = deliver(signing, stripe_charge(8), stripe_signed(stripe_charge(8)), STRIPE)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-configured")


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b'{"a":"\\ud800"}'])
def test_what_is_no_object_is_malformed_and_kept_nowhere(signing: Api, tenant: Tenant, body: bytes) -> None:
    answer = deliver(signing, body)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed")
    assert waiting(tenant) == {}


def test_a_body_that_is_too_large_is_refused(signing: Api, tenant: Tenant) -> None:
    assert deliver(signing, b" " * (BODY_BYTES + 1)).status_code == 413
    assert waiting(tenant) == {}


def test_a_signed_callback_that_says_nothing_is_quarantined_and_holds_up_no_other(signing: Api, tenant: Tenant) -> None:
    for body in (b"{}", b'{"nonsense": {"a": [1, 2]}}', callback(11)):
        assert deliver(signing, body).status_code == 200
    (outcome,) = callback_staging.stage_callbacks(tenant, PROVIDER, datetime.now(UTC))
    assert (outcome.files[0].staged, outcome.files[0].quarantined) == (1, 2)


def test_deliveries_that_no_file_may_hold_are_set_aside_and_the_others_read(signing: Api, tenant: Tenant) -> None:
    """A reader refuses a file with more unknown columns than it may have; one such delivery shall cost no other."""
    monster = callback(20, **{f"unknown_{number}": number for number in range(2_000)})
    for body in (callback(21), monster, callback(22), callback(23)):
        assert deliver(signing, body).status_code == 200
    outcomes = callback_staging.stage_callbacks(tenant, PROVIDER, datetime.now(UTC))
    assert sum(outcome.files[0].staged for outcome in outcomes) == 3
    assert waiting(tenant) == {}
    with tenant.reading() as connection:
        table = inbox_store.callback_inbox
        kept = Counter(connection.execute(table.select().with_only_columns(table.c.status)).scalars())
    assert kept["set_aside"] == 1


def test_a_drain_that_is_cut_off_is_finished_without_a_row_twice(
    signing: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30, 40):
        deliver(signing, callback(number))

    def killed(*_arguments: object) -> None:
        raise ZentraError("killed between the registration and the mark")

    with monkeypatch.context() as patch:
        patch.setattr(inbox_store, "mark_ingested", killed)
        with pytest.raises(ZentraError, match="killed"):
            callback_staging.stage_callbacks(tenant, PROVIDER, datetime.now(UTC))
    deliver(signing, callback(40))
    outcomes = callback_staging.stage_callbacks(tenant, PROVIDER, datetime.now(UTC))
    assert [outcome.files[0].unchanged for outcome in outcomes] == [True, False]
    ids = [row[0] for row in rows(tenant, "select provider_event_id from callbacks order by 1")]
    assert [name for name in ids if name in {f"evt_{number}" for number in range(30, 41)}] == [
        f"evt_{number}" for number in range(30, 41)
    ]


def test_the_worker_waits_for_company_but_not_for_ever(signing: Api, own_books: Books, tenant: Tenant) -> None:
    deliver(signing, callback(50))
    now = datetime.now(UTC)
    worker.work_once(own_books.home, now, lambda _text: None)
    assert waiting(tenant) == {PROVIDER: 1}
    worker.work_once(own_books.home, now + worker.INBOX_PATIENCE + timedelta(seconds=1), lambda _text: None)
    assert waiting(tenant) == {}


def test_many_at_once_are_each_kept_once(signing: Api, tenant: Tenant) -> None:
    bodies = [callback(number) for number in range(100, 160)] * 3
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda body: deliver(signing, body), bodies))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["is_new"] for answer in answers) == 60
    assert waiting(tenant) == {PROVIDER: 60}


def test_a_provider_name_that_is_a_path_reaches_nothing(signing: Api, tenant: Tenant) -> None:
    for name in ("..", "%2e%2e", "a%2fb", "*", "[1]", "k=v", "x" * 65):
        answer = signing.client.request(
            "POST",
            f"/callbacks/{name}",
            content=b"{}",
            headers={**signing.as_("service").headers, "Content-Type": "application/json"},
        )
        assert answer.status_code in (404, 405, 422), name
    assert waiting(tenant) == {}
