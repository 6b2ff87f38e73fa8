"""Reads what a run may see from the operational store, in one snapshot; what a run makes of it: dbt, by window_run."""

from datetime import date

from sqlalchemy import Connection

from zentra_pipeline import identifiers, private_database, sql_text
from zentra_pipeline.config.business_days import load_business_days
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.config.routing import load_routing
from zentra_pipeline.contracts import staged_tables
from zentra_pipeline.decisions import run_adjustments
from zentra_pipeline.instants import instant_of
from zentra_pipeline.reconcile import fingerprint
from zentra_pipeline.reconcile.inputs import (
    BankSide,
    EarlierRun,
    MissedCallback,
    PayoutTerms,
    RunInputs,
    missed_callbacks,
    payout_source,
    reads_whole_history,
    terms_of,
)
from zentra_pipeline.reconcile.passed_on import files_passed_on
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant


def run_inputs(tenant: Tenant, run: run_store.Run) -> RunInputs:
    """Everything the run may see, read in one snapshot of the operational store."""
    account = identifiers.account_of(run.provider)
    kinds = staged_tables.TABLE_OF_KIND if account is None else (staged_tables.BANK_KIND,)
    with tenant.reading() as connection:
        files = [file for kind in kinds for file in file_store.staged_files(connection, kind)]
        bank = None if account is None else _bank_side(tenant.paths, connection, run, account)
        earlier = [
            _earlier_run(tenant.paths, item, run_store.current_revision(connection, item.run_id))
            for item in run_store.earlier_runs(connection, run)
        ]
        log = decision_store.listed(connection)
        passed_on = files_passed_on(run_store.runs_until(connection, run), run.run_id)
        current = run_store.current_revision(connection, run.run_id) if run.revision else None
    return RunInputs(
        tenant=tenant.name,
        provider=run.provider,
        run_id=run.run_id,
        settlement_file=run.settlement_file,
        ledger_window=date.fromisoformat(run.ledger_window),
        as_of=instant_of(run.as_of),
        owner=run.owner,
        profile=load_profile(tenant.paths, run.provider),
        routing=load_routing(tenant.paths),
        business_days=load_business_days(tenant.paths),
        files=files,
        earlier=earlier,
        decisions=run_adjustments.of_run(log, run.run_id, {item.run_id for item in earlier}),
        passed_on=passed_on,
        reads_whole_history=current is not None and reads_whole_history(current.manifest),
        bank=bank,
        missed_callbacks=() if current is None else _missed_callbacks(tenant.paths, current),
    )


def _missed_callbacks(paths: TenantPaths, revision: run_store.Revision) -> list[MissedCallback]:
    """What a revision says is missing as of its own time, or was as of that of the revision which said so last."""
    come_since = {each[:2]: each for each in missed_callbacks(revision.manifest)}
    exceptions = paths.root / revision.tables["exceptions"]["path"]
    with private_database.opened() as connection:
        found = connection.execute(
            f"select subject_id, currency from read_parquet({sql_text.file_literal(exceptions)}) "
            "where exception_type = 'missing_callback' and run_id = $1 order by all",
            [revision.run_id],
        ).fetchall()
    as_of = instant_of(revision.as_of)
    return [
        come_since.get((movement, currency)) or MissedCallback(movement, currency, as_of)
        for movement, currency in found
    ]


def _bank_side(paths: TenantPaths, connection: Connection, run: run_store.Run, account: str) -> BankSide:
    """The payouts into an account that published runs of providers report up to the run's window, and their terms.

    A provider whose profile names the account no more has its payouts of the runs that runs of the account have judged,
    and the terms that they judged them by.
    """
    sources, terms = [], []
    previous = _previous_terms(connection, run)
    for provider in sorted({known.provider for known in run_store.list_runs(connection)} | _with_profiles(paths)):
        if identifiers.account_of(provider) is not None:
            continue
        profile = load_profile(paths, provider)
        is_named = account in profile.payout_account.values()
        if not is_named and provider not in previous:
            continue
        before, judged = previous.get(provider, (None, frozenset()))
        terms.append(before if before is not None and not is_named else terms_of(provider, profile))
        for known in run_store.list_runs(connection, provider):
            if not known.is_published or known.ledger_window > run.ledger_window:
                continue
            if not is_named and known.run_id not in judged:
                continue
            revision = run_store.current_revision(connection, known.run_id)
            if revision.tables.get("payouts", {}).get("rows"):
                sources.append(payout_source(known, revision, paths.root / revision.tables["payouts"]["path"]))
    return BankSide(account, tuple(sources), tuple(terms))


def _previous_terms(connection: Connection, run: run_store.Run) -> dict[str, tuple[PayoutTerms, frozenset[str]]]:
    """By provider the terms that runs of the account took last, this one too, and the runs whose payouts they took."""
    found: dict[str, tuple[PayoutTerms, frozenset[str]]] = {}
    for known in [*run_store.earlier_runs(connection, run), *([run] if run.revision else [])]:
        bank = run_store.current_revision(connection, known.run_id).manifest.get("bank", {})
        for terms in bank.get("terms", ()):
            judged = {entry["run_id"] for entry in bank["payouts"] if entry["provider"] == terms["provider"]}
            _, before = found.get(terms["provider"], (None, frozenset[str]()))
            found[terms["provider"]] = (PayoutTerms.model_validate(terms), before | judged)
    return found


def _with_profiles(paths: TenantPaths) -> set[str]:
    return {path.stem for path in paths.providers.glob("*.yml")}


def _earlier_run(paths: TenantPaths, run: run_store.Run, revision: run_store.Revision) -> EarlierRun:
    tables = {name: paths.root / entry["path"] for name, entry in revision.tables.items()}
    return EarlierRun.of(run, revision, tables, fingerprint.content_digest(revision))
