"""An empty DuckDB database in memory for one piece of work: nobody else sees what is made in it, and it ends with it.

Starting DuckDB costs as much processor time as a query, ten milliseconds and more; a database in one that runs already
costs one. So a process keeps one engine for all. Does not belong here: a run's database (reconcile.run_database), and
what executes statements that somebody brings (queries).
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

import duckdb

# Work over files of this many bytes fits into memory whatever it does with them.
_SMALL: Final = 16 * 1024 * 1024
_numbers = count()


def cursor() -> duckdb.DuckDBPyConnection:
    """A connection to the process's engine; only its temporary tables and views are its own."""
    return _engine(os.getpid()).cursor()


@contextmanager
def opened() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to an empty database of its own."""
    name = f"private_{next(_numbers)}"
    with cursor() as connection:
        connection.execute(f"attach ':memory:' as {name}")
        connection.execute(f"use {name}")
        try:
            yield connection
        finally:
            with suppress(duckdb.Error):  # after a fault that took the engine with it there is nothing left to close
                connection.execute("use memory")
                connection.execute(f"detach {name}")


def opened_for(
    files: Iterable[Path], memory_limit: str, spill: Path
) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """The same for work over these files; where they are large, in an engine of its own with a limit.

    `spill` is the folder that DuckDB makes then when memory runs short, and removes.
    """
    if sum(path.stat().st_size for path in set(files) if path.exists()) <= _SMALL:
        return opened()
    return duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(spill)})


@cache
def _engine(process: int) -> duckdb.DuckDBPyConnection:
    """The engine of a process; a fork starts its own. It keeps no pages of files: a restored one is read as it is."""
    return duckdb.connect(config={"enable_external_file_cache": False})
