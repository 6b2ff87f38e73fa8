-- Grain: a line that a restated settlement file changed, added or took out, or that a later file put into another batch.
-- Amounts and batch are those before and after the change.

with scope as (

    select * from {{ source('run', 'scope') }}

),

restatements as (

    select * from {{ ref('int_restatements') }}

),

final as (

    select
        scope.run_id,
        scope.settlement_file,
        restatements.line_id,
        restatements.change_type,
        restatements.currency,
        restatements.reference_before,
        restatements.reference_after,
        restatements.status_before,
        restatements.status_after,
        restatements.gross_before_minor,
        restatements.gross_after_minor,
        restatements.fee_before_minor,
        restatements.fee_after_minor,
        restatements.net_before_minor,
        restatements.net_after_minor,
        restatements.batch_before,
        restatements.batch_after
    from restatements
    cross join scope

)

select * from final
