"""The exceptions of a tenant as a work list: filtered, in an order, page by page, with what there is to filter by.

Does not belong here: how a list looks (console), deciding about what is on it (deciding, sheets).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from zentra_pipeline.published import lake
from zentra_pipeline.review.clocks import TIMED, Clocks
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.tenants.tenant import Tenant

# What a list may be ordered by; amounts by their size, whatever their currency.
ORDERS: Final[Mapping[str, str]] = {
    "due": "due_at",
    "age": "run_window",
    "amount": "abs(coalesce(difference_minor, amount_minor))",
    "type": "exception_type",
    "reference": "coalesce(nullif(provider_reference, ''), subject_id)",
    "provider": "run_provider",
    "owner": "owner",
    "lane": "lane",
    "status": "status",
}
MENTIONS: Final = (
    "contains(lower(coalesce(provider_reference, '') || chr(10) || subject_id || chr(10) || exception_id), lower(?))"
)


@dataclass(frozen=True)
class WorkList:
    """A page of the list: `rows` with their clocks, due days and versions; `total` rows on all pages."""

    rows: Sequence[Mapping[str, Any]]
    total: int


def listed(
    tenant: Tenant,
    clocks: Clocks,
    conditions: Mapping[str, Any],
    *,
    order: str,
    is_descending: bool,
    limit: int,
    offset: int,
) -> WorkList:
    """The exceptions for which these conditions hold (SQL → the value in it), in a total order."""
    wanted = " AND ".join(conditions) or "true"
    direction = "DESC" if is_descending else "ASC"
    found = lake.query(
        tenant.paths,
        f"SELECT *, count(*) OVER () AS total FROM {TIMED} WHERE {wanted} "
        f"ORDER BY {ORDERS[order]} {direction} NULLS LAST, exception_id LIMIT ? OFFSET ?",
        [*conditions.values(), limit, offset],
    )
    rows = [dict(zip(found.columns, values, strict=True)) for values in found.rows]
    with tenant.reading() as connection:
        log = decision_store.listed(connection, [row["exception_id"] for row in rows])
    versions = Counter(decision.exception_id for decision in log)
    total = rows[0]["total"] if rows else 0
    return WorkList([_shown(clocks, row, versions[row["exception_id"]]) for row in rows], total)


def choices(paths: TenantPaths) -> dict[str, list[str]]:
    """What a list can be filtered by, each in order: provider, exception_type, owner, lane, currency."""
    found = lake.query(
        paths, f"SELECT DISTINCT run_provider AS provider, exception_type, owner, lane, currency FROM {TIMED}"
    )
    columns = dict(zip(found.columns, zip(*found.rows, strict=True), strict=True)) if found.rows else {}
    return {name: sorted({value for value in columns.get(name, ()) if value}) for name in found.columns}


def _shown(clocks: Clocks, row: dict[str, Any], version: int) -> dict[str, Any]:
    provider, window, due_at = row["run_provider"], row["run_window"], row["due_at"]
    due_day = None if due_at is None else clocks.due_day(provider, due_at)
    return {
        **row,
        **vars(clocks.seen(row)),
        "due_day": due_day,
        "provider": provider,
        "window": window,
        "version": version,
    }
