"""Makes the HTTP app of a home: its routes, its problems and its description. What routes do does not belong here."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentra_pipeline import __version__, settings, traces
from zentra_pipeline.api import (
    approvals,
    attachments,
    bodies,
    callbacks,
    closeouts,
    downloads,
    events,
    examples,
    exception_sheets,
    exceptions,
    files,
    journal,
    metrics,
    periods,
    problems,
    query_string,
    run_results,
    runs,
    runtime,
    views,
    webhooks,
)
from zentra_pipeline.api.audit import AuditLog
from zentra_pipeline.api.identities import Identities
from zentra_pipeline.api.problems import KINDS
from zentra_pipeline.api.rate import Buckets
from zentra_pipeline.api.request_log import RequestLog
from zentra_pipeline.api.service import Limits, Service, present
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.api.traced import Traced
from zentra_pipeline.settings import Home

_DESCRIPTION = """\
Reconciliation of what providers say, what the ledger says and what operators decide.

A bearer token names tenant, actor and role; no request names a tenant. Amounts are integers of minor units beside their
ISO 4217 currency, instants UTC with Z, days YYYY-MM-DD. Lists page by cursor. Every error is an RFC 9457 problem.
"""
# Asked most first.
_ROUTERS = (
    callbacks,
    runs,
    run_results,
    closeouts,
    journal,
    periods,
    downloads,
    exception_sheets,
    attachments,
    exceptions,
    approvals,
    files,
    events,
    runtime,
    webhooks,
    views,
    metrics,
)

_open = APIRouter(tags=["server"], dependencies=[Depends(query_string.require_once)])


class Health(BaseModel):
    """The server answers."""

    status: str
    version: str


class ProblemKind(BaseModel):
    """What a kind of problem means and what to do about it."""

    type: str
    status: int
    title: str
    remedy: str


class _Heads:
    """Answers HEAD wherever there is a GET, as it would be answered, without the body (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


def create_app(home: Home, limits: Limits | None = None, now: Callable[[], datetime] | None = None) -> FastAPI:
    """The app of a home that exists; `now` is its clock, the system's unless given."""
    limits = limits or Limits()
    buckets = Buckets(limits.requests_per_second, limits.requests_at_once)
    service = Service(home, limits, buckets, Identities(home), now=now or present)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        service.intake.close()
        await run_in_threadpool(service.audit.close)

    app = FastAPI(
        title="Zentra",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=lifespan,
    )
    app.state.service = service
    routers = [*(module.router for module in _ROUTERS), _open]
    routes = [route for router in (app, *routers) for route in router.routes if isinstance(route, Route)]
    problems.install(app, routes)
    app.add_middleware(_Heads)
    app.add_middleware(callbacks.Shortcut)
    app.add_middleware(AuditLog, auditor=service.audit, now=service.now)  # around both: as it was asked
    if traces.is_on():
        app.add_middleware(Traced)
    if settings.logs_json():  # around what answers faults, which no added middleware is
        build = app.build_middleware_stack
        app.build_middleware_stack = lambda: RequestLog(build())  # type: ignore[method-assign]
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


@cache
def openapi_text() -> str:
    """The description of the API, as docs/openapi.json has it; it is the same for every home."""
    return json.dumps(create_app(Home.at(".")).openapi(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _described(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with examples and the problems that no response model names."""
    if app.openapi_schema is None:
        described = FastAPI.openapi(app)
        schemas = described["components"]["schemas"]
        problems.add_components(described)
        for operation in (operation for methods in described["paths"].values() for operation in methods.values()):
            # What FastAPI says of every route with a parameter, and what ours never answer.
            if bodies.JSON in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        examples.add_to(described)
        app.openapi_schema = described
    return app.openapi_schema


@_open.get(
    "/healthz",
    summary="Health of the server.",
    responses={200: {"model": Health}, **problems.responses("invalid", is_open=True)},
)
async def health() -> Response:
    """Needs no token."""
    return json_response({"status": "ok", "version": __version__})


@_open.get(
    "/problems/{name}",
    summary="Meaning of a problem type.",
    responses={200: {"model": ProblemKind}, **problems.responses("not-found", "invalid", is_open=True)},
)
async def problem_kind(name: str) -> Response:
    """The page behind a problem's `type`; needs no token."""
    kind = KINDS.get(name)
    if kind is None:
        raise problems.not_found()
    return json_response({"type": kind.type, "status": kind.status, "title": kind.title, "remedy": kind.remedy})
