"""The same report downloaded again, by the command line through to a run: no format loses or doubles money.

What a reader makes of such a file is tests/sources/test_files_that_come_again, whose files these are.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Zentra
from tests.sources.test_files_that_come_again import CASES, file_of, written_again
from zentra_pipeline.scenarios.scenario import SCENARIOS, load_scenario

pytestmark = pytest.mark.ci

QUICK = ("camt053_statement",)
"""Played by `make test`; the others by `make test-all`."""


def _played() -> list[Any]:
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in CASES]


@pytest.mark.parametrize("name", _played())
def test_a_report_that_comes_again_under_another_id_changes_no_money(name: str, acme: Zentra, tmp_path: Path) -> None:
    scenario = load_scenario(SCENARIOS / name)
    provider = scenario.provider
    profile = tmp_path / "home" / "tenants" / "acme" / "providers" / f"{provider}.yml"
    profile.write_text(json.dumps(dict(scenario.profile)), encoding="utf-8")

    def ingest(kind: str, path: Path, *more: str) -> Any:
        done = acme("ingest", "--tenant", "acme", "--provider", provider, "--kind", kind, *more, path, "--json")
        assert done.code == 0, done.err
        return done.json

    def run(file_id: str, window: str, as_of: str) -> str:
        asked = ("--settlement-file", file_id, "--ledger-window", window, "--owner", "ana", "--as-of", as_of)
        done = acme("run", "--tenant", "acme", "--provider", provider, *asked, "--json")
        assert done.code == 0, done.err
        run_id: str = done.json["run_id"]
        return run_id

    def asked(sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = acme("query", "--tenant", "acme", sql, "--format", "json").json
        return rows

    def money() -> tuple[list[dict[str, Any]], ...]:
        lines = asked("select count(distinct line_id) as lines from settlement_lines")
        matches = asked(
            "select match_id, settlement_minor, ledger_minor from matches where status <> 'reversed' order by all"
        )
        left = asked("select item_type, item_id, amount_minor, currency from open_items_now order by all")
        found = asked("select exception_type, subject_id, amount_minor from exceptions order by all")
        return lines, matches, left, found

    for step in scenario.steps:
        if step.ingest is not None:
            named = step.ingest.settlement_file
            for file in step.ingest.files:
                under = () if named is None else ("--settlement-file", named)
                ingest(step.ingest.kind, SCENARIOS / name / "inputs" / file, *under)
        elif step.run is not None:
            run(step.run.settlement_file, str(step.run.ledger_window), "2026-05-20T12:00:00Z")
            break
    before = money()
    again = written_again(name, tmp_path, CASES[name])
    (reported,) = ingest("settlement", again, "--settlement-file", "downloaded_again")["files"]
    assert (reported["quarantined"], reported["unchanged"]) == (0, False)
    second = run("downloaded_again", "2026-05-21", "2026-05-20T12:00:00Z")
    after = money()
    assert after[:2] == before[:2]
    assert {row["item_id"]: row["amount_minor"] for row in after[2]} == {
        row["item_id"]: row["amount_minor"] for row in before[2]
    }
    assert [row for row in after[3] if row not in before[3]] == []
    counted = asked(
        "select sum(duplicates) as duplicates, sum(rows_unexplained) as unexplained, "
        f"sum(amount_unexplained_minor) as off from conservation where run_id = '{second}' and side = 'settlement'"
    )
    assert counted == [{"duplicates": reported["rows"], "unexplained": 0, "off": 0}]
    assert file_of(name).read_bytes() != again.read_bytes()
