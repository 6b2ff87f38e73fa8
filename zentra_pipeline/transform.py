"""Runs the dbt project in this process, against one run's database, with a manifest parsed beforehand.

The parsed manifest is kept beside the project's target and remade when any file of the project changes. Does not belong
here: what the models say, or what becomes of their tables.
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from zentra_pipeline import settings
from zentra_pipeline.errors import ControlFailedError, RunFailedError

_PROJECT_FILES: Final = ("dbt_project.yml", "profiles.yml")
_PROJECT_FOLDERS: Final = ("models", "macros", "seeds", "tests")
# How DuckDB says that a sum, a HUGEINT, is no BIGINT.
_TOO_LARGE: Final = re.compile(r"INT128 with value (-?[0-9]+) can't be cast .* out of range", re.DOTALL)
DATABASE_VARIABLE: Final = "ZENTRA_RUN_DATABASE"


@dataclass(frozen=True)
class NodeResult:
    """What became of one dbt node: its id and name, resource type, status, seconds, and failing rows of a test."""

    unique_id: str
    name: str
    resource_type: str
    status: str
    seconds: float
    failures: int | None
    message: str | None


@cache
def rules_digest() -> str:
    """Hex SHA-256 over every file of the dbt project that decides a result: the rules a run was judged by."""
    digest = hashlib.sha256()
    for path in _project_files():
        digest.update(str(path.relative_to(settings.DBT_PROJECT)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _project_files() -> list[Path]:
    root = settings.DBT_PROJECT
    found = [root / name for name in _PROJECT_FILES]
    for folder in _PROJECT_FOLDERS:
        found += [path for path in (root / folder).rglob("*") if path.suffix in (".sql", ".yml", ".csv")]
    return sorted(found)


@cache
def manifest() -> Any:
    """The parsed project (dbt's Manifest), from the cache when the project's files are the ones it was made from."""
    from dbt.contracts.graph.manifest import Manifest

    return _complete(Manifest.from_msgpack(_cached_manifest(".msgpack").read_bytes()))


@cache
def manifest_content() -> dict[str, Any]:
    """The parsed project as dbt writes it to manifest.json."""
    content: dict[str, Any] = orjson.loads(_cached_manifest(".json").read_bytes())
    return content


def _cached_manifest(suffix: str) -> Path:
    """The file of the parsed project in one of its two forms; parses the project where it is missing."""
    cached = target_folder() / f"manifest-{rules_digest()[:16]}{suffix}"
    if not cached.exists():
        parsed = _invoke(["parse"], None)
        _keep(cached.with_suffix(".msgpack"), parsed.to_msgpack())
        _keep(cached.with_suffix(".json"), orjson.dumps(parsed.writable_manifest().to_dict(omit_none=False)))
    return cached


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.rename(path)


def _complete(parsed: Any) -> Any:
    """A manifest read back lacks the maps dbt derives while parsing."""
    parsed.build_flat_graph()
    parsed.build_parent_and_child_maps()
    return parsed


def target_folder() -> Path:
    """Where dbt and this module keep what they derive from the project."""
    return settings.DBT_PROJECT / "target"


def build(database: Path, on_node: Callable[[str], None] | None = None) -> list[NodeResult]:
    """Build and test every model in a run's database; `on_node` hears the name of each node as it starts.

    Raises ControlFailedError when a test fails, RunFailedError when a model does; both name node and reason.
    """
    os.environ[DATABASE_VARIABLE] = str(database)
    try:
        outcome = _invoke(["build", "--exclude", "resource_type:seed", "resource_type:unit_test"], manifest(), on_node)
    finally:
        _let_go_of_database()
    results = [
        NodeResult(
            unique_id=result.node.unique_id,
            name=result.node.name,
            resource_type=str(result.node.resource_type),
            status=str(result.status),
            seconds=float(result.execution_time),
            failures=result.failures,
            message=result.message,
        )
        for result in outcome.results
    ]
    broken = [result for result in results if result.status in ("error", "fail", "runtime error")]
    for result in broken:
        if result.resource_type != "test" or result.status != "fail":
            raise RunFailedError(_why_not_built(result))
    if broken:
        failed = tuple((result.name, result.failures or 0) for result in broken)
        named = "; ".join(f"{name} ({rows} rows)" for name, rows in failed)
        raise ControlFailedError(f"controls do not hold, so nothing was published: {named}", failed)
    return results


def _invoke(arguments: list[str], parsed: Any, on_node: Callable[[str], None] | None = None) -> Any:
    from dbt.cli.main import dbtRunner

    def hear(event: Any) -> None:
        if on_node is not None and event.info.name == "NodeStart":
            on_node(event.data.node_info.node_name)

    options = [
        "--quiet",
        "--log-level=none",
        "--log-level-file=none",
        "--no-write-json",
        "--no-populate-cache",
        f"--project-dir={settings.DBT_PROJECT}",
        f"--profiles-dir={settings.DBT_PROJECT}",
        f"--target-path={target_folder()}",
    ]
    outcome = dbtRunner(manifest=parsed, callbacks=[hear]).invoke([*arguments, *options])
    if outcome.exception is not None:
        raise RunFailedError(f"dbt {arguments[0]} could not run: {outcome.exception}") from outcome.exception
    return outcome.result


def _let_go_of_database() -> None:
    """dbt-duckdb keeps the database open until the process ends; a worker that reconciles again must not."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


def _why_not_built(result: NodeResult) -> str:
    """Why a model could not be built; of the causes an input can have, what to do about it."""
    too_large = _TOO_LARGE.search(result.message or "")
    if too_large is None:
        return f"model {result.name} could not be built: {_first_lines(result.message)}"
    return (
        f"a sum in {result.name} is {too_large[1]}, more than the 64 bits of an amount hold, so nothing was published: "
        "look for amounts that cannot be true in the files of this run, and ingest those files corrected"
    )


def _first_lines(message: str | None) -> str:
    lines = [line.strip() for line in (message or "no message").splitlines() if line.strip()]
    return " ".join(lines[:4])
