-- Grain: an item that every other pass left over, as the engine's pass `amount_date` has it, and what `bank_sum` made of what that
-- left free. A line that names payouts and does not say how much is for which (bank_line_payouts) is ambiguous. A line that comes to
-- the sole set of two to twelve open payouts of one provider that are due in its lag is suggested with them; one that comes to several
-- sets, or shares payouts with another such line, is ambiguous (`sets`: how many). It consumes nothing.
{{ config(meta={'instead_of': 'int_pass_amount_date'}) }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

windows as (

    select * from {{ source('run', 'windows') }}

),

passed as (

    select * from {{ ref('int_pass_amount_date') }}

),

named as (

    select distinct
        line_id,
        currency
    from {{ ref('bank_lines_naming') }}

),

naming_in_vain as (

    select
        naming.line_id,
        naming.currency,
        {{ ordered_text_agg('naming.name', ' and ', 'naming.name asc nulls last') }} as names
    from {{ ref('bank_lines_naming') }} as naming
    left join {{ ref('bank_line_payouts') }} as payouts on naming.line_id = payouts.line_id and naming.currency = payouts.currency
    where payouts.line_id is null
    group by naming.line_id, naming.currency

),

payouts_to_add as (

    select
        passed.item_id as name,
        payouts.provider,
        passed.currency,
        passed.amount_minor,
        payouts.bank_lag_days,
        windows.business_day_number
    from passed
    inner join {{ ref('bank_payouts') }} as payouts on passed.item_id = payouts.name and passed.currency = payouts.currency
    inner join windows on payouts.paid_on = windows.window_date
    where passed.item_type = 'ledger_transaction' and passed.disposition = 'free' and passed.amount_minor > 0

),

lines_to_explain as (

    select
        passed.item_id as line_id,
        passed.currency,
        passed.amount_minor,
        windows.business_day_number
    from passed
    inner join windows on cast(passed.sort_at as date) = windows.window_date
    left join named on passed.item_id = named.line_id and passed.currency = named.currency
    where
        passed.item_type = 'settlement_line' and passed.disposition = 'free' and not passed.was_ambiguous
        and passed.line_class is not null and passed.compared_currency = passed.currency and passed.amount_minor > 0
        and named.line_id is null

),

{{ payouts_that_add_up() }}

-- The payouts of every set that was found, sole or not.
members as (

    select distinct
        found_sets.line_id,
        found_sets.currency,
        due.name,
        due.provider
    from found_sets
    inner join due
        on
            found_sets.currency = due.currency
            and found_sets.line_day = due.line_day
            and found_sets.provider = due.provider
            and {{ has_bit('found_sets.subset', 'due.place - 1') }}
    where found_sets.subset > 0

),

wanted_by_others as (

    select
        name,
        currency
    from members
    group by name, currency
    having count(distinct line_id) > 1

),

shared_lines as (

    select distinct
        members.line_id,
        members.currency
    from members
    inner join wanted_by_others on members.name = wanted_by_others.name and members.currency = wanted_by_others.currency

),

judged as (

    select
        sets_of_lines.line_id,
        sets_of_lines.currency,
        sets_of_lines.sets,
        sets_of_lines.is_sole and shared_lines.line_id is null as is_sole
    from sets_of_lines
    left join shared_lines
        on sets_of_lines.line_id = shared_lines.line_id and sets_of_lines.currency = shared_lines.currency

),

suggested as (

    select
        members.line_id,
        members.currency,
        lines_to_explain.amount_minor,
        min(members.name) as first_name,
        {{ ordered_text_agg('members.name', '|', 'members.name asc nulls last') }} as names
    from members
    inner join judged on members.line_id = judged.line_id and members.currency = judged.currency and judged.is_sole
    inner join lines_to_explain
        on members.line_id = lines_to_explain.line_id and members.currency = lines_to_explain.currency
    group by members.line_id, members.currency, lines_to_explain.amount_minor

),

matches as (

    select
        suggested.line_id,
        suggested.currency,
        {{ match_id(
            'bank_sum', 'suggested.names', 'suggested.currency', "'payment'", 'suggested.amount_minor', 'suggested.line_id',
            'suggested.first_name'
        ) }} as match_id
    from suggested
    cross join scope

),

legs as (

    select
        'settlement_line' as item_type,
        line_id as item_id,
        currency,
        match_id
    from matches

    union all

    select
        'ledger_transaction' as item_type,
        members.name as item_id,
        members.currency,
        matches.match_id
    from members
    inner join matches on members.line_id = matches.line_id and members.currency = matches.currency

),

final as (

    select
        {{ item_columns('passed') }},
        passed.was_ambiguous or coalesce(not judged.is_sole, false)
        or naming_in_vain.line_id is not null as was_ambiguous,
        case when legs.match_id is not null then 'suggested' else passed.disposition end as disposition,
        coalesce(legs.match_id, passed.match_id) as match_id,
        case when legs.match_id is not null then 'bank_sum' when passed.match_id is not null then 'amount_date' end as rule,
        judged.sets,
        naming_in_vain.names
    from passed
    left join legs
        on passed.item_type = legs.item_type and passed.item_id = legs.item_id and passed.currency = legs.currency
    left join judged
        on passed.item_type = 'settlement_line' and passed.item_id = judged.line_id and passed.currency = judged.currency
    left join naming_in_vain
        on
            passed.item_type = 'settlement_line'
            and passed.item_id = naming_in_vain.line_id
            and passed.currency = naming_in_vain.currency

)

select * from final
