"""Sessions of the console: begun with a token, good for half a day, ended by signing out or with the token.

The cookie holds 256 random bits, the home their SHA-256 alone. Who acts is the token's to say at every request, so a
token that is revoked ends its sessions at once. Cookies and forms do not belong here (console).
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from zentra_pipeline.errors import UsageError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.settings import Home
from zentra_pipeline.store import sessions, tokens
from zentra_pipeline.store.engine import control_store, reading
from zentra_pipeline.store.sessions import StoredSession
from zentra_pipeline.tenants import access
from zentra_pipeline.tenants.access import Identity

LASTS: Final = timedelta(hours=12)
_BYTES: Final = 32
_MOST_VIEWS: Final = 50
_MOST_NAME: Final = 80
_MOST_QUERY: Final = 8_192


@dataclass(frozen=True)
class Session:
    """Somebody signed in: who, and the CSRF token that every form of the session carries."""

    identity: Identity
    csrf: str


def begin(home: Home, bearer: str, now: datetime) -> str | None:
    """Begin a session with a token: the secret of its cookie, null where the token is not valid."""
    identity = access.authenticate(home, bearer, now)
    return None if identity is None else _begun(home, identity.token_id, now)


def begin_as(home: Home, token_id: str, now: datetime) -> str | None:
    """Begin a session of whoever an identity provider vouches for, as the token of this id; null where it has ended."""
    with reading(control_store(home)) as connection:
        token = tokens.get(connection, token_id)
    return None if token is None or not access.is_in_force(token, now) else _begun(home, token_id, now)


def _begun(home: Home, token_id: str, now: datetime) -> str:
    secret = secrets.token_urlsafe(_BYTES)
    with control_store(home).begin() as connection:
        sessions.forget_expired(connection, instant_text(now))
        sessions.add(
            connection,
            StoredSession(_digest(secret), token_id, instant_text(now), instant_text(now + LASTS)),
        )
    return secret


def find(home: Home, secret: str, now: datetime) -> Session | None:
    """The session of a cookie; null for none, one that has ended, and one whose token has."""
    with reading(control_store(home)) as connection:
        session = sessions.with_digest(connection, _digest(secret))
        token = None if session is None else tokens.get(connection, session.token_id)
    if session is None or token is None:
        return None
    if instant_text(now) >= session.expires_at or not access.is_in_force(token, now):
        return None
    identity = Identity(token.tenant_id, token.actor, token.role, token.token_id)
    return Session(identity, hashlib.sha256(f"form of {secret}".encode()).hexdigest())


def end(home: Home, secret: str) -> None:
    """End a session; one that has ended stays so."""
    with control_store(home).begin() as connection:
        sessions.end(connection, _digest(secret))


def views(home: Home, tenant: str, actor: str) -> dict[str, str]:
    """The views that an actor has saved, name → query."""
    with reading(control_store(home)) as connection:
        return sessions.views_of(connection, tenant, actor)


def save_view(home: Home, tenant: str, actor: str, name: str, query: str) -> None:
    """Save a view under a name, in place of an earlier one; UsageError for a name that cannot be, or too many."""
    if not name.strip() or len(name) > _MOST_NAME or not name.isprintable():
        raise UsageError(f"a view's name has 1 to {_MOST_NAME} printable characters")
    if len(query) > _MOST_QUERY:
        raise UsageError(f"the view has {len(query)} characters; at most {_MOST_QUERY} are kept")
    with control_store(home).begin() as connection:
        known = sessions.views_of(connection, tenant, actor)
        if name not in known and len(known) >= _MOST_VIEWS:
            raise UsageError(f"{_MOST_VIEWS} views are saved, which is as many as one may have: remove one first")
        sessions.save_view(connection, tenant, actor, name, query)


def drop_view(home: Home, tenant: str, actor: str, name: str) -> None:
    """Forget a view; one that is not there stays away."""
    with control_store(home).begin() as connection:
        sessions.drop_view(connection, tenant, actor, name)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "backslashreplace")).hexdigest()
