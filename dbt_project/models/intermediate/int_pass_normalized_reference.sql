-- Grain: an item the exact pass left over and what `normalized_reference` made of it: same after the profile's normalizer.
-- Without a normalizer the pass hands everything on. Amounts paired under the exact reference, or by decision, count as already
-- paired.

with scope as (

    select * from {{ source('run', 'scope') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

previous as (

    select * from {{ ref('int_pass_exact_reference') }}

),

exact_pairs as (

    select * from {{ ref('int_pass_exact_pairs') }}

),

matched_before as (

    select * from {{ ref('int_earlier_matched_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

keyed as (

    select
        {{ item_columns('previous') }},
        previous.was_ambiguous,
        case when profile.reference_normalizer <> 'none' then nullif(previous.normalized_reference, '') end as group_key
    from previous
    cross join profile
    where previous.disposition in ('free', 'ambiguous')

),

wanted as (

    select distinct group_key
    from keyed
    where group_key is not null

),

matched_pairs as (

    select exact_pairs.*
    from exact_pairs
    inner join wanted on exact_pairs.normalized_reference = wanted.group_key

),

paired_before as (

    select
        matched_before.item_type,
        matched_before.normalized_reference as group_key,
        matched_before.compared_currency as currency,
        matched_before.own_class as line_class,
        matched_before.amount_minor
    from matched_before
    left join reversed on matched_before.match_id = reversed.match_id
    cross join profile
    where
        matched_before.rule in ('exact_reference', 'normalized_reference', 'manual')
        and reversed.match_id is null
        and profile.reference_normalizer <> 'none'
        and matched_before.normalized_reference <> ''

    union all

    select
        previous.item_type,
        previous.normalized_reference as group_key,
        previous.compared_currency as currency,
        previous.line_class,
        previous.compared_minor as amount_minor
    from previous
    cross join profile
    where
        previous.disposition = 'matched'
        and profile.reference_normalizer <> 'none'
        and previous.normalized_reference <> ''

    union all

    select
        'settlement_line' as item_type,
        normalized_reference as group_key,
        currency,
        line_class,
        amount_minor
    from matched_pairs

    union all

    select
        'ledger_transaction' as item_type,
        normalized_reference as group_key,
        currency,
        line_class,
        amount_minor
    from matched_pairs

),

{{ match_pass('normalized_reference', 'keyed', 'paired_before') }}

select * from outcomes
