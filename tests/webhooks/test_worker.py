"""The worker sends webhooks beside the runs: of every tenant, again and again, and past a fault."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from zentra_pipeline import worker
from zentra_pipeline.errors import UnavailableError, ZentraError
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.webhooks import sending


def test_webhooks_of_every_tenant_are_sent_while_the_worker_runs_and_past_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, stop, sent, reported = Home.at(tmp_path), threading.Event(), [], []
    tenancy.init_home(home)
    for tenant in ("acme", "beta"):
        tenancy.add_tenant(home, tenant, datetime(2026, 4, 20, tzinfo=UTC))

    def send_due(sender: sending.Sender) -> sending.Tally:
        sent.append(sender.tenant.name)
        if sent.count("beta") == 2:
            stop.set()
        if sender.tenant.name == "acme":
            raise ZentraError("the passphrase is missing")
        return sending.Tally()

    monkeypatch.setattr(worker, "SEND_SECONDS", 0.01)
    monkeypatch.setattr(worker, "OUTAGE_SECONDS", 0.01)
    monkeypatch.setattr(sending, "send_due", send_due)
    worker.work(home, stop, reported.append)
    assert sent[:4] == ["acme", "beta", "acme", "beta"]
    assert reported == ["webhooks wait: acme: the passphrase is missing"]


def test_a_worker_waits_out_an_outage_of_its_database_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, stop, reported, calls = Home.at(tmp_path), threading.Event(), list[str](), list[str]()
    tenancy.init_home(home)

    def tenants(_home: Home) -> list[str]:
        calls.append(threading.current_thread().name)
        if len(calls) > 30 and {"webhooks", "overdue exceptions"} <= set(calls):
            stop.set()
        if len(calls) <= 20:
            raise UnavailableError("the database is away")
        return []

    monkeypatch.setattr(tenancy, "tenants", tenants)
    for name in ("SEND_SECONDS", "OUTAGE_SECONDS", "POLL_SECONDS", "ESCALATE_SECONDS"):
        monkeypatch.setattr(worker, name, 0.01)
    worker.work(home, stop, reported.append)
    assert len(calls) > 30
    assert len(reported) == 1
    assert reported[0].endswith(" wait: the database is away")
