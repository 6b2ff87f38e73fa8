"""Signing in with a token and out again; how long a session holds does not belong here (tenants.sessions)."""

import secrets
from typing import Any, Final
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zentra_pipeline.api import audit, problems
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import APPROVE, READ
from zentra_pipeline.api.service import Service
from zentra_pipeline.console import forms, rendering, visits
from zentra_pipeline.console.rendering import PREFIX
from zentra_pipeline.console.visits import COOKIE, CSRF_FIELD, SIGN_IN, Visit
from zentra_pipeline.errors import ConfigurationError, RefusedError
from zentra_pipeline.tenants import identity_provider, sessions
from zentra_pipeline.tenants.identity_provider import Attempt, Provider
from zentra_pipeline.tenants.tenant import Tenant

# Holds the CSRF token of the sign-in form: nobody else's page can have somebody signed in as another.
_FORM_COOKIE: Final = "zentra_sign_in"
_FORM_SECONDS: Final = 3_600
# Holds what an attempt at the identity provider has to come back with.
_ATTEMPT_COOKIE: Final = "zentra_provider"
_ATTEMPT_SECONDS: Final = 600
_KEPT_PARTS: Final = 4
_MOST_CODE: Final = 4_096


async def show(request: Request) -> Response:
    """The page to sign in on."""
    return _form(request, _next(request.query_params.get("next")))


async def sign_in(request: Request) -> Response:
    """Begin a session with the token that was given, and go on to the page that was wanted."""
    try:
        form = await forms.read(request, forms.FORM_BYTES)
    except ProblemError as problem:
        return visits.error_page(problem, back=SIGN_IN)
    wanted = _next(form.text("next"))
    token = request.cookies.get(_FORM_COOKIE)
    if not token or not forms.is_same(form.text(CSRF_FIELD), token):
        return _form(request, wanted, 403, "The page had expired, or the browser keeps no cookies. Try again.")
    serving = visits.service_of(request)
    try:
        secret = await run_in_threadpool(sessions.begin, serving.home, form.text("token") or "", serving.now())
    except Exception as error:  # whatever it is, somebody looks at a page
        return visits.error_page(error, back=SIGN_IN)
    if secret is None:
        return _form(request, wanted, 401, "The token is not valid: it is unknown, has expired or was revoked.")
    await run_in_threadpool(_note, serving, secret)
    answer = RedirectResponse(wanted, 303)
    answer.set_cookie(COOKIE, secret, max_age=int(sessions.LASTS.total_seconds()), **_kept(request))
    answer.delete_cookie(_FORM_COOKIE, path=PREFIX)
    return answer


async def to_provider(request: Request) -> Response:
    """Go to the identity provider; the browser keeps what it has to come back with."""
    wanted = _next(request.query_params.get("next"))
    try:
        provider = await run_in_threadpool(_provider, request)
        attempt, page = await run_in_threadpool(identity_provider.begin, provider)
    except Exception as error:  # whatever it is, somebody looks at a page
        return visits.error_page(error, back=SIGN_IN)
    answer = RedirectResponse(page, 303)
    kept = "|".join((attempt.state, attempt.nonce, attempt.verifier, quote(wanted, safe="")))
    answer.set_cookie(_ATTEMPT_COOKIE, kept, max_age=_ATTEMPT_SECONDS, **_kept(request))
    return answer


async def from_provider(request: Request) -> Response:
    """Begin a session of whoever came back from the provider, if it is the browser that went there."""
    answer = await run_in_threadpool(_come_back, request)
    answer.delete_cookie(_ATTEMPT_COOKIE, path=PREFIX)
    return answer


def _come_back(request: Request) -> Response:
    try:
        secret, wanted = _vouched(request)
    except Exception as error:  # whatever it is, somebody looks at a page
        return visits.error_page(error, back=SIGN_IN)
    answer = RedirectResponse(wanted, 303)
    answer.set_cookie(COOKIE, secret, max_age=int(sessions.LASTS.total_seconds()), **_kept(request))
    return answer


def _vouched(request: Request) -> tuple[str, str]:
    """The secret of a session for whom the provider vouches, and the page that was wanted."""
    kept = request.cookies.get(_ATTEMPT_COOKIE, "").split("|")
    query, serving = request.query_params, visits.service_of(request)
    if len(kept) != _KEPT_PARTS or not forms.is_same(query.get("state"), kept[0]):
        raise ProblemError("forbidden", "The attempt to sign in has expired, or was another browser's: try again.")
    if "code" not in query:
        raise ProblemError("forbidden", "The identity provider did not sign you in.")
    provider, attempt = _provider(request), Attempt(*kept[:3])
    token_id = identity_provider.token_of(provider, attempt, query["code"][:_MOST_CODE], serving.now())
    secret = sessions.begin_as(serving.home, token_id, serving.now())
    if secret is None:
        raise RefusedError("The token that you are known by here has ended: whoever runs the server makes another.")
    _note(serving, secret)
    return secret, _next(unquote(kept[3]))


def _note(serving: Service, secret: str) -> None:
    """Have the audit log say who has signed in."""
    session = sessions.find(serving.home, secret, serving.now())
    if session is not None:
        audit.note(Tenant.of(serving.home, session.identity.tenant), session.identity)


def _provider(request: Request) -> Provider:
    provider = identity_provider.load_provider(visits.service_of(request).home)
    if provider is None:
        raise problems.not_found()
    return provider


def sign_out(visit: Visit) -> Response:
    """End the session."""
    sessions.end(visit.serving.home, visit.request.cookies[COOKIE])
    answer = RedirectResponse(SIGN_IN, 303)
    answer.delete_cookie(COOKIE, path=PREFIX)
    return answer


def start(visit: Visit) -> Response:
    """Where somebody begins: approvers with what waits for them, everybody else with the exceptions."""
    return visits.to(f"{PREFIX}/approvals" if visit.may(APPROVE) else f"{PREFIX}/exceptions")


def _form(request: Request, wanted: str, status: int = 200, failure: str | None = None) -> Response:
    token = secrets.token_urlsafe(32)
    try:
        provider = identity_provider.load_provider(visits.service_of(request).home)
    except ConfigurationError as error:  # tokens go on working
        provider, failure = None, failure or f"The identity provider cannot be used: {error}"
    answer = rendering.page(
        "sign_in.html", status, csrf=token, wanted=wanted, failure=failure, provider=provider and provider.name
    )
    answer.set_cookie(_FORM_COOKIE, token, max_age=_FORM_SECONDS, **{**_kept(request), "samesite": "strict"})
    return answer


def _kept(request: Request) -> dict[str, Any]:
    """A cookie of the console alone, that no script reads and no other site's form sends."""
    return {"path": PREFIX, "httponly": True, "samesite": "lax", "secure": request.url.scheme == "https"}


def _next(path: str | None) -> str:
    """The page to go on to: one of the console's own, else its start."""
    return path if path is not None and visits.is_own(path) and not path.startswith(SIGN_IN) else f"{PREFIX}/"


ROUTES: Final = [
    Route("/sign-in", show, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-in/provider", to_provider, methods=["GET"]),
    Route("/sign-in/provider/callback", from_provider, methods=["GET"]),
    visits.form("/sign-out", sign_out, READ),
    visits.page("/", start),
]
