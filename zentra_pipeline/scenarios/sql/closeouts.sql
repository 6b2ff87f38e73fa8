-- What a scenario may expect of closeouts. Grain: a row of the table.
select
    ledger_window,
    revision,
    status,
    prepared_by,
    approved_by,
    reason,
    chain_sequence,
    evidence_rows
from closeouts
