"""Derives the events of a run from what it published, in SQL, into one lake file; recording it does not belong here.

A revision emits what distinguishes it from the previous one, so each fact is emitted once however often a run repeats:
the file counts only when the transaction that records the revision names it, and the next attempt overwrites one that
was left behind. An id is derived from the fact; what comes back after it was withdrawn adds the revision.

The statement is composed here and no file of `sql/`: which columns of the lake file may hold null follows from what
DuckDB knows of the statement, so that a statement of another shape would write the same rows in other bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from zentra_pipeline import private_database, settings
from zentra_pipeline.events import log_reading as event_reading
from zentra_pipeline.events import segment_rows, types
from zentra_pipeline.events.cloud_event import event_id_sql
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import run_kinds
from zentra_pipeline.reconcile.inputs import EarlierRun, RunInputs
from zentra_pipeline.reconcile.run_kinds import RunKind
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store.event_log import Entry

Marts = Mapping[str, Path]
SYSTEM: Final = "system"
_MEMORY: Final = "2GB"

# Events of a file are in this order: what ceases to hold comes before what holds instead.
_ORDER: Final = (
    types.MATCH_REVERSED,
    types.MATCH_CREATED,
    types.EXCEPTION_RESOLVED,
    types.EXCEPTION_REOPENED,
    types.EXCEPTION_OPENED,
    types.EXCEPTION_CHANGED,
    types.CALLBACK_LATE,
    types.PAYOUT_RETURNED,
    types.PAYOUT_CREDITED,
    types.PAYOUT_OVERDUE,
)
_OPENING: Final = (types.EXCEPTION_OPENED, types.EXCEPTION_REOPENED, types.EXCEPTION_CHANGED)
_OF_PAYOUTS: Final = (types.PAYOUT_RETURNED, types.PAYOUT_CREDITED, types.PAYOUT_OVERDUE)
_STATE_CHANGES: Final = frozenset({*_ORDER} - {types.CALLBACK_LATE, *_OF_PAYOUTS})
_TEXT_INSTANT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_WINDOW: Final = (
    "'provider': about.provider, 'settlement_file': about.settlement_file, 'ledger_window': about.ledger_window"
)
_MATCH: Final = f"'run_revision': about.revision, {segment_rows.MATCH}"
_EXCEPTION: Final = (
    "'exception_id': exception_id, 'exception_type': exception_type, 'owner': rows.owner, "
    f"'due_at': strftime(due_at, '{_TEXT_INSTANT}'), 'currency': currency, 'difference_minor': difference_minor"
)
_OPENED: Final = (
    f"{_WINDOW}, 'run_revision': about.revision, 'severity': severity, 'lane': lane, 'subject_type': subject_type, "
    "'subject_id': subject_id, 'provider_reference': provider_reference, 'amount_minor': amount_minor, "
    "'match_id': match_id, 'previous_exception_id': previous_exception_id, 'explanation': explanation"
)
_CHANGED: Final = (
    f"{_WINDOW}, 'run_revision': about.revision, 'amount_minor': amount_minor, "
    "'former_amount_minor': former_amount_minor, 'former_difference_minor': former_difference_minor, "
    "'match_id': match_id, 'explanation': explanation"
)
_LATE: Final = (
    f"{_WINDOW}, 'run_revision': about.revision, 'provider_event_id': subject_id, "
    "'provider_reference': provider_reference, 'currency': currency, 'amount_minor': amount_minor, "
    f"'exception_id': exception_id, 'owner': rows.owner, 'due_at': strftime(due_at, '{_TEXT_INSTANT}')"
)
_PAYOUT: Final = (
    f"{_WINDOW}, 'run_revision': about.revision, 'payout_provider': payout_provider, 'payout_id': payout_id, "
    "'batch_id': batch_id, 'currency': currency, 'paid_out_minor': paid_out_minor, 'credited_minor': credited_minor, "
    "'fee_minor': fee_minor, 'returned_minor': returned_minor, 'credited_on': cast(credited_on as varchar), "
    "'match_id': match_id, 'status': status"
)
# What is emitted again when it changes: with other amounts it is another fact, though the row keeps its id.
_MATCH_KEY: Final = ("match_id", "settlement_minor", "ledger_minor")
_EXCEPTION_KEY: Final = ("exception_id", "amount_minor", "difference_minor")
_REVISION: Final = "cast(about.revision as varchar)"
_MADE: Final = "status = 'confirmed'"
_REVERSED: Final = "status = 'reversed'"
_OWN: Final = "run_id = (select run_id from about)"
_OPEN: Final = " and status <> 'resolved'"
_ENDED: Final = "resolved_run_id = (select run_id from about)"
_READ_OF_EARLIER: Final = ("matches", "exceptions", "payout_states")
# An exception of an earlier run that this one leaves open, with other amounts or another match.
_KEPT: Final = "run_id <> (select run_id from about) and status <> 'resolved'"


@dataclass(frozen=True)
class EventContext:
    """One revision about to be published: whose it is, what it and its predecessor hold, what was emitted before.

    `marts` and `previous` map `matches` and `exceptions` to lake files; `log` holds all entries of the tenant's log.
    """

    inputs: RunInputs
    revision: int
    actor: str
    now: datetime
    marts: Marts
    previous: Marts
    log: Sequence[Entry]

    @property
    def last_position(self) -> int:
        """The place of the log's last event."""
        return self.log[-1].first_position + self.log[-1].events - 1 if self.log else 0

    @property
    def emitted(self) -> list[Entry]:
        """The files of the run's earlier revisions; without any, the run has emitted nothing yet."""
        return [entry for entry in self.log if entry.path is not None and entry.run_id == self.inputs.run_id]


