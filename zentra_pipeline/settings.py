"""Where state lives: the home's folders and the environment variables Zentra reads, in one place.

Does not belong here: creating, reading or writing anything inside those folders.
"""

import json
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, cast

from zentra_pipeline import identifiers
from zentra_pipeline.errors import UsageError

HOME_VARIABLE = "ZENTRA_HOME"
DATABASE_VARIABLE = "ZENTRA_DATABASE_URL"
MEMORY_VARIABLE = "ZENTRA_MEMORY"
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([MG]i?B)", re.IGNORECASE)
_MEGABYTES = {"MB": 1.0, "GB": 1000.0, "MIB": 1.048576, "GIB": 1073.741824}
# Python, what is imported, and what DuckDB takes beside its buffers.
_BESIDE_DUCKDB_MB = 300
THREADS_VARIABLE = "ZENTRA_THREADS"
RUNS_VARIABLE = "ZENTRA_MAX_RUNS"
CONSOLE_VARIABLE = "ZENTRA_CONSOLE_URL"
DAGSTER_VARIABLE = "ZENTRA_DAGSTER_URL"
DAGSTER_HOME_VARIABLE = "DAGSTER_HOME"
CACHE_VARIABLE = "ZENTRA_CACHE"
LEASE_VARIABLE = "ZENTRA_LEASE_SECONDS"
_LEASE_SECONDS = 45
TRACES_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
LOG_VARIABLE = "ZENTRA_LOG"
ENGINE_VARIABLE = "ZENTRA_ENGINE"
SPARK_VARIABLE = "ZENTRA_SPARK_REMOTE"
SPARK_FILES_VARIABLE = "ZENTRA_SPARK_FILES"
ENGINES: Final = ("duckdb", "spark")
DEFAULT_HOME = Path("data/zentra")
# Whose exceptions they are where neither a request nor the run as recorded says so.
DEFAULT_OWNER = "finance_ops"
PACKAGE_ROOT = Path(__file__).resolve().parent
DBT_PROJECT = PACKAGE_ROOT.parent / "dbt_project"


@dataclass(frozen=True)
class TenantPaths:
    """The folders and files of one tenant; nothing of another tenant lies below them."""

    root: Path

    @property
    def providers(self) -> Path:
        return self.root / "providers"

    @property
    def banks(self) -> Path:
        return self.root / "banks"

    @property
    def routing(self) -> Path:
        return self.root / "routing.yml"

    @property
    def policy(self) -> Path:
        return self.root / "policy.yml"

    @property
    def calendar(self) -> Path:
        return self.root / "calendar.yml"

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def staged(self) -> Path:
        return self.root / "staged"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def catalog(self) -> Path:
        return self.root / "catalog.duckdb"

    @property
    def operational_store(self) -> Path:
        return self.root / "ops.db"

    @property
    def closeouts(self) -> Path:
        return self.root / "closeouts"

    @property
    def attachments(self) -> Path:
        return self.root / "attachments"

    @property
    def heads(self) -> Path:
        return self.root / "heads"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def locks(self) -> Path:
        return self.root / "locks"


@dataclass(frozen=True)
class Home:
    """The folder that holds all state (`ZENTRA_HOME`)."""

    root: Path

    @classmethod
    def at(cls, path: str | Path | None = None) -> "Home":
        """The home at `path`, else at `$ZENTRA_HOME`, else at `data/zentra` below the working directory.

        Of a URL, such as `s3://bucket/zentra`, it is this host's folder: `$ZENTRA_CACHE`, else below `~/.cache/zentra`.

        UsageError for a path with a question mark: DuckDB and SQLAlchemy read options after one in a database's name.
        """
        named = path or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME
        if "://" in str(named):
            return cls(_cache_of(str(named)))
        root = Path(named).expanduser().absolute()
        if "?" in str(root):
            raise UsageError(f"{root}: databases cannot be below a folder with ? in its name; choose another folder")
        return cls(root)

    @property
    def control_store(self) -> Path:
        return self.root / "control.db"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def tenants(self) -> Path:
        return self.root / "tenants"

    @property
    def slots(self) -> Path:
        return self.root / "slots"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def storage(self) -> Path:
        return self.root / "storage.yml"

    @property
    def trust(self) -> Path:
        return self.root / "trust.json"

    def tenant(self, tenant: str) -> TenantPaths:
        """Paths of a tenant; UsageError when the id's form is not allowed. Existence is not checked."""
        return TenantPaths(self.tenants / identifiers.tenant_id(tenant))


