-- Grain: a line and a payout that it names, and how (bank_lines_naming), where its amount does not leave open which it is for. A credit is
-- of one provider: of payouts of several that a line names, those of the only one count that come to it, unless lines that name the
-- same come to all of them. Where one line names several payouts of one provider and comes to the amount of
-- one of them, not to their total, nobody knows which it is for: it is left out.

with naming as (

    select * from {{ ref('bank_lines_naming') }}

),

payouts as (

    select * from {{ ref('bank_payouts_known') }}

),

{{ legs_matched_before() }},

lines as (

    select
        line_id,
        currency,
        min(amount_minor) as amount_minor
    from {{ ref('bank_line_rows') }}
    group by line_id, currency

),

of_several as (

    select
        line_id,
        currency
    from naming
    group by line_id, currency
    having count(*) > 1

),

-- What a line that names several may still be for: a line that is matched keeps what it names.
open_names as (

    select
        naming.line_id,
        naming.currency,
        naming.name,
        payouts.provider,
        payouts.currency = naming.currency as is_comparable,
        lines.amount_minor as line_minor,
        case when payouts.is_returned then cast(0 as bigint) else payouts.amount_minor end as amount_minor
    from naming
    inner join of_several on naming.line_id = of_several.line_id and naming.currency = of_several.currency
    inner join lines on naming.line_id = lines.line_id and naming.currency = lines.currency
    inner join payouts on naming.name = payouts.name
    left join matched_before as matched_lines
        on naming.line_id = matched_lines.leg_id and matched_lines.leg_type = 'settlement_line'
    left join matched_before as matched_payouts
        on naming.name = matched_payouts.leg_id and matched_payouts.leg_type = 'ledger_transaction'
    where matched_lines.leg_id is null and matched_payouts.leg_id is null

),

of_providers as (

    select
        line_id,
        currency,
        provider,
        min(line_minor) as line_minor,
        cast(sum(amount_minor) as bigint) as total_minor,
        count(*) as names,
        max(case when amount_minor = line_minor and is_comparable then 1 else 0 end) as equal_names,
        min(case when is_comparable then 1 else 0 end) as comparable
    from open_names
    group by line_id, currency, provider

),

judged as (

    select
        line_id,
        currency,
        count(*) as providers,
        cast(sum(case when total_minor = line_minor and comparable = 1 then 1 else 0 end) as bigint) as fitting,
        min(case when total_minor = line_minor and comparable = 1 then provider end) as fitting_provider,
        max(case when names > 1 and total_minor <> line_minor and equal_names = 1 then 1 else 0 end) as has_one_of_them
    from of_providers
    group by line_id, currency

),

name_sets as (

    select
        line_id,
        currency,
        min(line_minor) as line_minor,
        cast(sum(amount_minor) as bigint) as total_minor,
        min(case when is_comparable then 1 else 0 end) as comparable,
        {{ ordered_text_agg('name', '|', 'name asc nulls last') }} as names
    from open_names
    group by line_id, currency

),

-- Lines that name the same payouts, and together come to all of them, are one group with them, whoever pays.
answered_sets as (

    select
        names,
        currency
    from name_sets
    group by names, currency
    having count(*) > 1 and sum(line_minor) = min(total_minor) and min(comparable) = 1

),

answered_lines as (

    select
        name_sets.line_id,
        name_sets.currency
    from name_sets
    inner join answered_sets on name_sets.names = answered_sets.names and name_sets.currency = answered_sets.currency

),

named_by_others as (

    select distinct
        open_names.line_id,
        open_names.currency
    from open_names
    inner join naming on open_names.name = naming.name and open_names.line_id <> naming.line_id

),

contested as (

    select
        judged.line_id,
        judged.currency,
        case when judged.providers > 1 and judged.fitting = 1 then judged.fitting_provider end as provider
    from judged
    left join named_by_others on judged.line_id = named_by_others.line_id and judged.currency = named_by_others.currency
    left join answered_lines on judged.line_id = answered_lines.line_id and judged.currency = answered_lines.currency
    where
        answered_lines.line_id is null
        and (judged.providers > 1 or (judged.has_one_of_them = 1 and named_by_others.line_id is null))

),

final as (

    select naming.*
    from naming
    left join contested on naming.line_id = contested.line_id and naming.currency = contested.currency
    left join payouts on naming.name = payouts.name
    where contested.line_id is null or contested.provider = payouts.provider

)

select * from final
