"""A tenant with one provider in a folder of the test's own: rows go in, windows run, what they say comes out as text.

What a run says is written as a bookkeeper would, one statement a line (`statements`), so that a claim can be compared
whole. Does not belong here: what is expected.
"""

import copy
import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from pytest import MonkeyPatch

from tests.scenarios.rows import COLUMNS, PROVIDER, Row, call, entry, flat, post, settle, settlement_file
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.ingest.files import IngestOutcome, ingest_files
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import window_run
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import WindowResult
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants import tenancy

TENANT = "acme"
OWNER = "finance_ops"
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Statement:
    """Something a run says and the ids it says it about; it is said again when its `key` is new."""

    text: str
    ids: tuple[str, ...]
    key: str


class World:
    """A home with one tenant and one provider; `profile` holds the keys that differ from their defaults."""

    def __init__(self, folder: Path, profile: Mapping[str, Any] | None = None, provider: str = PROVIDER) -> None:
        home = Home.at(folder / "home")
        self.provider = provider
        self.inbox = folder / "inbox"
        self.inbox.mkdir(parents=True)
        tenancy.init_home(home)
        self.tenant = tenancy.add_tenant(home, TENANT, NOW)
        (self.paths.providers / f"{provider}.yml").write_text(json.dumps(profile or {}), encoding="utf-8")
        self._pending: list[Row] = []
        self._files: set[str] = set()
        self._deliveries = 0
        self._said: set[Statement] = set()

    @property
    def home(self) -> Home:
        return self.tenant.home

    @property
    def paths(self) -> TenantPaths:
        return self.tenant.paths

    def beside(self, provider: str) -> "World":
        """The same tenant's data of another provider, with all defaults."""
        other = copy.copy(self)
        other.provider, other._files, other._pending, other._said = provider, set(), [], set()
        return other

    def add(self, *rows: Row | tuple[Row, ...]) -> None:
        """Have rows arrive before the next run, or before the run of the window they arrive for."""
        self._pending += flat(rows)

    def settle(self, *arguments: Any, **options: Any) -> None:
        """Have the provider settle a line (see rows.settle)."""
        self.add(settle(*arguments, **options))

    def post(self, *arguments: Any, **options: Any) -> None:
        """Have the ledger post a balanced transaction (see rows.post)."""
        self.add(post(*arguments, **options))

    def enter(self, *arguments: Any, **options: Any) -> None:
        """Have the ledger post a single entry (see rows.entry)."""
        self.add(entry(*arguments, **options))

    def call(self, *arguments: Any, **options: Any) -> None:
        """Have the provider deliver a callback (see rows.call)."""
        self.add(call(*arguments, **options))

    def deliver(self, window: str | None = None) -> list[IngestOutcome]:
        """Ingest what has arrived by the run of `window`, one file a kind and file id; everything without a window."""
        arrived: list[Row] = []
        waiting: list[Row] = []
        for row in self._pending:
            is_there = window is None or row.arrives is None or row.arrives <= window
            (arrived if is_there else waiting).append(row)
        self._pending = waiting
        self._deliveries += 1
        files: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in arrived:
            files[row.kind, row.file or f"{row.kind}_{self._deliveries}"].append(row)
        with nullcontext() if window is None else a_run_follows():
            return [self.ingest(kind, file_id, rows) for (kind, file_id), rows in files.items()]

    def ingest(self, kind: str, file_id: str, rows: Sequence[Row]) -> IngestOutcome:
        """Write rows as one file and ingest it."""
        content = as_jsonl(rows) if kind == "callbacks" else as_csv(kind, rows)
        return self.ingest_bytes(kind, file_id, content)

    def ingest_bytes(self, kind: str, file_id: str, content: bytes) -> IngestOutcome:
        """Ingest a file of these bytes."""
        suffix = "jsonl" if kind == "callbacks" else "csv"
        path = self.inbox / f"{file_id}.{suffix}"
        path.write_bytes(content)
        if kind == "settlement":
            self._files.add(file_id)
        return ingest_files(
            self.tenant,
            provider=self.provider,
            kind=kind,
            files=[path],
            file_id=None,
            format="canonical",
            now=NOW,
        )

    def run(self, window: str, as_of: str | None = None, file: str | None = None) -> list[Statement]:
        """Run a window, with its later ones again where it changed, and return what is said now and was not before.

        Without `as_of` a run knows what was received by its review cut-off.
        """
        self.make(window, as_of, file)
        said = set(statements(self, window))
        news = said - self._said
        self._said |= said
        return sorted(news, key=lambda statement: statement.text)

    def make(self, window: str, as_of: str | None = None, file: str | None = None) -> WindowResult:
        """Run a window as `run` does without asking what it says."""
        self.deliver(window)
        return self.reconcile(window, as_of, file)

    def reconcile(self, window: str, as_of: str | None = None, file: str | None = None) -> WindowResult:
        """Run a window and return its result; a settlement file that has not come yet is one without rows."""
        file_id = file or settlement_file(window)
        if file_id not in self._files:
            with a_run_follows():
                self.ingest("settlement", file_id, [])
        return self.request(window, file_id, as_of)

    def request(self, window: str, file_id: str, as_of: str | None = None) -> WindowResult:
        """Ask for a run as it is, and for the later ones again where it changed."""
        known = datetime.fromisoformat(as_of) if as_of else self.cutoff(window)
        request = RunRequest(self.provider, file_id, date.fromisoformat(window), OWNER, known, "test")
        result = window_run.run_window(self.tenant, request)
        window_run.run_queued(self.tenant, self.provider)
        return result

    def cutoff(self, window: str) -> datetime:
        """The review cut-off of a window whose day begins at midnight UTC."""
        grace = timedelta(minutes=load_profile(self.paths, self.provider).callback_grace_minutes)
        return datetime.combine(date.fromisoformat(window), time(), UTC) + timedelta(days=1) + grace

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the published tables."""
        answer = lake.query(self.paths, sql)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def revision(self, window: str, file: str | None = None) -> run_store.Revision:
        """The current revision of a window's run."""
        file_id = file or settlement_file(window)
        run_id = run_store.run_id_of(TENANT, self.provider, file_id, date.fromisoformat(window))
        with self.tenant.reading() as connection:
            return run_store.current_revision(connection, run_id)


