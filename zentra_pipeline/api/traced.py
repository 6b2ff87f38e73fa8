"""A span a request, where traces are sent: method, route, status, tenant; what came with `traceparent` is around it.

Does not belong here: how spans are sent (traces).
"""

from contextlib import ExitStack
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentra_pipeline import logs, traces

_PROBES: Final = frozenset(("/healthz", "/readyz", "/metrics"))


class Traced:
    """The app with a span a request; those of monitors have none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        status = 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with ExitStack() as stack:
            if logs.known("request_id") is None:
                stack.enter_context(logs.about(request_id=logs.new_request_id()))
            parent = Headers(scope=scope).get("traceparent")
            opened = stack.enter_context(
                traces.span(scope["method"], parent, **{"http.request.method": scope["method"]})
            )
            try:
                await self._app(scope, receive, seen)
            finally:
                route = getattr(scope.get("route"), "path", None)
                opened.update_name(f"{scope['method']} {route}" if route else scope["method"])
                traces.note(
                    **{"http.response.status_code": status, "http.route": route},
                    tenant=logs.known("tenant"),
                    request_id=logs.known("request_id"),
                    run_id=scope.get("path_params", {}).get("run_id"),
                )
