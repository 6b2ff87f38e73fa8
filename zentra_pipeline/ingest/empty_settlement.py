"""A settlement file without lines, of a window in which the provider settled nothing: the word of whoever says so.

It is registered like any file, with who said so and when. What comes later under the same id adds its lines to it.
"""

import secrets
import shutil
from datetime import datetime

from zentra_pipeline import identifiers
from zentra_pipeline.contracts import contract_of
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.tenants.tenant import Tenant


def declare(tenant: Tenant, provider: str, settlement_file: str, actor: str, now: datetime) -> None:
    """Register a settlement file that has a header and no line; saying so again changes nothing."""
    folder = tenant.paths.scratch / f"empty-{secrets.token_hex(8)}"
    folder.mkdir(parents=True)
    try:
        file = folder / f"{identifiers.settlement_file_id(settlement_file)}.csv"
        file.write_text(",".join(contract_of("settlement").required) + "\n", encoding="utf-8")
        ingest_files(
            tenant,
            provider=provider,
            kind="settlement",
            files=[file],
            file_id=settlement_file,
            format="canonical",
            now=now,
            received_by=actor,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
