"""The demo plays its first story, and a second time finds nothing new."""

from pathlib import Path

import pytest

from zentra_pipeline.published import lake
from zentra_pipeline.scenarios import demo
from zentra_pipeline.scenarios.scenario import SCENARIOS
from zentra_pipeline.settings import Home

pytestmark = pytest.mark.usefixtures("dagster_as_shipped")


def test_a_second_demo_on_the_same_home_finds_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CHAPTERS", demo.CHAPTERS[:1])
    home = Home.at(tmp_path / "home")
    first: list[str] = []
    reported = demo.run_demo(home, first.append)
    assert (reported["home"], reported["is_anything_new"], reported["seals"]) == (str(home.root), True, 1)
    assert reported["checks_that_hold"] > 0
    known = _exceptions(home)
    assert known == [("unmatched_provider_row", "line_0002", "finance_ops")]
    assert any("line_0002 of 482.00 USD" in line for line in first)
    assert not any("nothing new" in line.lower() for line in first)
    second: list[str] = []
    assert not demo.run_demo(home, second.append)["is_anything_new"]
    assert any(line.startswith("\nNothing is new") for line in second)
    assert [line for line in second if " in" in line and "ingest" in line and "already here" not in line] == []
    assert _exceptions(home) == known


def test_every_chapter_is_a_shipped_scenario() -> None:
    for chapter in demo.CHAPTERS:
        assert (SCENARIOS / chapter.scenario / "scenario.yml").is_file(), chapter.scenario


def _exceptions(home: Home) -> list[tuple[str, str, str]]:
    sql = "select exception_type, subject_id, owner from exceptions"
    return [(row[0], row[1], row[2]) for row in lake.query(home.tenant("acme"), sql).rows]
