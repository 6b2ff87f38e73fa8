{#
  The rule every reference pass applies to its groups (contract §5). An item is a line or a movement; a group shares
  group_key, class and the currency in which its items are compared (contract §10.1). Each model passes in one relation
  `keyed` (items with a group_key, null = takes no part) and one relation `paired_before` (compared amounts of earlier matched
  items of the same group: item_type, group_key, currency, line_class, amount_minor), and gets back every item with its
  disposition:

    disposition  matched    a leg of match_id
                 duplicate  repeats an amount already paired: set aside for this run
                 ambiguous  left over with several possible counterparts, in the group `rest_key`: later passes may still
                            settle it, and what they leave of the group is judged once more (int_pass_left_over)
                 free       nothing shares its key, or everything that did is taken

  Exactly equal sums match the whole group. Otherwise equal amounts pair off one to one in a total order, repeated
  amounts are duplicates, and one line and one movement left over match with their difference shown.
#}
{% macro match_pass(rule, keyed, paired_before) %}

line_groups as (

    select
        group_key,
        compared_currency,
        line_class,
        cast(count(*) as bigint) as lines,
        cast(sum(compared_minor) as bigint) as settlement_minor,
        min(item_id) as first_line_id
    from {{ keyed }}
    where item_type = 'settlement_line' and group_key is not null and line_class is not null
    group by group_key, compared_currency, line_class

),

movement_groups as (

    select
        group_key,
        compared_currency,
        line_class,
        cast(count(*) as bigint) as movements,
        cast(sum(compared_minor) as bigint) as ledger_minor,
        min(item_id) as first_transaction_id
    from {{ keyed }}
    where item_type = 'ledger_transaction' and group_key is not null and line_class is not null
    group by group_key, compared_currency, line_class

),

match_groups as (

    select
        coalesce(line_groups.group_key, movement_groups.group_key) as group_key,
        coalesce(line_groups.compared_currency, movement_groups.compared_currency) as compared_currency,
        coalesce(line_groups.line_class, movement_groups.line_class) as line_class,
        coalesce(line_groups.lines, 0) as lines,
        coalesce(movement_groups.movements, 0) as movements,
        line_groups.settlement_minor,
        movement_groups.ledger_minor,
        line_groups.first_line_id,
        movement_groups.first_transaction_id
    from line_groups
    full outer join movement_groups
        on
            line_groups.group_key = movement_groups.group_key
            and line_groups.compared_currency = movement_groups.compared_currency
            and line_groups.line_class = movement_groups.line_class

),

groups_paired_before as (

    select distinct
        group_key,
        currency as compared_currency,
        line_class
    from {{ paired_before }}

),

judged_groups as (

    select
        match_groups.group_key,
        match_groups.compared_currency,
        match_groups.line_class,
        case
            when match_groups.lines > 0 and match_groups.movements > 0 and match_groups.settlement_minor = match_groups.ledger_minor then 'equal'
            when match_groups.lines > 0 and match_groups.movements > 0 then 'contested'
            when groups_paired_before.group_key is not null then 'contested'
            else 'one_sided'
        end as verdict,
        case
            when match_groups.lines > 0 and match_groups.movements > 0 and match_groups.settlement_minor = match_groups.ledger_minor
                then {{ match_id(rule, 'match_groups.group_key', 'match_groups.compared_currency', 'match_groups.line_class', "cast(match_groups.lines as varchar) || ':' || cast(match_groups.movements as varchar) || ':' || cast(match_groups.ledger_minor as varchar)", 'match_groups.first_line_id', 'match_groups.first_transaction_id') }}
        end as match_id
    from match_groups
    cross join scope
    left join groups_paired_before
        on
            match_groups.group_key = groups_paired_before.group_key
            and match_groups.compared_currency = groups_paired_before.compared_currency
            and match_groups.line_class = groups_paired_before.line_class

),

contested_groups as (

    select
        group_key,
        compared_currency,
        line_class
    from judged_groups
    where verdict = 'contested'

),

contested as (

    select
        keyed.*,
        row_number() over (
            partition by keyed.group_key, keyed.compared_currency, keyed.line_class, keyed.item_type, keyed.compared_minor
            order by keyed.sort_at asc nulls last, keyed.item_id asc nulls last
        ) as amount_rank
    from {{ keyed }} as keyed
    inner join contested_groups
        on
            keyed.group_key = contested_groups.group_key
            and keyed.compared_currency = contested_groups.compared_currency
            and keyed.line_class = contested_groups.line_class

),

equal_amounts as (

    select
        group_key,
        compared_currency,
        line_class,
        compared_minor,
        least(
            sum(case when item_type = 'settlement_line' then 1 else 0 end),
            sum(case when item_type = 'ledger_transaction' then 1 else 0 end)
        ) as pairs
    from contested
    group by group_key, compared_currency, line_class, compared_minor

),

amounts_paired_before as (

    select distinct
        item_type,
        group_key,
        currency as compared_currency,
        line_class,
        amount_minor as compared_minor
    from {{ paired_before }}

),

paired as (

    select
        contested.*,
        contested.amount_rank <= equal_amounts.pairs as is_paired,
        contested.amount_rank > equal_amounts.pairs
        and (equal_amounts.pairs > 0 or amounts_paired_before.group_key is not null) as is_duplicate
    from contested
    inner join equal_amounts
        on
            contested.group_key = equal_amounts.group_key
            and contested.compared_currency = equal_amounts.compared_currency
            and contested.line_class = equal_amounts.line_class
            and contested.compared_minor = equal_amounts.compared_minor
    left join amounts_paired_before
        on
            contested.item_type = amounts_paired_before.item_type
            and contested.group_key = amounts_paired_before.group_key
            and contested.compared_currency = amounts_paired_before.compared_currency
            and contested.line_class = amounts_paired_before.line_class
            and contested.compared_minor = amounts_paired_before.compared_minor

),

left_over as (

    select
        group_key,
        compared_currency,
        line_class,
        sum(case when item_type = 'settlement_line' then 1 else 0 end) as lines,
        sum(case when item_type = 'ledger_transaction' then 1 else 0 end) as movements
    from paired
    where not is_paired and not is_duplicate
    group by group_key, compared_currency, line_class

),

pair_names as (

    select
        paired.*,
        case
            when paired.is_paired
                then cast(paired.compared_minor as varchar) || '#' || cast(paired.amount_rank as varchar)
            when left_over.lines = 1 and left_over.movements = 1 and not paired.is_duplicate then 'difference'
        end as pair_name,
        case
            when paired.is_paired then 'matched'
            when paired.is_duplicate then 'duplicate'
            when left_over.lines = 1 and left_over.movements = 1 then 'matched'
            when left_over.lines > 0 and left_over.movements > 0 then 'ambiguous'
            else 'free'
        end as disposition
    from paired
    left join left_over
        on
            paired.group_key = left_over.group_key
            and paired.compared_currency = left_over.compared_currency
            and paired.line_class = left_over.line_class

),

pairs as (

    select
        group_key,
        compared_currency,
        line_class,
        pair_name,
        min(case when item_type = 'settlement_line' then item_id end) as line_id,
        min(case when item_type = 'ledger_transaction' then item_id end) as transaction_id
    from pair_names
    where pair_name is not null
    group by group_key, compared_currency, line_class, pair_name

),

named_pairs as (

    select
        pairs.*,
        {{ match_id(rule, 'pairs.group_key', 'pairs.compared_currency', 'pairs.line_class', 'pairs.pair_name', 'pairs.line_id', 'pairs.transaction_id') }} as match_id
    from pairs
    cross join scope

),

outcomes as (

    select
        {{ item_columns('keyed') }},
        keyed.was_ambiguous,
        case when judged_groups.verdict = 'equal' then 'matched' else 'free' end as disposition,
        judged_groups.match_id,
        '{{ rule }}' as rule,
        cast(null as varchar) as rest_key
    from {{ keyed }} as keyed
    left join judged_groups
        on
            keyed.group_key = judged_groups.group_key
            and keyed.compared_currency = judged_groups.compared_currency
            and keyed.line_class = judged_groups.line_class
    where judged_groups.verdict is null or judged_groups.verdict <> 'contested'

    union all

    select
        {{ item_columns('pair_names') }},
        pair_names.was_ambiguous,
        pair_names.disposition,
        named_pairs.match_id,
        '{{ rule }}' as rule,
        case when pair_names.disposition = 'ambiguous' then pair_names.group_key end as rest_key
    from pair_names
    left join named_pairs
        on
            pair_names.group_key = named_pairs.group_key
            and pair_names.compared_currency = named_pairs.compared_currency
            and pair_names.line_class = named_pairs.line_class
            and pair_names.pair_name = named_pairs.pair_name

)

{% endmacro %}

{#
  What a pass left over and nothing took since: `<rule>_judged` has every such item whose group still has both sides, with
  the match_id of the group where one side has a single item. `before` names the passes whose rest was asked before; needs
  the CTEs `items` (what is still free), `scope`, and one named like the rule with the items that it left over.
#}
{% macro rest_of_groups(rule, before) %}

{{ rule }}_rest as (

    select
        {{ rule }}.item_type,
        {{ rule }}.item_id,
        {{ rule }}.currency,
        {{ rule }}.compared_currency,
        {{ rule }}.line_class,
        {{ rule }}.rest_key,
        {{ rule }}.compared_minor
    from {{ rule }}
    inner join items
        on
            {{ rule }}.item_type = items.item_type
            and {{ rule }}.item_id = items.item_id
            and {{ rule }}.currency = items.currency
    {%- for earlier in before %}
    left join {{ earlier }}_judged
        on
            {{ rule }}.item_type = {{ earlier }}_judged.item_type
            and {{ rule }}.item_id = {{ earlier }}_judged.item_id
            and {{ rule }}.currency = {{ earlier }}_judged.currency
            and {{ earlier }}_judged.match_id is not null
    {%- endfor %}
    {%- for earlier in before %}
    {{ 'where' if loop.first else 'and' }} {{ earlier }}_judged.item_id is null
    {%- endfor %}

),

{{ rule }}_sides as (

    select
        rest_key,
        compared_currency,
        line_class,
        cast(sum(case when item_type = 'settlement_line' then 1 else 0 end) as bigint) as lines,
        cast(sum(case when item_type = 'ledger_transaction' then 1 else 0 end) as bigint) as movements,
        cast(sum(case when item_type = 'ledger_transaction' then compared_minor else 0 end) as bigint) as ledger_minor,
        min(case when item_type = 'settlement_line' then item_id end) as first_line_id,
        min(case when item_type = 'ledger_transaction' then item_id end) as first_transaction_id
    from {{ rule }}_rest
    group by rest_key, compared_currency, line_class

),

{{ rule }}_groups as (

    select
        sides.*,
        case
            when sides.lines = 1 or sides.movements = 1
                then {{ match_id(rule, 'sides.rest_key', 'sides.compared_currency', 'sides.line_class', "'rest ' || cast(sides.lines as varchar) || ':' || cast(sides.movements as varchar) || ':' || cast(sides.ledger_minor as varchar)", 'sides.first_line_id', 'sides.first_transaction_id') }}
        end as match_id
    from {{ rule }}_sides as sides
    cross join scope
    where sides.lines > 0 and sides.movements > 0

),

{{ rule }}_judged as (

    select
        rest.item_type,
        rest.item_id,
        rest.currency,
        '{{ rule }}' as rule,
        grouped.match_id
    from {{ rule }}_rest as rest
    inner join {{ rule }}_groups as grouped
        on
            rest.rest_key = grouped.rest_key
            and rest.compared_currency = grouped.compared_currency
            and rest.line_class = grouped.line_class

),

{% endmacro %}

{# The columns of an item that every pass hands on. #}
{% macro item_columns(alias) -%}
    {{ alias }}.item_type,
        {{ alias }}.item_id,
        {{ alias }}.currency,
        {{ alias }}.line_class,
        {{ alias }}.amount_minor,
        {{ alias }}.compared_currency,
        {{ alias }}.compared_minor,
        {{ alias }}.provider_reference,
        {{ alias }}.normalized_reference,
        {{ alias }}.merchant_reference,
        {{ alias }}.intent_id,
        {{ alias }}.sort_at,
        {{ alias }}.opened_window,
        {{ alias }}.is_carried,
        {{ alias }}.released_from_match_id,
        {{ alias }}.is_fee
{%- endmacro %}

{# A match is named by its run, rule, group and legs; lengths keep the parts apart. `scope` must be in reach. #}
{% macro match_id(rule, group_key, currency, line_class, shape, first_line_id, first_transaction_id) -%}
    'mat_' || left({{ sha256_hex(joined_fields(["scope.run_id", "'" ~ rule ~ "'", currency, line_class, shape, first_line_id, first_transaction_id, group_key])) }}, 24)
{%- endmacro %}
