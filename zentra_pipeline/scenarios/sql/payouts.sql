-- What a scenario may expect of payouts. Grain: a row of the table.
select
    provider,
    line_id,
    batch_id,
    currency,
    amount_minor,
    status,
    credited_minor,
    fee_minor,
    returned_minor,
    credited_on
from payouts
