"""Mounts the console into the server's app: its pages below /console, its headers, the way there from /.

Does not belong here: what pages show, and who may visit (visits).
"""

from typing import Any, Final

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentra_pipeline.api import problems
from zentra_pipeline.console import (
    api_docs,
    approvals,
    closeouts,
    exception_list,
    exception_page,
    periods,
    rendering,
    runs,
    sign_in,
    visits,
)
from zentra_pipeline.console.rendering import PREFIX

POLICY: Final = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGES: Final = (sign_in, approvals, exception_list, exception_page, runs, closeouts, periods)


def add_console(app: FastAPI) -> FastAPI:
    """The server's app with the console beside its routes."""
    pages: list[BaseRoute] = [route for module in PAGES for route in module.ROUTES]
    scripts = rendering.htmx_folder()
    if scripts is not None:
        pages.append(Mount(rendering.HTMX_FILES, StaticFiles(directory=scripts)))
    console = Starlette(
        routes=[
            *pages,
            Mount("/static", StaticFiles(directory=rendering.STATIC)),
            Route("/{path:path}", _nothing_here, methods=["GET", "POST"]),
        ]
    )
    console.state.service = app.state.service
    app.router.routes.append(Route("/docs", _documentation, methods=["GET"]))
    app.router.routes.append(Route("/", _start, methods=["GET"]))
    app.router.routes.append(Route(PREFIX, _start, methods=["GET"]))
    app.router.routes.append(Mount(PREFIX, _Guarded(console)))
    return app


async def _start(_request: Request) -> Response:
    return RedirectResponse(f"{PREFIX}/", 303)


async def _documentation(request: Request) -> Response:
    """Every route of the API, as its description has it; needs no token."""
    app = request.app
    content = {"sections": api_docs.sections(app), "version": app.version, "description": app.description}
    return rendering.page("docs.html", headers={**_HEADERS, "Cache-Control": "no-cache"}, **content)


async def _nothing_here(_request: Request) -> Response:
    return visits.error_page(problems.not_found(), back=f"{PREFIX}/")


class _Guarded:
    """Adds the headers that every answer of the console has; one that has its own keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_static = str(scope.get("path", "")).startswith(f"{PREFIX}/static/")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache" if is_static else "no-store")
            await send(message)

        await self._app(scope, receive, guarded)


def create_app(*arguments: Any, **options: Any) -> FastAPI:
    """The server's app, API and console; arguments as of api.app.create_app."""
    from zentra_pipeline.api import app as api_app

    return add_console(api_app.create_app(*arguments, **options))
