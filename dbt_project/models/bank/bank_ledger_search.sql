-- Grain: an unmatched line's or payout's exception that this run of an account opened, and a pass of the bank: what it looked for on
-- the other side, and what came of it. Lines are named by trace or text, payouts by what names
-- them; amounts within the lag are the last resort.
{{ config(meta={'instead_of': 'ledger_search'}) }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

edition as (

    select * from {{ source('bank', 'edition') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}

),

opened as (

    select
        exceptions.exception_id,
        open_items.item_type,
        open_items.item_id,
        open_items.currency,
        open_items.amount_minor,
        open_items.disposition,
        open_items.item_window
    from {{ ref('exceptions') }} as exceptions
    inner join scope on exceptions.run_id = scope.run_id
    inner join open_items
        on
            exceptions.subject_type = open_items.item_type
            and exceptions.subject_id = open_items.item_id
            and exceptions.currency = open_items.currency

),

lines as (

    select
        line_id,
        currency,
        max(coalesce(nullif(end_to_end_id, 'NOTPROVIDED'), bank_reference)) as trace_id,
        max(text) as text
    from {{ ref('bank_line_rows') }}
    group by line_id, currency

),

payouts as (

    select * from {{ ref('bank_payouts') }}

),

named as (

    select
        line_id as item_id,
        'settlement_line' as item_type,
        case means when 'trace' then 'bank_trace' else 'bank_text' end as rule,
        count(*) as items
    from {{ ref('bank_line_payouts') }}
    group by line_id, case means when 'trace' then 'bank_trace' else 'bank_text' end

    union all

    select
        name as item_id,
        'ledger_transaction' as item_type,
        case means when 'trace' then 'bank_trace' else 'bank_text' end as rule,
        count(*) as items
    from {{ ref('bank_line_payouts') }}
    group by name, case means when 'trace' then 'bank_trace' else 'bank_text' end

),

suggested as (

    select
        item_type,
        item_id,
        rule
    from {{ ref('int_pass_amount_date') }}
    where disposition = 'suggested'

),

sums as (

    select
        item_id,
        sets
    from {{ ref('int_pass_amount_date') }}
    where item_type = 'settlement_line' and sets is not null

),

rules as (

    select 'amount_date' as rule

    union all

    select 'bank_sum' as rule

),

keys as (

    select
        opened.*,
        'bank_trace' as rule,
        case
            when opened.item_type = 'settlement_line' then nullif(lines.trace_id, '')
            else coalesce(nullif(payouts.trace_id, ''), payouts.payout_id)
        end as search_key
    from opened
    left join lines on opened.item_type = 'settlement_line' and opened.item_id = lines.line_id and opened.currency = lines.currency
    left join payouts
        on opened.item_type = 'ledger_transaction' and opened.item_id = payouts.name and opened.currency = payouts.currency

    union all

    select
        opened.*,
        'bank_text' as rule,
        case
            when opened.item_type = 'settlement_line' then nullif(lines.text, '')
            else coalesce(nullif(payouts.statement_text, ''), nullif(payouts.batch_id, ''))
        end as search_key
    from opened
    left join lines on opened.item_type = 'settlement_line' and opened.item_id = lines.line_id and opened.currency = lines.currency
    left join payouts
        on opened.item_type = 'ledger_transaction' and opened.item_id = payouts.name and opened.currency = payouts.currency

    union all

    select
        opened.*,
        rules.rule,
        case
            when edition.edition < 2 then cast(opened.amount_minor as varchar) || ' ' || opened.currency
            else {{ money('opened.amount_minor', 'opened.currency', 'currencies.exponent') }}
        end as search_key
    from opened
    cross join edition
    cross join rules
    left join currencies on opened.currency = currencies.currency
    where rules.rule = 'amount_date' or (edition.edition >= 2 and opened.amount_minor > 0)

),

final as (

    select
        keys.exception_id,
        scope.run_id,
        keys.rule,
        keys.search_key as searched_key,
        case when keys.search_key is not null then least(keys.item_window, scope.ledger_window) end as windows_from,
        case when keys.search_key is not null then scope.ledger_window end as windows_to,
        cast(coalesce(named.items, sums.sets, case when suggested.item_id is null then 0 else 1 end) as bigint) as movements_examined,
        case
            when keys.search_key is null then 'nothing_to_look_for'
            when suggested.item_id is not null then 'suggested'
            when keys.rule = 'bank_sum' and sums.item_id is not null then 'ambiguous'
            when keys.rule = 'amount_date' and keys.disposition = 'ambiguous' and sums.item_id is null then 'ambiguous'
            when keys.rule in ('amount_date', 'bank_sum') then 'not_found'
            when named.items is null then 'not_found'
            when keys.disposition in ('duplicate', 'ambiguous') then keys.disposition
            else 'not_equal'
        end as result
    from keys
    cross join scope
    left join named on keys.item_type = named.item_type and keys.item_id = named.item_id and keys.rule = named.rule
    left join suggested
        on keys.rule = suggested.rule and keys.item_type = suggested.item_type and keys.item_id = suggested.item_id
    left join sums on keys.rule = 'bank_sum' and keys.item_type = 'settlement_line' and keys.item_id = sums.item_id

)

select * from final
