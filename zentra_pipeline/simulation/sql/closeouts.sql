-- Grain: a closeout.
select
    ledger_window,
    revision,
    status
from closeouts
