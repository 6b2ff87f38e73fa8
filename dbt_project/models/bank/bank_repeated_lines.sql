-- Grain: a statement that goes on from the one before it, so that all of its lines are new, and has lines under ids of statements
-- before: how many, and what they come to. They count once where the balances have them twice.

with lines as (

    select * from {{ ref('bank_line_rows') }}

),

placed_lines as (

    select distinct
        chain.bank,
        chain.statement_id,
        chain.currency,
        chain.place,
        lines.line_id,
        lines.amount_minor
    from {{ ref('bank_statement_chain') }} as chain
    inner join lines
        on chain.bank = lines.bank and chain.statement_id = lines.statement_id and chain.currency = lines.currency

),

first_places as (

    select
        line_id,
        currency,
        min(place) as place
    from placed_lines
    group by line_id, currency

),

repeating as (

    select
        placed_lines.bank,
        placed_lines.statement_id,
        placed_lines.currency,
        cast(count(*) as bigint) as lines,
        cast(sum(placed_lines.amount_minor) as bigint) as amount_minor
    from placed_lines
    inner join first_places
        on placed_lines.line_id = first_places.line_id and placed_lines.currency = first_places.currency
    where placed_lines.place > first_places.place
    group by placed_lines.bank, placed_lines.statement_id, placed_lines.currency

),

final as (

    select
        chain.statement_id,
        chain.currency,
        chain.closing_minor,
        repeating.lines,
        repeating.amount_minor
    from {{ ref('bank_statement_chain') }} as chain
    inner join repeating
        on chain.bank = repeating.bank and chain.statement_id = repeating.statement_id and chain.currency = repeating.currency
    where chain.mismatch_minor = 0 and chain.step = 'goes_on'

)

select * from final
