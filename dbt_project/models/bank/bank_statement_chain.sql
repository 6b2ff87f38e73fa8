-- Grain: a statement of the account that ends by the run's day, repeats left out, in the order of days and, within the same days, of
-- balances, so that the order of arrival says nothing. `lines_minor` is what its booked entries come to, `mismatch_minor` what its
-- closing has beyond opening and lines. `step` is how it follows those before it: `first`, `goes_on` (it opens with their closing),
-- `overlaps` (it begins within their days, and comes to their closing there), `is_within` (it says nothing that they do not) or `gap`.
-- `new_lines_minor` are its entries that they do not have, `gap_minor` what its opening has beyond their closing where none is so.

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

booked as (

    select
        statements.bank,
        statements.statement_id,
        statements.currency,
        lines.bank_line_id,
        lines.booked_on,
        lines.amount_minor
    from {{ source('raw', 'bank_lines') }} as lines
    inner join statements
        on
            lines.bank = statements.bank
            and lines.statement_id = statements.statement_id
            and lines.currency = statements.currency
            and lines.file_sequence = statements.file_sequence
    where lines.status = 'booked' and coalesce(lines.parent_line_id, '') = ''

),

entries as (

    select
        bank,
        statement_id,
        currency,
        cast(sum(amount_minor) as bigint) as lines_minor
    from booked
    group by bank, statement_id, currency

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

),

-- Statements of the same days: the first opens with what none of the others closes with, the last closes with what none opens with.
-- Of those that open with the same, the one with more entries says more, and comes later.
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
        ) as closes_its_days,
        count(*) over (
            partition by counted.currency, counted.from_day, counted.to_day, counted.opening_minor
        ) > 1 as opens_with_others
    from counted

),

ordered as (

    select
        placed.*,
        row_number() over (
            partition by currency
            order by
                from_day asc nulls last, to_day asc nulls last, opens_its_days desc nulls last, closes_its_days asc nulls last,
                case when opens_with_others then entries else 0 end asc nulls last,
                sequence asc nulls last, statement_id asc nulls last, bank asc nulls last
        ) as place
    from placed

),

-- What a statement may overlap: of those before it the one whose days reach furthest.
reaching as (

    select
        ordered.*,
        case
            when
                to_day >= coalesce(
                    max(to_day) over (
                        partition by currency
                        order by place asc nulls last
                        rows between unbounded preceding and 1 preceding
                    ),
                    to_day
                )
                then place
        end as reaching_place
    from ordered

),

beside as (

    select
        reaching.*,
        max(reaching_place) over (
            partition by currency
            order by place asc nulls last
            rows between unbounded preceding and 1 preceding
        ) as other_place
    from reaching

),

pairs as (

    select
        beside.bank,
        beside.statement_id,
        beside.currency,
        beside.opening_minor,
        beside.closing_minor,
        beside.from_day,
        beside.to_day,
        beside.entries,
        others.bank as other_bank,
        others.statement_id as other_statement_id,
        others.opening_minor as other_opening_minor,
        others.closing_minor as other_closing_minor,
        others.to_day as other_to_day
    from beside
    inner join ordered as others on beside.currency = others.currency and beside.other_place = others.place
    where beside.from_day <= others.to_day

),

lines_of_statements as (

    select distinct
        bank,
        statement_id,
        currency,
        bank_line_id
    from booked

),

shared as (

    select
        pairs.bank,
        pairs.statement_id,
        pairs.currency,
        cast(sum(case when booked.booked_on <= pairs.other_to_day then booked.amount_minor else 0 end) as bigint) as by_day_minor,
        cast(sum(case when other_lines.bank_line_id is not null then booked.amount_minor else 0 end) as bigint) as by_id_minor,
        cast(sum(case when other_lines.bank_line_id is not null then 1 else 0 end) as bigint) as by_id
    from pairs
    inner join booked
        on
            pairs.bank = booked.bank
            and pairs.statement_id = booked.statement_id
            and pairs.currency = booked.currency
    left join lines_of_statements as other_lines
        on
            pairs.other_bank = other_lines.bank
            and pairs.other_statement_id = other_lines.statement_id
            and pairs.currency = other_lines.currency
            and booked.bank_line_id = other_lines.bank_line_id
    group by pairs.bank, pairs.statement_id, pairs.currency

),

