"""Tables of a home's control store: which tenants exist, who acts for them, their tokens, sessions and saved
views; leases and configuration of what is the home's.

Instants as in `models`.

Does not belong here: queries, and anything that a tenant owns.
"""

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, MetaData, String, Table, Text

from zentra_pipeline.store import models

metadata = MetaData()

# Tables that homes of earlier releases lack until something writes to their control store, which adds them.
ADDED_LATER = frozenset({"sessions", "saved_views", "leases", "configuration"})

tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("created_at", String(32), nullable=False),
)

actors = Table(
    "actors",
    metadata,
    Column("tenant_id", String(64), ForeignKey("tenants.tenant_id"), primary_key=True),
    Column("actor", Text, primary_key=True),
    Column("created_at", String(32), nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", String(32), primary_key=True),
    Column("token_digest", String(64), nullable=False, unique=True, comment="hex SHA-256; the token is kept nowhere"),
    Column("tenant_id", String(64), nullable=False),
    Column("actor", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("name", Text, nullable=True, comment="what the token is for, in its owner's words"),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=True, comment="the first instant at which it is no longer good"),
    Column("revoked_at", String(32), nullable=True),
    ForeignKeyConstraint(["tenant_id", "actor"], ["actors.tenant_id", "actors.actor"]),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_digest", String(64), primary_key=True, comment="hex SHA-256; the secret is kept nowhere"),
    Column("token_id", String(32), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False, comment="the first instant at which it is no longer good"),
)

saved_views = Table(
    "saved_views",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("actor", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("query", Text, nullable=False, comment="filter and order of the exception list, as in its URL"),
)

leases = models.leases.to_metadata(metadata)
configuration = models.configuration.to_metadata(metadata)
