-- Grain: a line that names nothing and comes to just one set of payouts that no line names, of a provider without a pattern for its
-- lines: it could be their credit, and is looked at.

with terms as (

    select * from {{ source('bank', 'terms') }}

),

windows as (

    select * from {{ source('run', 'windows') }}

),

named as (

    select distinct
        line_id,
        currency
    from {{ ref('bank_line_names') }}

    union

    select distinct
        line_id,
        currency
    from {{ ref('bank_line_payouts') }}

),

named_payouts as (

    select distinct name
    from {{ ref('bank_line_payouts') }}

),

{{ legs_matched_before() }},

payouts_to_add as (

    select
        payouts.name,
        payouts.provider,
        payouts.currency,
        payouts.amount_minor,
        payouts.bank_lag_days,
        windows.business_day_number
    from {{ ref('bank_payouts') }} as payouts
    inner join windows on payouts.paid_on = windows.window_date
    left join terms on payouts.provider = terms.provider
    left join named_payouts on payouts.name = named_payouts.name
    left join matched_before on payouts.name = matched_before.leg_id and matched_before.leg_type = 'ledger_transaction'
    where
        payouts.amount_minor > 0 and coalesce(terms.bank_reference_pattern, '') = ''
        and named_payouts.name is null and matched_before.leg_id is null

),

lines_to_explain as (

    select
        rows.line_id,
        rows.currency,
        min(rows.amount_minor) as amount_minor,
        min(windows.business_day_number) as business_day_number
    from {{ ref('bank_line_rows') }} as rows
    inner join windows on rows.booked_on = windows.window_date
    left join named on rows.line_id = named.line_id and rows.currency = named.currency
    left join matched_before on rows.line_id = matched_before.leg_id and matched_before.leg_type = 'settlement_line'
    where rows.amount_minor > 0 and named.line_id is null and matched_before.leg_id is null
    group by rows.line_id, rows.currency

),

{{ payouts_that_add_up() }}

final as (

    select
        line_id,
        currency
    from sets_of_lines
    where is_sole

)

select * from final