@contextmanager
def a_run_follows() -> Iterator[None]:
    """Leave it to the run to bring up to date what readers find."""
    with MonkeyPatch.context() as patched:
        patched.setattr(lake, "refresh", lambda paths: None)
        yield


def statements(world: World, window: str) -> list[Statement]:
    """Everything known after a window's run: matches, their callbacks, exceptions, and what that run left open."""
    return [*_matches(world), *_exceptions(world), *_open_items(world, window)]


def _matches(world: World) -> Iterable[Statement]:
    legs: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for leg in world.query("select distinct match_id, leg_type, leg_id from match_legs order by all"):
        legs[leg["match_id"]][leg["leg_type"]].append(leg["leg_id"])
    for match in world.query("select * from matches order by match_id"):
        lines = legs[match["match_id"]]["settlement_line"]
        transactions = legs[match["match_id"]]["ledger_transaction"]
        name = f"{' + '.join(lines)} = {' + '.join(transactions)}"
        off = match["difference_minor"]
        against, by = (f" against {match['ledger_minor']}", f", off by {off}") if off else ("", "")
        amounts = f"{match['settlement_minor']}{against} {match['currency']}{by}"
        reversed_ = "" if match["status"] == "confirmed" else f"{match['status']} "
        text = f"{reversed_}{match['rule']} {match['cardinality']} {match['method']}: {name}, {amounts}"
        yield Statement(text, (*lines, *transactions), match["match_id"])
        for event in legs[match["match_id"]]["callback"]:
            yield Statement(f"callback {event} of {name}", (event, *lines, *transactions), match["match_id"])


def _exceptions(world: World) -> Iterable[Statement]:
    for row in world.query("select * from exceptions order by exception_id"):
        off = "" if row["difference_minor"] is None else f", off by {row['difference_minor']}"
        resolved = "" if row["status"] == "open" else f"{row['status']} as {row['resolution']}: "
        text = f"{resolved}{row['exception_type']} {row['subject_id']}, {row['amount_minor']} {row['currency']}{off}"
        yield Statement(text, (row["subject_id"],), row["exception_id"])


def _open_items(world: World, window: str) -> Iterable[Statement]:
    sql = f"select open_items.* from open_items where ledger_window = date '{window}'"
    for row in world.query(sql):
        text = f"open {row['item_id']}, {row['amount_minor']} {row['currency']}, aged {row['age_business_days']}"
        yield Statement(text, (row["item_id"],), window)


def as_csv(kind: str, rows: Sequence[Row]) -> bytes:
    """Rows as a canonical CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS[kind], lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.values for row in rows)
    return text.getvalue().encode()


def as_jsonl(rows: Sequence[Row]) -> bytes:
    """Rows as canonical JSON Lines, absent values left out."""
    objects = ({name: value for name, value in row.values.items() if value is not None} for row in rows)
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in objects).encode()
