"""Plays the commands of a public report's README over its files; what is right is in the tests.

`ingest`, `inspect` and the like go through the command line, `run` through the engine, which spares Dagster's seconds.
"""

import io
import re
import shlex
import shutil
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cases.shared import need
from zentra_pipeline import cli
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import window_run
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.settings import HOME_VARIABLE, Home
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

TENANT = "acme"
_COMMANDS = re.compile(r"```bash\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Said:
    """A command with what it printed (both streams) and its exit code."""

    command: str
    code: int
    text: str


@dataclass(frozen=True)
class Report:
    """A public report's home after its commands, and what each said."""

    home: Home
    said: list[Said] = field(default_factory=list)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the published tables."""
        answer = lake.query(self.home.tenant(TENANT), sql)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def exceptions(self) -> list[tuple[str, str]]:
        """Type and subject of every exception that is not resolved."""
        rows = self.query("select exception_type, subject_id from exceptions where status <> 'resolved' order by all")
        return [(row["exception_type"], row["subject_id"]) for row in rows]


def play(name: str, folder: Path, story: str | None = None) -> Report:
    """Copy a report's inputs and carry out its commands in order; `story` picks one of a report that has several."""
    inputs = Path(shutil.copytree(need(name), folder / "inputs"))
    commands = _stories((inputs / "README.md").read_text(encoding="utf-8"))
    inputs, chosen = (inputs / story, commands[story]) if story else (inputs, next(iter(commands.values())))
    home = Home.at(folder / "home")
    tenancy.init_home(home)
    tenant = tenancy.add_tenant(home, TENANT, datetime(2026, 3, 2, tzinfo=UTC))
    for profile in inputs.glob("*.yml"):
        shutil.copy(profile, tenant.paths.providers / profile.name)
    report = Report(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(inputs)
        patch.setenv(HOME_VARIABLE, str(home.root))
        for command in chosen:
            report.said.append(_run(home, command) if command[1] == "run" else _invoke(command))
    return report


def command(report: Report, text: str) -> Said:
    """One more command in the home of a report, which its tenant and home are added to."""
    return _invoke([*shlex.split(text), "--tenant", TENANT, "--home", str(report.home.root)])


def _stories(readme: str) -> dict[str, list[list[str]]]:
    """The commands below each comment that names a story; all of them where none does."""
    (block,) = _COMMANDS.findall(readme)
    found: dict[str, list[list[str]]] = {}
    story = ""
    for line in block.splitlines():
        if line.startswith("# "):
            story = line.removeprefix("# ").partition(":")[0]
        elif line.startswith("zentra "):
            found.setdefault(story, []).append(shlex.split(line))
    return found


def _invoke(command: list[str]) -> Said:
    captured = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(captured), redirect_stderr(captured):
        code = cli.invoke(command[1:])
        captured.flush()
    return Said(shlex.join(command), code, captured.buffer.getvalue().decode())  # type: ignore[attr-defined]


def _run(home: Home, command: list[str]) -> Said:
    given: Mapping[str, str] = dict(zip(command[2::2], command[3::2], strict=True))
    window = date.fromisoformat(given["--ledger-window"])
    as_of = given.get("--as-of", f"{window + timedelta(days=1)}T01:00:00Z")
    known = datetime.fromisoformat(as_of.replace("Z", "+00:00"))
    request = RunRequest(given["--provider"], given["--settlement-file"], window, given["--owner"], known, "test")
    result = window_run.run_window(Tenant.of(home, given["--tenant"]), request)
    return Said(shlex.join(command), 0, f"revision {result.run.revision}")
