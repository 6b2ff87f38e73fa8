"""Emits the matches of a run's revision as one event a rule, for endpoints that do not ask for each.

A million matches are a handful of deliveries then. The log has the events themselves as ever.
"""

from datetime import UTC
from typing import Any, Final

from zentra_pipeline import private_database
from zentra_pipeline.events import segment_rows, types
from zentra_pipeline.events.cloud_event import cloud_event
from zentra_pipeline.events.types import MatchAmounts, MatchSummary
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store.event_log import Entry

_AMOUNTS: Final = ("settlement_minor", "ledger_minor", "difference_minor")


def summaries(paths: TenantPaths, entry: Entry) -> list[tuple[int, dict[str, Any]]]:
    """The summaries of the matches in a lake file of the log, each at the place of its last match."""
    names = ("provider", "settlement_file", "ledger_window")
    texts = ", ".join(f"segments.data ->> '$.{name}' as {name}" for name in names)
    of_match = ", ".join(
        f"coalesce(rows.{name}, cast(segments.data ->> '$.{name}' as {kind})) as {name}"
        for name, kind in (("rule", "varchar"), ("currency", "varchar"), *((name, "bigint") for name in _AMOUNTS))
    )
    sums = ", ".join(f"sum({name}) as {name}" for name in _AMOUNTS)
    path = str(entry.path)
    sql = (
        f"select {', '.join(names)}, rule, currency, run_revision, run_id, actor, event_time, "
        f'count(*) as matches, {sums}, max("offset") as last_offset '
        f"from (select {texts}, {of_match}, cast(segments.data ->> '$.run_revision' as bigint) as run_revision, "
        'segments.run_id, segments.actor, segments.event_time, segments."offset" '
        f"from {segment_rows.joined(paths, {path: 0})} where segments.event_type = ?) "
        f"group by {', '.join(names)}, rule, currency, run_revision, run_id, actor, event_time "
        "order by run_id, run_revision, rule, currency"
    )
    with private_database.opened() as connection:
        found = connection.execute(sql, [types.MATCH_CREATED])
        columns = [column[0] for column in found.description or ()]
        rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    by_rule: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for row in rows:
        by_rule.setdefault((row["run_id"], row["run_revision"], row["rule"]), []).append(row)
    summaries = (_summary(paths.root.name, entry.first_position, group) for group in by_rule.values())
    return sorted(summaries, key=lambda item: item[0])


def _summary(tenant: str, first_position: int, rows: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    first = rows[0]
    data = MatchSummary(
        provider=first["provider"],
        settlement_file=first["settlement_file"],
        ledger_window=first["ledger_window"],
        run_id=first["run_id"],
        run_revision=first["run_revision"],
        rule=first["rule"],
        matches=sum(row["matches"] for row in rows),
        amounts=[MatchAmounts(**{name: row[name] for name in MatchAmounts.model_fields}) for row in rows],
    )
    event = cloud_event(
        types.MATCH_CREATED,
        tenant=tenant,
        fact=["summary", data.run_id, str(data.run_revision), data.rule],
        subject=data.run_id,
        run_id=data.run_id,
        actor=first["actor"],
        at=first["event_time"].replace(tzinfo=UTC),
        data=data.model_dump(),
    )
    return first_position + max(row["last_offset"] for row in rows), event
