"""Routes of what a run found: matches, exceptions, the three-way view, evidence, events. Runs themselves: runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from zentra_pipeline import sql_text
from zentra_pipeline.api import events, exceptions, problems, tables
from zentra_pipeline.api.paging import PageQuery, Paging, cursor, page, page_schema, place_of
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.runs import find_run
from zentra_pipeline.api.security import Caller, Reader
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.closeout import closeout_tables
from zentra_pipeline.closeout.closeout_tables import CloseoutTables
from zentra_pipeline.published import lake_files, lake_views
from zentra_pipeline.review.clocks import Clocks
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import runs as run_store

router = APIRouter(prefix="/reconciliation/runs/{run_id}", tags=["runs"])

_MOST_ROWS: Final = 2**53  # DuckDB takes no greater offset than 2**62
_EVIDENCE_COLUMNS: Final = sql_text.column_types(lake_views.EVIDENCE_COLUMNS)


def _answer(schema: dict[str, Any], *further: str) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": page_schema(schema)}}
    return {
        200: {"description": "A page.", "content": content},
        **problems.responses("not-found", "outdated", *further),
    }


@router.get("/matches", summary="Matches of a run.", responses=_answer(tables.row_schema("matches")))
def matches(caller: Reader, run_id: str, query: Paging) -> Response:
    """Matches that the run made, in their current state, by id."""
    run = find_run(caller, run_id)
    place = place_of(query.after, str) or [""]
    found = tables.query(
        caller.paths,
        "SELECT * FROM matches WHERE run_id = ? AND match_id > ? ORDER BY match_id LIMIT ?",
        [run.run_id, *place, query.limit + 1],
    )
    return json_response(page(found, query.limit, lambda row: (row["match_id"],)))


@router.get("/exceptions", summary="Exceptions of a run.", responses=_answer(exceptions.ROW_SCHEMA, "not-configured"))
def exceptions_of_run(caller: Reader, serving: Serving, run_id: str, query: Paging) -> Response:
    """Exceptions that the run opened, in their current state, by due date."""
    run = find_run(caller, run_id)
    clocks = Clocks(caller.paths, serving.now())
    return json_response(exceptions.page_of(caller, clocks, {"run_id = ?": run.run_id}, query))


@router.get("/three-way", summary="Three-way view.", responses=_answer(tables.row_schema("three_way")))
def three_way(caller: Reader, run_id: str, query: Paging) -> Response:
    """Each money movement of the run as seen by callback, settlement and ledger."""
    return _rows_of(caller, run_id, query, "three_way")


@router.get("/rollforward", summary="Statement of a run.", responses=_answer(tables.row_schema("rollforward")))
def rollforward(caller: Reader, run_id: str, query: Paging) -> Response:
    """What was unsettled before, what was posted, settled and written off, and what is carried forward, by currency."""
    return _rows_of(caller, run_id, query, "rollforward")


@router.get("/conservation", summary="Where every row went.", responses=_answer(tables.row_schema("conservation")))
def conservation(caller: Reader, run_id: str, query: Paging) -> Response:
    """Rows and amounts by side and currency: those read are those matched, in transit, excepted and so on."""
    return _rows_of(caller, run_id, query, "conservation")


@router.get("/open-items", summary="Open items of a run.", responses=_answer(tables.row_schema("open_items")))
def open_items(caller: Reader, run_id: str, query: Paging) -> Response:
    """Everything unmatched when the run ended, in transit or excepted, with its age."""
    return _rows_of(caller, run_id, query, "open_items")


@router.get("/evidence", summary="Evidence of a run.", responses=_answer(tables.schema_of(_EVIDENCE_COLUMNS)))
def evidence(caller: Reader, run_id: str, query: Paging) -> Response:
    """What a closeout seals: the sealed rows, or for an unsealed run, those it would seal now."""
    run = find_run(caller, run_id)
    first = _first_row(run, query.after)
    columns = list(_EVIDENCE_COLUMNS)
    if not run.is_published:
        return json_response({"items": [], "next": None})
    with _closeout_tables(caller, run) as (opened, closeout):
        # Until it is sealed a row says so; every other member is what the leaf of the sealed row will hold.
        sealed = closeout is not None
        replaced = {
            "closeout_id": "cast(? as varchar) as closeout_id",
            "closeout_status": "closeout_status" if sealed else f"'{_status(run)}' as closeout_status",
        }
        known = {row[0] for row in opened.connection.execute("describe evidence").fetchall()}
        selected = [replaced.get(name) or (name if name in known else f"null as {name}") for name in columns]
        rows = opened.connection.execute(
            f"select {', '.join(selected)} from evidence order by leaf, line_id nulls last, transaction_id nulls last, "
            "currency nulls last, provider_event_id nulls last, match_id nulls last limit ? offset ?",
            [closeout.closeout_id if closeout else None, query.limit + 1, first],
        ).fetchall()
    return json_response(_numbered(run, [tables.as_object(columns, row) for row in rows], first, query.limit))


@router.get("/events", summary="Events of a run.", responses=_answer(events.EVENT_SCHEMA))
def events_of_run(caller: Reader, run_id: str, query: Paging) -> Response:
    """CloudEvents about the run, its exceptions and its closeout, in the order of the log."""
    run = find_run(caller, run_id)
    after = events.position(query.after)
    found = list(islice(events.emitted(caller, after, run.run_id), query.limit + 1))
    more = len(found) > query.limit
    last = found[query.limit - 1]["sequence"] if more else None
    return json_response({"items": found[: query.limit], "next": last})


def _rows_of(caller: Caller, run_id: str, query: PageQuery, table: str) -> Response:
    """A page of the run's rows of a published table, in the table's order."""
    run = find_run(caller, run_id)
    first = _first_row(run, query.after)
    order = ", ".join(f"{column} NULLS LAST" for column in lake_files.ROW_ORDER[table].split(", "))
    found = tables.query(
        caller.paths,
        f"SELECT * FROM {table} WHERE run_id = ? ORDER BY {order} LIMIT ? OFFSET ?",
        [run.run_id, query.limit + 1, first],
    )
    return json_response(_numbered(run, found, first, query.limit))


def _first_row(run: run_store.Run, after: str | None) -> int:
    """How many rows a cursor has passed; a problem when the run has published another revision since."""
    place = place_of(after, int, int)
    if place is None:
        return 0
    revision, first = place
    if revision != run.revision:
        raise ProblemError("outdated", f"The run is at revision {run.revision}, the cursor at {revision}: start again.")
    if first > _MOST_ROWS:
        raise ProblemError("invalid", "query after: this is not a cursor of this list; use `next` as a page gave it")
    return int(first)


def _numbered(run: run_store.Run, rows: Sequence[dict[str, Any]], first: int, limit: int) -> dict[str, Any]:
    following = cursor((run.revision, first + limit)) if len(rows) > limit else None
    return {"items": list(rows[:limit]), "next": following}


def _status(run: run_store.Run) -> str:
    """The closeout's status, as the evidence of a run that is not sealed shows it."""
    return run.closeout_status if run.closeout_status in ("open", "blocked", "prepared") else "open"


@contextmanager
def _closeout_tables(
    caller: Caller, run: run_store.Run
) -> Iterator[tuple[CloseoutTables, closeout_store.Closeout | None]]:
    """The tables of the run's current revision, and its seal where that revision is sealed."""
    with caller.tenant.reading() as connection:
        revision = run_store.current_revision(connection, run.run_id)
        log = decision_store.listed(connection)
        sealed = [
            item
            for item in closeout_store.of_run(connection, run.run_id)
            if item.chain_sequence is not None and item.run_revision == revision.revision
        ]
    closeout = sealed[-1] if sealed else None
    if closeout is not None:  # as closed is a place in the log, not a time (contract §10.21)
        position = decision_store.sealed_position(closeout.closeout_id, log)
        log = [decision for decision in log if position is None or decision.sequence <= position]
    with closeout_tables.opened(caller.tenant, run, revision, log) as opened:
        yield opened, closeout
