-- Grain: a match this run made (confirmed), suggests (suggested, consuming nothing) or took back (reversed). A suggestion lasts until
-- the provider's next run: readers leave out what an earlier one suggested.
-- The columns after difference_minor let later runs and reviewers judge the match without remaking it.
{{ config(materialized='view') }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

matches as (

    select * from {{ ref('int_matches') }}

),

earlier_matches as (

    select * from {{ ref('int_earlier_matches') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

suggestions as (

    select * from {{ ref('int_pass_amount_date') }}
    where disposition = 'suggested'

),

suggested as (

    select
        match_id,
        compared_currency as currency,
        line_class,
        compared_minor as amount_minor,
        max(case when item_type = 'settlement_line' and currency <> compared_currency then currency end) as settled_currency,
        max(case when item_type = 'settlement_line' and currency <> compared_currency then amount_minor end) as settled_minor,
        max(case when item_type = 'settlement_line' then item_id end) as line_id,
        max(case when item_type = 'ledger_transaction' then item_id end) as transaction_id,
        max(case when item_type = 'settlement_line' then provider_reference end) as line_reference,
        max(case when item_type = 'ledger_transaction' then provider_reference end) as movement_reference
    from suggestions
    group by match_id, compared_currency, line_class, compared_minor

),

final as (

    select
        matches.match_id,
        scope.run_id,
        matches.rule,
        matches.cardinality,
        matches.method,
        'confirmed' as status,
        matches.currency,
        matches.settlement_minor,
        matches.ledger_minor,
        matches.difference_minor,
        matches.tolerance_minor,
        matches.line_class,
        matches.provider_reference,
        matches.first_line_id,
        matches.first_transaction_id,
        scope.review_cutoff_at,
        cast(null as varchar) as reversed_run_id,
        matches.settled_currency,
        matches.settled_minor
    from matches
    cross join scope

    union all

    select
        earlier_matches.match_id,
        earlier_matches.run_id,
        earlier_matches.rule,
        earlier_matches.cardinality,
        earlier_matches.method,
        'reversed' as status,
        earlier_matches.currency,
        earlier_matches.settlement_minor,
        earlier_matches.ledger_minor,
        earlier_matches.difference_minor,
        earlier_matches.tolerance_minor,
        earlier_matches.line_class,
        earlier_matches.provider_reference,
        earlier_matches.first_line_id,
        earlier_matches.first_transaction_id,
        earlier_matches.review_cutoff_at,
        scope.run_id as reversed_run_id,
        earlier_matches.settled_currency,
        earlier_matches.settled_minor
    from earlier_matches
    inner join reversed on earlier_matches.match_id = reversed.match_id
    cross join scope

    union all

    select
        suggested.match_id,
        scope.run_id,
        'amount_date' as rule,
        'one_to_one' as cardinality,
        'exact' as method,
        'suggested' as status,
        suggested.currency,
        suggested.amount_minor as settlement_minor,
        suggested.amount_minor as ledger_minor,
        cast(0 as bigint) as difference_minor,
        cast(0 as bigint) as tolerance_minor,
        suggested.line_class,
        coalesce(nullif(suggested.line_reference, ''), suggested.movement_reference) as provider_reference,
        suggested.line_id as first_line_id,
        suggested.transaction_id as first_transaction_id,
        scope.review_cutoff_at,
        cast(null as varchar) as reversed_run_id,
        suggested.settled_currency,
        suggested.settled_minor
    from suggested
    cross join scope

)

select * from final
