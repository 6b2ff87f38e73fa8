"""Makes staged files and revisions again from landed bytes and the operational store, in a folder beside the tenant's.

Nothing a reader sees is touched. Does not belong here: what is done with what was remade (rebuild, reperform).
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from zentra_pipeline import private_database, sql_text
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.config.routing import RoutingRule
from zentra_pipeline.decisions.run_adjustments import RunDecisions
from zentra_pipeline.errors import InputRejectedError, VerificationError
from zentra_pipeline.ingest import landing
from zentra_pipeline.ingest.files import restage
from zentra_pipeline.instants import instant_of
from zentra_pipeline.ledger_windows import BusinessDays
from zentra_pipeline.published import lake_files
from zentra_pipeline.reconcile import dbt_execute, run_database
from zentra_pipeline.reconcile.inputs import (
    BankSide,
    EarlierRun,
    PayoutTerms,
    RunInputs,
    missed_callbacks,
    payout_source,
    reads_whole_history,
)
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.store.runs import Revision
from zentra_pipeline.upkeep.records import Records, RevisionKey

# Rows of these kinds meet rows of other providers: in the ledger, or by an id that is one for all.
_SHARED_KINDS: Final = frozenset({"ledger", "internal_events"})


Tables = Mapping[RevisionKey, Mapping[str, Path]]
"""Where the recorded tables of revisions are, by name."""


@dataclass(frozen=True)
class Remade:
    """A revision made again: the digest of its inputs, and its tables below the workspace."""

    inputs_digest: str
    tables: dict[str, lake_files.PublishedFile]


@contextmanager
def workspace(paths: TenantPaths, purpose: str) -> Iterator[TenantPaths]:
    """An empty folder beside the tenant's own for as long as the work lasts; it bears the tenant's name."""
    folder = paths.root / purpose
    shutil.rmtree(folder, ignore_errors=True)
    made = TenantPaths(folder / paths.root.name)
    made.root.mkdir(parents=True)
    try:
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def damage_of_landed(paths: TenantPaths, file: StagedFile) -> str | None:
    """What is wrong with the landed bytes of a registered file, and what to do; null when they are those received."""
    found = landing.digest_of(paths.landing / file.sha256)
    if found == file.sha256:
        return None
    state = "missing" if found is None else "altered"
    what = f"{file.kind} file {file.file_id} of {file.provider}"
    return f"landing/{file.sha256} ({what}) is {state}: ingest the original file again"


def deleted(records: Records, file: StagedFile) -> str | None:
    """What retention says of a file whose landed bytes it deleted; null where they are here."""
    if not records.is_deleted(file) or (records.paths.landing / file.sha256).is_file():
        return None
    tombstone = records.tombstones[file.sha256]
    what = f"{file.kind} file {file.file_id} of {file.provider}"
    return f"{what}: {tombstone.actor} deleted its bytes at {tombstone.deleted_at} ({tombstone.why})"


def remake_file(paths: TenantPaths, made: TenantPaths, file: StagedFile, records: Records) -> None:
    """Stage a registered file again below `made`, where the files before it are already.

    One whose bytes retention deleted is taken as it was staged, if that has the recorded digest. VerificationError when
    its landed bytes are not those received, or do not come to the rows that were registered.
    """
    if deleted(records, file) is not None:
        _take_as_staged(paths, made, file, records)
        return
    damage = damage_of_landed(paths, file)
    if damage is not None:
        raise VerificationError(damage)
    landed = paths.landing / file.sha256
    before = [known for known in records.files if known.sequence < file.sequence]
    try:
        facts = records.facts.get(file.sequence)
        notes = [] if facts is None else list(json.loads(facts.notes))
        today = restage(replace(records.tenant, paths=made), landed, file, before, notes)
    except InputRejectedError as cause:
        raise VerificationError(f"{file.kind} file {file.file_id} is not accepted by today's code: {cause}") from cause
    if today != file:
        others = [name for name, value in vars(file).items() if getattr(today, name) != value]
        named = ", ".join(f"{name} {getattr(file, name)} is now {getattr(today, name)}" for name in others)
        raise VerificationError(
            f"{file.kind} file {file.file_id} of {file.provider} does not come to the rows registered ({named}): "
            "code differs, or the callback secrets of that time are not set"
        )


def _take_as_staged(paths: TenantPaths, made: TenantPaths, file: StagedFile, records: Records) -> None:
    facts = records.facts.get(file.sequence)
    recorded = {
        file.staged_path: None if facts is None else facts.staged_sha256,
        file.quarantine_path: None if facts is None else facts.quarantine_sha256,
    }
    for relative, digest in recorded.items():
        if relative is None:
            continue
        if landing.digest_of(paths.root / relative) != digest:
            raise VerificationError(
                f"{relative} is missing or damaged, and {deleted(records, file)}: restore it from a backup"
            )
        target = made.root / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(paths.root / relative)


def files_read(revision: Revision, records: Records) -> list[StagedFile]:
    """The files whose rows a revision saw, and those of the same kinds that their conflicts were found against."""
    provider = revision.manifest["run"]["provider"]
    if "bank" in revision.manifest:
        return [records.files_by_sequence[entry["sequence"]] for entry in revision.manifest["files"]]
    known = (records.files_by_sequence[entry["sequence"]] for entry in revision.manifest["files"])
    return [file for file in known if file.provider == provider or file.kind in _SHARED_KINDS]


def inputs_of(revision: Revision, records: Records, tables: Tables) -> RunInputs:
    """What a revision was made from, by its manifest; `tables` says where those of earlier revisions are now."""
    manifest, run = revision.manifest, records.runs_by_id[revision.run_id]
    _check_files(manifest, records)
    days = manifest["business_days"]
    return RunInputs(
        tenant=manifest["run"]["tenant"],
        provider=run.provider,
        run_id=run.run_id,
        settlement_file=run.settlement_file,
        ledger_window=date.fromisoformat(run.ledger_window),
        as_of=instant_of(revision.as_of),
        owner=revision.owner,
        profile=Profile.model_validate(manifest["profile"]),
        routing=tuple(RoutingRule.model_validate(rule) for rule in manifest["routing"]),
        business_days=BusinessDays(
            weekend=frozenset(days["weekend"]), holidays=frozenset(map(date.fromisoformat, days["holidays"]))
        ),
        files=[records.files_by_sequence[entry["sequence"]] for entry in manifest["files"]],
        decisions=RunDecisions.of_content(manifest.get("decisions")),
        earlier=[
            earlier_run(records, records.revisions_by_key[entry["run_id"], entry["revision"]], tables)
            for entry in manifest.get("earlier", [])
        ],
        passed_on=manifest.get("passed_on", {}),
        reads_whole_history=reads_whole_history(manifest),
        bank=_bank_side(manifest, records, tables),
        missed_callbacks=missed_callbacks(manifest),
    )


def _bank_side(manifest: Mapping[str, Any], records: Records, tables: Tables) -> BankSide | None:
    """What a revision of a bank account's run took beside statements, by its manifest; null for a provider's run."""
    content = manifest.get("bank")
    if content is None:
        return None
    keys = [(entry["run_id"], entry["revision"]) for entry in content["payouts"]]
    return BankSide(
        account=content["account"],
        payouts=tuple(
            payout_source(records.runs_by_id[key[0]], records.revisions_by_key[key], tables[key]["payouts"])
            for key in keys
        ),
        terms=tuple(PayoutTerms.model_validate(terms) for terms in content["terms"]),
        edition=content.get("edition", 1),
    )


def made_from(revision: Revision) -> list[RevisionKey]:
    """The revisions that a revision was made from: those it started from, and those whose payouts it took."""
    started_from = revision.manifest.get("earlier", [])
    took_from = revision.manifest.get("bank", {}).get("payouts", [])
    return [(entry["run_id"], entry["revision"]) for entry in [*started_from, *took_from]]


def in_order(revisions: Iterable[Revision]) -> list[Revision]:
    """Revisions in the order of their publishing, each behind those it was made from."""
    waiting = sorted(revisions, key=lambda revision: (revision.published_at, revision.run_id, revision.revision))
    missing = {(revision.run_id, revision.revision) for revision in waiting}
    ordered: list[Revision] = []
    while waiting:
        later = []
        for revision in waiting:
            if missing.isdisjoint(made_from(revision)):
                ordered.append(revision)
                missing.remove((revision.run_id, revision.revision))
            else:
                later.append(revision)
        if len(later) == len(waiting):
            named = ", ".join(f"{revision.run_id} revision {revision.revision}" for revision in later)
            raise VerificationError(f"each of these was made from another of them, which is not possible: {named}")
        waiting = later
    return ordered


def remake_revision(inputs: RunInputs, revision: Revision, made: TenantPaths) -> Remade:
    """Build a revision's tables below `made` as a run does, from the staged files there, in its own columns."""
    with run_database.run_database(inputs, made.scratch / inputs.run_id, made.root) as database:
        dbt_execute.build(database, read_afterwards=run_database.READ_AFTERWARDS, kind=inputs.kind)
        inputs_digest = run_database.inputs_digest(database)
        tables = lake_files.publish(
            database,
            made,
            provider=inputs.provider,
            ledger_window=inputs.ledger_window.isoformat(),
            run_id=inputs.run_id,
            revision=revision.revision,
            columns=lake_files.columns_of(revision.tables),
        )
    return Remade(inputs_digest, tables)


