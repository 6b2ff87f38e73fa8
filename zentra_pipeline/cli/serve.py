"""`zentra serve`: starts the HTTP API and the worker beside it; what routes and worker do does not belong here."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from zentra_pipeline import logs
from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home

_RESTART_SECONDS = 2.0


@click.command("serve")
@click.option("--host", metavar="H", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port.")
@click.option(
    "--worker/--no-worker",
    "has_worker",
    default=True,
    show_default=True,
    help="Execute requested runs in a process beside the server, or leave them to Dagster's sensor.",
)
@click.option(
    "--requests-per-second",
    metavar="N",
    type=click.IntRange(1),
    default=5_000,
    show_default=True,
    help="Requests per second of one token; bursts of twice as many.",
)
@click.option(
    "--max-upload-mb",
    metavar="N",
    type=click.IntRange(1),
    default=2_048,
    show_default=True,
    help="Largest file accepted, in MB.",
)
@options.home
def command(host: str, port: int, has_worker: bool, requests_per_second: int, max_upload_mb: int, home: Home) -> None:
    """Start the HTTP API of a home, and stop it with Ctrl-C.

    It logs to stderr: lines for people, or with ZENTRA_LOG=json an object a line and a line a request.
    """
    import gc

    import uvicorn
    from uvicorn.config import LOGGING_CONFIG

    from zentra_pipeline.api.connections import ConnectionLimits, protocol_of, raise_file_limit
    from zentra_pipeline.api.service import Limits
    from zentra_pipeline.console.app import create_app
    from zentra_pipeline.store.engine import kept_connections
    from zentra_pipeline.tenants import tenancy

    tenancy.tenants(home)
    _require_place(host, port)
    limits = Limits(
        requests_per_second=requests_per_second,
        requests_at_once=2 * requests_per_second,
        upload_bytes=max_upload_mb * 1024 * 1024,
    )
    config = uvicorn.Config(
        create_app(home, limits),
        host=host,
        port=port,
        http=protocol_of(raise_file_limit(ConnectionLimits())),
        access_log=False,
        log_config=logs.of_libraries() or LOGGING_CONFIG,
        log_level="info",
        server_header=False,
    )
    gc.freeze()  # what the imports made stays: no collection while serving shall look through it
    with kept_connections(), _worker(home) if has_worker else _dagster(home):
        uvicorn.Server(config).run()


def _require_place(host: str, port: int) -> None:
    """UsageError where nobody can listen here: uvicorn would write a log, and end with a code of its own."""
    import socket

    from zentra_pipeline.errors import UsageError

    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.create_server(address[:2], family=family):
            pass
    except OSError as cause:
        why = cause.strerror or str(cause)
        raise UsageError(f"{host}:{port} cannot be listened on ({why}): name another --host or --port") from cause


@contextmanager
def _worker(home: Home) -> Iterator[None]:
    """Keep a worker process while the server runs; one that ends is started again, and it ends with the server."""
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_worker, args=(home, stop), name="worker-keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _keep_worker(home: Home, stop: threading.Event) -> None:
    import subprocess

    command = [sys.executable, "-m", "zentra_pipeline.worker", "--home", str(home.root)]
    while not stop.is_set():
        # Its standard input is the leash: it ends when nobody holds the other end, however we end.
        # A Ctrl-C at the terminal is for the server: a session of its own keeps it from the worker and its children.
        with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:  # noqa: S603
            while process.poll() is None and not stop.wait(0.2):
                pass
            assert process.stdin is not None
            process.stdin.close()
        stop.wait(_RESTART_SECONDS)


@contextmanager
def _dagster(home: Home) -> Iterator[None]:
    """See that the home has a Dagster instance to start a daemon on, and say how."""
    from zentra_pipeline.cli import printing
    from zentra_pipeline.defs.instance import prepare_instance
    from zentra_pipeline.tenants.dagster_files import shared_configuration

    prepare_instance(home)
    where = f"under `ZENTRA_HOME={home.root} DAGSTER_HOME={home.dagster} dagster dev -w workspace.yaml`"
    if shared_configuration(home) is not None:
        where = "in Dagster's UI, or with `dagster sensor start run_requests`"
    printing.note(f"requested runs wait for Dagster's sensor run_requests: switch it on {where}")
    yield
