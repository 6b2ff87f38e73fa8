-- Grain: a match this run made (confirmed), suggests (suggested, consuming nothing) or took back (reversed).
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
        currency,
        line_class,
        amount_minor,
        max(case when item_type = 'settlement_line' then item_id end) as line_id,
        max(case when item_type = 'ledger_transaction' then item_id end) as transaction_id,
        max(case when item_type = 'settlement_line' then provider_reference end) as line_reference,
        max(case when item_type = 'ledger_transaction' then provider_reference end) as movement_reference
    from suggestions
    group by match_id, currency, line_class, amount_minor

),

-- An earlier suggestion for an item that this run still sees open is replaced by what this run says of it.
earlier_suggestions as (

    select *
    from (
        select
            published.*,
            row_number() over (
                partition by published.match_id
                order by published.run_sequence desc nulls last
            ) as state_rank
        from {{ ref('stg_earlier_matches') }} as published
        where published.rule = 'amount_date'
    ) as ranked
    where state_rank = 1 and status = 'suggested'

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
        cast(null as varchar) as reversed_run_id
    from suggested
    cross join scope

    union all

    select
        earlier_suggestions.match_id,
        earlier_suggestions.run_id,
        earlier_suggestions.rule,
        earlier_suggestions.cardinality,
        earlier_suggestions.method,
        'reversed' as status,
        earlier_suggestions.currency,
        earlier_suggestions.settlement_minor,
        earlier_suggestions.ledger_minor,
        earlier_suggestions.difference_minor,
        earlier_suggestions.tolerance_minor,
        earlier_suggestions.line_class,
        earlier_suggestions.provider_reference,
        earlier_suggestions.first_line_id,
        earlier_suggestions.first_transaction_id,
        earlier_suggestions.review_cutoff_at,
        scope.run_id as reversed_run_id
    from earlier_suggestions
    cross join scope

)

select * from final
