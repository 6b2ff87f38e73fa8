"""Queries on sessions and saved views in the control store; when a session holds does not belong here (tenants)."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select

from zentra_pipeline.store.control import saved_views, sessions


@dataclass(frozen=True)
class StoredSession:
    """What is known of a session; fields as in `store.control.sessions`."""

    session_digest: str
    token_id: str
    created_at: str
    expires_at: str


def add(connection: Connection, session: StoredSession) -> None:
    """Record a session of a recorded token."""
    connection.execute(insert(sessions).values(asdict(session)))


def with_digest(connection: Connection, digest: str) -> StoredSession | None:
    """The session of a digest, in force or not."""
    row = connection.execute(select(sessions).where(sessions.c.session_digest == digest)).one_or_none()
    return None if row is None else StoredSession(**row._mapping)


def end(connection: Connection, digest: str) -> None:
    """Forget a session."""
    connection.execute(delete(sessions).where(sessions.c.session_digest == digest))


def forget_expired(connection: Connection, now: str) -> None:
    """Forget the sessions that have ended by themselves."""
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))


def views_of(connection: Connection, tenant: str, actor: str) -> dict[str, str]:
    """An actor's saved views: name → query, by name."""
    query = select(saved_views.c.name, saved_views.c.query).where(
        saved_views.c.tenant_id == tenant, saved_views.c.actor == actor
    )
    return dict(sorted((name, content) for name, content in connection.execute(query)))


def save_view(connection: Connection, tenant: str, actor: str, name: str, query: str) -> None:
    """Keep a view in place of the actor's earlier one of the same name."""
    drop_view(connection, tenant, actor, name)
    connection.execute(insert(saved_views).values(tenant_id=tenant, actor=actor, name=name, query=query))


def drop_view(connection: Connection, tenant: str, actor: str, name: str) -> None:
    """Forget a view."""
    connection.execute(
        delete(saved_views).where(
            saved_views.c.tenant_id == tenant, saved_views.c.actor == actor, saved_views.c.name == name
        )
    )
