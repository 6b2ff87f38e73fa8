-- Grain: a currency of the account, over its statements up to the run's day. Its first opening, its lines, each counted once, what
-- statements leave open between them (statement_gap) and what they do not add up to (statement_balance_mismatch) are its last closing.

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
        cast(sum(new_lines_minor) as bigint) as lines_minor,
        cast(sum(gap_minor) as bigint) as gap_minor,
        cast(sum(mismatch_minor) as bigint) as mismatch_minor,
        {{ first_by('opening_minor', 'place') }} as opening_minor,
        {{ first_by('closing_minor', '-place') }} filter (where step <> 'is_within') as closing_minor
    from chain
    group by currency

),

repeated as (

    select
        currency,
        cast(sum(amount_minor) as bigint) as repeated_minor
    from {{ ref('bank_repeated_lines') }}
    group by currency

),

counted as (

    select
        sums.* exclude (lines_minor, mismatch_minor),
        sums.lines_minor - coalesce(repeated.repeated_minor, 0) as lines_minor,
        sums.mismatch_minor + coalesce(repeated.repeated_minor, 0) as mismatch_minor
    from sums
    left join repeated on sums.currency = repeated.currency

),

final as (

    select
        scope.run_id,
        counted.currency,
        counted.statements,
        counted.from_day,
        counted.to_day,
        counted.opening_minor,
        counted.lines_minor,
        counted.gap_minor,
        counted.mismatch_minor,
        counted.closing_minor,
        counted.opening_minor + counted.lines_minor + counted.gap_minor + counted.mismatch_minor - counted.closing_minor as difference_minor
    from counted
    cross join scope

)

select * from final
