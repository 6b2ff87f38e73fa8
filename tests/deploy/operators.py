"""What the people of a tenant do in a shipped story, over HTTP to its servers and with the command line.

The steps are those of `zentra demo`. Does not belong here: which servers there are, what is expected of them.
"""

import json
import threading
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from zentra_pipeline import cli
from zentra_pipeline.client import ZentraSync
from zentra_pipeline.scenarios.scenario import SCENARIOS, Close, Decide, Ingest, Run, Scenario, ScenarioStep
from zentra_pipeline.scenarios.scenario import load_scenario as _load
from zentra_pipeline.settings import Home
from zentra_pipeline.store import closeouts, models
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.inbox import Receipt
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.tenants.tenant import Tenant

_ROLES = {"reconciler": "service", "ana": "operator", "cleo": "operator", "ben": "approver"}
_SECONDS = 600.0


def story(name: str) -> Scenario:
    """A shipped story."""
    return _load(SCENARIOS / name)


class Operators:
    """The people of one tenant; `home` is the folder of the host on which they use the command line."""

    def __init__(self, home: Home, tenant: str, server: str) -> None:
        assert cli.invoke(["tenant", "add", tenant]) == 0
        self.tenant = tenancy.require_tenant(home, tenant)
        self.server = server
        self._command_line = threading.Lock()
        self._tokens = {
            actor: access.create_token(home, tenant=tenant, actor=actor, role=role, now=datetime.now(UTC))[0]
            for actor, role in _ROLES.items()
        }

    def __call__(self, actor: str, server: str | None = None) -> ZentraSync:
        """The API as somebody uses it, of one server."""
        return ZentraSync(server or self.server, self._tokens[actor], timeout=_SECONDS)

    def play(self, scenario: Scenario, steps: Iterable[ScenarioStep] | None = None) -> None:
        """Do a story's steps one after another, all of them unless `steps` names some."""
        for step in scenario.steps if steps is None else steps:
            if step.ingest is not None:
                self.ingest(scenario, step.ingest)
            elif step.run is not None:
                self.wait(self.ask(scenario, step.run))
            elif step.decide is not None:
                self.decide(step.decide)
            elif step.close is not None:
                self.close(scenario, step.close)

    def ingest(self, scenario: Scenario, step: Ingest) -> None:
        """Files over HTTP; callbacks as a file by the command line, since over HTTP they would come now."""
        for file in (scenario.folder / "inputs" / name for name in step.files):
            if step.kind == "callbacks":
                words = ["--tenant", self.tenant.name, "--provider", scenario.provider, "--kind", "callbacks"]
                with self._command_line:
                    assert cli.invoke(["ingest", str(file), *words]) == 0
                continue
            with self("reconciler") as api:
                api.files.upload(
                    scenario.provider,
                    step.kind,
                    file.read_bytes(),
                    settlement_file=step.settlement_file,
                    name=file.name,
                )

    def ask(self, scenario: Scenario, run: Run, as_of: datetime | None = None) -> str:
        """Ask for a run, and name it."""
        with self("reconciler") as api:
            asked = api.reconciliation.runs.create(
                provider=scenario.provider,
                settlement_file=run.settlement_file,
                ledger_window=run.ledger_window,
                owner=run.owner,
                as_of=as_of or run.as_of,
            )
        return asked.id

    def wait(self, run_id: str) -> None:
        """Wait until a run is done."""
        with self("reconciler") as api:
            api.reconciliation.runs.wait(run_id, timeout=_SECONDS, poll=0.1)

    def decide(self, step: Decide) -> None:
        """Decide about the open exception of a type and subject."""
        with self(step.actor) as api:
            (found,) = [
                each
                for each in api.reconciliation.exceptions.list(exception_type=step.exception_type, status="open")
                if each.subject_id == step.subject_id
            ]
            api.reconciliation.exceptions.decide(
                found.exception_id,
                action=step.action,
                reason=step.reason,
                owner=step.owner,
                resolution=step.resolution,
            )

    def close(self, scenario: Scenario, step: Close) -> None:
        """Have a window prepared by one and approved by another."""
        run_id = run_store.run_id_of(self.tenant.name, scenario.provider, step.settlement_file, step.ledger_window)
        for actor, action, status in (
            (step.prepared_by, "prepare", "prepared"),
            (step.approved_by, "approve", "sealed"),
        ):
            with self(actor) as api:
                assert api.reconciliation.closeouts.step(run_id, action=action).status == status


def published(tenant: Tenant) -> dict[tuple[str, str], dict[str, object]]:
    """What a tenant's windows came to, by revision: digests of inputs and tables, and the seals."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    with tenant.reading() as connection:
        for run in run_store.list_runs(connection):
            revisions = run_store.revisions(connection, run.run_id)
            found[run.provider, run.ledger_window] = {
                "status": run.status,
                "inputs": [each.inputs_digest for each in revisions],
                "tables": [{name: table["sha256"] for name, table in each.tables.items()} for each in revisions],
                "seals": [
                    (each.revision, each.status, each.evidence_root)
                    for each in closeouts.of_run(connection, run.run_id)
                ],
            }
    return found


def delivered(tenant: Tenant) -> list[Receipt]:
    """The callbacks that came over HTTP, as they were kept."""
    with tenant.reading() as connection:
        rows = connection.execute(select(models.callback_inbox).order_by(models.callback_inbox.c.sequence)).all()
    names = [each.name for each in fields(Receipt)]
    kept = [{name: row._mapping[name] for name in names} for row in rows]
    return [Receipt(**{**each, "headers": json.loads(each["headers"])}) for each in kept]


def stored_files(folder: Path, ending: str) -> list[Path]:
    """Files below a folder by the ending of their names."""
    return sorted(folder.rglob(f"*{ending}"))
