"""Values, paths and file scans written into SQL text, and statements kept in `.sql` files. Running SQL is elsewhere."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.settings import PACKAGE_ROOT

_PATTERN: Final = re.compile(r"[\[*?]")


def literal(text: str) -> str:
    """A text as a SQL literal."""
    if "\0" in text:
        raise ZentraError("a path or value with a NUL character cannot be written into SQL")
    return "'" + text.replace("'", "''") + "'"


def is_pattern(path: Path) -> bool:
    """Whether DuckDB would take a path for a pattern, and look into folders for what goes by it."""
    return _PATTERN.search(str(path)) is not None


def file_literal(path: Path) -> str:
    """A path as a SQL text literal in which DuckDB finds no pattern."""
    return literal(_PATTERN.sub(r"[\g<0>]", str(path)))


def allowed_paths(paths: Sequence[Path]) -> str:
    """The statement that lets DuckDB read these files alone: it compares them as they are written in a scan."""
    listed = dict.fromkeys(text for path in paths for text in (file_literal(path), literal(str(path))))
    return f"set allowed_paths = [{', '.join(listed)}]"


def parquet_scan(
    paths: Sequence[Path], columns: str, *, with_names: bool = False, with_row_numbers: bool = False
) -> str:
    """A `read_parquet` over exactly these files with exactly these columns (`a varchar, b bigint`).

    A file of an older release has null in the columns it lacks, and its types are cast to those declared. Nothing in a
    name is a pattern, folders give no columns, and no file is opened before rows are asked for. `with_names` adds the
    column `filename`, `with_row_numbers` the column `file_row_number`, from 0.
    """
    listed = ", ".join(file_literal(path) for path in paths)
    names = ", filename = true" if with_names else ""
    names += ", file_row_number = true" if with_row_numbers else ""
    return f"read_parquet([{listed}], hive_partitioning = false, schema = {_schema(columns)}{names})"


@cache
def _schema(columns: str) -> str:
    """What `read_parquet` takes as schema: one text that is cast, as a map written out takes thrice as long to plan."""
    types = column_types(columns).items()
    fields = ", ".join(f"{name}={{name: {name}, type: {kind}, default_value: NULL}}" for name, kind in types)
    kinds = "name varchar, type varchar, default_value varchar"
    return f"cast({literal('{' + fields + '}')} as map(varchar, struct({kinds})))"


@cache
def column_types(columns: str) -> Mapping[str, str]:
    """Column name → type of column definitions such as `a varchar, b bigint`."""
    definitions = (definition.split() for definition in columns.split(","))
    return MappingProxyType({name.strip('"'): kind for name, kind in definitions})


def empty(columns: str) -> str:
    """A select without rows, of these column definitions."""
    casts = (definition.split() for definition in columns.split(","))
    return "select " + ", ".join(f"cast(null as {kind}) as {name}" for name, kind in casts) + " where false"


@cache
def statement(room: str, name: str) -> str:
    """The text of `<room>/sql/<name>.sql`; its first comment says what it returns and which parameters it takes."""
    return (PACKAGE_ROOT / room / "sql" / f"{name}.sql").read_text(encoding="utf-8")
