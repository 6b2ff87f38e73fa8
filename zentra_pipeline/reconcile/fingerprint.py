"""What a revision is made from, as a manifest to keep and as digests to compare; reading it from a store: gather."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from zentra_pipeline import provenance
from zentra_pipeline.instants import instant_text
from zentra_pipeline.reconcile import dbt_project
from zentra_pipeline.reconcile.inputs import RELATED_ROWS, RunInputs
from zentra_pipeline.store.runs import Revision


def table_digests(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The digests of the tables in a revision's recorded entries, by name."""
    return {name: str(entry["sha256"]) for name, entry in tables.items()}


def content_digest(revision: Revision) -> str:
    """Digest of what a revision published, whatever it was made from."""
    content = json.dumps(table_digests(revision.tables), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def manifest(inputs: RunInputs) -> dict[str, Any]:
    """Everything a revision is made from, as JSON: what an auditor reads, and enough to make it again."""
    return {
        "run": {
            "tenant": inputs.tenant,
            "provider": inputs.provider,
            "run_id": inputs.run_id,
            "settlement_file": inputs.settlement_file,
            "ledger_window": inputs.ledger_window.isoformat(),
            "as_of": instant_text(inputs.as_of),
            "owner": inputs.owner,
        },
        "files": [
            {
                "sequence": file.sequence,
                "kind": file.kind,
                "provider": file.provider,
                "file_id": file.file_id,
                "sha256": file.sha256,
                "size": file.byte_size,
            }
            for file in inputs.files
        ],
        "profile": inputs.profile.judging(),
        "routing": [rule.model_dump(mode="json") for rule in inputs.routing],
        "business_days": {
            "weekend": sorted(inputs.business_days.weekend),
            "holidays": sorted(map(str, inputs.business_days.holidays)),
        },
        "earlier": [{"run_id": earlier.run_id, "revision": earlier.revision} for earlier in inputs.earlier],
        "decisions": inputs.decisions.content(),
        "rules": dbt_project.digest(),
        "code": provenance.code_digest(),
        **({} if inputs.reads_whole_history else {"history": RELATED_ROWS}),
        **_passed_on(inputs),
        **_missed_callbacks(inputs),
        **_bank(inputs),
    }


def with_files_apart(made_from: Mapping[str, Any], read: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A manifest whose `files` are those that were read, and whose `files_without_effect` came since."""
    known = {file["sequence"] for file in read}
    came = [file for file in made_from["files"] if file["sequence"] not in known]
    return {**made_from, "files": list(read), **({"files_without_effect": came} if came else {})}


def _passed_on(inputs: RunInputs) -> dict[str, dict[str, str]]:
    """The files whose rows went on to a later run; nothing where there is none, so that digests stay what they were."""
    return {"passed_on": dict(inputs.passed_on)} if inputs.passed_on else {}


def _missed_callbacks(inputs: RunInputs) -> dict[str, list[list[str]]]:
    """What an earlier revision missed and has come since; nothing where there is none, so that digests stay."""
    missed = [[each.transaction_id, each.currency, instant_text(each.missed_as_of)] for each in inputs.missed_callbacks]
    return {"missed_callbacks": missed} if missed else {}


def _bank(inputs: RunInputs) -> dict[str, Any]:
    """Of a run of a bank account: the account, the revisions whose payouts it took, the terms; else nothing."""
    if inputs.bank is None:
        return {}
    return {
        "bank": {
            "account": inputs.bank.account,
            "payouts": [
                {"provider": source.provider, "run_id": source.run_id, "revision": source.revision}
                for source in inputs.bank.payouts
            ],
            "terms": [terms.model_dump(mode="json") for terms in inputs.bank.terms],
            **({} if inputs.bank.edition == 1 else {"edition": inputs.bank.edition}),
        }
    }


def _seen_of_bank(inputs: RunInputs) -> dict[str, Any]:
    """Of a run of a bank account: all that its tables depend on and its rows do not show; else nothing."""
    if inputs.bank is None:
        return {}
    return {
        "bank": [
            inputs.bank.account,
            [[source.provider, source.run_id, source.sha256] for source in inputs.bank.payouts],
            [terms.model_dump(mode="json") for terms in inputs.bank.terms],
            [[file.provider, file.file_id, file.sha256] for file in inputs.files],
        ]
    }


def fingerprint(
    inputs: RunInputs, inputs_digest: str, outcome_digest: str | None, quarantined_rows: Mapping[str, int]
) -> str:
    """Digest of all that the published tables depend on: rows, scope, profile, routing, rules, runs, decisions.

    `outcome_digest` is that of what the run makes of rows that earlier runs disposed of, which are no input rows; null
    for a run of a bank account.
    """
    content = {
        "inputs": inputs_digest,
        **({} if outcome_digest is None else {"outcomes": outcome_digest}),
        "quarantined": dict(quarantined_rows),
        "scope": [inputs.tenant, inputs.run_id, inputs.owner, inputs.as_of.isoformat()],
        "profile": inputs.profile.digest(),
        "routing": [rule.model_dump(mode="json") for rule in inputs.routing],
        "business_days": [sorted(inputs.business_days.weekend), sorted(map(str, inputs.business_days.holidays))],
        "rules": dbt_project.digest(),
        "earlier": [[earlier.run_id, earlier.content_digest] for earlier in inputs.earlier],
        "decisions": inputs.decisions.content(),
        **_passed_on(inputs),
        **_missed_callbacks(inputs),
        **_seen_of_bank(inputs),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
