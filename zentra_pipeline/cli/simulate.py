"""`zentra simulate`: reads its options and prints what was written; making a world does not belong here."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.simulation.calendar import Calendar


@click.command("simulate")
@click.option(
    "--out",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write, new or empty.",
)
@click.option(
    "--movements",
    metavar="N",
    required=True,
    type=click.IntRange(min=1),
    help="About how many ledger movements.",
)
@click.option("--seed", metavar="S", required=True, type=int, help="The same seed and sizes give the same bytes.")
@click.option(
    "--windows", metavar="W", type=click.IntRange(1, 366), help="How many runs.  [default: 6, with --bank 10]"
)
@click.option("--bank", "is_bank", is_flag=True, help="A bank's world: N payouts of a provider, and statements.")
@click.option("--only-case", "only_cases", metavar="C", multiple=True, help="Only this case; may be repeated.")
@options.home
@options.as_json
def command(
    out: Path,
    movements: int,
    seed: int,
    windows: int | None,
    is_bank: bool,
    only_cases: tuple[str, ...],
    home: Home,
    as_json: bool,
) -> None:
    """Write a labelled data set: inputs, what operators decide and close, and the answer key.

    The answer key comes from the cases the data is made of, never from the engine; `zentra score` compares the two. No
    home is needed, and none is touched.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.simulation.world import DEFAULT_WINDOWS, build_world
    from zentra_pipeline.simulation.write import write_world

    del home
    if is_bank:
        _write_bank_world(out, movements, seed, windows, only_cases, as_json=as_json)
        return
    world = build_world(seed, movements, windows or DEFAULT_WINDOWS, only_cases)
    counts = write_world(world, out)
    if as_json:
        printing.print_json(
            {
                "out": str(out),
                "seed": seed,
                "stories": len(world.stories),
                "movements": world.movements,
                "windows": [str(day) for day in world.calendar.runs],
                "answer_key": counts,
            }
        )
        return
    printing.say(
        f"{len(world.stories):,} stories with {world.movements:,} movements over {len(world.calendar.runs):,} windows, "
        f"{world.calendar.runs[0]} to {world.calendar.runs[-1]}, in {out}"
    )
    printing.say(f"operators close {len(world.calendar.closed):,} of them; {_late_files(world.calendar)}")
    printing.print_table(("answer key", "rows"), counts.items())
    printing.say(f"read {out / 'README.md'}, or score it with: zentra score {out}")


def _write_bank_world(
    out: Path, payouts: int, seed: int, windows: int | None, only_cases: tuple[str, ...], *, as_json: bool
) -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.simulation.bank.world import DEFAULT_WINDOWS, build_bank_world
    from zentra_pipeline.simulation.bank.write import write_bank_world

    world = build_bank_world(seed, payouts, windows or DEFAULT_WINDOWS, only_cases)
    counts = write_bank_world(world, out)
    if as_json:
        days = [str(day) for day in world.steps]
        said = {"stories": len(world.stories), "payouts": world.payouts, "windows": days, "answer_key": counts}
        printing.print_json({"out": str(out), "seed": seed, **said})
        return
    printing.say(
        f"{len(world.stories):,} stories with {world.payouts:,} payouts over {len(world.steps):,} business days, "
        f"{world.steps[0]} to {world.steps[-1]}, in {out}"
    )
    printing.print_table(("answer key", "rows"), counts.items())
    printing.say(f"read {out / 'README.md'}, or score it with: zentra score {out}")


def _late_files(calendar: "Calendar") -> str:
    if calendar.late is None:
        return "every file comes in time"
    first, newest = calendar.late
    return f"files of {calendar.runs[first]} come when {calendar.runs[newest]} has run, and it runs again"
