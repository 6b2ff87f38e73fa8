"""Files that somebody takes along: sealed bundles, and what is made for them alone and then forgotten."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zentra_pipeline.closeout import bundle_zip, closing, period_closing
from zentra_pipeline.closeout.workbook import write_workbook
from zentra_pipeline.errors import NotFoundError
from zentra_pipeline.review import attachments
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import periods as period_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.periods import PeriodCloseout
from zentra_pipeline.tenants.tenant import Tenant


def sealed(tenant: Tenant, run_id: str, revision: str) -> tuple[Closeout, Path]:
    """The sealed closeout of a run's closeout revision, and its folder; NotFoundError where there is none."""
    with tenant.reading() as connection:
        found = closeout_store.of_run(connection, run_id)
    for closeout in found:
        if closeout.bundle is not None and str(closeout.revision) == revision:
            return closeout, closing.kept_bundle(tenant.paths, closeout)
    raise NotFoundError(f"run {run_id} has no sealed closeout of revision {revision[:20]}")


def signed_off(tenant: Tenant, period: str, revision: str) -> tuple[PeriodCloseout, Path]:
    """The sealed sign-off of a month's revision, and its folder; NotFoundError where there is none."""
    with tenant.reading() as connection:
        found = period_store.of_period(connection, period)
    for sign_off in found:
        if sign_off.bundle is not None and str(sign_off.revision) == revision:
            return sign_off, period_closing.kept_bundle(tenant, sign_off)
    raise NotFoundError(f"{period[:20]} has no sealed sign-off of revision {revision[:20]}")


def name_of(closeout: Closeout) -> str:
    """What a sealed closeout's files are called."""
    return f"{closeout.provider}-{closeout.ledger_window}-r{closeout.revision}"


def zipped(paths: TenantPaths, closeout: Closeout, bundle: Path, *, with_attachments: bool = False) -> Path:
    """A zip of the bundle, to be deleted once it is handed out; with the files attached to its comments where wanted.

    VerificationError where one of these is not what was attached.
    """
    beside = attachments.of_bundle(paths, bundle) if with_attachments else {}
    return _made(paths, ".zip", lambda file: bundle_zip.write_zip(bundle, file, name_of(closeout), beside))


def zipped_folder(paths: TenantPaths, folder: Path, name: str) -> Path:
    """A zip of a bundle below a folder of this name, to be deleted once it is handed out."""
    return _made(paths, ".zip", lambda file: bundle_zip.write_zip(folder, file, name))


def workbook(paths: TenantPaths, run_id: str) -> Path:
    """A workbook of the run, to be deleted once it is handed out; errors as write_workbook's."""
    return _made(paths, ".xlsx", lambda file: write_workbook(file, paths, run_id))


def _made(paths: TenantPaths, suffix: str, write: Callable[[Path], Any]) -> Path:
    paths.scratch.mkdir(parents=True, exist_ok=True)
    file = paths.scratch / f"download-{secrets.token_hex(8)}{suffix}"
    try:
        write(file)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return file
