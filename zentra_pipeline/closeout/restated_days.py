"""Days of bank accounts that were made from a statement which the bank has said otherwise since.

A later day of the account reads the new words as well, and a sealed day stays as it was sealed: somebody has to run it
again. Does not belong here: what else keeps a month from being signed off (period).
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from zentra_pipeline import identifiers
from zentra_pipeline.contracts.staged_tables import BANK_KIND
from zentra_pipeline.published import lake
from zentra_pipeline.store import file_facts
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.store.runs import Run
from zentra_pipeline.tenants.tenant import Tenant


def found(tenant: Tenant, runs: Sequence[Run]) -> Iterator[tuple[Run, StagedFile]]:
    """Each file that restates what published days were made from and have not read, with the first such day."""
    with tenant.reading() as connection:
        facts = file_facts.recorded(connection)
        restating = {
            file.sequence: (file, set(json.loads(facts[file.sequence].restates)))
            for file in file_store.staged_files(connection, BANK_KIND)
            if file.sequence in facts and json.loads(facts[file.sequence].restates)
        }
        read = {
            run.run_id: run_store.current_revision(connection, run.run_id).files_seen
            for run in (runs if restating else ())
        }
    accounts = _accounts(tenant, restating.keys())
    for sequence, (file, restated) in restating.items():
        from_day = "" if file.first_at is None else file.first_at[:10]
        outdated = [
            run
            for run in runs
            if (sequence, identifiers.account_of(run.provider)) in accounts
            and run.ledger_window >= from_day
            and sequence not in read[run.run_id]
            and restated & read[run.run_id]
        ]
        if outdated:
            yield min(outdated, key=lambda run: run.ledger_window), file


def _accounts(tenant: Tenant, sequences: Iterable[int]) -> set[tuple[int, str]]:
    """The accounts of which files have statements, as (file, account)."""
    wanted = ", ".join(map(str, sequences))
    if not wanted:
        return set()
    rows = lake.query(
        tenant.paths,
        f"select distinct file_sequence, account_id from bank_statements where file_sequence in ({wanted})",
    ).rows
    return {(int(sequence), str(account)) for sequence, account in rows}
