-- Grain: an unmatched bank line with several possible payouts, in the words of the bank: one that names several without saying how much
-- is for which, one that several sets of open payouts come to (bank_pass_amount_date), and what the engine says of all others.
{{ config(meta={'instead_of': 'exc_ambiguous_match'}) }}

with currencies as (

    select * from {{ ref('currencies') }}

),

sums as (

    select
        item_id,
        currency,
        sets,
        names
    from {{ ref('int_pass_amount_date') }}
    where item_type = 'settlement_line' and coalesce(sets, 0) + length(coalesce(names, '')) > 0 and was_ambiguous

),

final as (

    select
        breaks.exception_type,
        breaks.subject_type,
        breaks.subject_id,
        breaks.provider_reference,
        breaks.currency,
        breaks.amount_minor,
        breaks.difference_minor,
        breaks.match_id,
        case
            when sums.item_id is null
                then replace(replace(breaks.explanation, 'settlement line ', 'bank line '), 'settlement lag', 'lag')
            else
                'bank line ' || breaks.subject_id || ' of '
                || {{ money('breaks.amount_minor', 'breaks.currency', 'currencies.exponent') }}
                || case
                    when sums.names is not null
                        then ' names the payouts ' || sums.names || ', and does not say how much is for which'
                    when sums.sets > 1 then ' is what ' || cast(sums.sets as varchar) || ' sets of open payouts come to'
                    else ' is what open payouts come to that another line, or a greater number of them, may be for'
                end
                || case when sums.names is null then ', and no reference connects them' else '' end
                || ': pair them by decision'
        end as explanation
    from {{ ref('exc_ambiguous_match') }} as breaks
    left join sums on breaks.subject_id = sums.item_id and breaks.currency = sums.currency
    left join currencies on breaks.currency = currencies.currency

)

select * from final
