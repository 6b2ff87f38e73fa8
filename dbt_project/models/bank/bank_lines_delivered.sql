-- Grain: a booked line of the account in whatever delivery, under the id that it goes by: the one that the first delivery of its
-- statement gave a line that says the same.
-- A statement may come again with its lines in another order. Then a reference that it has twice, and the place of a line without a
-- reference, give other ids than before. A line that the first delivery did not have keeps its own id, unless that is another line's
-- of this delivery by now: then it is followed by a digest of what the line says.

with scope as (

    select * from {{ source('run', 'scope') }}

),

booked as (

    select lines.* replace (coalesce(lines.parent_line_id, '') as parent_line_id)
    from {{ source('raw', 'bank_lines') }} as lines
    inner join scope on 'bank:' || lines.account_id = scope.provider
    where lines.status = 'booked'

),

-- Only what came more than once needs a look.
repeated as (

    select
        bank,
        statement_id,
        currency,
        min(file_sequence) as first_sequence
    from booked
    group by bank, statement_id, currency
    having min(file_sequence) <> max(file_sequence)

),

delivered_again as (

    select
        booked.bank,
        booked.statement_id,
        booked.currency,
        booked.file_sequence,
        booked.row_number,
        booked.bank_line_id,
        booked.parent_line_id,
        booked.file_sequence = repeated.first_sequence as is_first,
        {{ joined_fields([
            'booked.booked_on', 'booked.amount_minor', 'booked.bank_reference', 'booked.end_to_end_id', 'booked.text'
        ]) }} as said
    from booked
    inner join repeated
        on
            booked.bank = repeated.bank
            and booked.statement_id = repeated.statement_id
            and booked.currency = repeated.currency

),

entries as (

    select
        delivered_again.*,
        row_number() over (
            partition by bank, statement_id, currency, file_sequence, said
            order by file_sequence asc nulls last, row_number asc nulls last
        ) as ordinal
    from delivered_again
    where parent_line_id = ''

),

first_entries as (

    select * from entries
    where is_first

),

known_entries as (

    select
        entries.*,
        first_entries.bank_line_id as first_id
    from entries
    left join first_entries
        on
            entries.bank = first_entries.bank
            and entries.statement_id = first_entries.statement_id
            and entries.currency = first_entries.currency
            and entries.said = first_entries.said
            and entries.ordinal = first_entries.ordinal

),

taken as (

    select distinct
        bank,
        statement_id,
        currency,
        file_sequence,
        first_id
    from known_entries
    where first_id is not null

),

named_entries as (

    select
        known_entries.*,
        case
            when known_entries.first_id is not null then known_entries.first_id
            when taken.first_id is null then known_entries.bank_line_id
            else
                known_entries.bank_line_id || '~'
                || left({{ sha256_hex(joined_fields(['known_entries.said', 'known_entries.ordinal'])) }}, 16)
        end as line_id
    from known_entries
    left join taken
        on
            known_entries.bank = taken.bank
            and known_entries.statement_id = taken.statement_id
            and known_entries.currency = taken.currency
            and known_entries.file_sequence = taken.file_sequence
            and known_entries.bank_line_id = taken.first_id

),

-- The details of a line go with it: by what they say, else by their place in it.
details as (

    select
        lines.bank,
        lines.statement_id,
        lines.currency,
        lines.file_sequence,
        lines.row_number,
        lines.said,
        named_entries.line_id as parent_id,
        named_entries.is_first,
        named_entries.line_id || substr(lines.bank_line_id, length(named_entries.bank_line_id) + 1) as own_id,
        row_number() over (
            partition by
                lines.bank, lines.statement_id, lines.currency, lines.file_sequence, named_entries.line_id, lines.said
            order by lines.file_sequence asc nulls last, lines.row_number asc nulls last
        ) as ordinal
    from delivered_again as lines
    inner join named_entries
        on
            lines.bank = named_entries.bank
            and lines.statement_id = named_entries.statement_id
            and lines.currency = named_entries.currency
            and lines.file_sequence = named_entries.file_sequence
            and lines.parent_line_id = named_entries.bank_line_id

),

named_details as (

    select
        details.bank,
        details.statement_id,
        details.currency,
        details.file_sequence,
        details.row_number,
        details.parent_id,
        coalesce(first_details.own_id, details.own_id) as line_id
    from details
    left join details as first_details
        on
            first_details.is_first
            and details.bank = first_details.bank
            and details.statement_id = first_details.statement_id
            and details.currency = first_details.currency
            and details.parent_id = first_details.parent_id
            and details.said = first_details.said
            and details.ordinal = first_details.ordinal

),

ids as (

    select
        file_sequence,
        row_number,
        line_id,
        cast('' as varchar) as parent_id
    from named_entries

    union all

    select
        file_sequence,
        row_number,
        line_id,
        parent_id
    from named_details

),

final as (

    select
        booked.* exclude (bank_line_id, parent_line_id),
        coalesce(ids.line_id, booked.bank_line_id) as bank_line_id,
        coalesce(ids.parent_id, booked.parent_line_id) as parent_line_id
    from booked
    left join ids on booked.file_sequence = ids.file_sequence and booked.row_number = ids.row_number

)

select * from final
