-- Grain: a booked line of the account as a statement in force has it, every delivery of it; pending lines are no lines yet.
-- `line_id` is the bank's; lines of other content under the same id, the bank having used it twice, have a number behind it, in the
-- order in which runs saw them first; where the bank itself, or a detail, has that id by now, it is followed by a digest of what the
-- line says.
-- A line of a repeated statement is the line that it repeats: both have the same lines, so that it is found by day, amount and length
-- of text, in one order. A statement that another bank's profile has in a format of its own counts
-- once, as the first of them has it. What an intraday report or a notification says of a day that a
-- statement covers gives way to the statement.
-- A line that a report books on another day than the statement is that of the statement. Where a statement came again, a line of
-- it that an earlier run has read counts as delivered then, too.
-- Details stand for their line where they sum to it, unless the line was matched before they came; else the line counts.

with scope as (

    select * from {{ source('run', 'scope') }}

),

statements as (

    select * from {{ ref('bank_statements_seen') }}

),

delivered as (

    select * from {{ ref('bank_lines_delivered') }}

),

booked as (

    select
        lines.*,
        lines.bank_line_id as own_line_id,
        statements.statement_type,
        coalesce(statements.duplicate_of, statements.statement_id) as first_statement_id,
        row_number() over (
            partition by
                lines.bank, lines.statement_id, lines.currency, lines.file_sequence, lines.booked_on, lines.amount_minor,
                {{ text_in_repeats('lines') }}, coalesce(lines.parent_line_id, '') = ''
            order by
                lines.bank_reference asc nulls last, coalesce(lines.text, '') asc nulls last, lines.file_sequence asc nulls last,
                lines.row_number asc nulls last
        ) as ordinal
    from delivered as lines
    cross join scope
    inner join statements
        on
            lines.bank = statements.bank
            and lines.statement_id = statements.statement_id
            and lines.currency = statements.currency
            and lines.file_sequence = statements.file_sequence
    where lines.booked_on <= scope.ledger_window and statements.duplicate_of_bank is null

),

originals as (

    select * from booked
    where statement_id = first_statement_id

),

of_originals as (

    select
        booked.* exclude (bank_line_id, parent_line_id),
        coalesce(originals.bank_line_id, booked.bank_line_id) as bank_line_id,
        coalesce(originals.parent_line_id, booked.parent_line_id, '') as parent_line_id
    from booked
    left join originals
        on
            booked.bank = originals.bank
            and booked.first_statement_id = originals.statement_id
            and booked.currency = originals.currency
            and booked.statement_type = originals.statement_type
            and booked.booked_on = originals.booked_on
            and booked.amount_minor = originals.amount_minor
            and {{ text_in_repeats('booked') }} = {{ text_in_repeats('originals') }}
            and (coalesce(booked.parent_line_id, '') = '') = (coalesce(originals.parent_line_id, '') = '')
            and booked.ordinal = originals.ordinal

),

covered_days as (

    select distinct
        bank,
        currency,
        from_day,
        to_day
    from statements
    where statement_type = 'statement'

),

stated as (

    select distinct
        bank_line_id,
        currency
    from of_originals
    where statement_type = 'statement'

),

outdated as (

    select distinct
        of_originals.bank_line_id,
        of_originals.currency
    from of_originals
    inner join covered_days
        on
            of_originals.bank = covered_days.bank
            and of_originals.currency = covered_days.currency
            and of_originals.booked_on between covered_days.from_day and covered_days.to_day
    left join stated
        on of_originals.bank_line_id = stated.bank_line_id and of_originals.currency = stated.currency
    where of_originals.statement_type <> 'statement' and of_originals.parent_line_id = '' and stated.bank_line_id is null

),

-- What a statement books, by what a report may have said of it before: the day is not sure until then.
stated_days as (

    select
        bank_line_id,
        currency,
        amount_minor,
        min(booked_on) as booked_on
    from of_originals
    where statement_type = 'statement'
    group by bank_line_id, currency, amount_minor
    having count(distinct of_originals.booked_on) = 1

),

current_lines as (

    select
        of_originals.* replace (coalesce(stated_days.booked_on, of_originals.booked_on) as booked_on),
        of_originals.booked_on as said_on
    from of_originals
    left join outdated
        on
            coalesce(nullif(of_originals.parent_line_id, ''), of_originals.bank_line_id) = outdated.bank_line_id
            and of_originals.currency = outdated.currency
    left join stated_days
        on
            of_originals.statement_type <> 'statement'
            and of_originals.bank_line_id = stated_days.bank_line_id
            and of_originals.currency = stated_days.currency
            and of_originals.amount_minor = stated_days.amount_minor
    where outdated.bank_line_id is null

),

-- The same lines in deliveries that a later one took the place of, where an earlier run of the account has read those.
read_before as (

    select distinct
        current_lines.* replace (
            earlier.file_id as file_id,
            earlier.file_sha256 as file_sha256,
            earlier.file_sequence as file_sequence,
            earlier.row_number as row_number
        )
    from current_lines
    inner join delivered as earlier
        on
            current_lines.bank = earlier.bank
            and current_lines.statement_id = earlier.statement_id
            and current_lines.currency = earlier.currency
            and current_lines.own_line_id = earlier.bank_line_id
            and current_lines.amount_minor = earlier.amount_minor
            and current_lines.file_sequence > earlier.file_sequence
    inner join {{ source('bank', 'seen_files') }} as seen_files
        on earlier.file_sequence = seen_files.file_sequence and earlier.booked_on <= seen_files.ledger_window
    where current_lines.said_on = earlier.booked_on

),

deliveries as (

    select * from current_lines
    union all
    select * from read_before

),

