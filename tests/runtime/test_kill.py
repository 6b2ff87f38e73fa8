"""Killed at any moment while it records and stages, the runtime keeps what it acknowledged, and stages it once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.asking import NOW, PROVIDER, new_tenant, rows
from zentra_pipeline.runtime.intents import stage_intents
from zentra_pipeline.settings import DBT_PROJECT

pytestmark = pytest.mark.ci

ROOT = DBT_PROJECT.parent
KILLED_AFTER = (1, 4, 9, 16, 23)

CHILD = """
import sys
from pathlib import Path
from tests.runtime.asking import NOW, PROVIDER, TENANT, asked
from zentra_pipeline.runtime.intents import record, stage_intents
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant
import threading
acme, start = Tenant.of(Home(Path(sys.argv[1])), TENANT), int(sys.argv[2])

def staging():
    while True:
        stage_intents(acme, PROVIDER, NOW)

threading.Thread(target=staging, daemon=True).start()
for number in range(start, start + 100_000):
    record(acme, asked(f"int_{number}"), "service", NOW)
    print(f"int_{number}", flush=True)
"""


def test_a_killed_runtime_keeps_every_acknowledged_intent_and_stages_each_once(tmp_path: Path) -> None:
    acme = new_tenant(tmp_path)
    acknowledged: set[str] = set()
    for turn, kill_after in enumerate(KILLED_AFTER):
        command = [sys.executable, "-c", CHILD, str(acme.home.root), str(turn * 1_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
            assert child.stdout is not None
            for _ in range(kill_after):
                acknowledged.add(child.stdout.readline().strip())
            child.kill()
            acknowledged |= {line.strip() for line in child.stdout if line.endswith("\n")}
    assert len(acknowledged) >= sum(KILLED_AFTER)
    stage_intents(acme, PROVIDER, NOW)
    entries = rows(acme, "select intent_id, count(*), count(distinct entry_id) from ledger_entries group by intent_id")
    events = rows(acme, "select intent_id, count(*), count(distinct event_id) from internal_events group by intent_id")
    assert acknowledged <= {intent_id for intent_id, _, _ in entries}
    assert {(rows_of, distinct) for _, rows_of, distinct in entries} == {(4, 4)}
    assert sorted(events) == sorted(entries)
    assert rows(acme, "select count(*) from quarantine") == [(0,)]
