-- Grain: a payout that a confirmed match of this or an earlier run of the account has with a line, unless this run takes the match back.

with now as (

    select
        item_id as name,
        currency,
        match_id
    from {{ ref('int_item_outcomes') }}
    where disposition = 'matched' and item_type = 'ledger_transaction'

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

earlier as (

    select
        legs.leg_id as name,
        legs.currency,
        legs.match_id
    from {{ ref('int_earlier_legs') }} as legs
    left join reversed on legs.match_id = reversed.match_id
    where legs.leg_type = 'ledger_transaction' and reversed.match_id is null

),

final as (

    select * from now
    union all
    select * from earlier

)

select * from final
