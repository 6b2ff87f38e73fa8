-- Grain: a payout (batch_id, currency) that this run's file speaks of: by a payout line or, where no file has one and the profile
-- names the bank account of its currency, as the batch of its lines. A payout line without a batch is one of its own.
-- The amount is what the bank should credit: the payout lines turned round, for they leave the balance, unless the other lines of
-- the batch have the same sign; without a payout line the net of the batch. Trace id and statement text are no content of a line:
-- they may come later, and the newest holds.

with scope as (

    select * from {{ source('run', 'scope') }}

),

-- No rows where there is nothing to say of payouts, and then none of this is executed.
terms as (

    select * from {{ source('run', 'payout_terms') }}

),

window_days as (

    select * from {{ source('run', 'window_days') }}

),

windows as (

    select * from {{ source('run', 'windows') }}

),

earlier_runs as (

    select * from {{ source('earlier', 'runs') }}

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

words as (

    select * from {{ ref('int_line_words') }}

),

restatements as (

    select * from {{ ref('int_restatements') }}

),

totals as (

    select * from {{ ref('int_payout_totals') }}

),

any_account as (

    select * from terms
    where currency = '*'

),

lines as (

    select
        lines.line_id,
        lines.line_type,
        lines.settlement_status,
        lines.original_reference,
        lines.currency,
        lines.net_minor,
        lines.settled_at,
        coalesce(nullif(lines.batch_id, ''), nullif(lines.provider_reference, ''), lines.line_id) as batch_id
    from {{ ref('int_settlement_lines') }} as lines
    cross join any_account
    where lines.is_line_in_file and (lines.line_type = 'payout' or lines.batch_id <> '')

),

batches_here as (

    select
        batch_id,
        currency,
        cast(sum(case when line_type <> 'payout' and settlement_status = 'settled' then net_minor else 0 end) as bigint) as lines_minor,
        max(settled_at) as last_settled_at,
        max(case when line_type = 'payout' then 1 else 0 end) = 1 as has_payout_line
    from lines
    group by batch_id, currency

),

seen_files as (

    select settlement_file from scope
    union
    select settlement_file from earlier_runs

),

-- Payout lines of these batches in whatever files they came, each as its last delivery has it.
payout_deliveries as (

    select
        deliveries.line_id,
        deliveries.settlement_status,
        deliveries.original_reference,
        deliveries.currency,
        deliveries.net_minor,
        deliveries.settled_at,
        coalesce(
            words.batch_id, nullif(deliveries.batch_id, ''), nullif(deliveries.provider_reference, ''), deliveries.line_id
        ) as batch_id,
        row_number() over (
            partition by deliveries.line_id
            order by deliveries.file_sequence desc nulls last, deliveries.row_number desc nulls last
        ) as age_rank
    from deliveries
    inner join seen_files on deliveries.settlement_file = seen_files.settlement_file
    left join words on deliveries.line_id = words.line_id
    left join restatements on deliveries.line_id = restatements.line_id and restatements.change_type = 'removed'
    where deliveries.line_type = 'payout' and restatements.line_id is null

),

payout_lines as (

    select payout_deliveries.*
    from payout_deliveries
    inner join batches_here
        on payout_deliveries.batch_id = batches_here.batch_id and payout_deliveries.currency = batches_here.currency
    where payout_deliveries.age_rank = 1

),

said as (

    select
        payout_lines.batch_id,
        payout_lines.currency,
        max(case when payout_lines.settlement_status = 'settled' then 1 else 0 end) = 1 as is_settled,
        max(case when payout_lines.settlement_status = 'returned' then 1 else 0 end) = 1 as is_returned,
        min(payout_lines.line_id) as line_id,
        min(nullif(payout_lines.original_reference, '')) as original_reference,
        cast(sum(payout_lines.net_minor) as bigint) as all_minor,
        cast(sum(case when payout_lines.settlement_status = 'settled' then payout_lines.net_minor else 0 end) as bigint) as settled_minor,
        max(payout_lines.settled_at) as last_settled_at,
        max(case when payout_lines.settlement_status = 'settled' then payout_lines.settled_at end) as settled_at
    from payout_lines
    group by payout_lines.batch_id, payout_lines.currency

),

references_by_age as (

    select
        deliveries.currency,
        nullif(deliveries.trace_id, '') as trace_id,
        nullif(deliveries.statement_text, '') as statement_text,
        coalesce(
            words.batch_id, nullif(deliveries.batch_id, ''), nullif(deliveries.provider_reference, ''), deliveries.line_id
        ) as batch_id,
        row_number() over (
            order by deliveries.file_sequence desc nulls last, deliveries.row_number desc nulls last
        ) as age_rank
    from deliveries
    inner join seen_files on deliveries.settlement_file = seen_files.settlement_file
    left join words on deliveries.line_id = words.line_id
    where deliveries.trace_id <> '' or deliveries.statement_text <> ''

),

references_said as (

    select
        batch_id,
        currency,
        {{ first_by('trace_id', 'age_rank') }} filter (where trace_id is not null) as trace_id,
        {{ first_by('statement_text', 'age_rank') }} filter (where statement_text is not null) as statement_text
    from references_by_age
    group by batch_id, currency

),

-- A payout that failed and was sent again takes its lines along into another batch.
former_batches as (

    select
        batch_after as batch_id,
        currency,
        min(batch_before) as batch_before
    from restatements
    where batch_before <> '' and batch_after <> '' and batch_before <> batch_after
    group by batch_after, currency

),

found as (

    select
        batches_here.batch_id,
        batches_here.currency,
        said.line_id,
        coalesce(of_currency.account, any_account.account) as payout_account,
        any_account.bank_lag_days,
        case
            when said.line_id is null then 'expected'
            when said.is_settled then 'in_transit'
            when said.is_returned then 'returned'
            else 'failed'
        end as status,
        case
            when said.line_id is null then batches_here.lines_minor
            when said.is_settled then said.settled_minor
            else said.all_minor
        end as stated_minor,
        coalesce(totals.lines_minor, batches_here.lines_minor) as lines_minor,
        coalesce(said.settled_at, said.last_settled_at, batches_here.last_settled_at) as paid_at,
        coalesce(former_batches.batch_before, said.original_reference) as retried_batch_id
    from batches_here
    cross join any_account
    left join terms as of_currency on batches_here.currency = of_currency.currency
    left join said on batches_here.batch_id = said.batch_id and batches_here.currency = said.currency
    left join totals on batches_here.batch_id = totals.batch_id and batches_here.currency = totals.currency
    left join former_batches
        on batches_here.batch_id = former_batches.batch_id and batches_here.currency = former_batches.currency
    where batches_here.has_payout_line or (said.line_id is null and coalesce(of_currency.account, any_account.account) <> '')

),

dated as (

    select
        found.*,
        coalesce(window_days.window_date, cast(found.paid_at as date)) as paid_on,
        window_days.business_day_number + found.bank_lag_days as due_number
    from found
    left join window_days
        on
            cast(found.paid_at as date) = window_days.utc_day
            and found.paid_at >= window_days.starts_at
            and found.paid_at < window_days.ends_at

),

due as (

    select
        business_day_number,
        min(window_date) as due_on
    from windows
    group by business_day_number

),

final as (

    select
        dated.batch_id,
        dated.currency,
        dated.line_id,
        case
            when dated.line_id is null or (dated.stated_minor < 0) = (dated.lines_minor < 0) and dated.lines_minor <> 0
                then dated.stated_minor
            else -dated.stated_minor
        end as amount_minor,
        dated.payout_account,
        dated.paid_on,
        dated.paid_on as expected_from,
        greatest(due.due_on, dated.paid_on) as expected_to,
        references_said.trace_id,
        references_said.statement_text,
        dated.status,
        dated.retried_batch_id
    from dated
    left join due on dated.due_number = due.business_day_number
    left join references_said
        on dated.batch_id = references_said.batch_id and dated.currency = references_said.currency

)

select * from final
