"""`zentra score`: runs a world and prints how well the engine did; comparing does not belong here."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.simulation.scoring import Score

_SHOWN = 5


@click.command("score")
@click.argument("world", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--home", "home", metavar="DIR", help="Fresh home to run in and keep.  [default: a temporary one]")
@options.as_json
def command(world: Path, home: str | None, as_json: bool) -> int:
    """Run a world of `zentra simulate` and score it: precision and recall against its answer key.

    Ends with exit code 5 when anything is below 1.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.cli.progress import progress
    from zentra_pipeline.defs.launch import reconcile
    from zentra_pipeline.errors import VerificationError
    from zentra_pipeline.simulation.bank import replay as bank
    from zentra_pipeline.simulation.replay import replay
    from zentra_pipeline.simulation.scoring import read_key, score

    with TemporaryDirectory(prefix="zentra-score-") as passing, progress() as show_progress:
        if bank.is_bank_world(world):
            result = bank.score(world, bank.replay(world, Home.at(home or passing), reconcile, show_progress))
        else:
            published = replay(world, Home.at(home or passing), reconcile, show_progress)
            result = score(read_key(world), published)
    if as_json:
        printing.print_json(_as_object(result))
    else:
        _print_result(result)
    return 0 if result.is_perfect else VerificationError.exit_code


def _as_object(result: "Score") -> dict[str, object]:
    return {
        "is_perfect": result.is_perfect,
        "kinds": [
            {
                "kind": tally.kind,
                "expected": tally.expected,
                "found": tally.found,
                "agreed": tally.agreed,
                "precision": tally.precision,
                "recall": tally.recall,
                "disagreements": [asdict(disagreement) for disagreement in tally.disagreements],
            }
            for tally in result.tallies
        ],
    }


def _print_result(result: "Score") -> None:
    from zentra_pipeline.cli import printing

    printing.print_table(
        ("kind", "expected", "found", "agreed", "precision", "recall"),
        [
            (tally.kind, tally.expected, tally.found, tally.agreed, tally.precision, tally.recall)
            for tally in result.tallies
        ],
        amounts=("precision", "recall"),
    )
    for tally in result.tallies:
        for disagreement in tally.disagreements[:_SHOWN]:
            speaker, other = ("key", "engine") if disagreement.side == "key" else ("engine", "key")
            printing.say(f"\n{tally.kind}, case {disagreement.case or 'of no story'}")
            printing.say(f"  {speaker} says   {disagreement.fact}\n  {other} says   {disagreement.other}")
        if len(tally.disagreements) > _SHOWN:
            printing.say(f"  … and {len(tally.disagreements) - _SHOWN:,} more of this kind")
    printing.say("\neverything agrees" if result.is_perfect else "\nkey and engine disagree")
