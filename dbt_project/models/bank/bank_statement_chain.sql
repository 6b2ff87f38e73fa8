-- Grain: a statement of the account that ends by the run's day, repeats left out, in the order of days and, within the same days, of
-- balances, so that the order of arrival says nothing. `lines_minor` is what its booked entries come to, `mismatch_minor` what its
-- closing has beyond opening and lines, `gap_minor` what its opening has beyond the closing before it; 0 for the first.

with scope as (

    select * from {{ source('run', 'scope') }}

),

statements as (

    select seen.*
    from {{ ref('bank_statements_seen') }} as seen
    inner join scope on seen.to_day <= scope.ledger_window
    where
        seen.statement_type = 'statement' and seen.duplicate_of is null
        and seen.opening_minor is not null and seen.closing_minor is not null

),

entries as (

    select
        bank,
        statement_id,
        currency,
        file_sequence,
        cast(sum(amount_minor) as bigint) as lines_minor
    from {{ source('raw', 'bank_lines') }}
    where status = 'booked' and coalesce(parent_line_id, '') = ''
    group by bank, statement_id, currency, file_sequence

),

counted as (

    select
        statements.*,
        coalesce(entries.lines_minor, cast(0 as bigint)) as lines_minor
    from statements
    left join entries
        on
            statements.bank = entries.bank
            and statements.statement_id = entries.statement_id
            and statements.currency = entries.currency
            and statements.file_sequence = entries.file_sequence

),

-- Statements of the same days: the first opens with what none of the others closes with, the last closes with what none opens with.
placed as (

    select
        counted.*,
        not exists (
            select 1
            from counted as others
            where
                counted.currency = others.currency and counted.from_day = others.from_day and counted.to_day = others.to_day
                and counted.statement_id <> others.statement_id and counted.opening_minor = others.closing_minor
        ) as opens_its_days,
        not exists (
            select 1
            from counted as others
            where
                counted.currency = others.currency and counted.from_day = others.from_day and counted.to_day = others.to_day
                and counted.statement_id <> others.statement_id and counted.closing_minor = others.opening_minor
        ) as closes_its_days
    from counted

),

ordered as (

    select
        placed.*,
        row_number() over (
            partition by currency
            order by
                from_day asc nulls last, to_day asc nulls last, opens_its_days desc nulls last, closes_its_days asc nulls last,
                sequence asc nulls last, statement_id asc nulls last, bank asc nulls last
        ) as place
    from placed

),

before as (

    select
        ordered.*,
        lag(statement_id) over (partition by currency order by place asc nulls last) as previous_statement_id,
        lag(closing_minor) over (partition by currency order by place asc nulls last) as previous_closing_minor
    from ordered

),

final as (

    select
        before.bank,
        before.statement_id,
        before.currency,
        before.place,
        before.from_day,
        before.to_day,
        before.opening_minor,
        before.lines_minor,
        before.closing_minor,
        before.previous_statement_id,
        before.closing_minor - before.opening_minor - before.lines_minor as mismatch_minor,
        coalesce(before.opening_minor - before.previous_closing_minor, cast(0 as bigint)) as gap_minor
    from before

)

select * from final
