-- Grain: as published. The passes of a bank account are counted under their own names, where the engine counts all that share a
-- reference under the name of its own pass.
with counts as (
    select
        run_id,
        currency,
        count(*) filter (where rule = 'bank_trace') as bank_trace,
        count(*) filter (where rule = 'bank_text') as bank_text,
        count(*) filter (where rule = 'bank_group') as bank_group
    from matches_of_banks
    where status = 'confirmed'
    group by run_id, currency
)

select
    published.* replace (
        published.matched_exact_reference - coalesce(counts.bank_trace + counts.bank_text + counts.bank_group, 0)
            as matched_exact_reference
    ),
    coalesce(counts.bank_trace, 0) as matched_bank_trace,
    coalesce(counts.bank_text, 0) as matched_bank_text,
    coalesce(counts.bank_group, 0) as matched_bank_group
from published_metrics as published
left join counts on published.run_id = counts.run_id and published.currency = counts.currency
order by published.ledger_window asc nulls last, published.run_id asc, published.currency asc
