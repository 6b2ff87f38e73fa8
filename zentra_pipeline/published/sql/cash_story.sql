-- Grain: a settled line and a bank line that credited the payout of its batch; without one while the cash has not come.
-- Where several bank lines credited a payout, each has its share of what the line settled, by amount: the shares of a line add up to
-- it, whatever is left over by cutting off is with the last. `payout_minor` is the whole payout on every row.
-- What a line settled is what the runs of its file have read of it last; its batch is the one that was named last. A line that a
-- restatement took out settled nothing.
with unread as (
    select distinct
        runs.provider,
        unread_deliveries.file_sequence
    from unread_deliveries
    inner join runs on unread_deliveries.run_id = runs.run_id
    inner join files
        on
            unread_deliveries.file_sequence = files.file_sequence
            and runs.provider = files.provider
            and runs.settlement_file = files.settlement_file
),

removed as (
    select distinct
        runs.provider,
        runs.settlement_file,
        restatements.line_id
    from restatements
    inner join runs on restatements.run_id = runs.run_id
    where restatements.change_type = 'removed'
),

deliveries as (
    select settlement_lines.*
    from settlement_lines
    left join unread
        on settlement_lines.provider = unread.provider and settlement_lines.file_sequence = unread.file_sequence
    left join removed
        on
            settlement_lines.provider = removed.provider
            and settlement_lines.file_id = removed.settlement_file
            and settlement_lines.line_id = removed.line_id
    where unread.file_sequence is null and removed.line_id is null
),

batches as (
    select
        provider,
        line_id,
        batch_id
    from deliveries
    where coalesce(batch_id, '') <> ''
    qualify row_number() over (partition by provider, line_id order by file_sequence desc, row_number desc) = 1
),

lines as (
    select
        newest.provider,
        newest.line_id,
        batches.batch_id,
        newest.net_minor,
        newest.currency
    from (
        select *
        from deliveries
        where line_type <> 'payout'
        qualify row_number() over (partition by provider, line_id order by file_sequence desc, row_number desc) = 1
    ) as newest
    inner join batches on newest.provider = batches.provider and newest.line_id = batches.line_id
    where newest.status = 'settled'
),

movements as (
    select distinct
        provider,
        line_id,
        transaction_id
    from three_way
    where line_id is not null
    qualify row_number() over (
        partition by provider, line_id
        order by case when transaction_id is null then 1 else 0 end asc, ledger_window desc, transaction_id asc
    ) = 1
),

references_of_lines as (
    select
        provider,
        line_id,
        max(provider_reference) as provider_reference
    from settlement_lines
    group by provider, line_id
),

bank_lines_of_payouts as (
    select distinct
        states.payout_provider,
        states.payout_id,
        states.currency,
        legs.leg_id as bank_line_id,
        cast(legs.amount_minor as hugeint) as bank_minor
    from payout_states as states
    inner join bank_matches as made on states.match_id = made.match_id and made.status = 'confirmed'
    inner join bank_match_legs as legs
        on made.match_id = legs.match_id and made.run_id = legs.run_id and legs.leg_type = 'bank_line'
),

-- How far the lines of a payout have come to with each of them: what comes to nothing, a credit and its return, is all the first line's.
parts as (
    select
        payout_provider,
        payout_id,
        currency,
        bank_line_id,
        row_number() over (partition by payout_provider, payout_id, currency order by bank_line_id desc) = 1 as is_last,
        case
            when sum(bank_minor) over (partition by payout_provider, payout_id, currency) <> 0
                then sum(bank_minor) over (partition by payout_provider, payout_id, currency order by bank_line_id)
            else 1
        end as until_minor,
        case
            when sum(bank_minor) over (partition by payout_provider, payout_id, currency) <> 0
                then sum(bank_minor) over (partition by payout_provider, payout_id, currency order by bank_line_id) - bank_minor
            when row_number() over (partition by payout_provider, payout_id, currency order by bank_line_id) = 1 then 0
            else 1
        end as before_minor,
        case
            when sum(bank_minor) over (partition by payout_provider, payout_id, currency) <> 0
                then sum(bank_minor) over (partition by payout_provider, payout_id, currency)
            else 1
        end as all_minor
    from bank_lines_of_payouts
)

select distinct
    payouts.tenant_id,
    lines.provider,
    references_of_lines.provider_reference,
    movements.transaction_id,
    lines.line_id,
    lines.batch_id,
    payouts.payout_id,
    parts.bank_line_id,
    payouts.currency,
    case
        when parts.bank_line_id is null then lines.net_minor
        when parts.is_last
            then cast(lines.net_minor - cast(lines.net_minor as hugeint) * parts.before_minor // parts.all_minor as bigint)
        else
            cast(
                cast(lines.net_minor as hugeint) * parts.until_minor // parts.all_minor
                - cast(lines.net_minor as hugeint) * parts.before_minor // parts.all_minor
                as bigint
            )
    end as settled_minor,
    payouts.amount_minor as payout_minor,
    payouts.status as payout_status,
    payouts.credited_on
from payouts
inner join lines
    on payouts.provider = lines.provider and payouts.batch_id = lines.batch_id and payouts.currency = lines.currency
left join references_of_lines
    on lines.provider = references_of_lines.provider and lines.line_id = references_of_lines.line_id
left join movements on lines.provider = movements.provider and lines.line_id = movements.line_id
left join parts
    on
        payouts.provider = parts.payout_provider
        and payouts.payout_id = parts.payout_id
        and payouts.currency = parts.currency
order by lines.provider, lines.line_id, parts.bank_line_id
