-- Grain: a statement, report or notification of the account that begins by the run's day; its last delivery is its content.
-- `duplicate_of` is the statement that says the same, the same opening, lines and closing: the one that an earlier run has read, else
-- the one with the earlier id. A statement without lines repeats another of the same days only. `duplicate_of_bank`: the one it
-- repeats is of another of the tenant's banks, in a format with other words: opening, closing, last day and number of entries are the same.

with scope as (

    select * from {{ source('run', 'scope') }}

),

deliveries as (

    select
        statements.*,
        row_number() over (
            partition by statements.bank, statements.statement_id, statements.currency, statements.statement_type
            order by statements.file_sequence desc nulls last, statements.row_number desc nulls last
        ) as age_rank
    from {{ source('raw', 'bank_statements') }} as statements
    inner join scope on 'bank:' || statements.account_id = scope.provider
    where statements.from_day <= scope.ledger_window

),

in_force as (

    select * exclude (age_rank)
    from deliveries
    where age_rank = 1

),

-- What an earlier run of the account has read, in whatever delivery, is the original of what repeats it.
read_before as (

    select
        deliveries.bank,
        deliveries.statement_id,
        deliveries.currency,
        deliveries.statement_type,
        min(seen_files.run_sequence) as run_sequence
    from deliveries
    inner join {{ source('bank', 'seen_files') }} as seen_files
        on deliveries.file_sequence = seen_files.file_sequence and deliveries.from_day <= seen_files.ledger_window
    group by deliveries.bank, deliveries.statement_id, deliveries.currency, deliveries.statement_type

),

aged as (

    select
        in_force.*,
        read_before.run_sequence as read_by
    from in_force
    left join read_before
        on
            in_force.bank = read_before.bank
            and in_force.statement_id = read_before.statement_id
            and in_force.currency = read_before.currency
            and in_force.statement_type = read_before.statement_type

),

copies as (

    select
        bank,
        statement_id,
        currency,
        statement_type,
        row_number() over (
            partition by
                currency, statement_type, content_digest, opening_minor, closing_minor,
                case when entries = 0 then cast(from_day as varchar) || ' ' || cast(to_day as varchar) else '' end
            order by read_by asc nulls last, from_day asc nulls last, statement_id asc nulls last, bank asc nulls last
        ) as copy_rank,
        first_value(statement_id) over (
            partition by
                currency, statement_type, content_digest, opening_minor, closing_minor,
                case when entries = 0 then cast(from_day as varchar) || ' ' || cast(to_day as varchar) else '' end
            order by read_by asc nulls last, from_day asc nulls last, statement_id asc nulls last, bank asc nulls last
        ) as first_statement_id,
        first_value(statement_id) over (
            partition by currency, statement_type, to_day, opening_minor, closing_minor, entries
            order by read_by asc nulls last, statement_id asc nulls last, bank asc nulls last
        ) as first_with_its_figures,
        first_value(bank) over (
            partition by currency, statement_type, to_day, opening_minor, closing_minor, entries
            order by read_by asc nulls last, statement_id asc nulls last, bank asc nulls last
        ) as first_bank_with_its_figures,
        statement_type = 'statement' and opening_minor <> closing_minor as moves_money
    from aged

),

judged as (

    select
        copies.*,
        copies.copy_rank = 1 and copies.moves_money and copies.first_bank_with_its_figures <> copies.bank as is_of_another_bank
    from copies

),

final as (

    select
        in_force.*,
        case
            when judged.copy_rank > 1 then judged.first_statement_id
            when judged.is_of_another_bank then judged.first_with_its_figures
        end as duplicate_of,
        case when judged.is_of_another_bank then judged.first_bank_with_its_figures end as duplicate_of_bank
    from in_force
    inner join judged
        on
            in_force.bank = judged.bank
            and in_force.statement_id = judged.statement_id
            and in_force.currency = judged.currency
            and in_force.statement_type = judged.statement_type

)

select * from final
