-- Grain: an unmatched line and the first open movement of the same reference and class in another currency than the line is
-- compared in.

with open_items as (

    select * from {{ ref('int_open_items') }}

),

lines as (

    select
        *,
        coalesce(nullif(normalized_reference, ''), provider_reference) as reference
    from open_items
    where item_type = 'settlement_line' and disposition in ('free', 'ambiguous') and provider_reference <> ''

),

movements as (

    select
        *,
        coalesce(nullif(normalized_reference, ''), provider_reference) as reference
    from open_items
    where item_type = 'ledger_transaction' and disposition in ('free', 'ambiguous') and provider_reference <> ''

),

-- One movement a reference, class and currency is enough to say it; more would multiply with the lines.
first_movements as (

    select *
    from (
        select
            movements.*,
            row_number() over (
                partition by reference, line_class, currency
                order by sort_at asc nulls last, item_id asc nulls last
            ) as movement_rank
        from movements
    ) as ranked
    where movement_rank = 1

),

pairs as (

    select
        lines.item_id as line_id,
        lines.currency,
        first_movements.item_id as transaction_id,
        first_movements.currency as movement_currency,
        first_movements.amount_minor as movement_minor,
        row_number() over (
            partition by lines.item_id
            order by first_movements.currency asc nulls last, first_movements.item_id asc nulls last
        ) as pair_rank
    from lines
    inner join first_movements
        on
            lines.reference = first_movements.reference
            and lines.line_class = first_movements.line_class
            and lines.compared_currency <> first_movements.currency

),

final as (

    select
        line_id,
        currency,
        transaction_id,
        movement_currency,
        movement_minor
    from pairs
    where pair_rank = 1

)

select * from final
