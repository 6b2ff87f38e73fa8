-- Grain: an unmatched line or movement and its best rejected candidates as one JSON array, each with the predicate that failed.
-- At most three candidates a predicate: a million equal amounts must not meet a million equal amounts. Behind them what cancels it
-- on its own side, two to four open items that add up to it, and postings of its reference on accounts that are not clearing accounts.

with open_items as (

    select
        *,
        coalesce(nullif(normalized_reference, ''), provider_reference) as reference
    from {{ ref('int_open_items') }}

),

outcomes as (

    select
        item_type,
        item_id,
        leg_currency as currency,
        case when leg_currency = currency then amount_minor else leg_minor end as amount_minor,
        sort_at,
        coalesce(nullif(normalized_reference, ''), provider_reference) as reference
    from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

    union all

    select
        earlier_items.item_type,
        earlier_items.item_id,
        earlier_items.compared_currency as currency,
        earlier_items.amount_minor,
        earlier_items.sort_at,
        coalesce(nullif(earlier_items.normalized_reference, ''), earlier_items.provider_reference) as reference
    from {{ ref('int_earlier_matched_items') }} as earlier_items
    left join {{ ref('int_reversed_matches') }} as reversed on earlier_items.match_id = reversed.match_id
    where reversed.match_id is null

),

by_reference as (

    select *
    from (
        select
            open_items.*,
            row_number() over (
                partition by item_type, reference
                order by sort_at asc nulls last, item_id asc nulls last, currency asc nulls last
            ) as candidate_rank
        from open_items
        where reference <> ''
    ) as ranked
    where candidate_rank <= 3

),

by_amount as (

    select *
    from (
        select
            open_items.*,
            row_number() over (
                partition by item_type, compared_currency, line_class, compared_minor
                order by sort_at asc nulls last, item_id asc nulls last
            ) as candidate_rank
        from open_items
        where line_class is not null
    ) as ranked
    where candidate_rank <= 3

),

wanted as (

    select distinct reference
    from open_items
    where reference <> ''

),

taken as (

    select *
    from (
        select
            outcomes.*,
            row_number() over (
                partition by outcomes.item_type, outcomes.reference
                order by outcomes.sort_at asc nulls last, outcomes.item_id asc nulls last, outcomes.currency asc nulls last
            ) as candidate_rank
        from outcomes
        inner join wanted on outcomes.reference = wanted.reference
    ) as ranked
    where candidate_rank <= 3

),

parts as (

    select * from {{ ref('int_adding_up') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

sums as (

    select
        item_type,
        item_id,
        currency,
        cast(sum(part_minor) as bigint) as sum_minor,
        {{ ordered_text_agg('part_id', ' + ', 'place asc nulls last') }} as part_ids
    from parts
    group by item_type, item_id, currency

),

adding_up as (

    select
        parts.*,
        sums.part_ids || ' = ' || {{ money('sums.sum_minor', 'sums.currency', 'currencies.exponent') }} as sum_in_words
    from parts
    inner join sums
        on
            parts.item_type = sums.item_type
            and parts.item_id = sums.item_id
            and parts.currency = sums.currency
    left join currencies on sums.currency = currencies.currency

),

other_accounts as (

    select * from {{ ref('int_other_accounts') }}
    where account_rank <= 3

),

candidates as (

    select
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        1 as predicate_order,
        case
            when by_reference.compared_currency <> open_items.compared_currency then 'same reference, currency differs'
            when coalesce(by_reference.line_class, '') <> coalesce(open_items.line_class, '') then 'same reference, class differs'
            else 'same reference, one of several counterparts'
        end as predicate,
        by_reference.item_type as candidate_type,
        by_reference.item_id as candidate_id,
        by_reference.currency as candidate_currency,
        by_reference.amount_minor as candidate_minor,
        by_reference.candidate_rank
    from open_items
    inner join by_reference
        on open_items.reference = by_reference.reference and open_items.item_type <> by_reference.item_type

    union all

    select
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        2 as predicate_order,
        'same reference, already matched' as predicate,
        taken.item_type as candidate_type,
        taken.item_id as candidate_id,
        taken.currency as candidate_currency,
        taken.amount_minor as candidate_minor,
        taken.candidate_rank
    from open_items
    inner join taken
        on open_items.reference = taken.reference and open_items.item_type <> taken.item_type

    union all

    select
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        3 as predicate_order,
        'same amount, reference differs' as predicate,
        by_amount.item_type as candidate_type,
        by_amount.item_id as candidate_id,
        by_amount.currency as candidate_currency,
        by_amount.amount_minor as candidate_minor,
        by_amount.candidate_rank
    from open_items
    inner join by_amount
        on
            open_items.compared_currency = by_amount.compared_currency
            and open_items.line_class = by_amount.line_class
            and open_items.compared_minor = by_amount.compared_minor
            and open_items.item_type <> by_amount.item_type
            and coalesce(open_items.reference, '') <> coalesce(by_amount.reference, '')
    where open_items.compared_minor <> 0

    union all

    select
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        4 as predicate_order,
        'same reference on its own side, opposite amount: the two cancel' as predicate,
        by_reference.item_type as candidate_type,
        by_reference.item_id as candidate_id,
        by_reference.currency as candidate_currency,
        by_reference.amount_minor as candidate_minor,
        by_reference.candidate_rank
    from open_items
    inner join by_reference
        on
            open_items.reference = by_reference.reference
            and open_items.item_type = by_reference.item_type
            and open_items.currency = by_reference.currency
            and open_items.amount_minor = -by_reference.amount_minor
    where open_items.amount_minor <> 0

    union all

    select
        item_type,
        item_id,
        currency,
        5 as predicate_order,
        'adds up to it: ' || sum_in_words || ', found by adding two to four open items of the other side' as predicate,
        part_type as candidate_type,
        part_id as candidate_id,
        currency as candidate_currency,
        part_minor as candidate_minor,
        place as candidate_rank
    from adding_up

    union all

    select
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        6 as predicate_order,
        'reference ' || other_accounts.reference || ' is posted on ' || other_accounts.account
        || ', which is not a clearing account' as predicate,
        'ledger_transaction' as candidate_type,
        other_accounts.transaction_id as candidate_id,
        other_accounts.currency as candidate_currency,
        other_accounts.amount_minor as candidate_minor,
        other_accounts.account_rank as candidate_rank
    from open_items
    inner join other_accounts on open_items.provider_reference = other_accounts.reference

),

final as (

    select
        item_type,
        item_id,
        currency,
        '['
        || {{ ordered_text_agg(
            "'{\"predicate\":' || " ~ json_text('predicate')
            ~ " || ',\"candidate_type\":' || " ~ json_text('candidate_type')
            ~ " || ',\"candidate_id\":' || " ~ json_text('candidate_id')
            ~ " || ',\"amount_minor\":' || cast(candidate_minor as varchar) || ',\"currency\":' || "
            ~ json_text('candidate_currency') ~ " || '}'",
            ',',
            'predicate_order asc nulls last, candidate_rank asc nulls last, candidate_id asc nulls last, candidate_currency asc nulls last'
        ) }}
        || ']' as candidates
    from candidates
    group by item_type, item_id, currency

)

select * from final
