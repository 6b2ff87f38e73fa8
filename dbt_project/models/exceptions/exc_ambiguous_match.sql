-- Grain: an unmatched line with several equal candidates. Nothing breaks the tie by luck.

with open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'settlement_line' and disposition = 'ambiguous'

),

currency_mismatches as (

    select * from {{ ref('int_currency_mismatches') }}

),

equal_amounts as (

    select * from {{ ref('int_equal_amounts') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'ambiguous_match' as exception_type,
        'settlement_line' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'settlement line ' || open_items.item_id || ' of '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(nullif(open_items.provider_reference, ''), 'none')
        || case
            when equal_amounts.line_id is not null
                then
                    ') has ' || cast(equal_amounts.movements as varchar) || ' open '
                    || case equal_amounts.movements when 1 then 'movement' else 'movements' end
                    || ' of the same amount within the settlement lag of ' || cast(profile.settlement_lag_days as varchar)
                    || ' business days, on ' || equal_amounts.days_in_words || ', for '
                    || cast(equal_amounts.lines as varchar)
                    || case equal_amounts.lines when 1 then ' line' else ' lines' end
                    || ' of that amount, and no reference connects them: pair them by decision'
            else
                ') has several possible counterparts by its reference or batch, and neither amounts nor sums tell them apart:'
                || ' pair them by decision'
        end as explanation
    from open_items
    cross join profile
    left join equal_amounts on open_items.item_id = equal_amounts.line_id and open_items.currency = equal_amounts.currency
    left join currency_mismatches
        on open_items.item_id = currency_mismatches.line_id and open_items.currency = currency_mismatches.currency
    left join currencies on open_items.currency = currencies.currency
    where currency_mismatches.line_id is null

)

select * from final
