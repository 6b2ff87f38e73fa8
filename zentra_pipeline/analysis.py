"""Published tables as pandas frames for notebooks and reports; computing figures from them is the reader's.

>>> from zentra_pipeline.analysis import frame
>>> open_items = frame("acme", "select * from open_items where age_business_days > 5")
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zentra_pipeline.queries import query_process, query_request
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenancy import require_tenant

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


def frame(
    tenant: str,
    sql: str,
    parameters: Sequence[Any] = (),
    *,
    home: str | Path | None = None,
    seconds: int | None = None,
    memory: str | None = None,
) -> "pd.DataFrame":
    """The answer to one query over a tenant's published tables.

    Amounts are nullable integers (`Int64`) of minor units, never floats; instants are UTC; days are midnight, no zone.
    Sums wider than 64 bits (DuckDB's HUGEINT) and decimals stay Python objects, exact.
    `seconds` and `memory` (`2GB`) bound what the query may take; without them the environment's limits hold, as for
    `zentra query`. Raises UsageError as that does: for an unknown tenant and for anything that is not a single query.
    """
    import pandas as pd

    require_tenant(Home.at(home), tenant)
    asked = query_request.request(str(Home.at(home).root), tenant, sql, parameters, seconds=seconds, memory=memory)
    with query_process.answered(asked) as answer:
        rows = list(answer.rows)
    columns = {}
    for position, (name, data_type) in enumerate(zip(answer.columns, answer.types, strict=True)):
        values = [row[position] for row in rows]
        columns[name] = pd.Series(values, dtype=_FRAME_TYPES.get(data_type, "object"))
    return pd.DataFrame(columns, columns=answer.columns)
