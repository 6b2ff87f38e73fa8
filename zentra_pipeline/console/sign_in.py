"""Signing in with a token and out again; how long a session holds does not belong here (tenants.sessions)."""

import secrets
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import APPROVE, READ
from zentra_pipeline.console import forms, rendering, visits
from zentra_pipeline.console.rendering import PREFIX
from zentra_pipeline.console.visits import COOKIE, CSRF_FIELD, SIGN_IN, Visit
from zentra_pipeline.tenants import sessions

# Holds the CSRF token of the sign-in form: nobody else's page can have somebody signed in as another.
_FORM_COOKIE: Final = "zentra_sign_in"
_FORM_SECONDS: Final = 3_600


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
    answer = RedirectResponse(wanted, 303)
    answer.set_cookie(COOKIE, secret, max_age=int(sessions.LASTS.total_seconds()), **_kept(request))
    answer.delete_cookie(_FORM_COOKIE, path=PREFIX)
    return answer


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
    answer = rendering.page("sign_in.html", status, csrf=token, wanted=wanted, failure=failure)
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
    visits.form("/sign-out", sign_out, READ),
    visits.page("/", start),
]
