"""Plays ledger cases through the run engine: cases that can share a world share its runs, which cost seconds.

Each case's ids and references are set apart by a prefix, so none can answer for another. What is right is in the
shared cases, never here. `python -m tests.cases.ledger NAME…` prints how the named cases differ.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tests.cases.shared import DAYS, LedgerCase, groups, ledger_cases
from tests.scenarios.rows import settlement_file
from tests.scenarios.world import World

PROVIDER = "acmepay"
CLAIMS = ("matches", "exceptions", "open_items")
Found = Mapping[str, Mapping[int, list[Any]]]


@dataclass(frozen=True)
class Played:
    """What was known of one case after each of its runs, in the case's own ids; run 0 is the last.

    `world` and `prefix` are for claims that the case does not state as rows.
    """

    case: LedgerCase
    found: Found
    world: World
    prefix: str

    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Every claim of the case that does not hold: what is right, and what was found."""
        pairs = {
            f"{claim} after run {run or 'the last'}": (right, self.found[claim][run])
            for claim in CLAIMS
            for run, right in getattr(self.case, claim).items()
        }
        return {claim: (right, found) for claim, (right, found) in pairs.items() if right != found}


def play(group: Sequence[LedgerCase], folder: Path) -> list[Played]:
    """Run the windows of a group of cases once, over the rows of all of them."""
    windows = group[0].windows
    world = World(folder, group[0].profile, PROVIDER)
    if group[0].holidays:
        world.paths.calendar.write_text(json.dumps({"holidays": list(group[0].holidays)}), encoding="utf-8")
    for number, case in enumerate(group):
        for phase, row in case.rows:
            world.add(row.prefixed(_prefix(number)).again(arrives=windows[phase - 1] if phase else None))
    snapshots: dict[int, list[dict[str, list[Any]]]] = {}
    for number, window in enumerate(windows, start=1):
        run_window(world, window)
        snapshots[number] = _snapshots(world, len(group), window)
    snapshots[0] = snapshots[len(windows)]
    return [
        Played(
            case,
            {claim: {run: each[place][claim] for run, each in snapshots.items()} for claim in CLAIMS},
            world,
            _prefix(place),
        )
        for place, case in enumerate(group)
    ]


def run_window(world: World, window: str) -> None:
    """Run a window as the cases say: its own settlement file, as of 06:00 the day after."""
    file_id = f"sf{DAYS.index(window) + 1}" if window in DAYS else settlement_file(window)
    morning_after = date.fromisoformat(window) + timedelta(days=1)
    world.deliver(window)
    world.reconcile(window, f"{morning_after}T06:00:00+00:00", file_id)


def _snapshots(world: World, cases: int, window: str) -> list[dict[str, list[Any]]]:
    """What the published tables say of each case after the run of a window."""
    found: list[dict[str, list[Any]]] = [{claim: [] for claim in CLAIMS} for _ in range(cases)]
    matches = world.query(
        "select any_value(rule) as rule, any_value(difference_minor) as difference, "
        "string_agg(distinct leg_id, ' ' order by leg_id) as legs from matches inner join match_legs using (match_id) "
        "where status = 'confirmed' and leg_type <> 'callback' group by matches.match_id order by all"
    )
    for each in matches:
        found[_place(each["legs"])]["matches"].append([each["rule"], _bare(each["legs"]), each["difference"]])
    exceptions = world.query(
        "select exception_type, subject_id, ledger_window, coalesce(resolution, status) as state "
        "from exceptions order by all"
    )
    for each in exceptions:
        opened = _number(str(each["ledger_window"]))
        about = [each["exception_type"], _bare(each["subject_id"]), opened, each["state"]]
        found[_place(each["subject_id"])]["exceptions"].append(about)
    items = world.query(f"select item_id from open_items where ledger_window = date '{window}' order by all")
    for each in items:
        found[_place(each["item_id"])]["open_items"].append(_bare(each["item_id"]))
    return [{claim: sorted(rows) for claim, rows in each.items()} for each in found]


def _place(item_id: str) -> int:
    return int(item_id[1:4])


def _bare(ids: str) -> str:
    return " ".join(each[len(_prefix(0)) :] for each in ids.split())


def _number(window: str) -> int | str:
    return DAYS.index(window) + 1 if window in DAYS else window


def _prefix(number: int) -> str:
    return f"c{number:03d}."


def main(names: Sequence[str]) -> None:
    """Print the differences of the named cases, or of all."""
    for group in groups(names or list(ledger_cases())):
        with tempfile.TemporaryDirectory() as folder:
            for played in play(group, Path(folder)):
                differences = played.differences()
                sys.stdout.write(f"{'WRONG' if differences else 'right'} {played.case.name}\n")
                for claim, (right, found) in differences.items():
                    sys.stdout.write(f"    {claim}\n      right {right}\n      found {found}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
