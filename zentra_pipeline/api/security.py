"""Who asks and what they may: a token names tenant, actor and role, and nothing else of a request does.

What a role may decide about exceptions is the review policy's to say; this module only reads it.
"""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers

from zentra_pipeline import logs
from zentra_pipeline.actors import Origin
from zentra_pipeline.api import audit, query_string
from zentra_pipeline.api.problems import ProblemError, not_found
from zentra_pipeline.api.service import Service, Serving
from zentra_pipeline.decisions.policy import DELEGATES, load_policy
from zentra_pipeline.errors import ConfigurationError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.tenants.access import Identity
from zentra_pipeline.tenants.tenant import Tenant

_EVERYBODY: Final = frozenset({"service", "operator", "approver", "analyst", "admin"})
READ: Final = "read"
ASK: Final = "ask"  # for runs, and let files in
DELIVER: Final = "deliver"  # callbacks
DECIDE: Final = "decide"
PREPARE: Final = "prepare"
APPROVE: Final = "approve"
KEEP_WEBHOOKS: Final = "keep webhooks"
# Which roles may do what over HTTP; what somebody may decide about an exception is finer (decisions.policy).
MAY: Final = {
    READ: _EVERYBODY,
    ASK: _EVERYBODY - {"analyst"},
    DELIVER: frozenset({"service", "admin"}),
    DECIDE: _EVERYBODY - {"analyst"},
    PREPARE: frozenset({"operator", "approver", "admin"}),
    APPROVE: frozenset({"approver", "admin"}),
    KEEP_WEBHOOKS: frozenset({"operator", "admin"}),
}
_TOKEN: Final = re.compile(r"[!-~]{1,256}", re.ASCII)
_BEARER: Final = HTTPBearer(
    scheme_name="token",
    description="An API token; the server's administrator makes one.",
    auto_error=False,
)


@dataclass(frozen=True)
class Caller:
    """Who asks, and the only tenant they get; `in_place_of` is who is absent, whose role they have meanwhile."""

    tenant: Tenant
    actor: str
    role: str
    token_id: str
    in_place_of: str | None = None

    @property
    def paths(self) -> TenantPaths:
        """The tenant's folders."""
        return self.tenant.paths

    @property
    def origin(self) -> Origin:
        """How the caller came, as the log keeps it."""
        return Origin("token", token_id=self.token_id, in_place_of=self.in_place_of)

    def may(self, action: str) -> bool:
        """Whether the caller's role may do this."""
        return self.role in MAY[action] or (self.in_place_of is not None and DELEGATES in MAY[action])

    def require_pace(self, serving: Service) -> None:
        """End the request when the caller's token asks more often than it may."""
        wait = serving.buckets.wait(self.token_id, time.monotonic())
        if wait:
            headers = {"Retry-After": str(math.ceil(wait))}
            raise ProblemError("busy", "This token asks more often than it may.", headers=headers)

    def require(self, action: str) -> None:
        """End the request unless the caller's role may do this."""
        if not self.may(action):
            may = ", ".join(sorted(MAY[action]))
            raise ProblemError("forbidden", f"This token acts as {self.role}; this takes one of {may}.")


def _identify(
    serving: Serving, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> Caller:
    """The caller of a request."""
    return _caller(serving, None if credentials is None else credentials.credentials)


def deliverer(serving: Service, headers: Headers) -> Caller:
    """The caller who delivers callbacks, found in the event loop and at once: it comes a thousand times a second."""
    scheme, token = get_authorization_scheme_param(headers.get("authorization"))
    caller = _caller(serving, token if scheme.lower() == "bearer" and token else None)
    caller.require(DELIVER)
    return caller


def _caller(serving: Service, token: str | None) -> Caller:
    """Whose token it is; ends the request when there is none, or when it asks too often."""
    if token is None:
        raise _unauthenticated('Bearer realm="zentra"', "The request has no bearer token.")
    identity = serving.identities.of(token, time.monotonic()) if _TOKEN.fullmatch(token) else None
    if identity is None:
        raise _unauthenticated('Bearer realm="zentra", error="invalid_token"', "The token is not valid.")
    return caller_of(serving, identity)


def caller_of(serving: Service, identity: Identity) -> Caller:
    """The caller whom a token or session identifies, known to the logs; ends the request when it asks too often."""
    tenant = Tenant.of(serving.home, identity.tenant)
    logs.note(tenant=identity.tenant, actor=identity.actor)
    audit.note(tenant, identity)
    caller = Caller(tenant, identity.actor, identity.role, identity.token_id)
    caller.require_pace(serving)
    serving.audit.require_room()
    acting = in_their_place(caller, serving.now())
    if acting.in_place_of is not None:
        audit.note(tenant, identity, acting.in_place_of)
    return acting


def in_their_place(caller: Caller, now: datetime) -> Caller:
    """The caller with the role of whoever is absent, where policy.yml makes them a delegate on this day (in UTC)."""
    if caller.role != DELEGATES:
        return caller
    try:
        absence = load_policy(caller.paths).delegation(caller.actor, caller.role, now.date())
    except ConfigurationError:
        return caller  # whatever needs the policy says what is wrong with it
    return caller if absence is None else replace(caller, role=absence.role, in_place_of=absence.actor)


def _unauthenticated(challenge: str, detail: str) -> ProblemError:
    return ProblemError("unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def _who_may(action: str, *, takes_any_query: bool = False) -> Callable[..., Any]:
    async def checked(request: Request, caller: Annotated[Caller, Depends(_identify)]) -> Caller:
        caller.require(action)
        if "\0" in request.scope["path"]:  # no id has it, and PostgreSQL has no such text
            raise not_found()
        await (query_string.require_once if takes_any_query else query_string.require_known)(request)
        return caller

    return checked


SECURITY: Final[list[dict[str, list[str]]]] = [{_BEARER.scheme_name: []}]
"""How the description says that a route needs a token, where no dependency says so."""

Reader = Annotated[Caller, Depends(_who_may(READ))]
Monitor = Annotated[Caller, Depends(_who_may(READ, takes_any_query=True))]
Asker = Annotated[Caller, Depends(_who_may(ASK))]
Decider = Annotated[Caller, Depends(_who_may(DECIDE))]
Preparer = Annotated[Caller, Depends(_who_may(PREPARE))]
Approver = Annotated[Caller, Depends(_who_may(APPROVE))]
WebhookKeeper = Annotated[Caller, Depends(_who_may(KEEP_WEBHOOKS))]