def write_events(paths: TenantPaths, context: EventContext, *, whole: bool = False) -> lake_files.PublishedFile:
    """Write the revision's events to its lake file, in their total order; an empty file where there is none.

    A match that was made is named by its row in the revision's `matches`. `whole` writes each event as it is read, as
    older releases did.
    """
    inputs = context.inputs
    folder = segment_rows.WHOLE_FOLDER if whole else segment_rows.FOLDER
    relative = Path(folder, f"provider={inputs.provider}", f"ledger_window={inputs.ledger_window}")
    relative = relative / f"{inputs.run_id}-r{context.revision}.parquet"
    scratch = paths.scratch / inputs.run_id  # where DuckDB makes a folder when memory runs short, and removes it
    scratch.mkdir(parents=True, exist_ok=True)
    earlier = (run.tables[name] for run in inputs.earlier for name in _READ_OF_EARLIER if name in run.tables)
    read = [*context.marts.values(), *context.previous.values(), *earlier]
    try:
        with private_database.opened_for(read, settings.memory_limit(_MEMORY), scratch / "events") as connection:
            _write_sources(connection, context)
            is_emitted_again = bool(context.emitted)
            if is_emitted_again:
                _write_emitted(connection, paths, context)
            if whole:
                return lake_files.write_parquet(
                    connection, _whole_events_sql(inputs.kind, is_emitted_again), paths, relative
                )
            events = _events_sql(inputs.kind, is_emitted_again)
            return lake_files.write_parquet(connection, events, paths, relative, version="v2")
    finally:
        with suppress(OSError):  # it holds a database that is kept
            scratch.rmdir()


def _write_sources(connection: duckdb.DuckDBPyConnection, context: EventContext) -> None:
    """The relations the facts are derived from: `about`, the rows now and before, the states in earlier runs."""
    inputs = context.inputs
    connection.execute(
        "create table about (tenant varchar, provider varchar, settlement_file varchar, ledger_window varchar, "
        "run_id varchar, revision bigint, actor varchar, now timestamp)"
    )
    about = (
        inputs.tenant,
        inputs.provider,
        inputs.settlement_file,
        inputs.ledger_window.isoformat(),
        inputs.run_id,
        context.revision,
        context.actor,
        context.now.astimezone(UTC).replace(tzinfo=None),
    )
    connection.execute("insert into about values (?, ?, ?, ?, ?, ?, ?, ?)", about)
    previous = context.previous if context.emitted else {}
    for table in ("matches", "exceptions"):
        for name, marts in ((f"{table}_now", context.marts), (f"{table}_before", previous)):
            if table in marts:
                is_numbered = name == "matches_now"
                rows = lake_files.rows_of_file(connection, table, marts[table], with_row_numbers=is_numbered)
                connection.execute(f"create view {name} as {rows}")
            else:
                connection.execute(f"create table {name} ({lake_files.columns_sql(table)}, file_row_number bigint)")
        _write_earlier(connection, table, inputs.earlier)
    if inputs.bank is not None:
        states = lake_files.rows_of_file(connection, "payout_states", context.marts["payout_states"])
        connection.execute(f"create view payout_states_now as {states}")
        _write_earlier(connection, "payout_states", inputs.earlier)


