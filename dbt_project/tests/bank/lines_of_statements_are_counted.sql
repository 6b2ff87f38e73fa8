-- Every line that the account's statements bring to the run is a line of the run, in its currency: none gives way to another. Blocks
-- the publication of the run.
{{ config(tags=['bank'], meta={'dagster': {'ref': {'name': 'account_balances'}}}) }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

brought as (

    select distinct
        rows.line_id,
        rows.currency
    from {{ ref('stg_settlement_lines') }} as rows
    inner join scope on rows.settlement_file = scope.settlement_file

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

)

select brought.*
from brought
left join lines on brought.line_id = lines.line_id and brought.currency = lines.currency
where lines.line_id is null