def _cache_of(url: str) -> Path:
    """This host's folder for the home whose files are at a URL, which its `storage.yml` names."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "zentra"
    root = Path(os.environ.get(CACHE_VARIABLE) or base / sha256(url.encode()).hexdigest()[:16]).expanduser().absolute()
    file = Home(root).storage
    if not file.exists():
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        temporary.write_text(f"url: {json.dumps(url)}\n", encoding="utf-8")
        temporary.replace(file)
    return root


def database_url() -> str | None:
    """The PostgreSQL database in which new homes keep their stores (`$ZENTRA_DATABASE_URL`), null for SQLite files.

    It may hold a password, so it is never shown whole.
    """
    return os.environ.get(DATABASE_VARIABLE) or None


def logs_json() -> bool:
    """Whether a server logs an object of JSON a line (`$ZENTRA_LOG`: `json`, else `text`)."""
    form = os.environ.get(LOG_VARIABLE) or "text"
    if form not in ("text", "json"):
        raise UsageError(f"{LOG_VARIABLE} is {form!r}: use text or json")
    return form == "json"


def are_traces_sent() -> bool:
    """Whether spans are sent (`$OTEL_EXPORTER_OTLP_ENDPOINT`, `$OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`)."""
    environment = os.environ
    if not (environment.get(TRACES_VARIABLE) or environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        return False
    return environment.get("OTEL_SDK_DISABLED", "").lower() != "true"


def engine() -> Literal["duckdb", "spark"]:
    """Which engine executes the models of a run (`$ZENTRA_ENGINE`: `duckdb`, else `spark`); results are the same."""
    name = os.environ.get(ENGINE_VARIABLE) or "duckdb"
    if name not in ENGINES:
        raise UsageError(f"{ENGINE_VARIABLE} is {name!r}: use duckdb or spark")
    return cast(Literal["duckdb", "spark"], name)


def spark_remote() -> str | None:
    """The server that runs on Spark use (`$ZENTRA_SPARK_REMOTE`), null for Sail within the process."""
    remote = os.environ.get(SPARK_VARIABLE) or None
    if remote is not None and not remote.startswith("sc://"):
        raise UsageError(
            f"{SPARK_VARIABLE} is {remote!r}: set it to a Spark Connect server, such as sc://localhost:15002"
        )
    return remote


def spark_files() -> Path | None:
    """A folder that this process and the server's workers see under one path (`$ZENTRA_SPARK_FILES`), if one is set."""
    folder = os.environ.get(SPARK_FILES_VARIABLE)
    return Path(folder).absolute() if folder else None


def console_url(*parts: str) -> str | None:
    """A page of the console as others reach it: below `$ZENTRA_CONSOLE_URL`, null where that is not set."""
    return _page(CONSOLE_VARIABLE, "/".join(parts))


def dagster_url(path: str) -> str | None:
    """A page of Dagster's UI as others reach it: below `$ZENTRA_DAGSTER_URL`, null where that is not set."""
    return _page(DAGSTER_VARIABLE, path)


def dagster_home() -> Path | None:
    """Where Dagster's own programs find the configuration of their instance (`$DAGSTER_HOME`), if that is set."""
    folder = os.environ.get(DAGSTER_HOME_VARIABLE)
    return Path(folder).expanduser().absolute() if folder else None


def _page(variable: str, path: str) -> str | None:
    base = os.environ.get(variable)
    if not base:
        return None
    if not base.startswith(("http://", "https://")) or not base.isascii() or not base.isprintable():
        raise UsageError(f"{variable} is {base!r}: set it to where it is reached, such as https://zentra.example.com")
    return f"{base.rstrip('/')}/{path}"


def memory_limit(unbounded: str = "80%") -> str:
    """What one DuckDB connection of a run may take before it spills to disk, in DuckDB's words: `2000MB`, `80%`.

    `$ZENTRA_MEMORY` is what the process shall take: what it needs beside DuckDB's buffers is taken off, half at most.
    """
    wanted = os.environ.get(MEMORY_VARIABLE, unbounded)
    size = _SIZE.fullmatch(wanted.strip())
    if size is None:
        return wanted
    megabytes = float(size[1]) * _MEGABYTES[size[2].upper()]
    return f"{max(megabytes - _BESIDE_DUCKDB_MB, megabytes / 2) * 1000:.0f}KB"


def threads() -> int:
    """How many threads a run has, for statements side by side and within one: `$ZENTRA_THREADS`, or the processors."""
    return _count(THREADS_VARIABLE, "threads")


def most_runs() -> int:
    """How many runs of a home are made at once on this machine: `$ZENTRA_MAX_RUNS`, or the processors."""
    return _count(RUNS_VARIABLE, "runs")


def lease_seconds() -> int:
    """How long a lock that is a lease holds after the last sign of life: `$ZENTRA_LEASE_SECONDS`, or 45."""
    return _count(LEASE_VARIABLE, "seconds", _LEASE_SECONDS)


def _count(variable: str, what: str, default: int | None = None) -> int:
    text = os.environ.get(variable) or str(default or len(os.sched_getaffinity(0)))
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise UsageError(f"{variable} is {text!r}: set it to a number of {what}, such as 2")
    return int(text)
