"""Upload routes: the body as it comes, to the same ingest as `zentra ingest`. No reader belongs here."""

import hashlib
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from zentra_pipeline import identifiers, memory
from zentra_pipeline.api import bodies, problems
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import Asker, Caller
from zentra_pipeline.api.service import Service, Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.words import one_of
from zentra_pipeline.config.bank_profile import KIND
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.ingest.mappings import format_in_force
from zentra_pipeline.reconcile import mistakes

router = APIRouter(tags=["files"])

KINDS: Final = ("settlement", "ledger", "internal_events", "bank_statement")
# Media types that say which form a file has; any other leaves it to the name, or the first bytes.
_ENDINGS: Final = {
    "text/csv": ".csv",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
}
_BINARY: Final = "application/octet-stream"
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


class FileQuery(BaseModel):
    """Under which id and name the file is registered."""

    model_config = ConfigDict(extra="forbid")

    settlement_file: Annotated[
        str | None, Field(pattern=_NAME, description="Settlement file id; a settlement needs this or the name.")
    ] = None
    name: Annotated[
        str | None,
        Field(pattern=_NAME, description="Name of the file; without an id, the name without its extension is the id."),
    ] = None
    confirm: Annotated[bool, Field(description="Confirm a window or provider name that looks like a mistake.")] = False


class IngestedFile(BaseModel):
    """Result of an upload; `notes` counts rows of other kinds."""

    file_id: str
    sha256: str
    rows: int
    staged: int
    quarantined: int
    unchanged: bool = Field(description="Whether the same bytes were uploaded under this id before.")
    unknown_columns: list[str]
    reasons: dict[str, int] = Field(
        description="Rows in quarantine by the rule they break, each named by the reason of its first row."
    )
    reason_rows: dict[str, list[int]] = Field(description="The numbers of the first three rows of each reason.")
    notes: dict[str, int]
    ids_used_twice: dict[str, list[int]] = Field(
        description="Ids shared by rows of different content, with row numbers; all of these rows are in quarantine."
    )


@router.post(
    "/files/{provider}/{kind}",
    summary="Upload a file.",
    responses={
        200: {"model": IngestedFile},
        **problems.responses(
            "malformed", "not-found", "too-large", "media-type", "rejected", "unconfirmed", "not-configured"
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in (*_ENDINGS, _BINARY)
            },
        }
    },
)
async def ingest(
    caller: Asker,
    serving: Serving,
    provider: str,
    kind: Annotated[str, *one_of(KINDS)],
    query: Annotated[FileQuery, Query()],
    request: Request,
) -> Response:
    """Validate a file, land its bytes and stage its rows; rows that break the contract go to quarantine, counted.

    The same bytes again change nothing. A broken file, or one of which no row is accepted, is refused as a whole.
    """
    identifiers.provider_id(provider)
    if kind == KIND and query.settlement_file is None and query.name is None:
        raise ProblemError("invalid", "query name: give the name of the bank's file")
    ending = _ENDINGS.get(bodies.require_media_type(request), "")
    if kind == "settlement" and query.settlement_file is None and query.name is None:
        raise ProblemError("invalid", "query settlement_file: name the settlement file, or give its name")
    folder = caller.paths.scratch / f"upload-{secrets.token_hex(8)}"
    folder.mkdir(parents=True)
    try:
        file = folder / (query.name or f"upload{ending}")
        await bodies.read_to_file(request, serving.limits.upload_bytes, file)
        return await run_in_threadpool(_ingest, caller, serving, provider, kind, query, file)
    finally:
        await run_in_threadpool(_clear_away, folder)


def _ingest(caller: Caller, serving: Service, provider: str, kind: str, query: FileQuery, file: Path) -> Response:
    file_id = query.settlement_file
    if file_id is None and query.name is None:
        with file.open("rb") as stream:
            file_id = f"{kind}_{hashlib.file_digest(stream, 'sha256').hexdigest()[:32]}"
    if not query.confirm and kind != KIND:
        mistakes.check_provider(caller.tenant, provider)
    outcome = ingest_files(
        caller.tenant,
        provider=provider,
        kind=kind,
        files=[file],
        file_id=file_id,
        format=format_in_force(caller.paths, provider, kind),
        now=serving.now(),
        received_by=caller.actor,
    )
    return json_response(asdict(outcome.files[0]))


def _clear_away(folder: Path) -> None:
    """Remove an upload, and give back the memory that reading it took."""
    shutil.rmtree(folder, ignore_errors=True)
    memory.give_back()
