-- Grain: a match that the run made or took back. Parameter: $1 the run.
-- A match taken back settled something before; a suggestion never did. Suggestions have no difference, and no other match without one is
-- ever reversed by the system.
select
    match_id,
    rule,
    cardinality,
    method,
    status,
    case
        when status = 'suggested' or (status = 'reversed' and rule = 'amount_date' and difference_minor = 0)
            then 'none'
        when run_id = $1 then 'settles'
        else 'taken back'
    end as in_this_run,
    currency,
    settlement_minor as settlement,
    ledger_minor as ledger,
    difference_minor as difference,
    provider_reference,
    first_line_id,
    first_transaction_id,
    run_id,
    reversed_run_id
from matches
where run_id = $1 or reversed_run_id = $1
order by match_id
