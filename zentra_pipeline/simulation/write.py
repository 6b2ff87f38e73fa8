"""Writes a world as a folder: inputs, profile, plan, answer key and README. What is in it is decided elsewhere."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from random import Random
from typing import Any

from zentra_pipeline.errors import UsageError
from zentra_pipeline.simulation.answer_key import (
    AnswerKey,
    KeyException,
    KeyMatch,
    KeyOpenItem,
    KeyRollforward,
    KeyUndecidable,
    answer_key,
)
from zentra_pipeline.simulation.operators import APPROVER, PREPARER, KeyCloseout, KeyDecision, decisions
from zentra_pipeline.simulation.readme import readme
from zentra_pipeline.simulation.rows import PROVIDER, Callback, Line, PostedEntry, Row, as_row, instant_text
from zentra_pipeline.simulation.statements import Refused
from zentra_pipeline.simulation.world import Dataset, seeded

OWNER = "finance_ops"
_REDELIVERED_SHARE = 0.25
_SOURCES = {"settlement": "settlement_lines", "ledger": "ledger_entries", "callbacks": "callbacks"}


@dataclass(frozen=True, slots=True)
class KeyQuarantine:
    """A row that ingest must quarantine: the table, its file and its position among the data rows."""

    source: str
    file_id: str
    row_number: int
    case: str


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of a window: the options of `zentra ingest` for it, and its bytes."""

    kind: str
    path: str
    file_id: str
    content: bytes


@dataclass(frozen=True, slots=True)
class WorldStep:
    """A run of the plan and the files that come before it, what operators decide behind it, and the windows they close.

    A restatement may have its window run a second time, and late files do so once later windows have run.
    """

    run: int
    settlement_file: str
    files: tuple[InputFile, ...]
    decisions: tuple[KeyDecision, ...] = ()
    closes: tuple[int, ...] = ()
    is_late: bool = False

    def decisions_path(self, world: Dataset) -> str:
        return f"decisions/{world.calendar.runs[self.run]}{'_again' if self.is_late else ''}.csv"


KEY_TABLES: Mapping[str, type[Any]] = {
    "matches": KeyMatch,
    "exceptions": KeyException,
    "open_items": KeyOpenItem,
    "rollforward": KeyRollforward,
    "quarantine": KeyQuarantine,
    "closeouts": KeyCloseout,
    "undecidable": KeyUndecidable,
}


