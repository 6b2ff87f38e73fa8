"""Pages of a list: `{"items": […], "next": cursor or null}`. A cursor is opaque, and says where the next page begins.

What is listed does not belong here.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from zentra_pipeline.api.problems import ProblemError

MOST: Final = 1_000
DEFAULT: Final = 100
_LONGEST: Final = 4_096

Item = TypeVar("Item")


class PageQuery(BaseModel):
    """Which part of a list is asked for. Parameters that are not named are rejected, not ignored."""

    model_config = ConfigDict(extra="forbid")

    after: Annotated[str | None, Field(max_length=_LONGEST, description="`next` of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=MOST, description="How many items at most.")] = DEFAULT


Paging = Annotated[PageQuery, Query()]


def cursor(place: Sequence[Any]) -> str:
    """A place in a list as a cursor."""
    text = json.dumps(list(place), ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def place_of(given: str | None, *types: type) -> list[Any] | None:
    """The place that a cursor means, as values of these types; null without one. A problem when it is unknown."""
    if given is None:
        return None
    try:
        padded = given.encode("ascii") + b"=" * (-len(given) % 4)
        place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        place = None
    if not isinstance(place, list) or len(place) != len(types):
        raise _unknown()
    for value, expected in zip(place, types, strict=True):
        if type(value) is not expected or (isinstance(value, int) and not 0 <= value < 2**63):
            raise _unknown()
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise _unknown()
    return place


def _unknown() -> ProblemError:
    return ProblemError("invalid", "query after: this is not a cursor of this list; use `next` as a page gave it")


def page(items: Sequence[Item], limit: int, place: Callable[[Item], Sequence[Any]]) -> dict[str, Any]:
    """A page of the first `limit` items; one more than that says that there is a next page."""
    shown = list(items[:limit])
    return {"items": shown, "next": cursor(place(shown[-1])) if len(items) > limit else None}


def page_schema(item: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a page of such items."""
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": item},
            "next": {"type": ["string", "null"], "description": "`after` of the next page; null on the last."},
        },
        "additionalProperties": False,
    }
