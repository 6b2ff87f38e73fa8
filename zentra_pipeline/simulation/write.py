"""Writes a world as a folder: inputs, profile, plan, answer key and README. What is in it is decided elsewhere."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
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
from zentra_pipeline.simulation.readme import readme
from zentra_pipeline.simulation.rows import PROVIDER, Callback, Entry, Line, Row, as_row, instant_text
from zentra_pipeline.simulation.world import World, seeded

OWNER = "finance_ops"
RESTATED = "_restated"
_SOURCES = {"settlement": "settlement_lines", "ledger": "ledger_entries", "callbacks": "callbacks"}


@dataclass(frozen=True, slots=True)
class KeyQuarantine:
    """A row that ingest must set aside: the table, the file it stands in and its position among the data rows."""

    source: str
    file_id: str
    row_number: int
    case: str


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of a window: what `zentra ingest` is to be told about it, and its bytes."""

    kind: str
    path: str
    file_id: str
    content: bytes


KEY_TABLES: Mapping[str, type[Any]] = {
    "matches": KeyMatch,
    "exceptions": KeyException,
    "open_items": KeyOpenItem,
    "rollforward": KeyRollforward,
    "quarantine": KeyQuarantine,
    "undecidable": KeyUndecidable,
}


def write_world(world: World, out: Path) -> dict[str, int]:
    """Write a world into a folder that is new or empty; returns the number of rows of every table of the key."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder: name a new one")
    quarantine: list[KeyQuarantine] = []
    steps = [_window(world, run, quarantine) for run in range(len(world.calendar.runs))]
    for files in steps:
        for file in files:
            _write(out / file.path, file.content)
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
        "undecidable": key.undecidable,
    }


def _window(world: World, run: int, quarantine: list[KeyQuarantine]) -> list[InputFile]:
    """The files that come before a run: a settlement file, its restatement if there is one, postings and callbacks."""
    day = world.calendar.runs[run]
    rng = seeded("files", world.seed, run)
    folder, settlement_file = f"inputs/{day}", f"{day:set_%Y_%m_%d}"
    refused: dict[str, list[tuple[Row, str]]] = {kind: [] for kind in _SOURCES}
    for story in world.stories:
        for row in story.refused:
            if row.run == run:
                refused[row.kind].append((row.row, story.case))
    first, restated = _settlement_rows(world, run)
    editions = [("settlement", first)] + ([(f"settlement{RESTATED}", restated)] if restated else [])
    files = []
    for name, lines in editions:
        rows = _mixed(rng, lines, refused.pop("settlement", []), "settlement", settlement_file, quarantine)
        content = _csv(_shuffled(rng, _columns(Line)), rows)
        files.append(InputFile("settlement", f"{folder}/{name}.csv", settlement_file, content))
    ledger_id, callbacks_id = f"ledger_{day}", f"callbacks_{day}"
    entries = [as_row(entry) for story in world.stories for at, entry in story.entries if at == run]
    rows = _mixed(rng, entries, refused["ledger"], "ledger", ledger_id, quarantine)
    files.append(InputFile("ledger", f"{folder}/ledger.csv", ledger_id, _csv(_shuffled(rng, _columns(Entry)), rows)))
    deliveries = [as_row(delivery) for delivery in _deliveries(world, run)]
    rows = _mixed(rng, deliveries, refused["callbacks"], "callbacks", callbacks_id, quarantine)
    files.append(InputFile("callbacks", f"{folder}/callbacks.jsonl", callbacks_id, _json_lines(rows)))
    return files


def _settlement_rows(world: World, run: int) -> tuple[list[Row], list[Row]]:
    """The rows of a settlement file as it first comes, and of the file that restates it (none when nothing changes)."""
    lines = [placed.row for story in world.stories for placed in story.lines if placed.run == run]
    lines += [line for story in world.stories for at, line in story.redelivered_lines if at == run]
    before = {after.line_id: first for story in world.stories for first, after in story.restated}
    if not any(line.line_id in before for line in lines):
        return [as_row(line) for line in lines], []
    return [as_row(before.get(line.line_id, line)) for line in lines], [as_row(line) for line in lines]


def _deliveries(world: World, run: int) -> list[Callback]:
    """The callbacks that a run is the first to hear; those that come after the last run stand in its file."""
    last = len(world.calendar.runs) - 1
    deliveries = (callback for story in world.stories for callback in story.callbacks)
    found = []
    for delivery in deliveries:
        heard = world.calendar.run_hearing(delivery.received_at)
        if (last if heard is None else heard) == run:
            found.append(delivery)
    return found


def _mixed(
    rng: Random,
    rows: list[Row],
    refused: list[tuple[Row, str]],
    kind: str,
    file_id: str,
    quarantine: list[KeyQuarantine],
) -> list[Row]:
    """Good and refused rows in one random order; where the refused ones stand goes into the key."""
    mixed: list[tuple[Row, str | None]] = [(row, None) for row in rows] + list(refused)
    rng.shuffle(mixed)
    quarantine += [
        KeyQuarantine(_SOURCES[kind], file_id, number, case)
        for number, (_, case) in enumerate(mixed, start=1)
        if case is not None
    ]
    return [row for row, _ in mixed]


def _plan(world: World, steps: Sequence[Sequence[InputFile]]) -> dict[str, object]:
    return {
        "provider": PROVIDER,
        "owner": OWNER,
        "runs": [
            {
                "ledger_window": str(day),
                "settlement_file": files[0].file_id,
                "as_of": instant_text(as_of),
                "ingest": [{"kind": file.kind, "file": file.path, "file_id": file.file_id} for file in files],
            }
            for day, as_of, files in zip(world.calendar.runs, world.calendar.as_of, steps, strict=True)
        ],
    }


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
