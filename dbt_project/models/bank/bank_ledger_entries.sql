-- Grain: a posting of a payout, as a row of the engine's inner side (ADR 0061): cash in transit is credited with what shall be in
-- the bank, and the provider debited. The payout is the transaction, known by its name.
{{ config(meta={'instead_of': 'stg_ledger_entries'}) }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

payouts as (

    select * from {{ ref('bank_payouts') }}

),

postings as (

    select
        name as entry_id,
        name,
        'cash_in_transit' as account,
        case when amount_minor < 0 then 'debit' else 'credit' end as direction,
        amount_minor as signed_minor,
        currency,
        paid_on,
        reference,
        batch_id
    from payouts

    union all

    select
        name || '#provider' as entry_id,
        name,
        'provider_balance' as account,
        case when amount_minor < 0 then 'credit' else 'debit' end as direction,
        -amount_minor as signed_minor,
        currency,
        paid_on,
        reference,
        batch_id
    from payouts

),

final as (

    select
        scope.provider,
        postings.entry_id,
        postings.name as transaction_id,
        'transfer' as movement_type,
        postings.account,
        postings.direction,
        abs(postings.signed_minor) as amount_minor,
        postings.signed_minor,
        postings.currency,
        cast(postings.paid_on as timestamp) as posted_at,
        postings.reference as provider_reference,
        '' as intent_id,
        '' as file_id,
        '' as file_sha256,
        cast(0 as bigint) as file_sequence,
        cast(0 as bigint) as row_number,
        false as is_seen_before
    from postings
    cross join scope

)

select * from final
