-- Grain: a match or failed line that its last word contradicts, but whose reference settled and posted nothing in sum. Then everyone
-- agrees that the money went back (contract §10.9).
-- The reference is that of the last word, where it speaks by it, else those of the match. Failed lines settled nothing; what a
-- match of such a reference brings together counts as a whole, a batch line by line. Fees that are posted separately count on
-- neither side: a provider that keeps its fee has given the payment back all the same.

with profile as (

    select * from {{ source('run', 'profile') }}

),

callback_state as (

    select * from {{ ref('int_match_callback_state') }}
    where last_status in ('failed', 'reversed')

),

failed_line_words as (

    select * from {{ ref('int_failed_line_words') }}
    where last_status = 'succeeded'

),

events as (

    select * from {{ ref('int_callback_states') }}

),

outcomes as {{ read_where_used() }} (

    select * from {{ ref('int_item_outcomes') }}

),

earlier_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

presented_lines as (

    select * from {{ ref('int_presented_lines') }}

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

items as {{ read_where_used() }} (

    select
        outcomes.item_type,
        outcomes.item_id,
        outcomes.leg_currency as currency,
        case when outcomes.disposition = 'matched' then outcomes.match_id end as match_id,
        outcomes.rule,
        coalesce(nullif(outcomes.normalized_reference, ''), nullif(outcomes.provider_reference, '')) as reference,
        case when outcomes.leg_currency = outcomes.currency then outcomes.amount_minor else outcomes.leg_minor end as amount_minor
    from outcomes
    cross join profile
    where profile.fee_posting = 'inside' or coalesce(outcomes.line_class, '') <> 'fee'

    union all

    select
        earlier_items.item_type,
        earlier_items.item_id,
        earlier_items.compared_currency as currency,
        earlier_items.match_id,
        earlier_items.rule,
        coalesce(nullif(earlier_items.normalized_reference, ''), nullif(earlier_items.provider_reference, '')) as reference,
        earlier_items.current_minor as amount_minor
    from earlier_items
    cross join profile
    left join reversed on earlier_items.match_id = reversed.match_id
    where reversed.match_id is null and (profile.fee_posting = 'inside' or coalesce(earlier_items.own_class, '') <> 'fee')

),

subjects as (

    select
        callback_state.match_id,
        cast(null as varchar) as line_id,
        items.currency,
        case when callback_state.is_last_by_reference then events.reference else items.reference end as reference
    from callback_state
    inner join events on callback_state.last_event_id = events.provider_event_id
    inner join items on callback_state.match_id = items.match_id

    union

    select
        cast(null as varchar) as match_id,
        failed_line_words.line_id,
        coalesce(presented_lines.compared_currency, failed_line_words.currency) as currency,
        coalesce(nullif(reference_keys.normalized_reference, ''), failed_line_words.provider_reference) as reference
    from failed_line_words
    left join reference_keys on failed_line_words.provider_reference = reference_keys.reference
    left join presented_lines on failed_line_words.line_id = presented_lines.line_id

),

of_reference as (

    select
        subjects.match_id,
        subjects.line_id,
        items.item_type,
        items.item_id,
        items.currency,
        items.amount_minor,
        case when items.rule <> 'batch_total' then items.match_id end as whole_match_id
    from subjects
    inner join items on subjects.reference = items.reference and subjects.currency = items.currency

    union

    select
        subjects.match_id,
        subjects.line_id,
        items.item_type,
        items.item_id,
        items.currency,
        items.amount_minor,
        items.match_id as whole_match_id
    from subjects
    inner join items on subjects.match_id = items.match_id and items.rule <> 'batch_total'

),

of_subject as (

    select
        match_id,
        line_id,
        item_type,
        item_id,
        currency,
        amount_minor
    from of_reference

    union

    select
        of_reference.match_id,
        of_reference.line_id,
        items.item_type,
        items.item_id,
        items.currency,
        items.amount_minor
    from of_reference
    inner join items on of_reference.whole_match_id = items.match_id

),

sums as (

    select
        match_id,
        line_id,
        cast(sum(case when item_type = 'settlement_line' then amount_minor else 0 end) as bigint) as settled_minor,
        cast(sum(case when item_type = 'ledger_transaction' then amount_minor else 0 end) as bigint) as posted_minor
    from of_subject
    group by match_id, line_id

),

final as (

    select
        match_id,
        line_id
    from sums
    where settled_minor = 0 and posted_minor = 0

)

select * from final
