"""What a row must look like to be accepted: one contract a table. Readers and storage do not belong here."""

from zentra_pipeline.contracts import bank_statements, callbacks, internal_events, ledger_entries, settlement_lines
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.errors import UsageError

CONTRACTS: dict[str, Contract] = {
    contract.kind: contract
    for contract in (
        settlement_lines.CONTRACT,
        ledger_entries.CONTRACT,
        callbacks.CONTRACT,
        internal_events.CONTRACT,
        bank_statements.CONTRACT,
    )
}


def contract_of(kind: str) -> Contract:
    """The contract of an input kind; UsageError when there is no such kind."""
    try:
        return CONTRACTS[kind]
    except KeyError as cause:
        raise UsageError(f"kind {kind!r} is not known: use one of {', '.join(CONTRACTS)}") from cause
