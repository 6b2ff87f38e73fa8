"""Writes a line of the log a request, with ZENTRA_LOG=json: its id, whose it was, its outcome, how long it took.

An id that came with the request (`X-Request-Id`) is kept, else one is made; the answer names it. Does not belong here:
the form of a line (logs).
"""

import re
import time
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentra_pipeline import logs

HEADER: Final = "X-Request-Id"
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_PROBES: Final = frozenset(("/healthz", "/readyz"))


class RequestLog:
    """The app with a line a request; those of probes are left out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _ID.fullmatch(given) else logs.new_request_id()
        status = 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        began = time.monotonic()
        with logs.about(request_id=request_id):
            try:
                await self._app(scope, receive, named)
            finally:
                logs.write(
                    "server",
                    "request",
                    logs.ERROR if status >= 500 or not status else logs.INFO,
                    method=scope["method"],
                    path=scope["path"],
                    status=status or None,
                    milliseconds=round((time.monotonic() - began) * 1000, 1),
                    run_id=scope.get("path_params", {}).get("run_id"),
                )