def _write_emitted(connection: duckdb.DuckDBPyConnection, paths: TenantPaths, context: EventContext) -> None:
    """`emitted`, the ids this run emitted before, and `last_states`, what the log last said of what may cease to hold.

    Another run may have emitted about the same match or exception since, or a decision about the same exception.
    """
    own = event_reading.segments_sql(paths, context.emitted)
    connection.execute(f"create view emitted as select event_id from ({own})")
    folders = (segment_rows.FOLDER, segment_rows.WHOLE_FOLDER)
    of_provider = tuple(f"{folder}/provider={context.inputs.provider}/" for folder in folders)
    segments = [entry for entry in context.log if entry.path is not None and entry.path.startswith(of_provider)]
    connection.execute("create table single_events (position bigint, event_type varchar, subject varchar)")
    singles = [(row[0], row[2], row[3]) for row in event_reading.single_rows(context.log) if row[2] in _STATE_CHANGES]
    if singles:
        connection.executemany("insert into single_events values (?, ?, ?)", singles)
    subjects = "\n    union\n    ".join(
        f"select {fact.subject} as subject from {fact.source} as rows"
        for fact in _facts(context.inputs.kind)
        if fact.follows
    )
    kinds = ", ".join(f"'{event_type}'" for event_type in sorted(_STATE_CHANGES))
    connection.execute(
        f"create table last_states as "
        f"with candidates as ({subjects}), "
        f"log as (select position, event_type, subject from ({event_reading.segments_sql(paths, segments)}) "
        "union all select position, event_type, subject from single_events) "
        "select log.subject, arg_max(log.event_type, log.position) as event_type "
        f"from log semi join candidates using (subject) where log.event_type in ({kinds}) group by log.subject"
    )


def _write_earlier(connection: duckdb.DuckDBPyConnection, table: str, earlier: Sequence[EarlierRun]) -> None:
    published = [(run.tables[table], run.sequence) for run in earlier if table in run.tables]
    if published:
        connection.execute(f"create view {table}_earlier as {lake_files.published_rows(table, published)}")
    else:
        connection.execute(f"create table {table}_earlier ({lake_files.columns_sql(table)}, run_sequence bigint)")


def _facts(kind: RunKind) -> list["_Fact"]:
    of_payouts = _payouts() if kind == run_kinds.BANK else ()
    return [
        *of_payouts,
        *_matches_made(),
        *_matches_reversed(),
        *_exceptions_opened(),
        *_exceptions_changed(),
        *_exceptions_resolved(),
    ]


def _selects(kind: RunKind, is_emitted_again: bool, *, whole: bool) -> str:
    """Every event of the revision; returns matter only where something was emitted."""
    selects = [
        fact.sql(is_emitted_again, whole=whole) for fact in _facts(kind) if is_emitted_again or not fact.is_return
    ]
    return "\n    union all\n    ".join(selects)


def _events_sql(kind: RunKind, is_emitted_again: bool) -> str:
    """Every event of the revision with its place in the file; of those about a row what all of them say, and the row.

    The rows of `matches` are in the order of their ids, which are the events' subjects.
    """
    order = "type_rank, subject, event_id" if is_emitted_again else "type_rank, match_row, subject, event_id"
    return f"""
with events as (

    {_selects(kind, is_emitted_again, whole=False)}

)

select
    row_number() over (order by {order}) - 1 as "offset",
    events.event_id, events.event_type, case when match_row is null then events.subject end as subject,
    about.now as event_time, events.actor, about.run_id,
    case
        when match_row is null then events.data
        else cast(to_json({{{_WINDOW}, 'run_revision': about.revision}}) as varchar)
    end as data,
    match_row
from events
cross join about
order by "offset"
"""


