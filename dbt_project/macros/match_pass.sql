{#
  The rule every reference pass applies to its groups, for any two sides (contract §5). A side is a word of `item_type`: by
  default the items of the left one are lines, of the right one movements. A group shares group_key, class and the currency in
  which its items are compared (contract §10.1). Each model passes in one relation `keyed` (items with a group_key, null = takes no
  part; the columns of `carried`, was_ambiguous) and one relation `paired_before` (compared amounts of earlier matched items of
  the same group: item_type, group_key, currency, line_class, amount_minor), has `scope` in reach, and gets back every item, with
  what it carries and its disposition, as `outcomes`:

    disposition  matched    a leg of match_id
                 duplicate  repeats an amount already paired: set aside for this run
                 ambiguous  left over with several possible counterparts, in the group `rest_key`: later passes may still
                            settle it, and what they leave of the group is judged once more (int_pass_left_over)
                 free       nothing shares its key, or everything that did is taken

  Exactly equal sums match the whole group. Otherwise equal amounts pair off one to one in a total order, repeated
  amounts are duplicates, and one item of each side left over match with their difference shown.
#}
{% macro match_pass(rule, keyed, paired_before, left='settlement_line', right='ledger_transaction', carried=none) %}

left_groups as (

    select
        group_key,
        compared_currency,
        line_class,
        cast(count(*) as bigint) as left_items,
        cast(sum(compared_minor) as bigint) as left_minor,
        min(item_id) as first_left_id
    from {{ keyed }}
    where item_type = '{{ left }}' and group_key is not null and line_class is not null
    group by group_key, compared_currency, line_class

),

right_groups as (

    select
        group_key,
        compared_currency,
        line_class,
        cast(count(*) as bigint) as right_items,
        cast(sum(compared_minor) as bigint) as right_minor,
        min(item_id) as first_right_id
    from {{ keyed }}
    where item_type = '{{ right }}' and group_key is not null and line_class is not null
    group by group_key, compared_currency, line_class

),

match_groups as (

    select
        coalesce(left_groups.group_key, right_groups.group_key) as group_key,
        coalesce(left_groups.compared_currency, right_groups.compared_currency) as compared_currency,
        coalesce(left_groups.line_class, right_groups.line_class) as line_class,
        coalesce(left_groups.left_items, 0) as left_items,
        coalesce(right_groups.right_items, 0) as right_items,
        left_groups.left_minor,
        right_groups.right_minor,
        left_groups.first_left_id,
        right_groups.first_right_id
    from left_groups
    full outer join right_groups
        on
            left_groups.group_key = right_groups.group_key
            and left_groups.compared_currency = right_groups.compared_currency
            and left_groups.line_class = right_groups.line_class

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
            when match_groups.left_items > 0 and match_groups.right_items > 0 and match_groups.left_minor = match_groups.right_minor then 'equal'
            when match_groups.left_items > 0 and match_groups.right_items > 0 then 'contested'
            when groups_paired_before.group_key is not null then 'contested'
            else 'one_sided'
        end as verdict,
        case
            when match_groups.left_items > 0 and match_groups.right_items > 0 and match_groups.left_minor = match_groups.right_minor
                then {{ match_id(rule, 'match_groups.group_key', 'match_groups.compared_currency', 'match_groups.line_class', "cast(match_groups.left_items as varchar) || ':' || cast(match_groups.right_items as varchar) || ':' || cast(match_groups.right_minor as varchar)", 'match_groups.first_left_id', 'match_groups.first_right_id') }}
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
            sum(case when item_type = '{{ left }}' then 1 else 0 end),
            sum(case when item_type = '{{ right }}' then 1 else 0 end)
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
        sum(case when item_type = '{{ left }}' then 1 else 0 end) as left_items,
        sum(case when item_type = '{{ right }}' then 1 else 0 end) as right_items
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
            when left_over.left_items = 1 and left_over.right_items = 1 and not paired.is_duplicate then 'difference'
        end as pair_name,
        case
            when paired.is_paired then 'matched'
            when paired.is_duplicate then 'duplicate'
            when left_over.left_items = 1 and left_over.right_items = 1 then 'matched'
            when left_over.left_items > 0 and left_over.right_items > 0 then 'ambiguous'
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
        min(case when item_type = '{{ left }}' then item_id end) as left_id,
        min(case when item_type = '{{ right }}' then item_id end) as right_id
    from pair_names
    where pair_name is not null
    group by group_key, compared_currency, line_class, pair_name

),

named_pairs as (

    select
        pairs.*,
        {{ match_id(rule, 'pairs.group_key', 'pairs.compared_currency', 'pairs.line_class', 'pairs.pair_name', 'pairs.left_id', 'pairs.right_id') }} as match_id
    from pairs
    cross join scope

),

outcomes as (

    select
        {{ item_columns('keyed', carried) }},
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
        {{ item_columns('pair_names', carried) }},
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
{% macro rest_of_groups(rule, before, left='settlement_line', right='ledger_transaction') %}

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
        cast(sum(case when item_type = '{{ left }}' then 1 else 0 end) as bigint) as left_items,
        cast(sum(case when item_type = '{{ right }}' then 1 else 0 end) as bigint) as right_items,
        cast(sum(case when item_type = '{{ right }}' then compared_minor else 0 end) as bigint) as right_minor,
        min(case when item_type = '{{ left }}' then item_id end) as first_left_id,
        min(case when item_type = '{{ right }}' then item_id end) as first_right_id
    from {{ rule }}_rest
    group by rest_key, compared_currency, line_class

),

{{ rule }}_groups as (

    select
        sides.*,
        case
            when sides.left_items = 1 or sides.right_items = 1
                then {{ match_id(rule, 'sides.rest_key', 'sides.compared_currency', 'sides.line_class', "'rest ' || cast(sides.left_items as varchar) || ':' || cast(sides.right_items as varchar) || ':' || cast(sides.right_minor as varchar)", 'sides.first_left_id', 'sides.first_right_id') }}
        end as match_id
    from {{ rule }}_sides as sides
    cross join scope
    where sides.left_items > 0 and sides.right_items > 0

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

{# The columns of an item that every pass hands on; those named instead, where another run carries others. #}
{% macro item_columns(alias, names=none) -%}
    {% set own = [
        'item_type', 'item_id', 'currency', 'line_class', 'amount_minor', 'compared_currency', 'compared_minor', 'provider_reference',
        'normalized_reference', 'merchant_reference', 'intent_id', 'sort_at', 'opened_window', 'is_carried',
        'released_from_match_id', 'is_fee'
    ] -%}
    {% for name in names or own -%}
        {{ alias }}.{{ name }}{{ ",
        " if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# A match is named by its run, rule, group and legs; lengths keep the parts apart. `scope` must be in reach. #}
{% macro match_id(rule, group_key, currency, line_class, shape, first_left_id, first_right_id) -%}
    'mat_' || left({{ sha256_hex(joined_fields(["scope.run_id", "'" ~ rule ~ "'", currency, line_class, shape, first_left_id, first_right_id, group_key])) }}, 24)
{%- endmacro %}
