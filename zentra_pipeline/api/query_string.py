"""The query of a request as a whole: no parameter is in it twice. What parameters mean does not belong here."""

from collections import Counter

from fastapi import Request

from zentra_pipeline.api import problems


async def require_once(request: Request) -> None:
    """End the request where its query names a parameter twice: no route takes a list, and the last must not win."""
    if not request.scope["query_string"]:
        return
    given = Counter(name for name, _ in request.query_params.multi_items())
    twice = [
        {"loc": (name,), "msg": f"it is given {times} times; name it once"}
        for name, times in given.items()
        if times > 1
    ]
    if twice:
        raise problems.invalid(twice, "query")
