"""The dbt project as a run needs it: its digest, its manifest, and every model and data test as dbt compiled it.

Parsed and compiled once, by dbt, and kept beside the project's target; made again when a file of the project or dbt's
version changes. A run of a provider and one of a bank account execute different parts of it (run_kinds). Executing any
of it does not belong here.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import orjson

from zentra_pipeline import settings
from zentra_pipeline.errors import RunFailedError, UsageError
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import run_kinds, spark_statements, statement_shapes
from zentra_pipeline.reconcile.compiled_nodes import DUCKDB, SPARK, CompiledNode, Target
from zentra_pipeline.reconcile.run_kinds import RunKind

DATABASE_VARIABLE: Final = "ZENTRA_RUN_DATABASE"
# What a run heeds of a node's configuration, as dbt defaults it: it counts a test's rows, and makes a table or a view.
_PLAIN_TEST: Final[Mapping[str, Sequence[Any]]] = {
    "severity": ["ERROR"],
    "fail_calc": ["count(*)"],
    "error_if": ["!= 0"],
    "warn_if": ["!= 0"],
    "limit": [None],
    "where": [None],
}
_PLAIN_MODEL: Final[Mapping[str, Sequence[Any]]] = {
    "materialized": ["table", "view"],
    "pre_hook": [[]],
    "post_hook": [[]],
    "grants": [{}],
}
_PROJECT_FILES: Final = ("dbt_project.yml", "profiles.yml")
_PROJECT_FOLDERS: Final = ("models", "macros", "seeds", "tests")


@cache
def digest() -> str:
    """Hex SHA-256 over every file of the dbt project that decides a result: the rules a run was judged by."""
    content = hashlib.sha256()
    for path in _project_files():
        content.update(str(path.relative_to(settings.DBT_PROJECT)).encode() + b"\0")
        content.update(hashlib.sha256(path.read_bytes()).digest())
    return content.hexdigest()


def _project_files() -> list[Path]:
    root = settings.DBT_PROJECT
    found = [root / name for name in _PROJECT_FILES]
    for folder in _PROJECT_FOLDERS:
        found += [path for path in (root / folder).rglob("*") if path.suffix in (".sql", ".yml", ".csv")]
    return sorted(found)


@cache
def manifest() -> dict[str, Any]:
    """The parsed project as dbt writes it to manifest.json."""
    content: dict[str, Any] = orjson.loads(_kept("manifest").read_bytes())
    return content


@cache
def statements(kind: RunKind = run_kinds.PROVIDER, target: Target = DUCKDB) -> tuple[CompiledNode, ...]:
    """What a run of a kind executes, parents first: its models, and every data test of them that reads no seed.

    Those of another target are compiled when they are first asked for.
    """
    name = f"statements-{kind}" if target == DUCKDB else f"statements-{kind}-{target}"
    kept = orjson.loads(_kept(name, target).read_bytes())
    return tuple(
        CompiledNode(
            **{
                **entry,
                "parents": tuple(entry["parents"]),
                "empty_when": tuple(map(tuple, entry["empty_when"])),
                "parts": tuple(map(tuple, entry.get("parts", ()))),
            }
        )
        for entry in kept
    )


def _kept(name: str, target: Target = DUCKDB) -> Path:
    """The file of the compiled project in one of its forms; has dbt compile the project where it is missing."""
    made_from = f"{digest()[:16]}-dbt-{metadata.version('dbt-core')}-duckdb-{metadata.version('duckdb')}"
    kept = target_folder() / f"{name}-{made_from}.json"
    if kept.exists():
        return kept
    if target == SPARK:
        for kind, of_kind in _compile_for_spark().items():
            content = orjson.dumps([asdict(one) for one in of_kind])
            _keep(kept.with_name(f"statements-{kind}-{target}-{made_from}.json"), content)
        return kept
    parsed, compiled = _compile()
    _keep(kept.with_name(f"manifest-{made_from}.json"), orjson.dumps(parsed))
    for kind, of_kind in compiled.items():
        content = orjson.dumps([asdict(one) for one in of_kind])
        _keep(kept.with_name(f"statements-{kind}-{made_from}.json"), content)
    return kept


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.rename(path)


def target_folder() -> Path:
    """Where dbt and this module keep what they derive from the project."""
    return settings.DBT_PROJECT / "target"


def _compile() -> tuple[dict[str, Any], dict[RunKind, list[CompiledNode]]]:
    """Have dbt parse and compile the project for DuckDB: its manifest, and the statements of each kind of run."""
    parsed, nodes = _compiled_nodes(DUCKDB)
    content = parsed.writable_manifest().to_dict(omit_none=False)
    by_name = {node.name: node for node in nodes.values()}
    contracts = {
        node_id: _contract(by_name.get((node.config.meta or {}).get("instead_of"), node))
        for node_id, node in nodes.items()
    }
    of_kinds = _of_kinds(nodes)
    return content, {kind: _with_shapes(_parents_first(chosen), contracts, kind) for kind, chosen in of_kinds.items()}


def _compile_for_spark() -> dict[RunKind, list[CompiledNode]]:
    """Have dbt compile the project for Spark Connect; what the statements make is what DuckDB says of its own."""
    try:
        _, nodes = _compiled_nodes(SPARK)
    except (ImportError, RunFailedError) as error:
        raise UsageError(f"the dbt project cannot be compiled for Spark: {error}; install zentra[spark]") from error
    return {
        kind: spark_statements.adapted(statements(kind), {one.unique_id: one for one in chosen}, kind)
        for kind, chosen in _of_kinds(nodes).items()
    }


def _of_kinds(nodes: Mapping[str, Any]) -> dict[RunKind, list[CompiledNode]]:
    found = [_statement(node, nodes.keys()) for _, node in sorted(nodes.items())]
    return {
        run_kinds.PROVIDER: run_kinds.of_provider(found),
        run_kinds.BANK: run_kinds.of_bank(found, lake_files.ROW_ORDER_OF_BANK.keys()),
    }


def _compiled_nodes(target: Target) -> tuple[Any, dict[str, Any]]:
    """The project as dbt parses and compiles it for a target, against a database that it may leave empty.

    No model asks one anything, and of Spark none is there.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    before = os.environ.get(DATABASE_VARIABLE)
    with tempfile.TemporaryDirectory(prefix="zentra-rules-") as folder:
        # dbt freezes the file's stem into every relation's name; a run's database is called the same.
        os.environ[DATABASE_VARIABLE] = str(Path(folder) / "window.duckdb")
        made_in = target_folder() if target == DUCKDB else target_folder() / target
        try:
            parsed = _dbt(None, target, made_in, "parse")
            compiled = _dbt(
                parsed, target, made_in, "compile", "--exclude", "resource_type:seed", "resource_type:unit_test"
            )
        finally:
            DuckDBConnectionManager.close_all_connections()
            if before is None:
                del os.environ[DATABASE_VARIABLE]
            else:
                os.environ[DATABASE_VARIABLE] = before
    return parsed, {result.node.unique_id: result.node for result in compiled.results}


