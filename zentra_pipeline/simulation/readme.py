"""The README of a world: its knobs, how to read the key, and what every case is. Making worlds does not belong here."""

from collections import Counter
from collections.abc import Iterable, Mapping

from zentra_pipeline.simulation.cases import all_cases
from zentra_pipeline.simulation.world import Dataset

_TEXT = """\
# A labelled world

{stories:,} stories with {movements:,} ledger movements of one provider over {windows} windows, made from seed {seed}.
Every story is made by a case that knows what it does to callbacks, settlement and ledger, and so what each run has to
publish. The answer key is written from the cases and from docs/contract.md; no part of the engine took part in it.

Operators write off what some stories say, accept what blocks a close, and close {closed} of the windows.
{late_files}.

    zentra score DIR            run this world in a fresh home and compare with the key

## Files

| file | holds |
|---|---|
| `plan.yml` | the runs in order: what comes before each, its file, window and `as_of`, what operators do behind it |
| `profile.yml` | the provider's profile (below) |
| `inputs/<window>/` | what comes before the window's run: settlement and ledger as CSV, callbacks as JSON Lines |
| `decisions/<window>.csv` | what operators decide once the window has run (`_again`: once its late files are in) |
| `answer_key/` | what the runs must publish, a table a file |

## Knobs

`zentra simulate --out DIR --movements N --seed S [--windows W] [--only-case C …]`. The same N, S, W and cases give
the same bytes on any machine. The seed also draws the profile and the calendar:

| drawn | this world |
|---|---|
{knobs}

## How to read the key

Windows name runs: `ledger_window` is the window whose run says it. Rows are facts as they are in the end: what
late files bring is known to their own window as if they had arrived in time.

- `matches.csv` ({matches:,}): one row a match; ids are sorted and separated by blanks. A blank `method` is not judged
  (a difference beyond tolerance has none of its own); `callbacks` are those of a confirmed match. A `suggested` row
  consumes nothing; later runs may suggest it again.
- `exceptions.csv` ({exceptions:,}): `ledger_window` is the run that opens it, `resolved_window` the one that resolves
  it, or the last that had run when operators ended it (`written_off`, `accepted_timing`). Types joined by `|`: any one
  of them is right. A blank `currency` or `difference_minor` is not judged.
- `open_items.csv` ({open_items:,}): every item still unmatched at the end of every run, with its age.
- `rollforward.csv` ({rollforward:,}): per run and currency; a currency in which nothing is or moves is left out.
- `closeouts.csv` ({closeouts:,}): every seal, with what late files had amended.
- `quarantine.csv` ({quarantine:,}): rows that ingest must quarantine, by file and position.
- `undecidable.csv` ({undecidable:,}): legs that no honest reader can decide. The only right answer is an exception or a
  suggestion; a confident match counts as wrong.

## Cases

| case | stories | what it is |
|---|---|---|
{cases}
"""


def readme(world: Dataset, counts: Mapping[str, int]) -> str:
    """The README of one world; `counts` holds the rows of every table of its key."""
    by_case = Counter(story.case for story in world.stories)
    knobs = {
        "days": f"{world.calendar.days[0]} to {world.calendar.days[-1]}",
        "windows closed": ", ".join(_windows(world, sorted(world.calendar.closed))),
        "windows sealed again": ", ".join(_windows(world, world.calendar.closed_again)) or "none",
        "windows without a run": ", ".join(str(day) for day in world.calendar.days if day not in world.calendar.runs)
        or "none",
        **world.terms.profile(),
    }
    return _TEXT.format(
        stories=len(world.stories),
        movements=world.movements,
        windows=len(world.calendar.runs),
        seed=world.seed,
        closed=len(world.calendar.closed),
        late_files=_late_files(world),
        knobs="\n".join(f"| {name} | {value} |" for name, value in knobs.items()),
        cases="\n".join(f"| `{name}` | {by_case[name]} | {case.description} |" for name, case in all_cases().items()),
        **counts,
    )


def _windows(world: Dataset, runs: Iterable[int]) -> list[str]:
    return [str(world.calendar.runs[run]) for run in runs]


def _late_files(world: Dataset) -> str:
    if world.calendar.late is None:
        return "No file comes after a later window has run"
    first, newest = _windows(world, world.calendar.late)
    return f"Files of {first} come late, when {newest} has run: that window runs again, and what follows with it"
