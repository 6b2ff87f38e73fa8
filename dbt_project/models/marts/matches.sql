-- Grain: a match this run made (confirmed) or took back (reversed).
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
        cast(null as varchar) as reversed_run_id
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
        scope.run_id as reversed_run_id
    from earlier_matches
    inner join reversed on earlier_matches.match_id = reversed.match_id
    cross join scope

)

select * from final
