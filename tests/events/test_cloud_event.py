"""An event's id says which fact it reports, and is the same however it is computed."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zentra_pipeline.events.cloud_event import event_id, event_id_sql

HOSTILE = (
    "plain",
    "",
    "'; drop table matches; --",
    'a "quoted" id',
    "back\\slash",
    "1:a,2:bb,",
    "tab\tnew\nline\rreturn\x00nul\x1f\x7f",
    "Ünïcode ﷽ 🏦 e\u0301 \u200f\ufeff",
    "\U0010ffff",
    "0007",
)


def in_sql(event_type: str, fact: list[str]) -> str:
    columns = [f"part_{number}" for number in range(len(fact) + 1)]
    values = ", ".join(["cast(? as varchar)"] * len(columns))
    sql = f"select {event_id_sql(columns[0], columns[1:])} from (values ({values})) as parts ({', '.join(columns)})"
    (row,) = duckdb.connect().execute(sql, [event_type, *fact]).fetchall()
    return str(row[0])


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_and_python_give_equal_ids_for_hostile_text(text: str) -> None:
    assert in_sql("reconciliation.match.created", ["acme", text]) == event_id(
        "reconciliation.match.created", ["acme", text]
    )


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=4))
def test_sql_and_python_give_equal_ids_for_any_text(fact: list[str]) -> None:
    assert in_sql("t", fact) == event_id("t", fact)


def test_facts_that_read_alike_have_different_ids() -> None:
    facts = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["1:a,", "b"], ["", "abc"]]
    assert len({event_id("t", fact) for fact in facts} | {event_id("tt", ["abc"])}) == len(facts) + 1


def test_an_id_stays_what_it_is() -> None:
    assert event_id("reconciliation.run.created", ["acme", "run_1"]) == "evt_9aceb9d4c0e6e95da0b4249d4db16dc4"