def _whole_events_sql(kind: RunKind, is_emitted_again: bool) -> str:
    """Every event of the revision with its place in the file."""
    return f"""
with events as (

    {_selects(kind, is_emitted_again, whole=True)}

)

select
    row_number() over (order by type_rank, subject, event_id) - 1 as "offset",
    events.event_id, events.event_type, events.subject, about.now as event_time, events.actor, about.run_id, events.data
from events
cross join about
order by "offset"
"""


@dataclass(frozen=True)
class _Fact:
    """Rows that are events: each part is an expression over a row of `source` (as `rows`) and `about`.

    `is_return` is false for what is emitted unless it was before, true for what is emitted only then (`first` is the
    fact that was emitted then), null for a fact that can be true once only. It `follows` what the log said last of its
    subject: where something else was said meanwhile, there is nothing to emit. What `is_of_row` follows from a row of
    the revision's `matches` alone, which then represents it.
    """

    event_type: str
    subject: str
    key: Sequence[str]
    actor: str
    data: str
    source: str
    is_return: bool | None = None
    first: tuple[str, Sequence[str]] | None = None
    follows: Sequence[str] = ()
    is_of_row: bool = False

    def sql(self, is_emitted_again: bool, *, whole: bool) -> str:
        """A select of these events; where nothing was emitted before, nothing needs to be looked up."""
        first_type, first_key = self.first or (self.event_type, self.key)
        subject = f"{self.subject} as subject"
        event_id, data = _id(self.event_type, self.key), f"cast(to_json({{{self.data}}}) as varchar)"
        row = "" if whole else ", cast(null as bigint) as match_row"
        if self.is_of_row and not whole:
            event_id, data, row = (
                "cast(null as varchar)",
                "cast(null as varchar)",
                ", rows.file_row_number as match_row",
            )
            subject = subject if is_emitted_again else "cast(null as varchar) as subject"
        select = (
            f"select {event_id} as event_id, '{self.event_type}' as event_type, "
            f"{_ORDER.index(self.event_type)} as type_rank, {subject}, {self.actor} as actor, "
            f"{data} as data{row} from {self.source} as rows cross join about"
        )
        if not is_emitted_again:
            return select
        if self.is_return is not None:
            kind = "semi" if self.is_return else "anti"
            select += f" {kind} join emitted on {_id(first_type, first_key)} = emitted.event_id"
        if self.follows:
            kinds = ", ".join(f"'{event_type}'" for event_type in self.follows)
            select += f" left join last_states on {self.subject} = last_states.subject"
            select += f" where coalesce(last_states.event_type in ({kinds}), true)"
        return select


def _payouts() -> Iterator["_Fact"]:
    """What a run of a bank account is the first to say of a payout: credited by a match, taken back, overdue."""
    key = ("payout_provider", "payout_id", "currency")
    for event_type, condition, what in (
        (types.PAYOUT_CREDITED, "status in ('credited', 'partially_credited')", ["coalesce(match_id, '')"]),
        (types.PAYOUT_RETURNED, "status in ('returned', 'failed')", ["cast(returned_minor as varchar)", "status"]),
        (types.PAYOUT_OVERDUE, "status = 'overdue'", []),
    ):
        same = [*key, *(("match_id",) if event_type == types.PAYOUT_CREDITED else ())]
        said = _rows("payout_states_earlier", condition)
        new = _left_out(_rows("payout_states_now", condition), said, same)
        yield _Fact(event_type, "payout_id", [*key, *what], "about.actor", _PAYOUT, new, is_return=False)