-- What the other has before this one begins, and up to its end.
beneath as (

    select
        pairs.bank,
        pairs.statement_id,
        pairs.currency,
        cast(sum(case when booked.booked_on < pairs.from_day then booked.amount_minor else 0 end) as bigint) as before_minor,
        cast(sum(case when booked.booked_on <= pairs.to_day then booked.amount_minor else 0 end) as bigint) as until_minor
    from pairs
    inner join booked
        on
            pairs.other_bank = booked.bank
            and pairs.other_statement_id = booked.statement_id
            and pairs.currency = booked.currency
    group by pairs.bank, pairs.statement_id, pairs.currency

),

-- How much of a statement the other has already: null where the balances do not say so.
overlapping as (

    select
        pairs.bank,
        pairs.statement_id,
        pairs.currency,
        pairs.to_day <= pairs.other_to_day
        and pairs.other_opening_minor + coalesce(beneath.until_minor, 0) = pairs.closing_minor
        and (
            pairs.other_opening_minor + coalesce(beneath.before_minor, 0) = pairs.opening_minor
            or coalesce(shared.by_id, 0) = pairs.entries
        ) as is_within,
        case
            when
                pairs.to_day > pairs.other_to_day
                and pairs.other_opening_minor + coalesce(beneath.before_minor, 0) = pairs.opening_minor
                and pairs.opening_minor + coalesce(shared.by_day_minor, 0) = pairs.other_closing_minor
                then coalesce(shared.by_day_minor, cast(0 as bigint))
            when shared.by_id > 0 and pairs.opening_minor + shared.by_id_minor = pairs.other_closing_minor then shared.by_id_minor
        end as known_minor
    from pairs
    left join shared
        on
            pairs.bank = shared.bank
            and pairs.statement_id = shared.statement_id
            and pairs.currency = shared.currency
    left join beneath
        on
            pairs.bank = beneath.bank
            and pairs.statement_id = beneath.statement_id
            and pairs.currency = beneath.currency

),

stepped as (

    select
        ordered.*,
        coalesce(overlapping.is_within, false) as is_within,
        overlapping.known_minor,
        case when not coalesce(overlapping.is_within, false) then ordered.place end as own_place
    from ordered
    left join overlapping
        on
            ordered.bank = overlapping.bank
            and ordered.statement_id = overlapping.statement_id
            and ordered.currency = overlapping.currency

),

followed as (

    select
        stepped.*,
        max(own_place) over (
            partition by currency
            order by place asc nulls last
            rows between unbounded preceding and 1 preceding
        ) as previous_place
    from stepped

),

before as (

    select
        followed.*,
        previous.statement_id as previous_statement_id,
        previous.closing_minor as previous_closing_minor
    from followed
    left join ordered as previous on followed.currency = previous.currency and followed.previous_place = previous.place

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
        case
            when before.is_within then cast(0 as bigint)
            else before.closing_minor - before.opening_minor - before.lines_minor
        end as mismatch_minor,
        case
            when before.is_within then cast(0 as bigint)
            else before.lines_minor - coalesce(before.known_minor, cast(0 as bigint))
        end as new_lines_minor,
        case
            when before.is_within then cast(0 as bigint)
            else
                coalesce(
                    before.opening_minor + coalesce(before.known_minor, cast(0 as bigint)) - before.previous_closing_minor,
                    cast(0 as bigint)
                )
        end as gap_minor,
        case
            when before.previous_statement_id is null then 'first'
            when before.is_within then 'is_within'
            when before.known_minor is not null then 'overlaps'
            when before.opening_minor = before.previous_closing_minor then 'goes_on'
            else 'gap'
        end as step
    from before

)

select * from final
