"""Turns requests into visits of somebody signed in, and errors into pages: every page and form goes through here.

A session's cookie says who visits; a form must carry its CSRF token as well. What a page shows, and what a form
does, does not belong here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zentra_pipeline.api import problems
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import READ, Caller, caller_of
from zentra_pipeline.api.service import Service
from zentra_pipeline.console import forms, rendering
from zentra_pipeline.console.forms import Form
from zentra_pipeline.console.rendering import PREFIX
from zentra_pipeline.tenants import sessions
from zentra_pipeline.tenants.sessions import Session
from zentra_pipeline.tenants.tenant import Tenant

COOKIE: Final = "zentra_session"
CSRF_FIELD: Final = "csrf"
SIGN_IN: Final = f"{PREFIX}/sign-in"
_OF_A_BODY: Final = ("invalid", "malformed")  # what to do about these is said of a request's body, and not of a page


@dataclass(frozen=True)
class Visit:
    """One request of somebody signed in: `form` is empty for a page that is looked at."""

    request: Request
    serving: Service
    caller: Caller
    csrf: str
    form: Form = field(default_factory=Form)

    @property
    def tenant(self) -> Tenant:
        """The only tenant they get."""
        return self.caller.tenant

    @property
    def query(self) -> Mapping[str, str]:
        """What the URL asks for."""
        return self.request.query_params

    def named(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def may(self, action: str) -> bool:
        """Whether the role may do this (api.security)."""
        return self.caller.may(action)

    def page(self, template: str, status: int = 200, **content: Any) -> Response:
        """A page for them."""
        return rendering.page(template, status, **_who(self), **content)


Handler: TypeAlias = Callable[[Visit], Response]


def page(path: str, handler: Handler) -> Route:
    """A page that anybody signed in may look at."""
    return Route(path, _endpoint(handler, READ, None), methods=["GET"])


def form(path: str, handler: Handler, action: str, *, limit: int = forms.FORM_BYTES) -> Route:
    """Where a form of at most `limit` bytes goes, for roles that may do `action`."""
    return Route(path, _endpoint(handler, action, limit), methods=["POST"])


def service_of(request: Request) -> Service:
    """The server's service."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def to(path: str, said: str | None = None) -> Response:
    """Go on to a page of the console; `said` is a word of rendering.SAID, what it then says was done."""
    mark = "&" if "?" in path else "?"
    return RedirectResponse(path if said is None else f"{path}{mark}said={said}", 303)


def error_page(error: Exception, visit: Visit | None = None, back: str | None = None) -> Response:
    """What somebody sees whose request ended with this error."""
    problem = problems.problem_of(error)
    shown = {} if visit is None else _who(visit)
    return rendering.page(
        "problem.html",
        problem.kind.status,
        headers={name: value for name, value in problem.headers.items() if name != "WWW-Authenticate"},
        problem=problem,
        remedy=problem.members.get("remedy", None if problem.kind.name in _OF_A_BODY else problem.kind.remedy),
        blockers=problem.members.get("blockers", ()),
        back=back,
        **shown,
    )


def _endpoint(handler: Handler, action: str, limit: int | None) -> Callable[..., Any]:
    async def endpoint(request: Request) -> Response:
        visit = None
        try:
            session = await run_in_threadpool(_session, request)
            if session is None:
                return _to_sign_in(request)
            visit = _visit(request, session)
            visit.caller.require(action)
            if limit is not None:
                visit = await _with_form(visit, limit)
            return await run_in_threadpool(handler, visit)
        except Exception as error:  # whatever it is, somebody looks at a page
            return await run_in_threadpool(error_page, error, visit, _back(request))

    return endpoint


def _session(request: Request) -> Session | None:
    secret = request.cookies.get(COOKIE)
    serving = service_of(request)
    return sessions.find(serving.home, secret, serving.now()) if secret else None


def _visit(request: Request, session: Session) -> Visit:
    serving = service_of(request)
    return Visit(request, serving, caller_of(serving, session.identity), session.csrf)


async def _with_form(visit: Visit, limit: int) -> Visit:
    """The visit with its form; a problem for a form that does not come from a page of this session."""
    if visit.request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError("forbidden", "The form comes from another site.")
    found = await forms.read(visit.request, limit)
    if not forms.is_same(found.text(CSRF_FIELD), visit.csrf):
        raise ProblemError("forbidden", "The form is not of this session: open the page again and send it from there.")
    return Visit(visit.request, visit.serving, visit.caller, visit.csrf, found)


def _to_sign_in(request: Request) -> Response:
    """A page is shown after signing in; what a form wanted is lost, as nobody is known to have wanted it."""
    if request.method != "GET":
        problem = ProblemError("unauthenticated", "You are not signed in, or the session has ended. Nothing changed.")
        return error_page(problem, back=SIGN_IN)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    page = f"{SIGN_IN}?next={quote(wanted, safe='')}"
    if request.headers.get("hx-request"):  # a part of a page was asked for: the whole page goes to sign in
        return Response(status_code=204, headers={"HX-Redirect": page})
    return RedirectResponse(page, 303)


def _back(request: Request) -> str | None:
    """The page of ours that a form, or the link to a page, was on."""
    came_from = request.headers.get("referer", "")
    own = f"{request.url.scheme}://{request.url.netloc}"
    path = came_from.removeprefix(own)
    is_another = request.method == "POST" or path.partition("?")[0] != request.url.path
    return path if is_another and came_from.startswith(f"{own}{PREFIX}") and is_own(path) else None


def is_own(path: str) -> bool:
    """Whether this is a path of the console, and nothing that a browser takes for another site."""
    return (
        (path == PREFIX or path.startswith(f"{PREFIX}/"))
        and path.isascii()
        and path.isprintable()
        and not set(path) & {"\\", " "}
        and ".." not in path.partition("?")[0]
    )


def _who(visit: Visit) -> dict[str, Any]:
    said: Sequence[str] = visit.request.query_params.getlist("said")
    return {
        "who": visit.caller,
        "csrf": visit.csrf,
        "may": visit.may,
        "here": visit.request.url.path,
        "said": rendering.SAID.get(said[0]) if said else None,
    }
