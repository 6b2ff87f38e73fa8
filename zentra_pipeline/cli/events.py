"""`zentra events`: prints the event log and follows it; what an event is, and its order, is the log's to say."""

import json
import os
import select
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError

if TYPE_CHECKING:
    from zentra_pipeline.settings import TenantPaths
    from zentra_pipeline.tenants.tenant import Tenant

POLL_MS = 500
_LINES = 1_000


def _cursor(value: str) -> int:
    from zentra_pipeline.events import log_reading

    return log_reading.position_of(value)


def _event_type(value: str) -> str:
    from zentra_pipeline.events import types

    if value not in types.DATA:
        raise UsageError(f"event type {value!r} is not known: use one of {', '.join(types.DATA)}")
    return value


@click.command("events")
@options.tenant
@click.option(
    "--after",
    metavar="CURSOR",
    callback=options.checked(_cursor),
    help="Continue after this event: its sequence, or `next` of an earlier answer.",
)
@click.option("--type", "event_type", metavar="TYPE", callback=options.checked(_event_type), help="Only this type.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="At most this many.")
@click.option("--follow", is_flag=True, help="Wait for further events until interrupted.")
@options.home
@options.as_json
def command(
    tenant: "Tenant",
    after: int | None,
    event_type: str | None,
    limit: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Print the reconciliation.* events of a tenant in the order of the log.

    One CloudEvent in JSON a line; `sequence` is its place and the cursor to go on from. With --json, one object with
    all of them and the cursor behind them.
    """

    if follow:
        if as_json:
            raise UsageError("--follow never ends, and --json is one object: leave one of them out")
        _follow(tenant.paths, after or 0, event_type, limit)
    elif as_json:
        _print_page(tenant.paths, after or 0, event_type, limit)
    else:
        _print_lines(tenant.paths, after or 0, event_type, limit)


def _print_page(paths: "TenantPaths", after: int, event_type: str | None, limit: int | None) -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.events import log_reading

    page = log_reading.read(paths, after, limit, event_type)
    events = [log_reading.with_cursor(position, event) for position, event in page.events]
    printing.print_json({"items": events, "next": log_reading.cursor_text(page.last)})


def _print_lines(paths: "TenantPaths", after: int, event_type: str | None, limit: int | None) -> tuple[int, int]:
    """Print what the log holds behind `after`; the place to go on after, and how many were printed."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.events import log_reading

    stream = log_reading.follow(paths, after, event_type, limit)
    events = islice(stream.events, limit)
    printed = 0
    while lines := [_line(log_reading.with_cursor(*found)) for found in islice(events, _LINES)]:
        printing.write_bytes(printing.encoded("".join(lines)))
        printed += len(lines)
    return stream.last, printed


def _follow(paths: "TenantPaths", after: int, event_type: str | None, limit: int | None) -> None:
    """Print what comes until interrupted, until `limit` is reached, or until nobody reads any more."""
    left = limit
    try:
        while left is None or left > 0:
            after, printed = _print_lines(paths, after, event_type, left)
            left = None if left is None else left - printed
            if left != 0 and _is_reader_gone():
                return
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_reader_gone() -> bool:
    """Wait a moment, less when the other end of stdout is closed meanwhile; whether it is."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always reported
    return bool(watch.poll(POLL_MS))


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"
