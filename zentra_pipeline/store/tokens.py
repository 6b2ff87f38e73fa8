"""Queries on actors and tokens in the control store; making and checking tokens does not belong here (access)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from zentra_pipeline.store.control import actors, tokens


@dataclass(frozen=True)
class StoredToken:
    """What is known of a token, which is not the token; fields as in `store.control.tokens`."""

    token_id: str
    token_digest: str
    tenant_id: str
    actor: str
    role: str
    name: str | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None


# Every request of a server asks this, and making the question again takes as long as the answer.
_BY_DIGEST: Final = select(tokens).where(tokens.c.token_digest == bindparam("digest"))


def actors_of(connection: Connection, tenant: str) -> Sequence[str]:
    """Everybody who ever got a token for a tenant, as first written."""
    return connection.execute(select(actors.c.actor).where(actors.c.tenant_id == tenant)).scalars().all()


def add_actor(connection: Connection, tenant: str, actor: str, at: str) -> None:
    """Record who may act for a tenant from now on."""
    connection.execute(insert(actors).values(tenant_id=tenant, actor=actor, created_at=at))


def add(connection: Connection, token: StoredToken) -> None:
    """Record a token of a recorded actor."""
    connection.execute(insert(tokens).values(asdict(token)))


def with_digest(connection: Connection, digest: str) -> StoredToken | None:
    """The token of a digest, in force or not."""
    row = connection.execute(_BY_DIGEST, {"digest": digest}).one_or_none()
    return None if row is None else StoredToken(*row)


def listed(connection: Connection, tenant: str | None = None) -> list[StoredToken]:
    """All tokens, or a tenant's, oldest first."""
    query = select(tokens) if tenant is None else select(tokens).where(tokens.c.tenant_id == tenant)
    found = [StoredToken(**row._mapping) for row in connection.execute(query)]
    return sorted(found, key=lambda token: (token.created_at, token.token_id))


def get(connection: Connection, token_id: str) -> StoredToken | None:
    """The token of an id, in force or not."""
    row = connection.execute(select(tokens).where(tokens.c.token_id == token_id)).one_or_none()
    return None if row is None else StoredToken(**row._mapping)


def revoke(connection: Connection, token_id: str, at: str) -> None:
    """End a token for good."""
    connection.execute(update(tokens).where(tokens.c.token_id == token_id).values(revoked_at=at))
