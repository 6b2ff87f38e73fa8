"""Finds rows that contradict another row of their id: in one file, or in a file that arrived before (contract §10.13).

Does not belong here: restatements (the same file id again), which stay, and redeliveries (equal content), which a run
counts. A blank field that may be filled in never contradicts, and what is no content never does.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from zentra_pipeline import private_database
from zentra_pipeline.contracts import staged_tables
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.published import lake_files

ID_USED_TWICE = "id_used_twice"
ALREADY_ARRIVED = " already arrived in file "
_MEMORY = "1GB"
_FILES_AT_ONCE = 500


@dataclass(frozen=True)
class KnownFile:
    """A staged file of the table; a later sequence of one provider and file id wins over an earlier."""

    path: Path
    provider: str
    file_id: str
    sequence: int


@dataclass(frozen=True)
class Contradiction:
    """A row that goes to quarantine: its file's sequence, its number there, its id in words and why."""

    sequence: int
    row_number: int
    row_id: str
    reason: str


@dataclass(frozen=True)
class _Row:
    sequence: int
    row_number: int
    key: tuple[Any, ...]
    content: str
    fillable: tuple[str | None, ...]


@dataclass(frozen=True)
class Found:
    """What files say against each other: rows that go to quarantine, and file sequence → sequences it restates."""

    rows: list[Contradiction]
    restated: dict[int, list[int]]


def contradictions(contract: Contract, new: Sequence[KnownFile], earlier: Sequence[KnownFile], spill: Path) -> Found:
    """Rows of `new` files that contradict a row of their own file, or the last word of another file id on their id.

    A later file of the same id with other content of a row restates an earlier one. Files count in order of their
    sequence, `new` ones too. `spill` is the folder DuckDB may use when memory runs short.
    """
    if not contract.key or not new:
        return Found([], {})
    files = {file.path for file in (*new, *earlier)}
    with private_database.opened_for(files, _MEMORY, spill) as connection:
        if not _make_rows(connection, contract, new, earlier):
            return Found([], {})
        twice = list(_used_twice(connection, contract))
        gone = {(found.sequence, found.row_number) for found in twice}
        by_sequence = {file.sequence: file for file in (*new, *earlier)}
        fresh = {file.sequence for file in new}
        rows = [*twice, *_across_files(contract, _contested(connection, contract), gone, by_sequence, fresh)]
        return Found(rows, _restated(connection, contract))


def row_id(contract: Contract, key: Sequence[Any]) -> str:
    """A row's id in words: `line_id L1`, `entry_id 2 of transaction_id t1`."""
    named = [(name, value) for name, value in zip(contract.key, key, strict=True) if name != "provider"]
    return " of ".join(f"{name} {value}" for name, value in reversed(named))


def _make_rows(
    connection: duckdb.DuckDBPyConnection, contract: Contract, new: Sequence[KnownFile], earlier: Sequence[KnownFile]
) -> bool:
    """Make `deliveries`: rows whose id came more than once, in new and in earlier files; False where none did."""
    staged = staged_tables.staged_columns(contract.table)
    key = ", ".join(contract.key)
    strict = [column for column in contract.content if column not in contract.fillable]
    columns = ", ".join(
        (
            "file_sequence",
            "row_number",
            *contract.key,
            *(f"nullif({column}, '') as {column}" for column in contract.fillable),
            f"to_json([{', '.join(f'cast({column} as varchar)' for column in strict)}])::varchar as content",
        )
    )
    connection.execute("create temp table ids (id_hash ubigint)")
    for part in _parts(new):
        connection.execute(f"insert into ids select hash({key}) from ({lake_files.staged_rows(staged, part)})")
    connection.execute("create temp table new_ids as select distinct id_hash from ids")
    for part in _parts(earlier):
        connection.execute(
            f"insert into ids select hash({key}) from ({lake_files.staged_rows(staged, part)}) "
            f"where hash({key}) in (select id_hash from new_ids)"
        )
    connection.execute("create temp table repeated as select id_hash from ids group by id_hash having count(*) > 1")
    if not connection.execute("select count(*) from repeated").fetchall()[0][0]:
        return False
    connection.execute(f"create temp table deliveries as select {columns} from ({lake_files.staged_rows(staged, [])})")
    for part in _parts([*earlier, *new]):
        connection.execute(
            f"insert into deliveries select {columns} from ({lake_files.staged_rows(staged, part)}) "
            f"where hash({key}) in (select id_hash from repeated)"
        )
    listed = [(file.sequence, file.provider, file.file_id, file in set(new)) for file in (*new, *earlier)]
    connection.execute("create temp table files (file_sequence bigint, file_key varchar, is_new boolean)")
    texts = [[str(sequence), f"{provider}/{file_id}", str(is_new)] for sequence, provider, file_id, is_new in listed]
    connection.execute(
        "insert into files select f[1]::bigint, f[2], f[3]::boolean from (select unnest($1) as f)", [texts]
    )
    return True


