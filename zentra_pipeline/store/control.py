"""The control store of a home: which tenants exist. Does not belong here: anything a tenant owns."""

from sqlalchemy import Column, MetaData, String, Table

metadata = MetaData()

tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", String(64), primary_key=True),
    Column("created_at", String(32), nullable=False),
)
