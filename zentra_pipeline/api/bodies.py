"""Reading request bodies: within a limit, of the right media type, as strict JSON of a strict model, or to a file.

Authentication comes first: a body is read only for whoever may send it. Does not belong here: what a body means.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from zentra_pipeline.api import problems, strict_json
from zentra_pipeline.api.problems import ProblemError

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
CSV: Final = "text/csv"
JSON_BYTES: Final = 256 * 1024

Model = TypeVar("Model", bound="StrictModel")


def without_nul(value: object) -> object:
    """The value; ValueError for text with U+0000, which PostgreSQL has none of and no name or reason of ours needs."""
    texts = value if isinstance(value, list) else [value]
    if any(isinstance(text, str) and "\0" in text for text in texts):
        raise ValueError("must not contain U+0000")
    return value


class StrictModel(BaseModel):
    """A JSON object of exactly the members named; values are of their types, never made so."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @field_validator("*")
    @classmethod
    def _without_nul(cls, value: object) -> object:
        return without_nul(value)


def json_body(model: type[Model], limit: int = JSON_BYTES) -> Callable[[Request], Awaitable[Model]]:
    """A dependency that reads the body as this model."""

    async def read(request: Request) -> Model:
        require_media_type(request, JSON)
        content = await read_whole(request, limit)
        try:
            value = strict_json.parse(content)
        except strict_json.StrictJsonError as cause:
            raise ProblemError("malformed", f"The body is not strict JSON: {cause}.") from cause
        try:
            return model.model_validate(value)
        except ValidationError as cause:
            findings = cause.errors(include_url=False, include_input=False)
            raise problems.invalid(findings, "body", model.model_fields) from cause

    return read


def described(media_type: str, schema: dict[str, Any] | type[StrictModel]) -> dict[str, Any]:
    """The body as the route's description has it; for `openapi_extra`."""
    if not isinstance(schema, dict):
        schema = schema.model_json_schema()
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def require_media_type(request: Request, *allowed: str) -> str:
    """The media type of the body, without parameters; a problem unless it is one of `allowed`, or text in UTF-8."""
    given, *parameters = request.headers.get("content-type", "").split(";")
    media_type = given.strip().lower()
    if allowed and media_type not in allowed:
        raise ProblemError("media-type", f"The body has to be {' or '.join(allowed)}.")
    if media_type.startswith("multipart/"):
        raise ProblemError("media-type", "The body has to be the file itself, not a form that holds it.")
    charsets = [part.strip().lower().removeprefix("charset=").strip('"') for part in parameters if "charset" in part]
    if any(charset not in ("utf-8", "us-ascii") for charset in charsets):
        raise ProblemError("media-type", "The body has to be UTF-8.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ProblemError("media-type", "The body must not be compressed.")
    return media_type


async def read_whole(request: Request, limit: int) -> bytes:
    """The body as it came; a problem when it has more than `limit` bytes."""
    return b"".join([block async for block in _blocks(request, limit)])


async def read_to_file(request: Request, limit: int, file: Path) -> None:
    """Write the body to a new file as it comes; a problem when it has more than `limit` bytes."""
    from fastapi.concurrency import run_in_threadpool

    with file.open("xb") as stream:
        async for block in _blocks(request, limit):
            await run_in_threadpool(stream.write, block)


async def _blocks(request: Request, limit: int) -> AsyncIterator[bytes]:
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise _too_large(limit)
    size = 0
    async for block in request.stream():
        size += len(block)
        if size > limit:
            raise _too_large(limit)
        yield block


def _too_large(limit: int) -> ProblemError:
    return ProblemError("too-large", f"The body may have {limit:,} bytes.", headers={"Connection": "close"})