def _matches_made() -> Iterator[_Fact]:
    """Matches this revision makes and the one before did not; and those it reverses no longer, which hold again."""
    made = _left_out(_rows("matches_now", _MADE), _rows("matches_before", _MADE), _MATCH_KEY)
    new = f"{_WINDOW}, 'run_revision': about.revision, {segment_rows.NEW_MATCH}"
    yield _Fact(
        types.MATCH_CREATED, "match_id", ["match_id"], "about.actor", new, made, is_return=False, is_of_row=True
    )
    back = f"{_WINDOW}, {_MATCH}, 'restored_by_revision': about.revision"
    yield _Fact(
        types.MATCH_CREATED,
        "match_id",
        ["match_id", _REVISION],
        "about.actor",
        back,
        made,
        is_return=True,
        first=(types.MATCH_CREATED, ["match_id"]),
    )
    confirmed = "(select match_id from matches_earlier group by match_id having bool_and(status = 'confirmed'))"
    dropped = _left_out(_rows("matches_before", _REVERSED), _rows("matches_now", _REVERSED), ["match_id"])
    yield _Fact(
        types.MATCH_CREATED,
        "match_id",
        ["match_id", "about.run_id", _REVISION],
        f"'{SYSTEM}'",
        back,
        f"(select * from {dropped} as dropped semi join {confirmed} as confirmed using (match_id))",
        follows=[types.MATCH_REVERSED],
    )


def _matches_reversed() -> Iterator[_Fact]:
    """Matches of earlier runs that this one takes back, and its own that this revision does not find any more."""
    # A suggestion that is replaced is published as reversed as well; it was never emitted.
    confirmed = "(select match_id from matches_earlier where status = 'confirmed')"
    reversals = _left_out(_rows("matches_now", _REVERSED), _rows("matches_before", _REVERSED), _MATCH_KEY)
    source = f"(select * from {reversals} as reversals semi join {confirmed} as confirmed using (match_id))"
    data = f"{_WINDOW}, {_MATCH}, 'withdrawn_by_revision': cast(null as bigint)"
    key = ["match_id", "about.run_id"]
    fact = _Fact(
        types.MATCH_REVERSED,
        "match_id",
        key,
        f"'{SYSTEM}'",
        data,
        source,
        is_return=False,
        follows=[types.MATCH_CREATED],
    )
    yield fact
    yield replace(fact, key=[*key, _REVISION], is_return=True, first=(types.MATCH_REVERSED, key))
    yield _Fact(
        types.MATCH_REVERSED,
        "match_id",
        [*key, "'withdrawn'", _REVISION],
        f"'{SYSTEM}'",
        f"{_WINDOW}, {_MATCH}, 'withdrawn_by_revision': about.revision",
        _left_out(_rows("matches_before", _MADE), _rows("matches_now", _MADE), _MATCH_KEY),
        follows=[types.MATCH_CREATED],
    )


def _exceptions_opened() -> Iterator[_Fact]:
    """Exceptions this revision opens and the one before did not; late callbacks have an event of their own as well."""
    opened = _left_out(_rows("exceptions_now", _OWN), _rows("exceptions_before", _OWN), _EXCEPTION_KEY)
    key = ["exception_id", "about.run_id"]
    first = (types.EXCEPTION_OPENED, key)
    yield _Fact(
        types.EXCEPTION_OPENED, "exception_id", key, "about.actor", f"{_EXCEPTION}, {_OPENED}", opened, is_return=False
    )
    yield _Fact(
        types.EXCEPTION_REOPENED,
        "exception_id",
        [*key, _REVISION],
        f"'{SYSTEM}'",
        f"{_EXCEPTION}, {_said_by_run('finds it', 'reopened_by_revision')}",
        opened,
        is_return=True,
        first=first,
    )
    yield _Fact(
        types.CALLBACK_LATE,
        "subject_id",
        key,
        "about.actor",
        _LATE,
        _rows(opened, "exception_type = 'late_callback'"),
        is_return=False,
    )


