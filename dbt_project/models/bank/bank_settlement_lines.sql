-- Grain: a delivered bank line as a row of the engine's outer side (ADR 0061): `payment` where it names a payout, or a
-- provider's pattern names it, or a provider without a pattern has an open payout of its amount, or payouts that come to it; else
-- `adjustment`, which is accounted.
-- `settlement_file` is the run that saw it first. A line that was accounted, and names a payout by now, is seen first now.
{{ config(meta={'instead_of': 'stg_settlement_lines'}) }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

rows as (

    select * from {{ ref('bank_line_rows') }}

),

names as (

    select
        line_id,
        currency,
        max(case when place = 1 then reference end) as reference
    from {{ ref('bank_line_names') }}
    group by line_id, currency

),

named as (

    select
        named.line_id,
        named.currency,
        min(payouts.reference) as reference
    from {{ ref('bank_line_payouts') }} as named
    inner join {{ ref('bank_payouts') }} as payouts on named.name = payouts.name
    group by named.line_id, named.currency

),

-- A provider without a pattern for its lines: what could be its payout is looked at.
possible as (

    select distinct
        payouts.currency,
        payouts.amount_minor,
        payouts.paid_on,
        coalesce(payouts.expected_to, payouts.paid_on) as expected_to
    from {{ ref('bank_payouts') }} as payouts
    left join {{ source('bank', 'terms') }} as terms on payouts.provider = terms.provider
    where coalesce(terms.bank_reference_pattern, '') = '' and payouts.amount_minor <> 0

),

possible_lines as (

    select distinct
        rows.line_id,
        rows.currency
    from rows
    inner join possible
        on
            rows.currency = possible.currency
            and rows.amount_minor = possible.amount_minor
            and rows.booked_on between possible.paid_on and possible.expected_to + 3

),

naming as (

    select distinct
        line_id,
        currency
    from {{ ref('bank_lines_naming') }}

),

adding_up as (

    select * from {{ ref('bank_lines_adding_up') }}

),

item_before as (

    select leg_id as line_id
    from {{ source('earlier', 'match_legs') }}
    where leg_type = 'settlement_line'

    union

    select item_id as line_id
    from {{ source('earlier', 'open_items') }}
    where item_type = 'settlement_line'

    union

    select item_id as line_id
    from {{ source('earlier', 'write_offs') }}
    where item_type = 'settlement_line'

),

seen as (

    select
        rows.line_id,
        rows.currency,
        rows.file_sequence,
        rows.row_number,
        {{ first_by('seen_files.settlement_file', 'seen_files.run_sequence') }} as settlement_file
    from rows
    inner join {{ source('bank', 'seen_files') }} as seen_files
        on rows.file_sequence = seen_files.file_sequence and rows.said_on <= seen_files.ledger_window
    group by rows.line_id, rows.currency, rows.file_sequence, rows.row_number

),

judged as (

    select
        rows.*,
        named.reference as payout_reference,
        names.reference as named_reference,
        seen.settlement_file as seen_in,
        item_before.line_id is not null as is_item_before,
        named.line_id is not null or names.line_id is not null or possible_lines.line_id is not null
        or naming.line_id is not null or adding_up.line_id is not null or item_before.line_id is not null as is_item
    from rows
    left join named on rows.line_id = named.line_id and rows.currency = named.currency
    left join names on rows.line_id = names.line_id and rows.currency = names.currency
    left join possible_lines on rows.line_id = possible_lines.line_id and rows.currency = possible_lines.currency
    left join naming on rows.line_id = naming.line_id and rows.currency = naming.currency
    left join adding_up on rows.line_id = adding_up.line_id and rows.currency = adding_up.currency
    left join item_before on rows.line_id = item_before.line_id
    left join seen
        on
            rows.line_id = seen.line_id
            and rows.currency = seen.currency
            and rows.file_sequence = seen.file_sequence
            and rows.row_number = seen.row_number

),

final as (

    select
        scope.provider,
        case
            when judged.is_item and not judged.is_item_before then scope.settlement_file
            else coalesce(judged.seen_in, scope.settlement_file)
        end as settlement_file,
        judged.line_id,
        case when judged.is_item then 'payment' else 'adjustment' end as line_type,
        'settled' as settlement_status,
        coalesce(
            judged.payout_reference,
            nullif(judged.named_reference, ''),
            nullif(nullif(judged.end_to_end_id, 'NOTPROVIDED'), ''),
            judged.bank_reference,
            ''
        ) as provider_reference,
        '' as merchant_reference,
        '' as original_reference,
        '' as batch_id,
        judged.amount_minor as gross_minor,
        cast(0 as bigint) as fee_minor,
        judged.amount_minor as net_minor,
        judged.currency,
        cast(judged.booked_on as timestamp) as settled_at,
        case
            when judged.instructed_currency = judged.currency or coalesce(judged.instructed_currency, '') = '' then cast(null as bigint)
            when judged.amount_minor < 0 then -abs(judged.instructed_minor)
            else abs(judged.instructed_minor)
        end as presentment_minor,
        case
            when judged.instructed_minor is not null and judged.instructed_currency <> judged.currency
                then nullif(judged.instructed_currency, '')
        end as presentment_currency,
        judged.file_id,
        judged.file_sha256,
        judged.file_sequence,
        judged.row_number
    from judged
    cross join scope

)

select * from final
