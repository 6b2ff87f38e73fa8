"""The query of a request as a whole: no parameter is in it twice, and none that the route does not take.

What parameters mean does not belong here.
"""

from collections import Counter

from fastapi import Request

from zentra_pipeline.api import problems


async def require_once(request: Request) -> None:
    """End the request where its query names a parameter twice: no route takes a list, and the last must not win."""
    if not request.scope["query_string"]:
        return
    twice = [
        {"loc": (name,), "msg": f"it is given {times} times; name it once"}
        for name, times in _given(request).items()
        if times > 1
    ]
    if twice:
        raise problems.invalid(twice, "query")


async def require_known(request: Request) -> None:
    """End the request where its query names a parameter twice, or one that the route does not take.

    Not for what a provider or a monitor is given as an address: they may append what they like.
    """
    if not request.scope["query_string"]:
        return
    await require_once(request)
    known = problems.parameters(request)
    unknown = [{"loc": (name,), "type": "extra_forbidden"} for name in _given(request) if name not in known]
    if unknown:
        raise problems.invalid(unknown, "query", known)


def _given(request: Request) -> Counter[str]:
    """How many times each parameter is named."""
    return Counter(name for name, _ in request.query_params.multi_items())
