-- Grain: a reference of a line or movement that is known by the run's window, with its currency and class. Known are the lines of
-- its settlement file and of earlier runs' files and the movements posted before the window's end, matched or not; repeats included.
-- A line that says what the customer paid is known in that currency too.
-- `is_own_name`: our name (transaction, intent, merchant reference), not the provider's, which is normalized where it can be.
{{ config(materialized='view') }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

earlier_runs as (

    select * from {{ source('earlier', 'runs') }}

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}
    where first_clearing_entry_id is not null

),

known_files as (

    select settlement_file from scope
    union
    select settlement_file from earlier_runs

),

lines as (

    select
        deliveries.provider_reference,
        deliveries.merchant_reference,
        deliveries.currency,
        deliveries.line_type as callback_class,
        {{ money_direction('deliveries.line_type', 'deliveries.gross_minor') }} as direction
    from deliveries
    inner join known_files on deliveries.settlement_file = known_files.settlement_file

    union all

    select
        deliveries.provider_reference,
        deliveries.merchant_reference,
        deliveries.presentment_currency as currency,
        deliveries.line_type as callback_class,
        {{ money_direction('deliveries.line_type', 'deliveries.presentment_minor') }} as direction
    from deliveries
    inner join known_files on deliveries.settlement_file = known_files.settlement_file
    where deliveries.presentment_currency is not null

),

movements as (

    select
        transaction_id,
        intent_id,
        provider_reference,
        currency,
        coalesce(line_class, movement_type) as callback_class,
        {{ money_direction('coalesce(line_class, movement_type)', 'clearing_minor') }} as direction
    from transactions

),

given as (

    select
        provider_reference as reference,
        currency,
        callback_class,
        direction
    from lines
    union all
    select
        provider_reference as reference,
        currency,
        callback_class,
        direction
    from movements

),

own as (

    select
        merchant_reference as reference,
        currency,
        callback_class,
        direction
    from lines
    union all
    select
        transaction_id as reference,
        currency,
        callback_class,
        direction
    from movements
    union all
    select
        intent_id as reference,
        currency,
        callback_class,
        direction
    from movements

),

final as (

    select
        coalesce(nullif(reference_keys.normalized_reference, ''), given.reference) as reference,
        false as is_own_name,
        given.currency,
        given.callback_class,
        given.direction
    from given
    left join reference_keys on given.reference = reference_keys.reference
    where given.reference <> ''

    union all

    select
        reference,
        true as is_own_name,
        currency,
        callback_class,
        direction
    from own
    where reference <> ''

)

select * from final
