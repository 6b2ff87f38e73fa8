-- Grain: a payout of the account as an item of the run. `amount_minor` is what is still to be in the bank: what was paid out, less
-- what the bank took back of it by lines that name this payout alone, and nothing where the provider says that it failed or was returned.
-- `reference` is what it shares with the lines that name it: the first name among the payouts that are named together.
-- A payout that failed or is of nothing, that no line names and no earlier run has met, is no item.

with known as (

    select * from {{ ref('bank_payouts_known') }}

),

named as (

    select * from {{ ref('bank_line_payouts') }}

),

rows as (

    select
        line_id,
        currency,
        min(amount_minor) as amount_minor,
        max(instructed_currency) as instructed_currency,
        max(abs(instructed_minor)) as instructed_minor
    from {{ ref('bank_line_rows') }}
    group by line_id, currency

),

met_before as (

    select leg_id as name
    from {{ source('earlier', 'match_legs') }}
    where leg_type = 'ledger_transaction'

    union

    select item_id as name
    from {{ source('earlier', 'open_items') }}
    where item_type = 'ledger_transaction'

),

named_alone as (

    select
        line_id,
        currency,
        min(name) as name
    from named
    group by line_id, currency
    having count(*) = 1

),

compared as (

    select
        named_alone.name,
        known.amount_minor as paid_out_minor,
        case
            when rows.currency = known.currency then rows.amount_minor
            when rows.instructed_currency = known.currency and rows.amount_minor < 0 then -rows.instructed_minor
            when rows.instructed_currency = known.currency then rows.instructed_minor
        end as amount_minor
    from named_alone
    inner join rows on named_alone.line_id = rows.line_id and named_alone.currency = rows.currency
    inner join known on named_alone.name = known.name

),

lines_of_payouts as (

    select
        name,
        paid_out_minor,
        cast(sum(case when amount_minor < 0 then -amount_minor else 0 end) as bigint) as debited_minor,
        cast(sum(amount_minor) as bigint) as net_minor
    from compared
    where amount_minor is not null
    group by name, paid_out_minor

),

-- What the bank credits too much and takes back is its own correction: no more is returned than its lines lack of the payout.
taken_back as (

    select
        name,
        least(debited_minor, greatest(0, paid_out_minor - net_minor)) as returned_minor
    from lines_of_payouts
    where debited_minor > 0

),

links as (

    select distinct
        one.name,
        other.name as linked
    from named as one
    inner join named as other on one.line_id = other.line_id and one.currency = other.currency

),

{{ reached_from('links') }}

final as (

    select
        known.* exclude (amount_minor),
        known.amount_minor as paid_out_minor,
        case
            when known.amount_minor <= 0 then cast(0 as bigint)
            else coalesce(taken_back.returned_minor, cast(0 as bigint))
        end as returned_minor,
        case
            when known.is_returned then cast(0 as bigint)
            when known.amount_minor <= 0 then known.amount_minor
            else known.amount_minor - coalesce(taken_back.returned_minor, cast(0 as bigint))
        end as amount_minor,
        coalesce(reached.reference, known.name) as reference
    from known
    left join taken_back on known.name = taken_back.name
    left join reached on known.name = reached.name
    left join met_before on known.name = met_before.name
    where
        (not known.is_returned and known.amount_minor <> 0)
        or reached.name is not null
        or met_before.name is not null

)

select * from final
