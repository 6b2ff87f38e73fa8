-- Grain: a payout as its provider reports it last, with what the runs of its bank account made of it: the one asked for last
-- started from all that the others had, whichever days they are of. One of nothing needs no credit, and is closed at once.
with states as (
    select
        states.*,
        runs.status = 'closed' as is_sealed
    from payout_states as states
    inner join runs on states.run_id = runs.run_id
    qualify row_number() over (
        partition by states.payout_provider, states.payout_id, states.currency
        order by runs.created_at desc, states.ledger_window desc, states.run_id desc
    ) = 1
)

select
    reported.* exclude (status),
    case
        when reported.status in ('failed', 'returned') then reported.status
        when reported.amount_minor = 0 then 'closed'
        when states.payout_id is null then reported.status
        when states.status = 'credited' and states.is_sealed then 'closed'
        else states.status
    end as status,
    states.credited_minor,
    states.returned_minor,
    states.fee_minor,
    states.credited_on,
    states.match_id,
    states.run_id as bank_run_id,
    case
        when reported.status in ('failed', 'returned') then 'provider_says_so'
        when reported.amount_minor = 0 then 'nothing_to_pay_out'
        when coalesce(reported.payout_account, '') = '' then 'no_payout_account'
    end as status_reason
from reported_payouts as reported
left join states
    on
        reported.provider = states.payout_provider
        and reported.payout_id = states.payout_id
        and reported.currency = states.currency
order by reported.provider, reported.payout_id, reported.currency