def write_world(world: Dataset, out: Path) -> dict[str, int]:
    """Write a world into a folder that is new or empty; returns the number of rows of every table of the key."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder: name a new one")
    quarantine: list[KeyQuarantine] = []
    steps = [step for run in range(len(world.calendar.runs)) for step in _steps(world, run, quarantine)]
    for step in steps:
        for file in step.files:
            _write(out / file.path, file.content)
        if step.decisions:
            _write(out / step.decisions_path(world), _key_csv(KeyDecision, step.decisions))
    tables = _tables(answer_key(world), quarantine)
    for name, rows in tables.items():
        _write(out / "answer_key" / f"{name}.csv", _key_csv(KEY_TABLES[name], rows))
    _write(out / "profile.yml", _yaml(world.terms.profile()))
    _write(out / "plan.yml", _yaml(_plan(world, steps)))
    counts = {name: len(rows) for name, rows in tables.items()}
    _write(out / "README.md", readme(world, counts).encode())
    return counts


def _tables(key: AnswerKey, quarantine: Sequence[KeyQuarantine]) -> dict[str, Sequence[Any]]:
    return {
        "matches": key.matches,
        "exceptions": key.exceptions,
        "open_items": key.open_items,
        "rollforward": key.rollforward,
        "quarantine": sorted(quarantine, key=repr),
        "closeouts": key.closeouts,
        "undecidable": key.undecidable,
    }


def _steps(world: Dataset, run: int, quarantine: list[KeyQuarantine]) -> list[WorldStep]:
    """What happens when a window runs, and behind it: what operators do, and the late files of an earlier window."""
    *before, last = _runs(world, run, quarantine)
    closed = (run,) if run in world.calendar.closed else ()
    steps = [*before, replace(last, decisions=tuple(decisions(world, run)), closes=closed)]
    if world.calendar.late is not None and world.calendar.late[1] == run:
        steps.append(_late_step(world, *world.calendar.late))
    return steps


def _late_step(world: Dataset, run: int, newest: int) -> WorldStep:
    """A window runs again with files that come after later windows have run; what was sealed since is amended."""
    rng = seeded("late files", world.seed, run)
    day, settlement_file = world.calendar.runs[run], _settlement_file(world, run)
    deliveries = {
        ("settlement", settlement_file): _settlement_rows(world, run)[2],
        ("ledger", f"ledger_{day}_late"): _late(world, _entries_of(world, run)),
        # Late by its file, whatever run would have been the first to hear it.
        ("callbacks", f"callbacks_{day}_late"): _late(world, _all_deliveries(world)),
    }
    files = [
        _input_file(world, run, kind, file_id, _in_random_order(rng, rows), rng, "_late")
        for (kind, file_id), rows in deliveries.items()
        if rows
    ]
    decided = tuple(decisions(world, newest, is_late=True))
    return WorldStep(run, settlement_file, tuple(files), decided, world.calendar.closed_again, is_late=True)


def _runs(world: Dataset, run: int, quarantine: list[KeyQuarantine]) -> list[WorldStep]:
    """The run of a window; where its file is restated after the run, once more."""
    rng = seeded("files", world.seed, run)
    settlement_file = _settlement_file(world, run)
    first, restated, _ = _settlement_rows(world, run)
    lines = _file(world, run, "settlement", settlement_file, first, rng, quarantine)
    ledger = _file(world, run, "ledger", f"ledger_{world.calendar.runs[run]}", _entries(world, run), rng, quarantine)
    heard = _deliveries(world, run)
    callbacks = _file(world, run, "callbacks", f"callbacks_{world.calendar.runs[run]}", heard, rng, quarantine)
    files = [lines, ledger, callbacks]
    if run and rng.random() < _REDELIVERED_SHARE:
        files += _again(world, run, rng)
    if not restated:
        return [WorldStep(run, settlement_file, tuple(files))]
    content = _csv(_shuffled(rng, _columns(Line)), _in_random_order(rng, restated))
    restatement = InputFile("settlement", lines.path.replace(".csv", "_restated.csv"), settlement_file, content)
    if rng.random() < 0.5:
        return [WorldStep(run, settlement_file, (*files, restatement))]
    return [WorldStep(run, settlement_file, tuple(files)), WorldStep(run, settlement_file, (restatement,))]


def _settlement_file(world: Dataset, run: int) -> str:
    return f"{world.calendar.runs[run]:set_%Y_%m_%d}"


def _file(
    world: Dataset, run: int, kind: str, file_id: str, rows: list[Row], rng: Random, quarantine: list[KeyQuarantine]
) -> InputFile:
    """One file of a window: good and refused rows in one random order; the key learns where the refused are."""
    mixed: list[tuple[Row, str | None]] = [(row, None) for row in rows]
    mixed += [(item.row, story.case) for story in world.stories for item in story.refused if _is_of(item, kind, run)]
    rng.shuffle(mixed)
    quarantine += [
        KeyQuarantine(_SOURCES[kind], file_id, number, case)
        for number, (_, case) in enumerate(mixed, start=1)
        if case is not None
    ]
    return _input_file(world, run, kind, file_id, [row for row, _ in mixed], rng)


def _is_of(refused: Refused, kind: str, run: int) -> bool:
    return (refused.kind, refused.run) == (kind, run)


def _input_file(
    world: Dataset, run: int, kind: str, file_id: str, rows: list[Row], rng: Random, suffix: str = ""
) -> InputFile:
    path = f"inputs/{world.calendar.runs[run]}/{kind}{suffix}"
    if kind == "callbacks":
        return InputFile(kind, f"{path}.jsonl", file_id, _json_lines(rows))
    columns = _shuffled(rng, _columns(Line if kind == "settlement" else PostedEntry))
    return InputFile(kind, f"{path}.csv", file_id, _csv(columns, rows))


def _again(world: Dataset, run: int, rng: Random) -> list[InputFile]:
    """The good rows of the window before, once more under other file ids: redeliveries, every one."""
    before = run - 1
    first, restated, _ = _settlement_rows(world, before)
    day = world.calendar.runs[before]
    files = (
        ("settlement", f"{_settlement_file(world, before)}_again", restated or first),
        ("ledger", f"ledger_{day}_again", _entries(world, before)),
        ("callbacks", f"callbacks_{day}_again", _deliveries(world, before)),
    )
    return [
        _input_file(world, run, kind, file_id, _in_random_order(rng, rows), rng, "_again")
        for kind, file_id, rows in files
    ]


def _entries(world: Dataset, run: int) -> list[Row]:
    return _in_time(world, _entries_of(world, run))


def _entries_of(world: Dataset, run: int) -> list[PostedEntry]:
    return [entry for story in world.stories for at, entry in story.entries if at == run]


def _in_time(world: Dataset, records: Iterable[Line | PostedEntry | Callback]) -> list[Row]:
    late = _late_ids(world)
    return [as_row(record) for record in records if _id(record) not in late]


def _late(world: Dataset, records: Iterable[Line | PostedEntry | Callback]) -> list[Row]:
    late = _late_ids(world)
    return [as_row(record) for record in records if _id(record) in late]


def _late_ids(world: Dataset) -> set[str]:
    return set().union(*(story.late for story in world.stories))


def _id(record: Line | PostedEntry | Callback) -> str:
    if isinstance(record, Line):
        return record.line_id
    return record.entry_id if isinstance(record, PostedEntry) else record.provider_event_id


def _settlement_rows(world: Dataset, run: int) -> tuple[list[Row], list[Row], list[Row]]:
    """The rows of a settlement file as it first comes, as the next file restates it, and as the late one does.

    A file that changes nothing has none.
    """
    lines = [placed.row for story in world.stories for placed in story.lines if placed.run == run]
    lines += [line for story in world.stories for at, line in story.redelivered_lines if at == run]
    late = _late_ids(world)
    corrected = {after.line_id: first for story in world.stories for first, after in story.restated}
    corrected_late = {after.line_id: first for story in world.stories for first, after in story.restated_late}
    in_time = [corrected_late.get(line.line_id, line) for line in lines if line.line_id not in late]
    first = [as_row(corrected.get(line.line_id, line)) for line in in_time]
    restated = [as_row(line) for line in in_time] if any(line.line_id in corrected for line in in_time) else []
    is_late = any(line.line_id in late or line.line_id in corrected_late for line in lines)
    return first, restated, [as_row(line) for line in lines] if is_late else []


def _deliveries(world: Dataset, run: int) -> list[Row]:
    return _in_time(world, _deliveries_of(world, run))


def _deliveries_of(world: Dataset, run: int) -> list[Callback]:
    """The callbacks that a run is the first to hear; those that come after the last run are in its file."""
    last = len(world.calendar.runs) - 1
    found = []
    for story in world.stories:
        for delivery in story.callbacks:
            heard = world.calendar.run_hearing(delivery.received_at)
            if (last if heard is None else heard) == run:
                found.append(delivery)
    return found


def _all_deliveries(world: Dataset) -> Iterable[Callback]:
    return (delivery for story in world.stories for delivery in story.callbacks)


def _plan(world: Dataset, steps: Sequence[WorldStep]) -> dict[str, object]:
    return {
        "provider": PROVIDER,
        "owner": OWNER,
        "prepared_by": PREPARER,
        "approved_by": APPROVER,
        "runs": [_planned(world, step) for step in steps],
    }


def _planned(world: Dataset, step: WorldStep) -> dict[str, object]:
    planned: dict[str, object] = {
        "ledger_window": str(world.calendar.runs[step.run]),
        "settlement_file": step.settlement_file,
        "as_of": instant_text(world.calendar.as_of[step.run]),
        "ingest": [{"kind": file.kind, "file": file.path, "file_id": file.file_id} for file in step.files],
    }
    if step.decisions:
        planned["decide"] = step.decisions_path(world)
    if step.closes:
        planned["close"] = [str(world.calendar.runs[run]) for run in step.closes]
    return planned


def _in_random_order(rng: Random, rows: list[Row]) -> list[Row]:
    return rng.sample(rows, len(rows))


def _columns(record: type[Any]) -> list[str]:
    return [field.name for field in fields(record)]


def _shuffled(rng: Random, columns: list[str]) -> list[str]:
    rng.shuffle(columns)
    return columns


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _json_lines(rows: Iterable[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _key_csv(record: type[Any], rows: Iterable[Any]) -> bytes:
    columns = _columns(record)
    return _csv(columns, ({name: getattr(row, name) for name in columns} for row in rows))


def _yaml(content: Mapping[str, object]) -> bytes:
    import yaml

    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=120).encode()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
