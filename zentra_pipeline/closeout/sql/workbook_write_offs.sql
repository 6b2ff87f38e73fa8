-- Grain: a line or movement that the run writes off. Parameter: $1 the run.
with proposals as (
    select
        exception_id,
        actor,
        reason
    from decisions
    where action in ('write_off', 'resolve') and result = 'pending_approval'
    qualify row_number() over (partition by exception_id order by sequence desc) = 1
)

select
    write_offs.item_type,
    write_offs.item_id,
    write_offs.provider_reference,
    write_offs.opened_window,
    write_offs.currency,
    write_offs.amount_minor as amount,
    proposals.actor as proposed_by,
    decisions.actor as approved_by,
    coalesce(proposals.reason, decisions.reason) as reason,
    decisions.decided_at as decided_at_utc,
    write_offs.exception_id,
    write_offs.decision_id
from write_offs
left join decisions on write_offs.decision_id = decisions.decision_id
left join proposals on write_offs.exception_id = proposals.exception_id
where write_offs.run_id = $1
order by write_offs.item_type, write_offs.item_id, write_offs.currency
