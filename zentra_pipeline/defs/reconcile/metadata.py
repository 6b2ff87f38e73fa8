"""What finance sees beside a run's assets: figures, tables and plots as Dagster metadata; no figure is made here."""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from zentra_pipeline import settings
from zentra_pipeline.defs import charts
from zentra_pipeline.defs.reconcile.models import EARLIER_KEY, SCOPE_KEY
from zentra_pipeline.money import amount_text
from zentra_pipeline.published.run_summary import RunSummary, summarize
from zentra_pipeline.reconcile.window_run import WindowResult
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant

_SHOWN: Final = 20


def of_run(tenant: Tenant, result: WindowResult) -> dict[dg.AssetKey, Mapping[str, Any]]:
    """Metadata of what a run read and published, by asset."""
    summary = summarize(tenant.paths.root, result.tables)
    run: dict[str, Any] = {
        "run": dg.MetadataValue.text(result.run.run_id),
        "revision": dg.MetadataValue.int(result.run.revision),
        "as of": dg.MetadataValue.text(result.run.as_of),
        "inputs digest": dg.MetadataValue.text(str(result.run.inputs_digest)),
    }
    page = settings.console_url("runs", result.run.run_id)
    run |= {} if page is None else {"console": dg.MetadataValue.url(page)}
    own: dict[str, dict[str, Any]] = {
        "matches": {
            "matches": dg.MetadataValue.int(summary.matches),
            "match rate by currency": dg.MetadataValue.md(_match_rates(summary)),
            "matched lines %": dg.MetadataValue.float(_matched_share(summary)),
        },
        "exceptions": {
            "opened": dg.MetadataValue.int(sum(summary.opened.values())),
            "resolved by the system": dg.MetadataValue.int(sum(summary.resolved.values())),
            "by type": dg.MetadataValue.md(_by_type(summary)),
            "exceptions": dg.MetadataValue.md(_exceptions(summary)),
        },
        "open_items": {
            "open items": dg.MetadataValue.int(summary.open_items),
            "aging": dg.MetadataValue.md(_aging(summary)),
        },
        "conservation": {"where every row went": dg.MetadataValue.md(_conservation(summary))},
        "rollforward": {"from opening to closing": dg.MetadataValue.md(_rollforward(summary))},
    }
    tables = {
        name: {
            "dagster/row_count": dg.MetadataValue.int(table.rows),
            "file": dg.MetadataValue.path(str(tenant.paths.root / table.path)),
            "sha256": dg.MetadataValue.text(table.sha256),
        }
        for name, table in result.tables.items()
    }
    published = {dg.AssetKey(name): {**run, **tables[name], **own.get(name, {})} for name in tables}
    return {**_inputs(tenant, result, run), **published}


def _inputs(tenant: Tenant, result: WindowResult, run: Mapping[str, Any]) -> dict[dg.AssetKey, Mapping[str, Any]]:
    """What the revision was made from: the run's own terms and files, and the earlier runs it took from."""
    with tenant.reading() as connection:
        made_from = run_store.current_revision(connection, result.run.run_id).manifest
        window_of = {item.run_id: item.ledger_window for item in run_store.list_runs(connection, result.run.provider)}
    files = [(file["kind"], file["file_id"], file["provider"], file["sha256"][:12]) for file in made_from["files"]]
    earlier = [(window_of[item["run_id"]], item["run_id"], item["revision"]) for item in made_from["earlier"]]
    scope = {
        "settlement file": dg.MetadataValue.text(result.run.settlement_file),
        "owner": dg.MetadataValue.text(result.run.owner),
        "files": dg.MetadataValue.int(len(files)),
        "newest files": dg.MetadataValue.md(_table(("kind", "file", "provider", "sha256"), files[: -_SHOWN - 1 : -1])),
        "rows in quarantine": dg.MetadataValue.int(result.quarantined_rows),
    }
    runs = {
        "earlier runs": dg.MetadataValue.int(len(earlier)),
        "newest runs": dg.MetadataValue.md(_table(("window", "run", "revision"), earlier[: -_SHOWN - 1 : -1])),
    }
    return {SCOPE_KEY: {**run, **scope}, EARLIER_KEY: {**run, **runs}}


def _settlement_rows(summary: RunSummary) -> list[dict[str, Any]]:
    return [row for row in summary.conservation if row["side"] == "settlement" and row["currency"]]


def _matched_share(summary: RunSummary) -> float:
    """Percent of the settlement lines needing a movement that have one; 100 where none needs one."""
    rows = _settlement_rows(summary)
    matched = sum(row["matched"] for row in rows)
    needing = matched + sum(row["excepted"] for row in rows)
    return round(100 * matched / needing, 2) if needing else 100.0


def _match_rates(summary: RunSummary) -> str:
    bars = [
        (
            f"{row['currency']}  {row['matched']:,} of {row['matched'] + row['excepted']:,} lines",
            row["matched"],
            row["matched"] + row["excepted"],
        )
        for row in _settlement_rows(summary)
    ]
    return charts.share_bars("Settlement lines matched", bars)


def _aging(summary: RunSummary) -> str:
    most = max((row["items"] for row in summary.aging), default=0)
    bars = [
        (
            f"{_side(row['item_type'])} {row['currency']}, {row['aging_bucket']} business days: {row['items']:,}",
            row["items"],
            most,
        )
        for row in summary.aging
    ]
    table = _table(
        ("side", "currency", "business days", "items", "amount"),
        [
            (
                _side(row["item_type"]),
                row["currency"],
                row["aging_bucket"],
                f"{row['items']:,}",
                amount_text(row["amount_minor"], row["currency"]),
            )
            for row in summary.aging
        ],
    )
    return charts.share_bars("Open items by age", bars) + "\n\n" + table


def _by_type(summary: RunSummary) -> str:
    types = sorted(summary.opened.keys() | summary.resolved.keys())
    rows = [(name, summary.opened.get(name, 0), summary.resolved.get(name, 0)) for name in types]
    return _table(("type", "opened", "matched late"), rows)


def _exceptions(summary: RunSummary) -> str:
    return _table(
        ("type", "subject", "amount", "owner", "lane", "due", "why"),
        [
            (
                row["exception_type"],
                row["subject_id"],
                "" if row["amount_minor"] is None else amount_text(row["amount_minor"], row["currency"]),
                row["owner"],
                row["lane"],
                f"{row['due_at']:%Y-%m-%d}",
                row["explanation"],
            )
            for row in summary.exceptions
        ],
    )


def _conservation(summary: RunSummary) -> str:
    buckets = (
        "rows_in",
        "matched",
        "in_transit",
        "excepted",
        "accounted",
        "duplicates",
        "quarantined",
        "rows_unexplained",
    )
    return _table(
        ("side", "currency", *(bucket.replace("_", " ") for bucket in buckets)),
        [(row["side"], row["currency"], *(f"{row[bucket]:,}" for bucket in buckets)) for row in summary.conservation],
    )


def _rollforward(summary: RunSummary) -> str:
    steps = ("opening", "posted", "settled", "written_off", "closing", "difference")
    return _table(
        ("currency", *(step.replace("_", " ") for step in steps)),
        [
            (row["currency"], *(amount_text(row[f"{step}_minor"], row["currency"]) for step in steps))
            for row in summary.rollforward
        ],
    )


def _side(item_type: str) -> str:
    return "settlement" if item_type == "settlement_line" else "ledger"


def _table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A Markdown table; the content of a cell cannot end it."""
    if not rows:
        return "none"
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(charts.plain(cell) for cell in line) + " |" for line in lines)
