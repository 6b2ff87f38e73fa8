"""The server as a process: what it acknowledged survives its end, and what it had begun is begun again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from benchmarks.callback_intake import free_port, measure, wait_until_it_answers
from tests.api.conftest import PROVIDER, Books, make_books

pytestmark = pytest.mark.ci

RUN = {"provider": PROVIDER, "settlement_file": "set_2026_04_26", "ledger_window": "2026-04-26", "owner": "o"}


def test_every_acknowledged_callback_is_there_after_kill_9(tmp_path: Path) -> None:
    found = measure(tmp_path, seconds=1.5, connections=16)
    assert found.taken.refused == []
    assert len(found.taken.acknowledged) > 100
    assert found.taken.acknowledged - found.kept == set()


def serve(books: Books, port: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "zentra_pipeline", "serve", "--home", str(books.home.root), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until_it_answers(process, port)
    return process


def ask(books: Books, port: int, path: str, body: dict[str, str] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {books.tokens['globex', 'service']}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    listed = [int(child) for child in found.read_text().split()]
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return listed or [int(child) for task in tasks for child in (task / "children").read_text().split()]


def wait_for(condition: Any, patience: float = 120.0) -> Any:
    until = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_ctrl_c_at_the_terminal_ends_server_and_worker_without_a_traceback(tmp_path: Path) -> None:
    """A terminal sends it to all of them: the worker and the process that it starts printed a traceback each."""
    books, port = make_books(tmp_path), free_port()
    command = [sys.executable, "-m", "zentra_pipeline", "serve", "--home", str(books.home.root), "--port", str(port)]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log, start_new_session=True) as process:
        try:
            wait_until_it_answers(process, port)
            (worker,) = wait_for(lambda: children(process.pid))
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=30)
            wait_for(lambda: not Path(f"/proc/{worker}").exists(), 20)
        finally:
            process.kill()
    assert "Traceback" not in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_run_cut_off_by_the_end_of_the_server_is_finished_by_the_next(tmp_path: Path) -> None:
    books, port = make_books(tmp_path), free_port()
    process = serve(books, port)
    try:
        run_id = ask(books, port, "/reconciliation/runs", RUN)["id"]
        path = f"/reconciliation/runs/{run_id}"
        wait_for(lambda: ask(books, port, path)["status"] != "created")
        (worker,) = children(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for(lambda: not Path(f"/proc/{worker}").exists(), 20)
    finally:
        process.kill()
    process = serve(books, port)
    try:
        shown = wait_for(lambda: (shown := ask(books, port, path))["execution"]["status"] == "done" and shown)
        assert (shown["status"], shown["revision"]) == ("in_review", 1)
        assert [step["status"] for step in shown["transitions"]].count("created") == 1
        events = ask(books, port, f"{path}/events?limit=1000")["items"]
        assert [event["type"] for event in events].count("reconciliation.run.created") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
    assert list(books.paths("globex").scratch.iterdir()) == []
