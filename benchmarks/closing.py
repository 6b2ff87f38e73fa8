"""How long a closeout takes: `python -m benchmarks.closing --movements 1000000`, or `--home` with one that is there.

Preparing, approving and verifying are processes of their own, measured by wall clock and processor time. The breaks of
the window are decided beforehand, all at once, as nobody would wait for a thousand commands; nothing is asserted here.
"""

import argparse
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.bench import Measure, ingest, made, measured, new_home, run, say, zentra
from zentra_pipeline.decisions.exception_state import decision_id_of
from zentra_pipeline.instants import instant_text
from zentra_pipeline.published import lake
from zentra_pipeline.settings import Home
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.store.engine import operational_store

TENANT: Final = "acme"
_DECIDER: Final = "ana"


def home_of(folder: Path, movements: int) -> Home:
    """A home with one window of so many movements, reconciled."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = made(folder, movements)
    home = new_home(folder / "home")
    for kind, path in inputs.kinds.items():
        ingest(home, kind, path)
    run(home)
    return Home.at(home)


def decide_all(home: Home) -> int:
    """Accept everything that is open as timing, in one transaction; how many exceptions that were."""
    paths, now = home.tenant(TENANT), instant_text(datetime.now(UTC))
    rows = lake.query(paths, "select exception_id, run_id from exceptions where status <> 'resolved' order by all").rows
    with operational_store(paths).begin() as connection:
        first = decision_store.next_sequence(connection)
        for sequence, (exception_id, run_id) in enumerate(rows, start=first):
            decision = Decision(
                sequence=sequence,
                decision_id=decision_id_of(TENANT, exception_id, 1),
                exception_id=exception_id,
                run_id=run_id,
                action="resolve",
                actor=_DECIDER,
                decided_at=now,
                reason="decided for a benchmark",
                policy={"rule": "benchmark", "outcome": "resolved"},
                result="resolved",
                owner=None,
                resolution="accepted_timing",
                details={},
            )
            decision_store.append(connection, decision)
    lake.refresh(paths)
    return len(rows)


def close(home: Home) -> None:
    """Close the newest run and verify its bundle, and print what each step took."""
    options = ["--home", str(home.root), "--tenant", TENANT]
    (run_id,) = lake.query(home.tenant(TENANT), "select max_by(run_id, created_at) from runs").rows[0]
    say(f"load {os.getloadavg()[0]:.1f}", "seconds", "processor", "rows/second", "peak MB")
    prepared = measured(zentra("close", *options, "--run", run_id, "--actor", "ana", "--json"))
    rows = json.loads(prepared.output)["evidence_rows"]
    _tell("prepare", prepared, rows)
    sealed = measured(zentra("close", *options, "--run", run_id, "--actor", "ben", "--approve", "--json"))
    _tell("approve", sealed, rows)
    bundle = json.loads(sealed.output)["bundle"]
    trust = ["--trust", str(home.trust)]
    _tell("verify", measured(zentra("verify", bundle, *trust)), rows)
    alone = str(Path(__file__).parents[1] / "zentra_pipeline" / "closeout" / "verify.py")
    _tell("verify.py, alone", measured([sys.executable, alone, bundle, *trust]), rows)


def _tell(step: str, took: Measure, rows: int) -> None:
    rate = f"{rows / took.seconds:,.0f}"
    say(f"{step}, {rows:,} rows of evidence", f"{took.seconds:.2f}", f"{took.processor:.2f}", rate, took.peak_mb)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movements", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path, help="a home that holds such a run, which is closed for good")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zentra-bench-") as name:
        home = Home.at(given.home) if given.home else home_of(Path(name), given.movements)
        print(f"{decide_all(home):,} exceptions decided")
        close(home)


if __name__ == "__main__":
    main()