def _parts(files: Sequence[KnownFile]) -> Iterator[list[Path]]:
    for start in range(0, len(files), _FILES_AT_ONCE):
        yield [file.path for file in files[start : start + _FILES_AT_ONCE]]


def _differs(contract: Contract) -> str:
    """An aggregate: whether rows of one id contradict each other; nulls of fillable fields are not looked at."""
    return " or ".join(f"min({column}) <> max({column})" for column in ("content", *contract.fillable))


def _used_twice(connection: duckdb.DuckDBPyConnection, contract: Contract) -> Iterator[Contradiction]:
    """Every row of an id that one new file uses for different contents."""
    key = ", ".join(contract.key)
    found = connection.execute(
        f"""
        select file_sequence, row_number, {key} from deliveries
        where (file_sequence, {key}) in (
            select (file_sequence, {key}) from deliveries
            where file_sequence in (select file_sequence from files where is_new)
            group by file_sequence, {key}
            having {_differs(contract)}
        )
        order by file_sequence, {key}, row_number
        """
    ).fetchall()
    for sequence, row_number, *values in found:
        yield Contradiction(sequence, row_number, row_id(contract, values), ID_USED_TWICE)


def _restated(connection: duckdb.DuckDBPyConnection, contract: Contract) -> dict[int, list[int]]:
    """Each new file's sequence → the earlier sequences of its file id of whose rows it has another content."""
    same_row = " and ".join(f"newer.{column} = older.{column}" for column in contract.key)
    found = connection.execute(
        f"""
        select distinct newer.file_sequence, older.file_sequence
        from deliveries as newer
        join files as of_newer on newer.file_sequence = of_newer.file_sequence and of_newer.is_new
        join deliveries as older
            on {same_row} and older.file_sequence < newer.file_sequence and older.content <> newer.content
        join files as of_older on older.file_sequence = of_older.file_sequence and of_older.file_key = of_newer.file_key
        order by 1, 2
        """
    ).fetchall()
    restated: dict[int, list[int]] = {}
    for newer, older in found:
        restated.setdefault(newer, []).append(older)
    return restated


def _contested(connection: duckdb.DuckDBPyConnection, contract: Contract) -> Iterator[_Row]:
    """Rows of ids that several file ids deliver with different contents, id by id, in order of arrival."""
    key = ", ".join(contract.key)
    fillable = "".join(f", {column}" for column in contract.fillable)
    width = len(contract.key)
    rows = connection.execute(
        f"""
        select file_sequence, row_number, content, {key} {fillable} from deliveries
        where ({key}) in (
            select ({key}) from deliveries join files using (file_sequence)
            group by {key}
            having min(file_key) <> max(file_key) and bool_or(is_new) and ({_differs(contract)})
        )
        order by {key}, file_sequence, row_number
        """
    )
    while batch := rows.fetchmany(10_000):
        for sequence, row_number, content, *rest in batch:
            yield _Row(sequence, row_number, tuple(rest[:width]), content, tuple(rest[width:]))


def _across_files(
    contract: Contract,
    rows: Iterable[_Row],
    gone: set[tuple[int, int]],
    files: Mapping[int, KnownFile],
    fresh: set[int],
) -> Iterator[Contradiction]:
    """Rows of new files that contradict the last word of another file id; they themselves say nothing further.

    The file id that brought an id first may always restate it: what other files repeated of its earlier word is stale.
    """
    for key, deliveries in groupby(rows, lambda row: row.key):
        said: dict[tuple[str, str], tuple[str, tuple[str | None, ...]]] = {}
        for row in deliveries:
            if (row.sequence, row.row_number) in gone:
                continue
            file = files[row.sequence]
            name = (file.provider, file.file_id)
            others = sorted(other for other, word in said.items() if other != name and _contradict(row, *word))
            if name == next(iter(said), None):
                said = {name: said[name]} if others else said
                others = []
            if others and row.sequence in fresh:
                reason = f"{row_id(contract, key)}{ALREADY_ARRIVED}{others[0][1]} with other content"
                yield Contradiction(row.sequence, row.row_number, row_id(contract, key), reason)
            else:
                before = said.get(name, ("", (None,) * len(row.fillable)))[1]
                filled = tuple(now or then for now, then in zip(row.fillable, before, strict=True))
                said[name] = (row.content, filled)


def _contradict(row: _Row, content: str, fillable: tuple[str | None, ...]) -> bool:
    return row.content != content or any(
        one is not None and other is not None and one != other
        for one, other in zip(row.fillable, fillable, strict=True)
    )
