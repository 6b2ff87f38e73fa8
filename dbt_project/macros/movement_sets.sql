{#
  Keys for the passes in which lines name movements instead of sharing a reference with them. Lines that name the same
  set of movements form one group with that set (contract §10.17). A movement claimed by two different sets belongs to
  neither: those lines are ambiguous, for no order of theirs may decide.

  Needs CTEs `items` (what earlier passes left, with `line_name`: what a line is looked up by, null where it names
  nothing), `line_names` (line_name, movement_name) and `matched_before` (items of earlier matches made by this rule).
  Gives `keyed` and `paired_before` for match_pass. Work is bounded by names × 2, never lines × movements.
#}
{% macro movement_sets() %}

movement_names as (

    select
        item_id as movement_name,
        item_id,
        compared_currency as currency,
        line_class
    from items
    where item_type = 'ledger_transaction' and line_class is not null

    union

    select
        intent_id as movement_name,
        item_id,
        compared_currency as currency,
        line_class
    from items
    where item_type = 'ledger_transaction' and line_class is not null and intent_id <> ''

    union

    select
        item_id as movement_name,
        item_id,
        compared_currency as currency,
        line_class
    from matched_before
    where item_type = 'ledger_transaction'

    union

    select
        intent_id as movement_name,
        item_id,
        compared_currency as currency,
        line_class
    from matched_before
    where item_type = 'ledger_transaction' and intent_id <> ''

),

named_movements as (

    select distinct
        movement_names.movement_name,
        movement_names.item_id,
        movement_names.currency,
        movement_names.line_class
    from movement_names
    inner join line_names on movement_names.movement_name = line_names.movement_name

),

name_sets as (

    select
        movement_name,
        currency,
        line_class,
        {{ sha256_hex(ordered_text_agg('item_id', '|', 'item_id asc nulls last')) }} as name_key
    from named_movements
    group by movement_name, currency, line_class

),

line_name_sets as (

    select distinct
        line_names.line_name,
        name_sets.currency,
        name_sets.line_class,
        name_sets.name_key
    from line_names
    inner join name_sets on line_names.movement_name = name_sets.movement_name

),

line_sets as (

    select
        line_name,
        currency,
        line_class,
        case
            when count(*) = 1 then min(name_key)
            else {{ sha256_hex(ordered_text_agg('name_key', '|', 'name_key asc nulls last')) }}
        end as set_key
    from line_name_sets
    group by line_name, currency, line_class

),

set_names as (

    select distinct
        line_name_sets.name_key,
        line_name_sets.currency,
        line_name_sets.line_class,
        line_sets.set_key
    from line_name_sets
    inner join line_sets
        on
            line_name_sets.line_name = line_sets.line_name
            and line_name_sets.currency = line_sets.currency
            and line_name_sets.line_class = line_sets.line_class

),

shared_names as (

    select
        name_key,
        currency,
        line_class
    from set_names
    group by name_key, currency, line_class
    having count(*) > 1

),

set_members as (

    select distinct
        named_movements.item_id,
        named_movements.currency,
        named_movements.line_class,
        set_names.set_key
    from named_movements
    inner join name_sets
        on
            named_movements.movement_name = name_sets.movement_name
            and named_movements.currency = name_sets.currency
            and named_movements.line_class = name_sets.line_class
    inner join set_names
        on
            name_sets.name_key = set_names.name_key
            and name_sets.currency = set_names.currency
            and name_sets.line_class = set_names.line_class
    left join shared_names
        on
            name_sets.name_key = shared_names.name_key
            and name_sets.currency = shared_names.currency
            and name_sets.line_class = shared_names.line_class
    where shared_names.name_key is null

),

shared_members as (

    select
        item_id,
        currency,
        line_class
    from set_members
    group by item_id, currency, line_class
    having count(*) > 1

),

overlapping_sets as (

    select
        set_names.set_key,
        set_names.currency,
        set_names.line_class
    from set_names
    inner join shared_names
        on
            set_names.name_key = shared_names.name_key
            and set_names.currency = shared_names.currency
            and set_names.line_class = shared_names.line_class

    union

    select
        set_members.set_key,
        set_members.currency,
        set_members.line_class
    from set_members
    inner join shared_members
        on
            set_members.item_id = shared_members.item_id
            and set_members.currency = shared_members.currency
            and set_members.line_class = shared_members.line_class

),

unique_members as (

    select set_members.*
    from set_members
    left join shared_members
        on
            set_members.item_id = shared_members.item_id
            and set_members.currency = shared_members.currency
            and set_members.line_class = shared_members.line_class
    where shared_members.item_id is null

),

keyed as (

    select
        {{ item_columns('items') }},
        items.was_ambiguous or overlapping_sets.set_key is not null as was_ambiguous,
        case
            when overlapping_sets.set_key is not null then null
            when items.item_type = 'settlement_line' then line_sets.set_key
            else unique_members.set_key
        end as group_key
    from items
    left join line_sets
        on
            items.item_type = 'settlement_line'
            and items.line_name = line_sets.line_name
            and items.compared_currency = line_sets.currency
            and items.line_class = line_sets.line_class
    left join unique_members
        on
            items.item_type = 'ledger_transaction'
            and items.item_id = unique_members.item_id
            and items.compared_currency = unique_members.currency
            and items.line_class = unique_members.line_class
    left join overlapping_sets
        on
            coalesce(line_sets.set_key, unique_members.set_key) = overlapping_sets.set_key
            and items.compared_currency = overlapping_sets.currency
            and items.line_class = overlapping_sets.line_class

),

set_amounts as (

    select
        matched_before.item_type,
        set_members.set_key as group_key,
        matched_before.compared_currency as currency,
        matched_before.line_class,
        matched_before.amount_minor
    from matched_before
    inner join matched_before as matched_movement
        on
            matched_before.match_id = matched_movement.match_id
            and matched_movement.item_type = 'ledger_transaction'
    inner join set_members
        on
            matched_movement.item_id = set_members.item_id
            and matched_movement.compared_currency = set_members.currency
            and matched_movement.line_class = set_members.line_class

),

paired_before as (

    select * from set_amounts

),

{% endmacro %}
