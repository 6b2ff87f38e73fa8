"""What the match passes looked for about an exception, for command line and API; nothing is searched here."""

from typing import Any, Final

from zentra_pipeline import vocabulary
from zentra_pipeline.published import lake
from zentra_pipeline.queries import result_text
from zentra_pipeline.settings import TenantPaths

COLUMNS: Final = ("rule", "searched_key", "windows_from", "windows_to", "movements_examined", "result")


def of_exception(paths: TenantPaths, exception_id: str) -> list[dict[str, Any]]:
    """Rows of `ledger_search` about an exception, as objects with JSON values in the order of the passes."""
    found = lake.query(
        paths,
        f"select {', '.join(COLUMNS)} from ledger_search where exception_id = $1 order by list_position($2, rule)",
        [exception_id, vocabulary.values("rule")],
    )
    return [
        {column: result_text.json_value(value) for column, value in zip(found.columns, values, strict=True)}
        for values in found.rows
    ]
