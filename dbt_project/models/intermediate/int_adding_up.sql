-- Grain: an unmatched item that is an exception, and one of two to four open items of the other side that add up to it.
-- A hint for whoever decides, and never a match: class and reference play no part, as in a match by decision.
-- The work is bounded whatever is open: of each side and currency the 200 largest items look, each at the 40 nearest in age of the
-- 400 newest of the other side (no more than four of one amount), which are at most 780 pairs, joined to themselves by their sums.
-- Of several sets the smallest counts, then the one whose items are nearest.

with open_items as (

    select
        item_type,
        item_id,
        currency,
        amount_minor,
        sort_at,
        age_business_days,
        is_overdue
    from {{ ref('int_open_items') }}
    where disposition in ('free', 'ambiguous') and not is_written_off and amount_minor <> 0

),

wanted as (

    select *
    from (
        select
            *,
            row_number() over (
                partition by item_type, currency
                order by abs(amount_minor) desc nulls last, sort_at asc nulls last, item_id asc nulls last
            ) as size_rank
        from open_items
        where item_type = 'settlement_line' or is_overdue
    ) as ranked
    where size_rank <= 200

),

few_of_an_amount as (

    select *
    from (
        select
            *,
            row_number() over (
                partition by item_type, currency, amount_minor
                order by sort_at desc nulls last, item_id asc nulls last
            ) as amount_rank
        from open_items
    ) as ranked
    where amount_rank <= 4

),

newest as (

    select *
    from (
        select
            *,
            row_number() over (
                partition by item_type, currency
                order by sort_at desc nulls last, item_id asc nulls last
            ) as newest_rank
        from few_of_an_amount
    ) as ranked
    where newest_rank <= 400

),

near as (

    select *
    from (
        select
            wanted.item_type,
            wanted.item_id,
            wanted.currency,
            wanted.amount_minor as wanted_minor,
            newest.item_type as part_type,
            newest.item_id as part_id,
            newest.amount_minor as part_minor,
            row_number() over (
                partition by wanted.item_type, wanted.item_id, wanted.currency
                order by
                    abs(wanted.age_business_days - newest.age_business_days) asc nulls last,
                    newest.sort_at asc nulls last,
                    newest.item_id asc nulls last
            ) as place
        from wanted
        inner join newest on wanted.currency = newest.currency and wanted.item_type <> newest.item_type
    ) as ranked
    where place <= 40

),

pairs as (

    select
        first_part.item_type,
        first_part.item_id,
        first_part.currency,
        first_part.wanted_minor,
        first_part.place as first_place,
        second_part.place as second_place,
        first_part.part_minor + second_part.part_minor as sum_minor,
        first_part.wanted_minor - first_part.part_minor - second_part.part_minor as rest_minor
    from near as first_part
    inner join near as second_part
        on
            first_part.item_type = second_part.item_type
            and first_part.item_id = second_part.item_id
            and first_part.currency = second_part.currency
            and first_part.place < second_part.place

),

sets as (

    select
        item_type,
        item_id,
        currency,
        2 as parts,
        first_place,
        second_place,
        cast(null as bigint) as third_place,
        cast(null as bigint) as fourth_place
    from pairs
    where rest_minor = 0

    union all

    select
        pairs.item_type,
        pairs.item_id,
        pairs.currency,
        3 as parts,
        pairs.first_place,
        pairs.second_place,
        near.place as third_place,
        cast(null as bigint) as fourth_place
    from pairs
    inner join near
        on
            pairs.item_type = near.item_type
            and pairs.item_id = near.item_id
            and pairs.currency = near.currency
            and pairs.rest_minor = near.part_minor
            and pairs.second_place < near.place

    union all

    select
        pairs.item_type,
        pairs.item_id,
        pairs.currency,
        4 as parts,
        pairs.first_place,
        pairs.second_place,
        later.first_place as third_place,
        later.second_place as fourth_place
    from pairs
    inner join pairs as later
        on
            pairs.item_type = later.item_type
            and pairs.item_id = later.item_id
            and pairs.currency = later.currency
            and pairs.rest_minor = later.sum_minor
            and pairs.second_place < later.first_place

),

best as (

    select *
    from (
        select
            *,
            row_number() over (
                partition by item_type, item_id, currency
                order by
                    parts asc nulls last,
                    coalesce(fourth_place, third_place, second_place) asc nulls last,
                    first_place asc nulls last,
                    second_place asc nulls last,
                    third_place asc nulls last,
                    fourth_place asc nulls last
            ) as set_rank
        from sets
    ) as ranked
    where set_rank = 1

),

final as (

    select
        near.item_type,
        near.item_id,
        near.currency,
        near.part_type,
        near.part_id,
        near.part_minor,
        near.place
    from near
    inner join best
        on
            near.item_type = best.item_type
            and near.item_id = best.item_id
            and near.currency = best.currency
            and (
                near.place = best.first_place
                or near.place = best.second_place
                or near.place = best.third_place
                or near.place = best.fourth_place
            )

)

select * from final
