-- Grain: currency. How much of what was new in this run it matched, by which pass, and what it opened. Items carried from
-- earlier runs are counted apart, so that yesterday's rest does not move today's rate. Rates are whole basis points, cut
-- off, of the items that were new; null where there were none. Amounts are sums without their signs.

with scope as (

    select * from {{ source('run', 'scope') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}
    where not is_seen_before and not is_carried

),

outcomes as (

    select * from {{ ref('int_item_outcomes') }}
    where not is_batch_line and released_from_match_id is null and not is_fee

),

matches as (

    select * from {{ ref('int_matches') }}

),

exceptions as (

    select * from {{ ref('exceptions') }}

),

line_counts as (

    select
        currency,
        count(*) as line_count,
        sum(case when line_type = 'fee' then -net_minor else fee_minor end) as fees_minor
    from lines
    where settlement_status = 'settled'
    group by currency

),

item_counts as (

    select
        currency,
        sum(case when item_type = 'settlement_line' and not is_carried then 1 else 0 end) as lines_to_match,
        sum(case when item_type = 'settlement_line' and not is_carried and disposition = 'matched' then 1 else 0 end) as lines_matched,
        sum(case when item_type = 'settlement_line' and is_carried then 1 else 0 end) as lines_carried,
        sum(
            case
                when item_type = 'settlement_line' and is_carried and disposition = 'matched'
                    then 1
                else 0
            end
        ) as lines_carried_matched,
        sum(case when item_type = 'ledger_transaction' and not is_carried then 1 else 0 end) as movements,
        sum(
            case
                when item_type = 'ledger_transaction' and not is_carried and disposition = 'matched'
                    then 1
                else 0
            end
        ) as movements_matched,
        sum(case when item_type = 'ledger_transaction' and is_carried then 1 else 0 end) as movements_carried,
        sum(
            case
                when item_type = 'ledger_transaction' and is_carried and disposition = 'matched'
                    then 1
                else 0
            end
        ) as movements_carried_matched,
        sum(case when item_type = 'settlement_line' and not is_carried then abs(amount_minor) else 0 end) as lines_to_match_minor,
        sum(
            case
                when item_type = 'settlement_line' and not is_carried and disposition = 'matched'
                    then abs(amount_minor)
                else 0
            end
        ) as lines_matched_minor,
        sum(case when item_type = 'ledger_transaction' and not is_carried then abs(amount_minor) else 0 end) as movements_minor,
        sum(
            case
                when item_type = 'ledger_transaction' and not is_carried and disposition = 'matched'
                    then abs(amount_minor)
                else 0
            end
        ) as movements_matched_minor
    from outcomes
    group by currency

),

match_counts as (

    select
        currency,
        sum(case when rule = 'exact_reference' then 1 else 0 end) as matched_exact_reference,
        sum(case when rule = 'normalized_reference' then 1 else 0 end) as matched_normalized_reference,
        sum(case when rule = 'internal_reference' then 1 else 0 end) as matched_internal_reference,
        sum(case when rule = 'callback_bridge' then 1 else 0 end) as matched_callback_bridge,
        sum(case when rule = 'batch_total' then 1 else 0 end) as matched_batch_total,
        sum(case when rule = 'amount_date' then 1 else 0 end) as matched_amount_date,
        sum(case when rule = 'manual' then 1 else 0 end) as matched_manual
    from matches
    group by currency

),

exception_counts as (

    select
        exceptions.currency,
        sum(case when exceptions.severity = 'critical' then 1 else 0 end) as exceptions_critical,
        sum(case when exceptions.severity = 'high' then 1 else 0 end) as exceptions_high,
        sum(case when exceptions.severity = 'medium' then 1 else 0 end) as exceptions_medium,
        sum(case when exceptions.severity = 'low' then 1 else 0 end) as exceptions_low
    from exceptions
    inner join scope on exceptions.run_id = scope.run_id
    group by exceptions.currency

),

currencies as (

    select currency from line_counts
    union
    select currency from item_counts
    union
    select currency from match_counts
    union
    select currency from exception_counts

),

final as (

    select
        scope.run_id,
        currencies.currency,
        cast(coalesce(line_counts.line_count, 0) as bigint) as lines,
        cast(coalesce(item_counts.lines_to_match, 0) as bigint) as lines_to_match,
        cast(coalesce(item_counts.lines_matched, 0) as bigint) as lines_matched,
        cast(coalesce(item_counts.lines_carried, 0) as bigint) as lines_carried,
        cast(coalesce(item_counts.lines_carried_matched, 0) as bigint) as lines_carried_matched,
        cast(coalesce(item_counts.movements, 0) as bigint) as movements,
        cast(coalesce(item_counts.movements_matched, 0) as bigint) as movements_matched,
        cast(coalesce(item_counts.movements_carried, 0) as bigint) as movements_carried,
        cast(coalesce(item_counts.movements_carried_matched, 0) as bigint) as movements_carried_matched,
        cast(coalesce(item_counts.lines_to_match_minor, 0) as bigint) as lines_to_match_minor,
        cast(coalesce(item_counts.lines_matched_minor, 0) as bigint) as lines_matched_minor,
        cast(coalesce(item_counts.movements_minor, 0) as bigint) as movements_minor,
        cast(coalesce(item_counts.movements_matched_minor, 0) as bigint) as movements_matched_minor,
        cast(
            {{ basis_points('item_counts.lines_matched', 'nullif(item_counts.lines_to_match, 0)') }}
            as bigint
        ) as line_match_rate_bps,
        cast(
            {{ basis_points('item_counts.lines_matched_minor', 'nullif(item_counts.lines_to_match_minor, 0)') }}
            as bigint
        ) as line_amount_match_rate_bps,
        cast(
            {{ basis_points('item_counts.movements_matched', 'nullif(item_counts.movements, 0)') }}
            as bigint
        ) as movement_match_rate_bps,
        cast(
            {{ basis_points('item_counts.movements_matched_minor', 'nullif(item_counts.movements_minor, 0)') }}
            as bigint
        ) as movement_amount_match_rate_bps,
        cast(coalesce(match_counts.matched_exact_reference, 0) as bigint) as matched_exact_reference,
        cast(coalesce(match_counts.matched_normalized_reference, 0) as bigint) as matched_normalized_reference,
        cast(coalesce(match_counts.matched_internal_reference, 0) as bigint) as matched_internal_reference,
        cast(coalesce(match_counts.matched_callback_bridge, 0) as bigint) as matched_callback_bridge,
        cast(coalesce(match_counts.matched_batch_total, 0) as bigint) as matched_batch_total,
        cast(coalesce(match_counts.matched_amount_date, 0) as bigint) as matched_amount_date,
        cast(coalesce(match_counts.matched_manual, 0) as bigint) as matched_manual,
        cast(coalesce(exception_counts.exceptions_critical, 0) as bigint) as exceptions_critical,
        cast(coalesce(exception_counts.exceptions_high, 0) as bigint) as exceptions_high,
        cast(coalesce(exception_counts.exceptions_medium, 0) as bigint) as exceptions_medium,
        cast(coalesce(exception_counts.exceptions_low, 0) as bigint) as exceptions_low,
        cast(coalesce(line_counts.fees_minor, 0) as bigint) as fees_minor
    from currencies
    cross join scope
    left join line_counts on currencies.currency = line_counts.currency
    left join item_counts on currencies.currency = item_counts.currency
    left join match_counts on currencies.currency = match_counts.currency
    left join exception_counts on currencies.currency = exception_counts.currency

)

select * from final
