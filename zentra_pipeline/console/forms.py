"""Reads what a form sends, within limits; what its fields mean does not belong here."""

import hmac
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from zentra_pipeline.api import bodies
from zentra_pipeline.api.problems import ProblemError

FORM_BYTES: Final = 1024 * 1024
_URLENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_MOST_FIELDS: Final = 2_000


@dataclass(frozen=True)
class Form:
    """Fields as sent, in order, and the one file that may come with them."""

    fields: Sequence[tuple[str, str]] = ()
    file: bytes | None = None
    file_name: str = ""

    def text(self, name: str) -> str | None:
        """A field without the blanks around it; null where it is missing or blank."""
        value = next((value for each, value in self.fields if each == name), "").strip()
        return value.replace("\r\n", "\n") or None

    def all(self, name: str) -> list[str]:
        """All values of a field, each once."""
        return list(dict.fromkeys(value for each, value in self.fields if each == name))


async def read(request: Request, limit: int) -> Form:
    """The form of a request; a problem where it is none, or larger than it may be."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in (_URLENCODED, _MULTIPART):
        raise ProblemError("media-type", "The body has to be a form.")
    content = await bodies.read_whole(request, limit)
    try:
        if media_type == _MULTIPART:
            found = await _multipart(request, content, limit)
        else:
            found = Form(_pairs(content.decode("ascii")))
    except (UnicodeError, ValueError, MultiPartException) as cause:
        raise ProblemError("malformed", "The form cannot be read.") from cause
    if any("\0" in part for pair in found.fields for part in pair):
        raise ProblemError("malformed", "The form must not contain U+0000.")
    return found


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MOST_FIELDS)


async def _multipart(request: Request, content: bytes, limit: int) -> Form:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield content

    parser = MultiPartParser(request.headers, stream(), max_files=1, max_fields=50, max_part_size=limit)
    found = await parser.parse()
    fields = [(name, value) for name, value in found.multi_items() if isinstance(value, str)]
    file, name = None, ""
    for _, value in found.multi_items():
        if isinstance(value, UploadFile):
            file, name = await value.read(), value.filename or ""
    await found.close()
    return Form(fields, file, name)


def is_same(given: str | None, expected: str) -> bool:
    """Whether a form carries the CSRF token that is expected."""
    return hmac.compare_digest((given or "").encode("utf-8", "backslashreplace"), expected.encode())
