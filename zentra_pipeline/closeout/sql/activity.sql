-- Grain: a kind of rows that belong to a window, with their number. Parameters: $1 the provider, $2 and $3 the beginning and end of the
-- window, $4 its settlement file. The provider of a bank account is `bank:` and the account, and its windows are days.
select
    'settlement lines' as kind,
    count(*) as rows
from settlement_lines
where provider = $1 and settlement_file = $4
union all
select
    'ledger entries' as kind,
    count(*) as rows
from ledger_entries
where provider = $1 and posted_at >= $2 and posted_at < $3
union all
select
    'callbacks' as kind,
    count(*) as rows
from callbacks
where provider = $1 and received_at >= $2 and received_at < $3
union all
select
    'bank lines' as kind,
    count(*) as rows
from bank_lines
where
    'bank:' || account_id = $1
    and status = 'booked'
    and booked_on >= cast($2 as date)
    and booked_on < cast($3 as date)
