"""A secret is shown once: it is in the store encrypted, and opens for its endpoint and passphrase alone."""

import base64
import json
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select
from standardwebhooks import Webhook

from tests.cli.conftest import Zentra
from tests.webhooks.station import NOW, Counterpart, Station, answer
from zentra_pipeline.errors import RefusedError, ZentraError
from zentra_pipeline.keys import secret_box, signing_keys
from zentra_pipeline.store import models
from zentra_pipeline.webhooks import endpoints, schedule, signing


def test_a_secret_is_256_random_bits_in_the_form_of_the_specification() -> None:
    made = {signing.new_secret() for _ in range(50)}
    assert len(made) == 50
    assert {len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in made} == {32}


def test_nothing_of_a_home_holds_a_secret_in_the_clear(
    station: Station, receiver: Counterpart, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint_id = station.add(receiver.url)
    _, rotated = endpoints.rotate(station.tenant, endpoint_id, NOW)
    station.emit("a")
    receiver.script = [answer(500)]
    station.send()
    station.wait(hours=1)
    station.send()
    planted = [secret.removeprefix("whsec_") for secret in (station.secrets[endpoint_id], rotated)]
    planted += [base64.b64decode(secret).hex() for secret in planted]
    shown = repr(station.endpoint(endpoint_id)) + json.dumps(endpoints.as_object(station.endpoint(endpoint_id)))
    everything = [path.read_bytes() for path in station.home.root.rglob("*") if path.is_file()]
    with station.tenant.reading() as store:  # which may be in no file of the home
        everything += [repr(store.execute(select(table)).all()).encode() for table in models.metadata.sorted_tables]
    everything += [caplog.text.encode(), "".join(capfd.readouterr()).encode(), shown.encode()]
    everything += [request.body + str(request.headers).encode() for request in receiver.requests]
    for secret in planted:
        assert not any(secret.encode() in content for content in everything)
    assert any(station.endpoint(endpoint_id).secret.encode() in content for content in everything)  # type: ignore[union-attr]


def test_a_secret_opens_for_its_own_endpoint_and_passphrase_alone(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing_keys.init(station.home, NOW)
    kept = secret_box.sealed(station.home, "whe_1", "whsec_abc")
    assert secret_box.opened(station.home, "whe_1", kept) == "whsec_abc"
    assert kept != secret_box.sealed(station.home, "whe_1", "whsec_abc")
    with pytest.raises(RefusedError, match="does not open"):
        secret_box.opened(station.home, "whe_2", kept)
    monkeypatch.setenv(signing_keys.PASSPHRASE_VARIABLE, "another")
    with pytest.raises(RefusedError, match="passphrase"):
        secret_box.opened(station.home, "whe_1", kept)
    with pytest.raises(ZentraError, match="does not know"):
        secret_box.opened(station.home, "whe_1", "plain:text")


def test_a_sender_without_the_passphrase_sends_nothing_and_counts_no_failure(
    station: Station, receiver: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.add(receiver.url)
    station.emit("a")
    monkeypatch.setenv(signing_keys.PASSPHRASE_VARIABLE, "another")
    with pytest.raises(RefusedError, match="does not open"):
        station.send()
    monkeypatch.undo()
    assert (receiver.requests, station.attempts()) == ([], [])
    assert station.send().delivered == 1


@pytest.mark.parametrize("event_id", ["", "evt.1", "evt 1", "evt\n1", "évt", "e" * 257, "."])
def test_an_id_that_could_be_read_two_ways_is_not_signed(event_id: str) -> None:
    with pytest.raises(ZentraError, match="cannot be signed"):
        signing.headers(event_id, NOW, "{}", [signing.new_secret()])


def test_nothing_is_sent_unsigned() -> None:
    with pytest.raises(ZentraError, match="no secret"):
        signing.headers("evt_1", NOW, "{}", [])


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_the_public_library_verifies_what_is_signed(body: str) -> None:
    old, new = signing.new_secret(), signing.new_secret()
    now = datetime.now(UTC)
    for at in (now, now.astimezone(tz=None)):
        headers = signing.headers("evt_1", at, body, [new, old])
        assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=", headers["webhook-signature"])
        for secret in (old, new):
            Webhook(secret).verify(body, headers, json_parse=False)


def test_waits_are_the_specifications_with_up_to_a_tenth_more_by_the_seed_alone() -> None:
    for failures, base in enumerate(schedule.WAITS, start=1):
        waits = [schedule.wait_after(failures, f"seed {number}") for number in range(200)]
        assert waits == [schedule.wait_after(failures, f"seed {number}") for number in range(200)]
        assert all(wait is not None and base <= wait <= base * 1.1 for wait in waits)
        assert len(set(waits)) > 150
    assert schedule.wait_after(len(schedule.WAITS) + 1, "seed") is None


@given(st.text(max_size=40))
@example("0\x1f")
def test_any_retry_after_is_a_wait_of_a_day_at_most_or_none(header: str) -> None:
    wait = schedule.retry_after(header, NOW)
    assert wait is None or timedelta(0) <= wait <= timedelta(days=1)


def test_a_secret_is_printed_by_add_and_rotate_and_by_nothing_else(acme: Zentra) -> None:
    added = acme("webhooks", "add", "https://hooks.example.com/in", "--tenant", "acme", "--json").json
    rotated = acme("webhooks", "rotate", added["id"], "--tenant", "acme", "--json").json
    assert added["secret"] != rotated["secret"]
    for command in (
        ("webhooks", "list", "--tenant", "acme", "--json"),
        ("webhooks", "list", "--tenant", "acme"),
        ("webhooks", "disable", added["id"], "--tenant", "acme", "--json"),
        ("webhooks", "enable", added["id"], "--tenant", "acme", "--json"),
        ("events", "--tenant", "acme", "--json"),
    ):
        done = acme(*command)
        assert done.code == 0
        assert "whsec_" not in done.out + done.err
        assert "scrypt" not in done.out


def test_as_object_shows_everything_else(station: Station) -> None:
    endpoint = station.endpoint(station.add("https://hooks.example.com/in", is_loopback_allowed=False))
    reported = endpoints.as_object(replace(endpoint, status_reason="why"))
    assert reported["url"] == "https://hooks.example.com/in"
    assert reported["status_reason"] == "why"
    assert not any("secret" in name and value for name, value in reported.items())
