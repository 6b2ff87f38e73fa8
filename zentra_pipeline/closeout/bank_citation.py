"""What the seal of a bank account's run cites: the runs whose payouts it judged, with their seals. See ADR 0061."""

from typing import Any

from zentra_pipeline import identifiers, private_database, sql_text
from zentra_pipeline.closeout.candidate import CloseoutCandidate
from zentra_pipeline.store import closeouts as closeout_store


def judged_payouts(candidate: CloseoutCandidate) -> dict[str, Any] | None:
    """The account of a run of one, and the runs whose payouts it judged with the seals they have; else null."""
    account = identifiers.account_of(candidate.run.provider)
    if account is None or not candidate.has_run:
        return None
    states = candidate.paths.root / candidate.revision.tables["payout_states"]["path"]
    with private_database.opened() as connection:
        judged = connection.execute(
            "select distinct payout_provider, reported_run_id, reported_revision "
            f"from read_parquet({sql_text.file_literal(states)}) order by all"
        ).fetchall()
    with candidate.tenant.reading() as connection:
        seals = {
            (item.run_id, item.run_revision): item
            for _, run_id, _ in judged
            for item in closeout_store.of_run(connection, run_id)
            if item.seal_digest is not None
        }
    return {
        "account": account,
        "payouts": [
            {
                "provider": provider,
                "run_id": run_id,
                "revision": revision,
                "closeout_id": None if cited is None else cited.closeout_id,
                "seal_digest": None if cited is None else cited.seal_digest,
            }
            for provider, run_id, revision in judged
            for cited in [seals.get((run_id, revision))]
        ],
    }
