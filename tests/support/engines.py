"""Servers that speak Spark Connect, for tests, and every run made on both engines (`make test-engines`).

Does not belong here: what a test expects of a run.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb

from zentra_pipeline import settings
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import dbt_execute, gather, revisions, run_database, run_kinds
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant

VARIABLE = "ZENTRA_TEST_ENGINES"
_SAIL = """
import sys
from pysail.spark import SparkConnectServer
SparkConnectServer("127.0.0.1", int(sys.argv[1])).start(background=False)
"""


def is_wanted() -> bool:
    return os.environ.get(VARIABLE) == "1"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def sail(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Sail as a process of its own, which a test may kill."""
    with _serving([sys.executable, "-c", _SAIL, str(port)], port, dict(os.environ)) as process:
        yield process


def spark_home() -> Path | None:
    """A Spark distribution: `$SPARK_HOME`, or the package pyspark where it is installed; Java must be there too."""
    from importlib.util import find_spec

    found = os.environ.get("SPARK_HOME")
    home = Path(found) if found else None
    if home is None and (spec := find_spec("pyspark")) is not None and spec.origin is not None:
        home = Path(spec.origin).parent
    return home if home is not None and (home / "bin" / "spark-submit").exists() and shutil.which("java") else None


@contextmanager
def spark(home: Path, port: int, master: str = "local[2]") -> Iterator[subprocess.Popen[bytes]]:
    """A Spark Connect server on a master, `local` without workers of its own."""
    settings_of_server = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
    }
    configured = [part for name, value in settings_of_server.items() for part in ("--conf", f"{name}={value}")]
    server = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    command = [str(home / "bin" / "spark-submit"), "--master", master, *configured, *server]
    with _serving(command, port, {**os.environ, "SPARK_HOME": str(home)}) as process:
        yield process


def wait_for_workers(server: subprocess.Popen[bytes], count: int) -> list[int]:
    """The process ids of a Spark server's workers on this machine, the oldest first, once there are so many."""
    asked = ["pgrep", "-s", str(server.pid), "-f", "CoarseGrainedExecutorBackend"]
    deadline = time.monotonic() + 300
    while True:
        found = subprocess.run(asked, capture_output=True, check=False)
        workers = [int(process) for process in found.stdout.split()]
        if len(workers) >= count:
            return workers
        assert time.monotonic() < deadline, f"Spark has {len(workers)} workers and not {count}"
        time.sleep(0.5)


@contextmanager
def _serving(command: list[str], port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryDirectory(prefix="zentra-server-") as folder, Path(folder, "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + 300
            while not _answers(port):
                said = Path(folder, "log").read_text(encoding="utf-8", errors="replace")[-2000:]
                assert process.poll() is None and time.monotonic() < deadline, f"the server did not start: {said}"
                time.sleep(0.2)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def both_engines() -> Iterator[list[str]]:
    """Within it, every run that publishes is made a second time on Sail; gives the runs compared.

    AssertionError in the run whose published files are not the same bytes.
    """
    publish = revisions.write_tables
    compared: list[str] = []

    def write_compared(tenant: Tenant, run: Run, database: duckdb.DuckDBPyConnection) -> Any:
        tables = publish(tenant, run, database)
        inputs = gather.run_inputs(tenant, run)
        folder = tenant.paths.scratch / f"{run.run_id}-other"
        other = settings.TenantPaths(folder / tenant.name)
        with (
            patch.dict(os.environ, {settings.ENGINE_VARIABLE: "spark"}),
            run_database.run_database(inputs, folder / "run", tenant.paths.root) as connection,
        ):
            read = run_database.PUBLISHED_FROM
            dbt_execute.build(connection, read_afterwards=read, kind=run_kinds.of_scope(run.provider))
            there = lake_files.publish(
                connection,
                other,
                provider=run.provider,
                ledger_window=run.ledger_window,
                run_id=run.run_id,
                revision=run.revision + 1,
            )
        if all(tables[name].columns == file.columns for name, file in there.items()):
            apart = [name for name, file in there.items() if tables[name].sha256 != file.sha256]
            assert apart == [], f"window {run.ledger_window}: Sail's bytes are others in {apart}"
        shutil.rmtree(folder, ignore_errors=True)
        compared.append(run.run_id)
        return tables

    with patch.object(revisions, "write_tables", write_compared):
        yield compared
