-- Grain: a bank line or a payout that an exception of a bank account is about, by its id or reference, or that is matched with one of
-- these. Parameters: $1 the account, $2 the ids and references.
with legs as (
    select distinct
        match_id,
        leg_type,
        leg_id
    from bank_match_legs
    where account_id = $1 and leg_type in ('bank_line', 'payout')
),

related as (
    select unnest($2::varchar[]) as id
    union
    select others.leg_id as id
    from legs
    inner join legs as others on legs.match_id = others.match_id
    where list_contains($2::varchar[], legs.leg_id)
),

lines as (
    select
        bank_line_id,
        statement_id,
        booked_on,
        amount_minor,
        currency,
        status,
        text
    from bank_lines
    where account_id = $1 and bank_line_id in (select related.id from related)
    qualify row_number() over (
        partition by bank_line_id, currency order by status asc, file_sequence desc, row_number desc
    ) = 1
),

paid as (
    select
        payout_id,
        batch_id,
        provider,
        amount_minor,
        currency,
        status,
        expected_to
    from payouts
    where
        payout_account = $1
        and (payout_id in (select related.id from related) or batch_id in (select related.id from related))
)

select
    'bank_lines' as side,
    bank_line_id as item_id,
    currency,
    amount_minor,
    status,
    booked_on as on_day,
    coalesce(text, statement_id) as said_of
from lines
union all by name
select
    'payouts' as side,
    payout_id as item_id,
    currency,
    amount_minor,
    status,
    expected_to as on_day,
    provider || ', batch ' || batch_id as said_of
from paid
order by side, on_day, item_id, currency