def _with_shapes(
    statements: Sequence[CompiledNode],
    contracts: Mapping[str, Mapping[str, str]],
    kind: RunKind = run_kinds.PROVIDER,
) -> list[CompiledNode]:
    """The statements with what they make and when that is nothing; raises RunFailedError where that breaks a contract.

    `contracts` are the declared columns and their types, by id; a statement without any is held to none.
    """
    shapes = statement_shapes.shapes(((one.name, one.materialized, one.relation, one.sql) for one in statements), kind)
    for statement, shape in zip(statements, shapes, strict=True):
        declared = contracts.get(statement.unique_id)
        if declared:
            _check_contract(statement.name, shape.columns, declared)
    return [
        replace(statement, columns=dict(shape.columns), empty_when=shape.empty_when)
        for statement, shape in zip(statements, shapes, strict=True)
    ]


def _contract(node: Any) -> dict[str, str]:
    """The columns of a model's enforced contract and their types."""
    if str(node.resource_type) != "model" or not node.config.contract.enforced:
        return {}
    return {column.name: column.data_type for column in node.columns.values()}


def _check_contract(name: str, made: Mapping[str, str], declared: Mapping[str, str]) -> None:
    unlike = sorted(
        f"{column} is {made.get(column, 'missing')} and declared {declared.get(column, 'nowhere')}"
        for column in made.keys() | declared.keys()
        if made.get(column) != declared.get(column)
    )
    if unlike:
        raise RunFailedError(f"model {name} breaks its contract: {'; '.join(unlike)}")


def _dbt(parsed: Any, target: Target, made_in: Path, command: str, *arguments: str) -> Any:
    from dbt.cli.main import dbtRunner

    outcome = dbtRunner(manifest=parsed).invoke(
        [
            command,
            *arguments,
            "--quiet",
            "--log-level=none",
            "--log-level-file=none",
            "--no-write-json",
            "--no-populate-cache",
            f"--project-dir={settings.DBT_PROJECT}",
            f"--profiles-dir={settings.DBT_PROJECT}",
            f"--target={target}",
            f"--target-path={made_in}",
        ]
    )
    if not outcome.success:
        raise RunFailedError(f"dbt {command} failed: {outcome.exception or _messages(outcome.result)}")
    return outcome.result


def _messages(result: Any) -> str:
    return "; ".join(f"{one.node.name}: {one.message}" for one in getattr(result, "results", []) if one.message)


def _statement(node: Any, selected: Any) -> CompiledNode:
    resource_type = str(node.resource_type)
    plain = _PLAIN_TEST if resource_type == "test" else _PLAIN_MODEL
    differing = [key for key, value in plain.items() if getattr(node.config, key) not in value]
    if differing:
        raise RunFailedError(f"{resource_type} {node.name} sets {', '.join(differing)}, which a run ignores")
    return CompiledNode(
        unique_id=node.unique_id,
        name=node.name,
        resource_type=resource_type,
        materialized=node.config.materialized,
        relation=node.relation_name if resource_type == "model" else None,
        sql=node.compiled_code,
        parents=tuple(sorted(parent for parent in node.depends_on.nodes if parent in selected)),
        is_of_bank=run_kinds.is_of_bank(node.config.tags or []),
        instead_of=(node.config.meta or {}).get("instead_of"),
    )


def _parents_first(compiled: list[CompiledNode]) -> list[CompiledNode]:
    by_id = {statement.unique_id: statement for statement in compiled}
    order = TopologicalSorter({unique_id: statement.parents for unique_id, statement in by_id.items()})
    order.prepare()
    ordered: list[CompiledNode] = []
    while order.is_active():
        ready = sorted(order.get_ready())
        ordered += [by_id[unique_id] for unique_id in ready]
        order.done(*ready)
    return ordered
