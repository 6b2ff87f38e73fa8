-- Grain: a statement, report or notification of the account that begins by the run's day; its last delivery is its content.
-- `duplicate_of` is the statement that says the same, the same opening, lines and closing: the one that an earlier run has read, else
-- the one with the earlier id. A statement without lines repeats another of the same days only.

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

-- What an earlier run of the account has read is the original of what repeats it.
read_before as (

    select distinct file_sequence from {{ source('bank', 'seen_files') }}

),

aged as (

    select
        in_force.*,
        case when read_before.file_sequence is null then 1 else 0 end as is_new
    from in_force
    left join read_before on in_force.file_sequence = read_before.file_sequence

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
            order by is_new asc nulls last, from_day asc nulls last, statement_id asc nulls last, bank asc nulls last
        ) as copy_rank,
        first_value(statement_id) over (
            partition by
                currency, statement_type, content_digest, opening_minor, closing_minor,
                case when entries = 0 then cast(from_day as varchar) || ' ' || cast(to_day as varchar) else '' end
            order by is_new asc nulls last, from_day asc nulls last, statement_id asc nulls last, bank asc nulls last
        ) as first_statement_id
    from aged

),

final as (

    select
        in_force.*,
        case when copies.copy_rank > 1 then copies.first_statement_id end as duplicate_of
    from in_force
    inner join copies
        on
            in_force.bank = copies.bank
            and in_force.statement_id = copies.statement_id
            and in_force.currency = copies.currency
            and in_force.statement_type = copies.statement_type

)

select * from final
