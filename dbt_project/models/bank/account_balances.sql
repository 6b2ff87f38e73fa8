-- Grain: a currency of the account, over its statements up to the run's day. Its first opening, its lines, what statements leave
-- open between them (statement_gap) and what they do not add up to (statement_balance_mismatch) are its last closing.

with scope as (

    select * from {{ source('run', 'scope') }}

),

chain as (

    select * from {{ ref('bank_statement_chain') }}

),

sums as (

    select
        currency,
        cast(count(*) as bigint) as statements,
        min(from_day) as from_day,
        max(to_day) as to_day,
        cast(sum(lines_minor) as bigint) as lines_minor,
        cast(sum(gap_minor) as bigint) as gap_minor,
        cast(sum(mismatch_minor) as bigint) as mismatch_minor,
        {{ first_by('opening_minor', 'place') }} as opening_minor,
        {{ first_by('closing_minor', '-place') }} as closing_minor
    from chain
    group by currency

),

final as (

    select
        scope.run_id,
        sums.currency,
        sums.statements,
        sums.from_day,
        sums.to_day,
        sums.opening_minor,
        sums.lines_minor,
        sums.gap_minor,
        sums.mismatch_minor,
        sums.closing_minor,
        sums.opening_minor + sums.lines_minor + sums.gap_minor + sums.mismatch_minor - sums.closing_minor as difference_minor
    from sums
    cross join scope

)

select * from final
