-- Grain: a settled line of a movement and a bank line that credited its payout. Parameters: $1 provider, $2 transaction.
select
    line_id,
    payout_id,
    bank_line_id,
    currency,
    settled_minor,
    payout_status,
    credited_on
from cash_story
where provider = $1 and transaction_id = $2
order by credited_on nulls first, line_id, payout_id, bank_line_id
