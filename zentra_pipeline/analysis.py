"""Published tables as pandas frames for notebooks and reports; computing figures from them is the reader's.

>>> from zentra_pipeline.analysis import frame
>>> open_items = frame("acme", "select * from open_items where age_business_days > 5")
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zentra_pipeline import lake
from zentra_pipeline.settings import Home
from zentra_pipeline.tenancy import require_tenant

if TYPE_CHECKING:
    import pandas as pd

_FRAME_TYPES: Final = {
    "BIGINT": "Int64",
    "INTEGER": "Int64",
    "BOOLEAN": "boolean",
    "VARCHAR": "string",
    "TIMESTAMP": "datetime64[us, UTC]",
    "DATE": "datetime64[us]",
}


def frame(tenant: str, sql: str, parameters: Sequence[Any] = (), *, home: str | Path | None = None) -> "pd.DataFrame":
    """The answer to one query over a tenant's published tables.

    Amounts are nullable integers (`Int64`) of minor units, never floats; instants are UTC; days are midnight, no zone.
    Sums wider than 64 bits (DuckDB's HUGEINT) and decimals stay Python objects, exact.
    Raises UsageError as `zentra query` does: for an unknown tenant and for anything that is not a single query.
    """
    import pandas as pd

    answer = lake.query(require_tenant(Home.at(home), tenant), sql, parameters)
    columns = {}
    for position, (name, data_type) in enumerate(zip(answer.columns, answer.types, strict=True)):
        values = [row[position] for row in answer.rows]
        columns[name] = pd.Series(values, dtype=_FRAME_TYPES.get(data_type, "object"))
    return pd.DataFrame(columns, columns=answer.columns)
