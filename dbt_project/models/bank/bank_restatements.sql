-- Grain: a line of the account whose content a later file gives otherwise, as the engine has it. Of no line is it said that it was taken
-- out or added: files of a bank hold statements of their own, and which delivery of a statement holds is settled in bank_line_rows.
{{ config(meta={'instead_of': 'int_restatements'}) }}

with final as (

    select * from {{ ref('int_restatements') }}
    where change_type = 'changed'

)

select * from final
