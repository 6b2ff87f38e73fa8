-- Grain: a payout that a match of this run credits, or that one which this run takes back had credited (`sign` −1). `leg_minor` is what it
-- counted for: what the bank credited, what it kept as its fee, and what is short of it: given up where people matched it so, else
-- named by an exception. Of several payouts in one match the last bears the fee and what is short.

with fees as (

    select * from {{ ref('bank_match_fees') }}

),

matches as (

    select * from {{ ref('int_matches') }}

),

earlier_matches as (

    select * from {{ ref('int_earlier_matches') }}

),

legs as (

    select
        outcomes.match_id,
        outcomes.item_id as name,
        outcomes.currency,
        outcomes.leg_minor,
        outcomes.sort_at,
        matches.method,
        matches.difference_minor,
        case when matches.method in ('manual', 'forced') then cast(0 as bigint) else coalesce(fees.fee_minor, cast(0 as bigint)) end
            as fee_minor,
        cast(1 as bigint) as sign
    from {{ ref('int_item_outcomes') }} as outcomes
    inner join matches on outcomes.match_id = matches.match_id
    left join fees on outcomes.match_id = fees.match_id
    where outcomes.item_type = 'ledger_transaction' and outcomes.disposition = 'matched'

    union all

    select
        earlier_legs.match_id,
        earlier_legs.leg_id as name,
        earlier_legs.currency,
        earlier_legs.amount_minor as leg_minor,
        items.sort_at,
        earlier_matches.method,
        earlier_matches.difference_minor,
        case
            when earlier_matches.method = 'tolerance' and earlier_matches.difference_minor < 0
                then -earlier_matches.difference_minor
            else cast(0 as bigint)
        end as fee_minor,
        cast(-1 as bigint) as sign
    from {{ ref('int_items') }} as items
    inner join {{ ref('int_earlier_legs') }} as earlier_legs
        on
            items.released_from_match_id = earlier_legs.match_id
            and items.item_id = earlier_legs.leg_id
            and earlier_legs.leg_type = 'ledger_transaction'
    inner join earlier_matches on earlier_legs.match_id = earlier_matches.match_id
    where items.item_type = 'ledger_transaction'

),

placed as (

    select
        legs.*,
        row_number() over (
            partition by match_id, sign
            order by sort_at desc nulls last, name desc nulls last
        ) as place
    from legs

),

final as (

    select
        match_id,
        name,
        currency,
        sign,
        leg_minor,
        case when place = 1 then leg_minor + difference_minor else leg_minor end as credited_minor,
        case when place = 1 then fee_minor else cast(0 as bigint) end as fee_minor,
        case
            when place = 1 and method in ('manual', 'forced') then -difference_minor - fee_minor
            else cast(0 as bigint)
        end as given_up_minor,
        case
            when place = 1 and method not in ('manual', 'forced') then -difference_minor - fee_minor
            else cast(0 as bigint)
        end as short_minor
    from placed

)

select * from final
