"""Exceptions as a sheet: the queue as CSV or .xlsx with columns to decide in, and the decisions of one filled in.

Each row is judged by itself: it is accepted, or refused with its reason. How a sheet comes and how verdicts are shown
does not belong here (api, cli), nor what a decision means (decisions) or how one is recorded (record).
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from zentra_pipeline.actors import PROGRAM, Origin
from zentra_pipeline.decisions import exception_state, policy
from zentra_pipeline.desk import deciding, sheet_workbook
from zentra_pipeline.errors import ConfigurationError, InputRejectedError, UsageError, ZentraError
from zentra_pipeline.published import lake, lake_files
from zentra_pipeline.queries.result_text import csv_lines, without_guard
from zentra_pipeline.review.clocks import TIMED, Clock, Clocks
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.tenants.tenant import Tenant

MOST_DECISIONS: Final = 500
SEPARATORS: Final = (",", ";", "\t")
_WORKBOOK: Final = b"PK\x03\x04"
MOST_BYTES: Final = 16 * 1024 * 1024
REQUIRED: Final = ("exception_id", "action")
OPTIONAL: Final = ("reason", "owner", "resolution", "version")
# What the queue has in front, to be written in; `version` says which state is decided on.
_TO_FILL: Final = ("action", "reason", "version")
_VERSION: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class NotASheetError(InputRejectedError):
    """It is no sheet of the columns that a decision has; nothing changed."""

    kind = "malformed"


class SheetTooLargeError(InputRejectedError):
    """A sheet has more bytes, or decides more often, than one may; nothing changed."""

    kind = "too-large"


@dataclass(frozen=True)
class Row:
    """What a row of a sheet decides, as written; a blank field is null. `number` counts from 1, below the header."""

    number: int
    exception_id: str
    action: str
    reason: str | None = None
    owner: str | None = None
    resolution: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class RowResult:
    """The outcome of a row: accepted, or the error that refused it."""

    row: int
    exception_id: str
    error: ZentraError | None


def as_csv(tenant: Tenant, clocks: Clocks, conditions: Mapping[str, Any], separator: str = ",") -> bytes:
    """The exceptions for which these hold (SQL → the value in it) as CSV, those due first at the top.

    Text that a spreadsheet would take for a formula has a leading apostrophe. With semicolons a byte order mark comes
    first, as spreadsheets of the countries that use them expect.
    """
    columns, rows = _listed(tenant, clocks, conditions)
    mark = "" if separator == "," else "\ufeff"
    return (mark + "".join(csv_lines(columns, rows, separator))).encode("utf-8", "backslashreplace")


def as_workbook(tenant: Tenant, clocks: Clocks, conditions: Mapping[str, Any]) -> bytes:
    """The same as the one sheet of an Excel workbook; text is written as text and never becomes a formula."""
    return sheet_workbook.written("exceptions", *_listed(tenant, clocks, conditions))


def _listed(tenant: Tenant, clocks: Clocks, conditions: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    wanted = " AND ".join(conditions) or "true"
    found = lake.query(
        tenant.paths,
        f"SELECT * FROM {TIMED} WHERE {wanted} ORDER BY due_at NULLS LAST, exception_id",
        list(conditions.values()),
    )
    with tenant.reading() as connection:
        known = exception_state.states(decision_store.listed(connection))
    columns: list[str] = [*_TO_FILL, *_shown_columns()]
    rows: list[list[object]] = []
    for values in found.rows:
        row: dict[str, Any] = dict(zip(found.columns, values, strict=True))
        state = known.get(row["exception_id"])
        shown = row | vars(clocks.seen(row)) | {"version": state.decisions if state else 0}
        rows.append([shown.get(column) for column in columns])
    return columns, rows


def read(content: bytes) -> list[Row]:
    """The rows of a sheet that decide: CSV whose header is separated by commas, semicolons or tabs, or a workbook.

    In one that came from `as_csv` rows without an action are skipped, and so is what they show: owner counts with
    assign alone, resolution with resolve alone. Raises NotASheetError and SheetTooLargeError.
    """
    if len(content) > MOST_BYTES:
        raise SheetTooLargeError(f"the sheet has more than {MOST_BYTES:,} bytes: send fewer rows at once")
    try:
        if content.startswith(_WORKBOOK):
            header, *records = sheet_workbook.read(content)
        else:
            header, *records = _records(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, csv.Error, ValueError) as cause:
        raise NotASheetError("the sheet is not CSV in UTF-8 with a header (RFC 4180), nor an .xlsx workbook") from cause
    known = {*_shown_columns()} - {*REQUIRED, *OPTIONAL}
    unknown = [name for name in header if name not in (*REQUIRED, *OPTIONAL, *known)]
    missing = [name for name in REQUIRED if name not in header]
    if unknown or missing or len(set(header)) < len(header):
        raise NotASheetError(
            f"the sheet has columns {', '.join(map(repr, header[:20]))}; it takes {', '.join(REQUIRED)} and any of "
            f"{', '.join(OPTIONAL)}, each once"
        )
    short = next((number for number, record in enumerate(records, start=1) if len(record) != len(header)), None)
    if short is not None:
        raise NotASheetError(f"row {short} of the sheet has a different number of fields than its header")
    given = {number: dict(zip(header, record, strict=True)) for number, record in enumerate(records, start=1)}
    if not known.isdisjoint(header):
        given = {number: _decision_of(fields) for number, fields in given.items() if fields["action"].strip()}
    if len(given) > MOST_DECISIONS:
        raise SheetTooLargeError(f"the sheet has {len(given):,} decisions; {MOST_DECISIONS} are allowed at once")
    return [_row(number, fields) for number, fields in given.items()]


def decide(
    tenant: Tenant,
    rows: Iterable[Row],
    *,
    actor: str,
    role: str,
    now: Callable[[], datetime],
    origin: Origin = PROGRAM,
) -> Iterator[RowResult]:
    """Record the decision of each row, one after the other as the verdicts are asked for.

    Raises ConfigurationError for an invalid policy, which no row is to blame for.
    """
    for row in rows:
        yield RowResult(row.number, row.exception_id, _refusal(tenant, row, actor, role, now, origin))


def outcome(verdicts: Iterable[RowResult], reason: Callable[[ZentraError], str] = str) -> dict[str, Any]:
    """The outcome of every row, as JSON has it; `reason` words an error for whoever reads it."""
    items: list[dict[str, Any]] = [
        {
            "row": verdict.row,
            "exception_id": verdict.exception_id,
            "is_accepted": verdict.error is None,
            "problem": None if verdict.error is None else f"/problems/{verdict.error.kind}",
            "reason": None if verdict.error is None else reason(verdict.error),
        }
        for verdict in verdicts
    ]
    accepted = sum(item["is_accepted"] for item in items)
    return {"accepted": accepted, "refused": len(items) - accepted, "items": items}


def _refusal(
    tenant: Tenant, row: Row, actor: str, role: str, now: Callable[[], datetime], origin: Origin
) -> ZentraError | None:
    """Record a row's decision, or say what keeps it from being recorded."""
    try:
        _check_words(row)
        policy.check_role(actor, role, row.action)
        deciding.decide(
            tenant,
            DecisionRequest(
                row.exception_id,
                row.action,
                actor,
                reason=row.reason,
                owner=row.owner,
                resolution=row.resolution,
                role=role,
                expected_version=None if row.version is None else int(row.version),
                origin=origin,
            ),
            now(),
        )
    except ConfigurationError:
        raise
    except ZentraError as error:
        return error
    return None


