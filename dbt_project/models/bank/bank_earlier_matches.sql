-- Grain: a match that an earlier run of the account published, under the engine's name of the pass.
{{ config(meta={'instead_of': 'stg_earlier_matches'}) }}

with final as (

    select
        * exclude (rule),
        case when rule in ('bank_trace', 'bank_text', 'bank_group') then 'exact_reference' else rule end as rule
    from {{ source('earlier', 'matches') }}

)

select * from final
