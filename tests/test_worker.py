"""The worker sends webhooks beside the runs: of every tenant, again and again, and past a fault."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from zentra_pipeline import tenancy, worker
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.settings import Home
from zentra_pipeline.webhooks import sending


def test_webhooks_of_every_tenant_are_sent_while_the_worker_runs_and_past_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, stop, sent, told = Home.at(tmp_path), threading.Event(), [], []
    tenancy.init_home(home)
    for tenant in ("acme", "beta"):
        tenancy.add_tenant(home, tenant, datetime(2026, 4, 20, tzinfo=UTC))

    def send_due(sender: sending.Sender) -> sending.Tally:
        sent.append(sender.tenant)
        if sent.count("beta") == 2:
            stop.set()
        if sender.tenant == "acme":
            raise ZentraError("the passphrase is missing")
        return sending.Tally()

    monkeypatch.setattr(worker, "SEND_SECONDS", 0.01)
    monkeypatch.setattr(sending, "send_due", send_due)
    worker.work(home, stop, told.append)
    assert sent[:4] == ["acme", "beta", "acme", "beta"]
    assert "acme: webhooks wait: the passphrase is missing" in told
