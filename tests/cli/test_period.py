"""`zentra period`: what a month that is not ready is said to need."""

import pytest

from zentra_pipeline.cli import period
from zentra_pipeline.closeout.blockers import Blocker
from zentra_pipeline.remedies import Remedy

TOGETHER = "its windows together: zentra period prepare 2026-04 --tenant acme --windows"


def blocker(kind: str, day: int) -> Blocker:
    about = {"provider": "rail", "ledger_window": f"2026-04-{day}", "run_id": f"run_{day}"}
    return Blocker(
        kind, f"rail 2026-04-{day}", f"rail 2026-04-{day} is open", Remedy("close it", "prepare_closeout", about)
    )


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (["open_window"], None),
        (["open_window", "open_window"], f"{TOGETHER} --actor ACTOR"),
        (["open_window", "missing_window"], f"{TOGETHER} --no-activity --actor ACTOR"),
    ],
)
def test_several_windows_are_closed_by_one_command(
    kinds: list[str], said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    period._print_blockers([blocker(kind, 10 + number) for number, kind in enumerate(kinds)], "acme", "2026-04")
    printed = capsys.readouterr().err
    assert f"Not ready to be signed off: {len(kinds)} blocker" in printed
    assert (TOGETHER in printed) == (said is not None)
    assert said is None or said in printed