def _check_words(row: Row) -> None:
    if row.action not in exception_state.ACTIONS:
        raise UsageError(f"action {row.action!r} is not known: use one of {', '.join(exception_state.ACTIONS)}")
    if row.action in exception_state.MATCHING:
        raise UsageError(f"a sheet has no columns for what {row.action} names: decide it by itself")
    resolutions = exception_state.personal_resolutions()
    if row.resolution is not None and row.resolution not in resolutions:
        raise UsageError(f"resolution {row.resolution!r} is not allowed: use one of {', '.join(resolutions)}")
    if row.version is not None and not _VERSION.fullmatch(row.version):
        raise UsageError(f"version {row.version!r} is not a number: leave it as the list has it, or blank")


def _shown_columns() -> tuple[str, ...]:
    """What a sheet shows of an exception: the columns of the table, and its clock."""
    columns = [definition.split()[0] for definition in lake_files.columns_sql("exceptions").split(", ")]
    return (*columns, *(clock.name for clock in fields(Clock)))


def _decision_of(given: dict[str, str]) -> dict[str, str]:
    """What a row of the queue decides; owner and resolution show what is, unless the action sets them."""
    sets = {"assign": "owner", "resolve": "resolution"}.get(given["action"].strip())
    decided = {name: given[name] for name in ("exception_id", "action", "reason", "version", sets) if name in given}
    if "owner" in decided:
        decided["owner"] = without_guard(decided["owner"])
    return decided


def _row(number: int, given: dict[str, str]) -> Row:
    """A row's decision; white space around words is stripped, that around a reason or a name stays."""
    words = {name: given.get(name, "").strip() for name in ("exception_id", "action", "resolution", "version")}
    return Row(
        number,
        words["exception_id"],
        words["action"],
        given.get("reason") or None,
        given.get("owner") or None,
        words["resolution"] or None,
        words["version"] or None,
    )


def _records(text: str) -> Iterator[list[str]]:
    if "\0" in text:
        raise ValueError("the sheet must not contain U+0000")
    header = text.split("\n", 1)[0]
    # No column of a sheet has a separator in its name: the header says which one it is.
    separator = max(SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    return (row for row in reader if row)
