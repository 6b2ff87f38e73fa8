"""Routes of files to take along: a run's workbook, a sealed bundle and its report. Writing them is not done here."""

from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from zentra_pipeline.api import problems
from zentra_pipeline.api.runs import find_run
from zentra_pipeline.api.security import Reader
from zentra_pipeline.desk import exports

router = APIRouter(prefix="/reconciliation/runs/{run_id}")

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP: Final = "application/zip"
_HTML: Final = "text/html"
# The sealed report brings its own style and nothing else: it may show it, and may do nothing.
REPORT_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_SAFE: Final = {"X-Content-Type-Options": "nosniff"}


def _answer(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"description": description, "content": content}, **problems.responses("not-found")}


ZIP_ANSWER: Final = _answer(ZIP, "The bundle; the same bundle gives the same bytes.")
REPORT_ANSWER: Final = _answer(_HTML, "The report, as sealed.")


def zip_of(file: Path, name: str) -> FileResponse:
    """A zipped bundle under a name; the file is gone once it is handed out."""
    return FileResponse(
        file,
        headers=_SAFE,
        media_type=ZIP,
        filename=f"{name}.zip",
        background=BackgroundTask(file.unlink, missing_ok=True),
    )


def report_in(bundle: Path, name: str) -> FileResponse:
    """The report that a sealed bundle holds, under a name, to be looked at."""
    return FileResponse(
        bundle / "files" / "report.html",
        headers={**_SAFE, "Content-Security-Policy": REPORT_POLICY},
        media_type=_HTML,
        filename=f"{name}.html",
        content_disposition_type="inline",
    )


@router.get(
    "/workbook",
    tags=["runs"],
    response_class=Response,
    summary="A run as an Excel workbook.",
    responses=_answer(XLSX, "The workbook."),
)
def workbook(caller: Reader, run_id: str) -> Response:
    """The workbook of `zentra export`; a run that has published nothing has none."""
    run = find_run(caller, run_id)
    if not run.is_published:
        raise problems.not_found()
    file = exports.workbook(caller.paths, run.run_id)
    return FileResponse(
        file,
        headers=_SAFE,
        media_type=XLSX,
        filename=f"{run.provider}-{run.ledger_window}.xlsx",
        background=BackgroundTask(file.unlink, missing_ok=True),
    )


@router.get(
    "/closeout/{revision}/bundle",
    tags=["closeouts"],
    response_class=Response,
    summary="A sealed bundle as a zip.",
    responses=ZIP_ANSWER,
)
def bundle(
    caller: Reader,
    run_id: str,
    revision: str,
    attachments: Annotated[bool, Query(description="With the files attached to its comments.")] = False,
) -> Response:
    """What `zentra verify` checks, once it is unpacked; `revision` counts the closeouts of the run from 1."""
    run = find_run(caller, run_id)
    closeout, folder = exports.sealed(caller.tenant, run.run_id, revision)
    file = exports.zipped(caller.paths, closeout, folder, with_attachments=attachments)
    return zip_of(file, exports.name_of(closeout))


@router.get(
    "/closeout/{revision}/report",
    tags=["closeouts"],
    response_class=Response,
    summary="A sealed report.",
    responses=REPORT_ANSWER,
)
def report(caller: Reader, run_id: str, revision: str) -> Response:
    """The page that a sealed bundle holds."""
    run = find_run(caller, run_id)
    closeout, folder = exports.sealed(caller.tenant, run.run_id, revision)
    return report_in(folder, exports.name_of(closeout))
