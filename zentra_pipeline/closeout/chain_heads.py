"""Writes the heads of chains of seals, to be published where this home cannot reach. Sealing does not belong here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from zentra_pipeline import canonical_json, durable_files
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import periods as period_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.periods import PeriodCloseout
from zentra_pipeline.tenants.tenant import Tenant

PERIOD_HEAD: Final = "_periods.json"


def write_head(tenant: Tenant, provider: str) -> Path:
    """Write the seals of a provider's windows to `heads/<provider>.json`."""
    with _holding(tenant):
        with tenant.reading() as connection:
            chain = closeout_store.chain(connection, provider)
        return _write(tenant, f"{provider}.json", provider, chain)


def write_period_head(tenant: Tenant) -> Path:
    """Write the seals of months to `heads/_periods.json`."""
    from zentra_pipeline.closeout.verify import ALL_PROVIDERS

    with _holding(tenant):
        with tenant.reading() as connection:
            chain = period_store.chain(connection)
        return _write(tenant, PERIOD_HEAD, ALL_PROVIDERS, chain)


@contextmanager
def _holding(tenant: Tenant) -> Iterator[None]:
    """Nobody else writes heads; what a process left that died is gone."""
    tenant.paths.heads.mkdir(parents=True, exist_ok=True)
    with tenant.holding("heads"):
        for left in tenant.paths.heads.glob(".*.tmp"):
            left.unlink()
        yield


def _write(tenant: Tenant, name: str, provider: str, chain: Sequence[Closeout] | Sequence[PeriodCloseout]) -> Path:
    seals = [
        {"sequence": item.chain_sequence, "closeout_id": item.closeout_id, "seal_digest": item.seal_digest}
        for item in chain
    ]
    head = tenant.paths.heads / name
    content = {"version": 1, "tenant": tenant.name, "provider": provider, "seals": seals}
    durable_files.write_durably(head, canonical_json.canonical(content))
    return head
