"""The fair floor: DuckDB by hand over the staged files of one window, writing what a run of it publishes; no Zentra.

`python -m benchmarks.fair_floor STAGED OUT` writes matches, legs, three-way rows, evidence, callback states and the
places of the match events, with ids of sha256 (fair_floor.sql). `python -m benchmarks.fair_floor sums FOLDER` prints
counts and sums of such tables, so that what a run has published can be held against it. It knows what dataset.py makes
and no more: one currency a group, no history, no decision, no fee that is posted.
"""

import json
import sys
from pathlib import Path
from typing import Final

import duckdb

from benchmarks.dataset import AS_OF, SETTLEMENT_FILE, WINDOW

_STATEMENTS: Final = Path(__file__).with_suffix(".sql")
# What is the same of both: ids differ, as a run's are of its own name.
_SUMS: Final = {
    "matches": "rule, count(*), sum(settlement_minor), sum(ledger_minor) from {rows} where status = 'confirmed'",
    "match_legs": "leg_type, count(*), sum(amount_minor) from {rows}",
    "three_way": "has_callback, has_settlement, has_ledger, count(*), sum(callback_minor), sum(settlement_minor), "
    "sum(ledger_minor), count(provider_event_id) from {rows}",
    "evidence_items": "missing, count(*), count(match_id), count(line_id), count(ledger_entry), "
    "count(provider_event_id) from {rows}",
    "callback_states": "callback_state, count(*), sum(deliveries) from {rows}",
    "event_rows": "event_type, count(*) from {rows} where event_type = 'reconciliation.match.created'",
}


def write(staged: Path, out: Path) -> None:
    """Make all tables with two threads, as many as a run uses, and write those that a run publishes."""
    words = {"staged": staged, "out": out, "as_of": AS_OF, "file": SETTLEMENT_FILE, "window": WINDOW}
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(_STATEMENTS.read_text(encoding="utf-8").format(**words)).fetchall()


def sums(folder: Path) -> dict[str, list[list[str]]]:
    """Counts and sums of the published tables below a folder: of this floor, or a lake of one run."""
    found = {}
    with duckdb.connect() as connection:
        for name, query in _SUMS.items():
            files = sorted(map(str, [*folder.glob(f"{name}.parquet"), *(folder / name).rglob("*.parquet")]))
            rows = f"read_parquet({files!r}, hive_partitioning = false)"
            answer = connection.execute(f"select {query.format(rows=rows)} group by all order by all").fetchall()
            found[name] = [list(map(str, row)) for row in answer]
    return found


def main(arguments: list[str]) -> None:
    if arguments[0] == "sums":
        print(json.dumps(sums(Path(arguments[1]))))
    else:
        write(Path(arguments[0]), Path(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
