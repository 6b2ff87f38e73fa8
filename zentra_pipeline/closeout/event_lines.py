"""Writes the events of a run as lines of canonical JSON: those of the log one by one, those of a lake file in SQL.

Does not belong here: what an event says (events), the other files of a bundle (bundle_files).
"""

import json
from io import BufferedWriter
from pathlib import Path
from typing import Any

import duckdb

from zentra_pipeline import private_database, sql_text
from zentra_pipeline.closeout import lines
from zentra_pipeline.errors import VerificationError
from zentra_pipeline.events import segment_rows
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import event_log
from zentra_pipeline.tenants.tenant import Tenant


def write(tenant: Tenant, run_id: str, path: Path) -> int:
    """Write the events of a run so far in the order of the log; how many there were."""
    with tenant.reading() as connection:
        entries = event_log.entries(connection, run_id=run_id)
    with path.open("wb") as stream, private_database.opened() as connection:
        for entry in entries:
            if entry.content is not None:
                stream.write(line_of(entry.content))
            else:
                _write_segment(connection, tenant.paths, entry, stream)
    return sum(entry.events for entry in entries)


def line_of(content: str | bytes) -> bytes:
    """An event in its RFC 8785 form: orjson makes the same bytes, and fast, for plain ASCII keys and whole numbers."""
    import orjson

    event = amounts_as_text(orjson.loads(content))
    return orjson.dumps(event, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def amounts_as_text(value: Any) -> Any:
    """A copy in which every integer under a name that ends in `_minor` is decimal text."""
    if isinstance(value, dict):
        return {
            name: str(member) if name.endswith("_minor") and type(member) is int else amounts_as_text(member)
            for name, member in value.items()
        }
    return [amounts_as_text(member) for member in value] if isinstance(value, list) else value


def _write_segment(
    connection: duckdb.DuckDBPyConnection, paths: TenantPaths, entry: event_log.Entry, stream: BufferedWriter
) -> None:
    """The events of a lake file, which holds them in their order, one type after another."""
    path = str(entry.path)
    kinds = connection.execute(
        f'select event_type, min("offset"), max("offset") from ({segment_rows.scan(paths, path)}) group by 1 order by 2'
    ).fetchall()
    count = 0
    for kind, first, last in kinds:
        keys: list[str] = []
        for start in range(first, last + 1, lines.BATCH):
            stop = min(start + lines.BATCH, last + 1)
            events = segment_rows.whole(
                paths, path, start, stop, segment_rows.rows_between(connection, paths, path, start, stop)
            )
            if not keys:
                (data,) = connection.execute(f'select data from ({events}) where "offset" = {start}').fetchall()[0]
                keys = sorted(json.loads(data))
            rows = connection.sql(_lines_sql(events, paths.root.name, kind, keys))
            for batch in rows.to_arrow_reader(lines.BATCH):
                content, places, gaps = (batch.column(number) for number in range(3))
                behind = count + len(places) - 1
                if (places[0].as_py(), places[-1].as_py()) != (count, behind) or any(
                    set(gaps.unique().to_pylist()) - {0}
                ):
                    raise VerificationError(
                        f"{path} does not hold the events that were recorded, at places {count} to {behind}: "
                        "have the home examined (doctor) to see what else is wrong"
                    )
                stream.write(lines.canonical(lines.values_of(content)))
                count += len(places)
    if count != entry.events:
        raise VerificationError(f"{entry.path} holds {count:,} events, and {entry.events:,} were recorded")


def _lines_sql(events: str, tenant: str, kind: str, keys: list[str]) -> str:
    """A select of the events of one type: line, place, and how much longer than it should be the line's data is.

    `keys`, ascending, are those of the first one, and of all, for one statement wrote them; else a `gap` is not 0.
    """
    amounts = [key for key in keys if key.endswith("_minor")]
    form = json.dumps({key: "VARCHAR" if key in amounts else "JSON" for key in keys})
    quotes = " + ".join(["0", *(f"2 * cast(d.{key} is not null as integer)" for key in amounts)])
    members = {
        "actor": "to_json(actor)",
        "data": "canonical_data",
        "datacontenttype": "'\"application/json\"'",
        "id": "to_json(event_id)",
        "runid": "to_json(run_id)",
        "source": sql_text.literal(json.dumps(f"/tenants/{tenant}", ensure_ascii=False)),
        "specversion": "'\"1.0\"'",
        "subject": "to_json(subject)",
        "tenant": sql_text.literal(json.dumps(tenant, ensure_ascii=False)),
        "time": "strftime(event_time, '\"%Y-%m-%dT%H:%M:%S.%fZ\"')",
        "type": sql_text.literal(json.dumps(kind)),
    }
    line = ", ',', ".join(f"'\"{name}\":', {value}" for name, value in members.items())
    return f"""
        select
            concat('{{', {line}, '}}', chr(10)) as line, "offset",
            cast(strlen(canonical_data) - strlen(data) - ({quotes}) as bigint) as gap
        from (
            select *, cast(to_json(d) as varchar) as canonical_data
            from (
                select *, from_json(data, {sql_text.literal(form)}) as d
                from ({events}) where event_type = {sql_text.literal(kind)}
            ) as read
        ) as canonical
        order by "offset"
    """
