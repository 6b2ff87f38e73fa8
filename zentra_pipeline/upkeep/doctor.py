"""Examines a home and names every inconsistency with its remedy; healing is done by the commands it names.

Does not belong here: any single check (schema_checks, store_checks, queue_checks, file_checks, …).
"""

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from zentra_pipeline import blobs, machine_errors
from zentra_pipeline.errors import DamagedFilesError, UsageError, ZentraError
from zentra_pipeline.settings import Home
from zentra_pipeline.store import control, models
from zentra_pipeline.store.place import control_place, operational_place
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import (
    bank_checks,
    fetched,
    file_checks,
    queue_checks,
    reader_checks,
    rebuild,
    records,
    schema_checks,
    seal_checks,
    store_checks,
)
from zentra_pipeline.upkeep.finding import ERROR, NOTE, Finding
from zentra_pipeline.upkeep.records import Records

Progress = Callable[[str, str], None]
HOME: Final = ""

CHECKS: Final[dict[str, Callable[[Records], Iterator[Finding]]]] = {
    "rows": store_checks.check_rows,
    "registrations": store_checks.check_registrations,
    "runs": store_checks.check_runs,
    "manifests": store_checks.check_manifests,
    "stuck_runs": store_checks.check_stuck_runs,
    "requests": queue_checks.check_requests,
    "continuity": queue_checks.check_continuity,
    "event_log": store_checks.check_event_log,
    "decisions": store_checks.check_decisions,
    "audit": store_checks.check_audit,
    "landing": file_checks.check_landing,
    "tombstones": file_checks.check_tombstones,
    "attachments": file_checks.check_attachments,
    "staged": file_checks.check_staged,
    "lake": file_checks.check_lake,
    "row_keys": file_checks.check_row_keys,
    "pointers": reader_checks.check_pointers,
    "catalog": reader_checks.check_catalog,
    "prepared": seal_checks.check_prepared,
    "chain": seal_checks.check_chain,
    "heads": seal_checks.check_heads,
    "bundles": seal_checks.check_bundles,
    "banks": bank_checks.check_banks,
    "scratch": file_checks.check_scratch,
}


@dataclass(frozen=True)
class Diagnosis:
    """What was found in one tenant, or in the home itself (tenant is empty); `skipped` checks need a sound store."""

    tenant: str
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        return not _errors(self.findings)


def examine(home: Home, tenant: str | None = None, progress: Progress | None = None) -> list[Diagnosis]:
    """Every check on the home and on one tenant or all; the home may be in use meanwhile.

    UsageError when there is no such home or tenant.
    """
    report = progress or _silent
    if not tenancy.is_initialised(home) and not home.tenants.is_dir():
        raise UsageError(f"{home.root} is not a Zentra home: make it with `zentra init`, or give yours with --home")
    report("home", "control.db and keys")
    tables = [name for name in control.metadata.tables if name not in control.ADDED_LATER]
    found = [*schema_checks.check_store(control_place(home), tables, revision=False)]
    dagster = queue_checks.check_dagster(home)
    diagnoses = [Diagnosis(HOME, (*found, *seal_checks.check_keys(home), *dagster, *_check_permissions(home)))]
    for each in _tenants(home, tenant, is_readable=not _errors(found)):
        report(each.name, "ops.db")
        diagnoses.append(_examine_tenant(each, report))
    return diagnoses


def _check_permissions(home: Home) -> Iterator[Finding]:
    """The home is its owner's alone; behind a closed folder it does not matter who may read what is in it."""
    mode = home.root.stat().st_mode & 0o777
    if mode & 0o077:
        what = f"other users of this machine may read it (mode {mode:o})"
        remedy = f"chmod -R go-rwx {shlex.quote(str(home.root))}"
        yield Finding("permissions", home.root.name, NOTE, what, remedy)


def _tenants(home: Home, tenant: str | None, is_readable: bool) -> list[Tenant]:
    """The tenants to look at; by their folders where the control store cannot be read."""
    if not is_readable:
        folders = sorted(path.name for path in home.tenants.iterdir() if path.is_dir())
        return [Tenant.of(home, name) for name in (folders if tenant is None else [tenant])]
    if tenant is not None:
        return [tenancy.require_tenant(home, tenant)]
    return tenancy.tenants(home)


def _examine_tenant(tenant: Tenant, report: Progress) -> Diagnosis:
    try:
        found = [
            *schema_checks.check_store(operational_place(tenant.paths), list(models.metadata.tables), revision=True)
        ]
    except ZentraError as error:  # the file that names a schema is garbled
        return Diagnosis(tenant.name, (_garbled("store", error),), tuple(CHECKS))
    if _errors(found):
        return Diagnosis(tenant.name, tuple(found), tuple(CHECKS))
    try:
        if blobs.are_shared(tenant.paths):  # what is here is a cache: it is brought up to date first
            fetched.everything(tenant)
            rebuild.refresh_readers(tenant)
    except ZentraError as error:  # what is here is looked at
        found.append(Finding("objects", "storage.yml", ERROR, str(error), "restore the object, or the store's rights"))
    try:
        kept = records.read(tenant)
    except Exception as error:  # whatever damage makes of a record
        return Diagnosis(tenant.name, (_garbled("store", error),), tuple(CHECKS))
    for name, check in CHECKS.items():
        report(tenant.name, name)
        try:
            found += check(kept)
        except Exception as error:  # the other checks go on
            found.append(_garbled(name, error))
    place = operational_place(tenant.paths)
    return Diagnosis(
        tenant.name, tuple(found if place.schema is None else (_in_schema(each, place.schema) for each in found))
    )


def _garbled(check: str, error: Exception) -> Finding:
    known = machine_errors.explained(error)
    if isinstance(known, DamagedFilesError):
        return Finding(check, "lake", ERROR, str(known), "what is said of it under `lake` and `staged`")
    what = f"its records cannot be judged: {type(error).__name__}: {' '.join(str(error).split())}"
    return Finding(check, "ops.db", ERROR, what, "restore ops.db from a backup")


def _in_schema(finding: Finding, schema: str) -> Finding:
    """A finding in the words of a home in PostgreSQL, which has no file of that name."""
    what, remedy = (text.replace("ops.db", f"schema {schema}") for text in (finding.what, finding.remedy))
    return replace(finding, what=what, remedy=remedy)


def _errors(found: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.severity == ERROR]


def _silent(step: str, message: str) -> None:
    del step, message