-- Which earlier run of the account was the first to see a line say this, in whatever delivery.
first_seen as (

    select
        lines.bank_line_id,
        lines.currency,
        lines.booked_on,
        lines.amount_minor,
        min(seen_files.run_sequence) as run_sequence
    from delivered as lines
    inner join {{ source('bank', 'seen_files') }} as seen_files
        on lines.file_sequence = seen_files.file_sequence and lines.booked_on <= seen_files.ledger_window
    group by lines.bank_line_id, lines.currency, lines.booked_on, lines.amount_minor

),

first_read as (

    select
        deliveries.bank_line_id,
        deliveries.currency,
        deliveries.booked_on,
        deliveries.amount_minor,
        min(first_seen.run_sequence) as run_sequence
    from deliveries
    inner join first_seen
        on
            deliveries.bank_line_id = first_seen.bank_line_id
            and deliveries.currency = first_seen.currency
            and deliveries.said_on = first_seen.booked_on
            and deliveries.amount_minor = first_seen.amount_minor
    group by deliveries.bank_line_id, deliveries.currency, deliveries.booked_on, deliveries.amount_minor

),

-- The bank has used an id again where it names another amount, day or currency. What was seen first keeps it.
numbered as (

    select
        deliveries.*,
        first_read.run_sequence as first_run,
        dense_rank() over (
            partition by deliveries.bank_line_id
            order by
                first_read.run_sequence asc nulls last, deliveries.currency asc nulls last,
                deliveries.booked_on asc nulls last, deliveries.amount_minor asc nulls last
        ) as content_number
    from deliveries
    left join first_read
        on
            deliveries.bank_line_id = first_read.bank_line_id
            and deliveries.currency = first_read.currency
            and deliveries.booked_on = first_read.booked_on
            and deliveries.amount_minor = first_read.amount_minor

),

wanted as (

    select
        numbered.*,
        case
            when numbered.content_number = 1 then numbered.bank_line_id
            else numbered.bank_line_id || '/' || cast(numbered.content_number as varchar)
        end as wanted_id,
        {{ joined_fields(['numbered.bank_line_id', 'numbered.currency', 'numbered.booked_on', 'numbered.amount_minor']) }} as content
    from numbered

),

-- The bank, or the place of a detail, may have given an id that was made here. What was seen first keeps it.
contents as (

    select
        wanted_id,
        content,
        row_number() over (
            partition by wanted_id
            order by min(first_run) asc nulls last, min(content_number) asc nulls last, content asc nulls last
        ) as place
    from wanted
    group by wanted_id, content

),

placed as (

    select
        wanted.*,
        contents.place
    from wanted
    inner join contents on wanted.wanted_id = contents.wanted_id and wanted.content = contents.content

),

named as (

    select
        * exclude (wanted_id, content, first_run, place),
        case
            when place = 1 then wanted_id
            else wanted_id || '/' || left({{ sha256_hex('content') }}, 12)
        end as line_id
    from placed

),

matched_before as (

    select distinct leg_id as line_id
    from {{ source('earlier', 'match_legs') }}
    where leg_type = 'settlement_line'

),

entries as (

    select distinct
        bank_line_id,
        currency,
        line_id,
        amount_minor,
        booked_on
    from named
    where parent_line_id = ''

),

detail_sets as (

    select
        parent_line_id,
        currency,
        statement_id,
        file_sequence,
        min(booked_on) as booked_on,
        cast(sum(amount_minor) as bigint) as amount_minor
    from named
    where parent_line_id <> ''
    group by parent_line_id, currency, statement_id, file_sequence

),

-- Of lines under one id of the bank, details are of the one that they sum to, rather of their own day.
sets_of_entries as (

    select
        entries.line_id as parent_id,
        detail_sets.parent_line_id,
        detail_sets.currency,
        detail_sets.statement_id,
        detail_sets.file_sequence,
        row_number() over (
            partition by
                detail_sets.parent_line_id, detail_sets.currency, detail_sets.statement_id, detail_sets.file_sequence
            order by
                case when entries.booked_on = detail_sets.booked_on then 0 else 1 end asc nulls last,
                entries.line_id asc nulls last
        ) as entry_rank
    from detail_sets
    inner join entries
        on
            detail_sets.parent_line_id = entries.bank_line_id
            and detail_sets.currency = entries.currency
            and detail_sets.amount_minor = entries.amount_minor

),

standing_details as (

    select
        sets_of_entries.* exclude (entry_rank),
        row_number() over (
            partition by sets_of_entries.parent_id, sets_of_entries.currency
            order by sets_of_entries.file_sequence desc nulls last, sets_of_entries.statement_id asc nulls last
        ) as set_rank
    from sets_of_entries
    left join matched_before on sets_of_entries.parent_id = matched_before.line_id
    where sets_of_entries.entry_rank = 1 and matched_before.line_id is null

),

-- The same details come again with a repeated statement, or with a notification: every delivery of them counts as theirs.
lines_of_details as (

    select distinct
        named.line_id,
        named.parent_line_id,
        named.currency
    from named
    inner join standing_details
        on
            named.parent_line_id = standing_details.parent_line_id
            and named.currency = standing_details.currency
            and named.statement_id = standing_details.statement_id
            and named.file_sequence = standing_details.file_sequence
            and standing_details.set_rank = 1

),

final as (

    select named.*
    from named
    left join standing_details
        on named.line_id = standing_details.parent_id and named.currency = standing_details.currency and standing_details.set_rank = 1
    where named.parent_line_id = '' and standing_details.parent_id is null

    union all

    select named.*
    from named
    inner join lines_of_details
        on
            named.line_id = lines_of_details.line_id
            and named.parent_line_id = lines_of_details.parent_line_id
            and named.currency = lines_of_details.currency

)

select * from final
