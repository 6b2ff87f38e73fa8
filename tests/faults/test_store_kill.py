"""A writer killed at any moment loses nothing that it acknowledged and leaves no half of a transaction."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zentra_pipeline.settings import Home
from zentra_pipeline.store import decisions, event_log
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.ci

ROOT = Path(__file__).resolve().parents[2]
KILLS = 40
# Imports once and forks a writer a round: a writer says "n" on stdout once transaction n is committed.
CHILD = """
import os, sys
from pathlib import Path
from zentra_pipeline.settings import Home
from zentra_pipeline.store import decisions, event_log
from zentra_pipeline.tenants.tenant import Tenant

store = Tenant.of(Home(Path(sys.argv[1])), "acme").store

def decision(number):
    return decisions.Decision(
        sequence=number, decision_id=f"d{number}", exception_id=None, run_id="r", action="comment", actor="ann",
        decided_at="2026-04-27T06:00:00.000000Z", reason="x" * 20_000, policy={}, result="open", owner=None,
        resolution=None, details={},
    )

def write():
    while True:
        with store.begin() as connection:
            number = decisions.next_sequence(connection)
            decisions.append(connection, decision(number))
            event_log.append(connection, {"id": f"e{number}", "type": "t", "data": "y" * 20_000})
        os.write(1, b"%d\\n" % number)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        write()
    os.write(1, b"pid %d\\n" % child)
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


def check_store(tenant: Tenant) -> int:
    """How many transactions the store holds, each whole; opening it took less than a second."""
    started = time.monotonic()
    with tenant.writing() as connection:  # a commit that the dead writer left under way ends first
        opened = time.monotonic() - started
        decided = [decision.decision_id for decision in decisions.listed(connection)]
        reported = [entry.event_id for entry in event_log.entries(connection)]
    assert opened < 1
    assert decided == [f"d{number}" for number in range(1, len(decided) + 1)]
    assert reported == [f"e{number}" for number in range(1, len(decided) + 1)]
    return len(decided)


def kill_writers(tenant: Tenant, kills: int) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tenant.home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        bufsize=0,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    acknowledged = rounds_with_writes = 0
    for kill in range(kills):
        parent.stdin.write(b"next\n")
        said = read_until(parent.stdout.fileno(), rb"pid \d+\n")
        writer = int(said.split(b"pid ")[1].split()[0])
        if kill % 4:
            said += read_until(parent.stdout.fileno(), rb"^\d+\n")
        time.sleep(0.08 * (kill % 10) / 10)
        os.kill(writer, signal.SIGKILL)
        said += read_until(parent.stdout.fileno(), rb"dead\n")
        numbers = [int(line) for line in said.splitlines() if line.isdigit()]
        rounds_with_writes += bool(numbers)
        acknowledged = max([acknowledged, *numbers])
        # A killed commit may be durable without having been acknowledged; more than one cannot.
        kept = check_store(tenant)
        assert acknowledged <= kept <= acknowledged + 1
        acknowledged = kept
    parent.stdin.close()
    assert parent.wait(timeout=20) == 0
    parent.stdout.close()
    assert rounds_with_writes >= kills * 3 // 4


def read_until(descriptor: int, pattern: bytes) -> bytes:
    """Whole lines, up to one that fits."""
    said = b""
    while not (said.endswith(b"\n") and re.search(pattern, said, re.MULTILINE)):
        said += os.read(descriptor, 65_536)
    return said


def test_forty_killed_writers_lose_nothing_they_acknowledged(tmp_path: Path, database: str) -> None:
    kill_writers(Tenant.of(Home(tmp_path), "acme"), KILLS)


@pytest.mark.slow
def test_four_hundred_killed_writers_lose_nothing_they_acknowledged(tmp_path: Path, database: str) -> None:
    kill_writers(Tenant.of(Home(tmp_path), "acme"), KILLS * 10)