def rows_apart(one: Path, other: Path, limit: int) -> list[tuple[str, dict[str, Any]]]:
    """Up to `limit` rows that are in one Parquet file only: `-` with those of `one`, `+` with those of `other`."""
    with private_database.opened() as connection:
        scans = [f"select * from read_parquet({sql_text.file_literal(path)})" for path in (one, other)]
        found: list[tuple[str, dict[str, Any]]] = []
        for sign, here, there in (("-", *scans), ("+", *reversed(scans))):
            answer = connection.execute(f"({here}) except all ({there}) order by all limit {limit}")
            names = [column[0] for column in answer.description or []]
            found += [(sign, dict(zip(names, row, strict=True))) for row in answer.fetchall()]
    return found


def _check_files(manifest: Mapping[str, Any], records: Records) -> None:
    for entry in manifest["files"]:
        file = records.files_by_sequence.get(entry["sequence"])
        if file is None or (file.kind, file.file_id, file.sha256) != (entry["kind"], entry["file_id"], entry["sha256"]):
            raise VerificationError(
                f"the manifest of {manifest['run']['run_id']} names {entry['kind']} file {entry['file_id']} "
                f"({entry['sha256']}), which is not registered so"
            )


def earlier_run(records: Records, revision: Revision, tables: Tables) -> EarlierRun:
    """A published revision as a run that comes after it sees it."""
    return EarlierRun.of(
        records.runs_by_id[revision.run_id], revision, tables[revision.run_id, revision.revision], content_digest=""
    )
