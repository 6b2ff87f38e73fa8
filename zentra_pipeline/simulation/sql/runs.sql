-- Grain: a run.
select
    run_id,
    ledger_window
from runs
