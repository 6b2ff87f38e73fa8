-- Grain: a currency. The unmatched movements before, plus what newly seen windows posted, less what this run settled or
-- wrote off, must be the unmatched movements after: difference_minor is 0 or the run is not published.
-- Opening is what the runs before closed with. What restated or late entries have made of such a movement since, matched or
-- open, is posted here: no published roll-forward changes.

with scope as (

    select * from {{ source('run', 'scope') }}

),

movements as (

    select * from {{ ref('int_movements') }}

),

carried as (

    select * from {{ ref('int_earlier_open_items') }}
    where item_type = 'ledger_transaction'

),

returned as (

    select * from {{ ref('int_unpaired_items') }}
    where item_type = 'ledger_transaction' and released_from_match_id is not null

),

gone as (

    select
        matched_items.currency,
        matched_items.amount_minor
    from {{ ref('int_earlier_matched_items') }} as matched_items
    inner join {{ ref('int_reversed_matches') }} as reversed_matches on matched_items.match_id = reversed_matches.match_id
    where matched_items.is_gone

),

earlier_legs as (

    select * from {{ ref('int_earlier_legs') }}
    where leg_type = 'ledger_transaction'

),

matches as (

    select * from {{ ref('int_matches') }}

),

earlier_matches as (

    select * from {{ ref('int_earlier_matches') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'ledger_transaction'

),

amounts as (

    select
        currency,
        amount_minor as opening_minor,
        -amount_minor as posted_minor,
        cast(0 as bigint) as settled_minor,
        cast(0 as bigint) as written_off_minor,
        cast(0 as bigint) as closing_minor
    from carried

    union all

    select
        currency,
        0 as opening_minor,
        amount_minor as posted_minor,
        0 as settled_minor,
        0 as written_off_minor,
        0 as closing_minor
    from movements

    union all

    -- A match taken back returns its movements as they are now.
    select
        returned.currency,
        0 as opening_minor,
        returned.amount_minor - earlier_legs.amount_minor as posted_minor,
        0 as settled_minor,
        0 as written_off_minor,
        0 as closing_minor
    from returned
    inner join earlier_legs
        on returned.released_from_match_id = earlier_legs.match_id and returned.item_id = earlier_legs.leg_id

    union all

    -- A movement that the ledger has taken away is none, and is not returned.
    select
        currency,
        0 as opening_minor,
        -amount_minor as posted_minor,
        0 as settled_minor,
        0 as written_off_minor,
        0 as closing_minor
    from gone

    union all

    select
        currency,
        0 as opening_minor,
        0 as posted_minor,
        ledger_minor as settled_minor,
        0 as written_off_minor,
        0 as closing_minor
    from matches

    union all

    select
        earlier_matches.currency,
        0 as opening_minor,
        0 as posted_minor,
        -earlier_matches.ledger_minor as settled_minor,
        0 as written_off_minor,
        0 as closing_minor
    from earlier_matches
    inner join reversed on earlier_matches.match_id = reversed.match_id

    union all

    select
        currency,
        0 as opening_minor,
        0 as posted_minor,
        0 as settled_minor,
        case when is_written_off then amount_minor else 0 end as written_off_minor,
        open_minor as closing_minor
    from open_items

),

sums as (

    select
        currency,
        cast(sum(opening_minor) as bigint) as opening_minor,
        cast(sum(posted_minor) as bigint) as posted_minor,
        cast(sum(settled_minor) as bigint) as settled_minor,
        cast(sum(written_off_minor) as bigint) as written_off_minor,
        cast(sum(closing_minor) as bigint) as closing_minor
    from amounts
    group by currency

),

final as (

    select
        scope.run_id,
        sums.currency,
        sums.opening_minor,
        sums.posted_minor,
        sums.settled_minor,
        sums.written_off_minor,
        sums.closing_minor,
        sums.opening_minor + sums.posted_minor - sums.settled_minor - sums.written_off_minor - sums.closing_minor
            as difference_minor
    from sums
    cross join scope

)

select * from final