def _exceptions_changed() -> Iterator[_Fact]:
    """Open exceptions of earlier runs that show other amounts by this revision, or again those of the earlier runs."""
    earlier = (
        "(select exception_id, amount_minor as former_amount_minor, difference_minor as former_difference_minor "
        "from exceptions_earlier "
        "qualify row_number() over (partition by exception_id order by run_sequence desc nulls last) = 1)"
    )
    other = "(amount_minor, difference_minor) is distinct from (former_amount_minor, former_difference_minor)"
    now, before = _rows("exceptions_now", _KEPT), _rows("exceptions_before", _KEPT)
    changed = (
        f"(select * from {_left_out(now, before, _EXCEPTION_KEY)} join {earlier} using (exception_id) where {other})"
    )
    fact = _Fact(
        types.EXCEPTION_CHANGED,
        "exception_id",
        ["exception_id", "about.run_id", _REVISION],
        f"'{SYSTEM}'",
        f"{_EXCEPTION}, {_CHANGED}",
        changed,
    )
    yield fact
    back = (
        "(select dropped.* replace (former_amount_minor as amount_minor, former_difference_minor as difference_minor, "
        "amount_minor as former_amount_minor, difference_minor as former_difference_minor) "
        f"from (select * from {before} join {earlier} using (exception_id) where {other}) as dropped "
        "anti join exceptions_now using (exception_id))"
    )
    yield replace(fact, source=back)


def _exceptions_resolved() -> Iterator[_Fact]:
    """Exceptions the run ends (matched late, superseded), those a revision no longer finds or no longer resolves."""
    late_now, late_before = (_rows(f"exceptions_{when}", _ENDED) for when in ("now", "before"))
    key = ["exception_id", "about.run_id", "resolution"]
    fact = _Fact(
        types.EXCEPTION_RESOLVED,
        "exception_id",
        key,
        f"'{SYSTEM}'",
        f"{_EXCEPTION}, 'resolution': resolution, 'decision_id': cast(null as varchar), "
        "'reason': cast(null as varchar), 'withdrawn_by_revision': cast(null as bigint)",
        _left_out(late_now, late_before, ["exception_id"]),
        is_return=False,
        follows=_OPENING,
    )
    yield fact
    yield replace(fact, key=[*key, _REVISION], is_return=True, first=(types.EXCEPTION_RESOLVED, key))
    yield _Fact(
        types.EXCEPTION_RESOLVED,
        "exception_id",
        ["exception_id", "about.run_id", "'withdrawn'", _REVISION],
        f"'{SYSTEM}'",
        f"{_EXCEPTION}, {_said_by_run('does not find it as it was told', 'withdrawn_by_revision')}",
        _left_out(_rows("exceptions_before", _OWN), _rows("exceptions_now", _OWN), _EXCEPTION_KEY),
        follows=_OPENING,
    )
    # Unless the run that opened it has withdrawn it since, and emits that. What a decision matched and gave back
    # this run may have opened itself.
    still_open = (
        "(select exception_id from exceptions_earlier group by exception_id "
        "having arg_max(status, run_sequence) <> 'resolved' "
        f"union select exception_id from {_rows('exceptions_now', _OWN + _OPEN)} as now "
        f"semi join {_rows('exceptions_before', _OWN)} as before using (exception_id))"
    )
    unresolved = _left_out(late_before, late_now, ["exception_id"])
    yield _Fact(
        types.EXCEPTION_REOPENED,
        "exception_id",
        ["exception_id", "about.run_id", "'unresolved'", _REVISION],
        f"'{SYSTEM}'",
        f"{_EXCEPTION}, {_said_by_run('does not resolve it', 'reopened_by_revision')}",
        f"(select * from {unresolved} as unresolved semi join {still_open} as still_open using (exception_id))",
        follows=[types.EXCEPTION_RESOLVED],
    )


def _rows(relation: str, condition: str) -> str:
    return f"(select * from {relation} as filtered where {condition})"


def _left_out(these: str, others: str, key: Sequence[str]) -> str:
    """The rows of `these` for which `others` has none of the same key, null for null."""
    same = " and ".join(f"these.{column} is not distinct from others.{column}" for column in key)
    return f"(select * from {these} as these anti join {others} as others on {same})"


def _id(event_type: str, key: Sequence[str]) -> str:
    return event_id_sql(f"'{event_type}'", ["about.tenant", *key])


def _said_by_run(what: str, revision: str) -> str:
    return (
        "'resolution': cast(null as varchar), 'decision_id': cast(null as varchar), "
        f"'reason': 'revision ' || about.revision || ' of the run {what}', '{revision}': about.revision"
    )
