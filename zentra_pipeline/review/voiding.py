"""Takes back a run that was asked for by mistake: by a second person, with a reason, while nothing sealed rests on it.

The rows that it had seen go on to the provider's next run (reconcile.passed_on); later runs are queued to be made
without it. Does not belong here: executing what is queued (reconcile, worker).
"""

import hashlib
import json
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from zentra_pipeline import identifiers, locks
from zentra_pipeline.actors import same_person
from zentra_pipeline.decisions import run_adjustments
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.errors import NotPossibleError, RefusedError, UsageError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.published import lake
from zentra_pipeline.queue import run_queue
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant

ACTION: Final = "void_run"


def void(tenant: Tenant, run_id: str, actor: str, reason: str, now: datetime) -> Run:
    """Take a run back and queue the later ones; a run that is void already stays as it is.

    Raises UsageError for a run that is not there or a blank reason, RefusedError for whoever asked for it, and
    NotPossibleError where a seal or a decision about its items rests on it.
    """
    if not reason.strip():
        raise UsageError("say why the run is taken back: the reason must not be blank")
    with tenant.reading() as connection:
        provider = run_store.get(connection, run_id).provider
    with tenant.holding(locks.provider_lock(provider)):
        with tenant.writing() as connection:
            run = run_store.get(connection, run_id)
            if run.status == run_store.VOID:
                return run
            _require_second_person(run, actor)
            _require_nothing_rests_on(connection, run)
            run_store.void(connection, run_id, actor, now, reason)
            run_queue.follow_void(connection, run, actor, now)
            digest = load_policy(tenant.paths).digest()
            decision_store.append(connection, _decision(connection, tenant.name, run, actor, reason, now, digest))
            run = run_store.get(connection, run_id)
        lake.refresh(tenant.paths)
    return run


def _require_second_person(run: Run, actor: str) -> None:
    if same_person(actor, run.actor):
        raise RefusedError(f"{run.actor} asked for run {run.run_id}: a second person has to take it back")


def _require_nothing_rests_on(connection: Connection, run: Run) -> None:
    sealed = [item for item in closeout_store.listed(connection, run.provider) if item.chain_sequence is not None]
    for closeout in sealed:
        later = run_store.find(connection, closeout.run_id)
        if closeout.run_id == run.run_id or (later is not None and later.sequence > run.sequence):
            raise NotPossibleError(
                f"the sealed closeout {closeout.closeout_id} of window {closeout.ledger_window} rests on run "
                f"{run.run_id}: what is sealed is corrected by a later revision and an amendment, not taken back"
            )
    for closeout in closeout_store.listed(connection):
        account = identifiers.account_of(closeout.provider)
        if closeout.chain_sequence is None or account is None or run_store.find(connection, closeout.run_id) is None:
            continue
        judged = run_store.revision(connection, closeout.run_id, closeout.run_revision).manifest.get("bank", {})
        if any(source["run_id"] == run.run_id for source in judged.get("payouts", ())):
            raise NotPossibleError(
                f"the sealed closeout {closeout.closeout_id} of bank account {account}, {closeout.ledger_window}, "
                f"judged the payouts of run {run.run_id}: what is sealed is corrected by a later revision and an "
                "amendment, not taken back"
            )
    taken = run_adjustments.of_run(decision_store.listed(connection), run.run_id, ())
    decided = sorted({item.exception_id for item in taken.write_offs} | {item.exception_id for item in taken.matches})
    if decided:
        raise NotPossibleError(
            f"items of run {run.run_id} are written off or matched by decisions about {', '.join(decided)}: "
            "reopen them first"
        )


def _decision(
    connection: Connection, tenant: str, run: Run, actor: str, reason: str, now: datetime, digest: str
) -> Decision:
    """The act as the log of decisions keeps it; its id counts the decisions about the run itself."""
    log = decision_store.listed(connection)
    number = 1 + sum(item.exception_id is None and item.run_id == run.run_id for item in log)
    canonical = json.dumps([tenant, run.run_id, number], ensure_ascii=False, separators=(",", ":"))
    return Decision(
        sequence=decision_store.next_sequence(connection),
        decision_id="dec_" + hashlib.sha256(canonical.encode()).hexdigest()[:24],
        exception_id=None,
        run_id=run.run_id,
        action=ACTION,
        actor=actor,
        decided_at=instant_text(now),
        reason=reason,
        policy={"rule": "runs.second_person", "digest": digest, "outcome": run_store.VOID},
        result=run_store.VOID,
        owner=None,
        resolution=None,
        details={"revision": run.revision},
    )
