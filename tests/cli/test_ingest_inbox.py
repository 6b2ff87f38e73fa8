"""`zentra ingest --inbox`: callbacks that wait become rows, and it goes with nothing that names files."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Zentra
from zentra_pipeline.instants import instant_text
from zentra_pipeline.settings import Home
from zentra_pipeline.store import inbox
from zentra_pipeline.tenants.tenant import Tenant

BODY = (
    b'{"provider_event_id":"e1","event_type":"t","provider_reference":"r1","amount_minor":5,"currency":"USD",'
    b'"status":"succeeded","occurred_at":"2026-04-26T08:00:00Z"}'
)


def test_what_waits_is_ingested_once(acme: Zentra, tmp_path: Path) -> None:
    receipt = inbox.Receipt("rail", "canonical", instant_text(datetime.now(UTC)), "0" * 64, {}, BODY, inbox.UNSIGNED)
    with Tenant.of(Home.at(tmp_path / "home"), "acme").writing() as connection:
        assert inbox.add(connection, [receipt, receipt]) == [True, False]
    ingest = ("ingest", "--tenant", "acme", "--provider", "rail", "--inbox")
    (file,) = acme(*ingest, "--json").json["files"]
    assert (file["staged"], file["quarantined"]) == (1, 0)
    assert acme(*ingest).out == "the inbox is empty\n"
    found = acme("query", "--tenant", "acme", "--format", "csv", "select provider_event_id from callbacks")
    assert found.out.splitlines() == ["provider_event_id", "e1"]


@pytest.mark.parametrize(
    "arguments", [("--inbox", "--kind", "callbacks"), ("--inbox", "--settlement-file", "s"), ("--inbox", __file__), ()]
)
def test_it_goes_with_nothing_that_names_files(acme: Zentra, arguments: tuple[str, ...]) -> None:
    done = acme("ingest", "--tenant", "acme", "--provider", "rail", *arguments)
    assert (done.code, done.out) == (2, "")
    assert "--inbox" in done.err
