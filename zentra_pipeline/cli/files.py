"""`zentra files`: lists what was ingested; ingesting does not belong here."""

from typing import TYPE_CHECKING

import click

from zentra_pipeline.cli import options

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant


@click.group("files")
def command() -> None:
    """List what was ingested."""


@command.command("list")
@options.tenant
@options.home
@options.as_json
def list_files(tenant: "Tenant", as_json: bool) -> None:
    """List the files of a tenant: kind, id, rows, quarantine, unknown columns, when, by whom."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.published import lake

    answer = lake.query(tenant.paths, "select * from files order by file_sequence")
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    if as_json:
        for row in rows:
            row["unknown_columns"] = row["unknown_columns"].split(", ") if row["unknown_columns"] else []
            row["received_at"] = f"{row['received_at'].isoformat(timespec='microseconds')}Z"
        printing.print_json({"items": rows})
        return
    headings = ("kind", "file", "provider", "rows", "quarantined", "unknown columns", "received", "by", "superseded by")
    printing.print_table(
        headings,
        [
            (
                row["kind"],
                row["file_id"],
                row["provider"],
                row["rows"],
                row["rows_quarantined"],
                row["unknown_columns"] or "",
                f"{row['received_at'].isoformat(timespec='seconds')}Z",
                row["received_by"] or "",
                (row["superseded_by"] or "")[:12],
            )
            for row in rows
        ],
    )
    for row in rows:
        if row["notes"]:
            printing.say(f"{row['file_id']}: {row['notes']}")
