"""Published tables for notebooks and reports, as Arrow, pandas or polars; computing figures from them is the reader's.

>>> from zentra_pipeline.analysis import frame, table
>>> open_items = frame("acme", "select * from open_items where age_business_days > 5")
>>> polars.from_arrow(table("acme", "select * from open_items"))
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zentra_pipeline.queries import query_process, query_request
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenancy import require_tenant

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_FRAME_TYPES: Final = {
    "int64": "Int64",
    "int32": "Int64",
    "bool": "boolean",
    "string": "string",
    "timestamp[us, tz=UTC]": "datetime64[us, UTC]",
    "date32[day]": "datetime64[us]",
}


def table(
    tenant: str,
    sql: str,
    parameters: Sequence[Any] = (),
    *,
    home: str | Path | None = None,
    seconds: int | None = None,
    memory: str | None = None,
) -> "pa.Table":
    """The answer to one query over a tenant's published tables as an Arrow table, handed on batch by batch.

    Amounts are 64-bit integers of minor units, never floats; sums wider than that (DuckDB's HUGEINT) are exact decimals
    without a fraction. Instants are `timestamp[us, UTC]`, days `date32`. `seconds` and `memory` (`2GB`) bound what the
    query may take; without them the environment's limits hold, as for `zentra query`. Raises UsageError as that does:
    for an unknown tenant and for anything that is not a single query.
    """
    import pyarrow as pa

    require_tenant(Home.at(home), tenant)
    asked = query_request.request(
        str(Home.at(home).root), tenant, sql, parameters, seconds=seconds, memory=memory, as_arrow=True
    )
    with query_process.answered(asked) as answer:
        parts = [pa.ipc.open_stream(content).read_all() for _, content in answer.rows]
    found = pa.concat_tables(parts)
    found.validate(full=True)  # it comes from the process that ran somebody's query
    return _in_utc(found)


def frame(
    tenant: str,
    sql: str,
    parameters: Sequence[Any] = (),
    *,
    home: str | Path | None = None,
    seconds: int | None = None,
    memory: str | None = None,
) -> "pd.DataFrame":
    """The answer to one query over a tenant's published tables as a pandas frame; arguments and errors as of `table`.

    Amounts are nullable integers (`Int64`) of minor units, never floats; instants are UTC; days are midnight, no zone.
    Sums wider than 64 bits (DuckDB's HUGEINT) and decimals stay Python objects, exact.
    """
    return in_pandas(table(tenant, sql, parameters, home=home, seconds=seconds, memory=memory))


def in_pandas(found: "pa.Table") -> "pd.DataFrame":
    """An Arrow table as a pandas frame with nullable types, as `frame` has them."""
    import pandas as pd

    columns = {}
    for name, column in zip(found.column_names, found.columns, strict=True):
        data_type = str(column.type)
        values = column.to_pandas(date_as_object=False, integer_object_nulls=True)
        if data_type not in _FRAME_TYPES:
            values = pd.Series([_whole(value) for value in column.to_pylist()], dtype="object")
        columns[name] = values.astype(_FRAME_TYPES.get(data_type, "object"))
    return pd.DataFrame(columns, columns=found.column_names)


def _whole(value: object) -> object:
    """A decimal without a fraction as the integer that it is."""
    from decimal import Decimal

    return int(value) if isinstance(value, Decimal) and value.as_tuple().exponent == 0 else value


def _in_utc(found: "pa.Table") -> "pa.Table":
    """Every instant is UTC; the tables say so by having no zone, Arrow by having one."""
    import pyarrow as pa

    naive = pa.timestamp("us")
    fields = [field.with_type(pa.timestamp("us", "UTC")) if field.type == naive else field for field in found.schema]
    return found.cast(pa.schema(fields))
