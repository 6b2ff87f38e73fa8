"""A tenant whose intents are recorded and staged, and the intents themselves; no claim is made here."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zentra_pipeline.published import lake
from zentra_pipeline.runtime.intent import Intent
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

TENANT = "acme"
PROVIDER = "rail_primary"
NOW = datetime(2026, 4, 27, 10, tzinfo=UTC)


def asked(intent_id: str = "int_1", **changes: Any) -> Intent:
    """Somebody asks for 125.00 USD to be moved; `changes` are what differs."""
    usual = Intent(
        intent_id=intent_id,
        actor="agent_7",
        scope="payments:transfer",
        amount_minor=12_500,
        currency="USD",
        provider=PROVIDER,
        movement_type="transfer",
        provider_reference="",
        customer_account="customer",
        reserved_account="reserved",
        settlement_account="",
    )
    return replace(usual, **changes)


def new_tenant(folder: Path, policy: str = "") -> Tenant:
    """A new tenant with this policy.yml."""
    home = Home.at(folder / "home")
    tenancy.init_home(home)
    tenant = tenancy.add_tenant(home, TENANT, NOW)
    if policy:
        tenant.paths.policy.write_text(policy, encoding="utf-8")
    return tenant


def rows(tenant: Tenant, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the published tables."""
    lake.refresh(tenant.paths)
    return [tuple(row) for row in lake.query(tenant.paths, sql).rows]
