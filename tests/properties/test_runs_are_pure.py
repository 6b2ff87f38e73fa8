"""Properties of whole runs over any input: order, splitting, repeats and threads change nothing; nothing goes missing.

A run costs seconds, so examples are few and rich, each compared in every way at once; `make test-all` tries more.
"""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.scenarios.rows import MON, TUE, Row, call, entry, post, settle
from tests.scenarios.world import World
from zentra_pipeline.store.runs import Revision

pytestmark = pytest.mark.ci

WINDOWS = (MON, TUE)
THREADS_VARIABLE = "ZENTRA_THREADS"
# Repeated deliveries are counted there, and only there.
COUNTING_TABLES = ("conservation", "callback_states")

# The first of each is what the simplest example is made of: one group of equal amounts.
references = st.sampled_from(["A", "", "B", "C", "a", "ref \u00e9", "O'Brien"])
amounts = st.sampled_from([100, 0, 1, 100, 200, 300, 10**15 - 1])
currencies = st.sampled_from(["USD", "USD", "JPY"])
LINE_TYPES = (("payment", 1), ("payment", 1), ("refund", -1), ("chargeback", -1), ("fee", -1))
MOVEMENT_TYPES = (("payment", 1), ("transfer", 1), ("refund", -1), ("chargeback", -1), ("payout", 1))
days = st.sampled_from(WINDOWS)
times = st.sampled_from(["10:00", "00:00", "10:00", "23:59:59.999999"])
names = st.sampled_from(["", "", "T0", "T1", "T2", "I"])


@st.composite
def lines(draw: st.DrawFn) -> Callable[[int], Sequence[Row]]:
    kind, sign = draw(st.sampled_from(LINE_TYPES))
    reference, amount, currency = draw(references), sign * draw(amounts), draw(currencies)
    day, time, merchant, fee = draw(days), draw(times), draw(names), draw(st.sampled_from([0, 0, 3]))
    batch, off = draw(st.sampled_from(["", "", "A"])), draw(st.sampled_from([0, 0, 0, 1]))
    status = draw(st.sampled_from(["", "", "", "failed"]))
    net = max(-(10**15) + 1, min(10**15 - 1, amount - fee + off))
    line = settle("L", reference, amount, currency, on=day, at=time, type=kind, fee=fee, net=net, merchant=merchant)
    return lambda number: (line.again(line_id=f"L{number}", batch_id=batch, status=status),)


@st.composite
def postings(draw: st.DrawFn) -> Callable[[int], Sequence[Row]]:
    kind, sign = draw(st.sampled_from(MOVEMENT_TYPES))
    reference, amount, currency = draw(references), draw(amounts) or 1, draw(currencies)
    day, time, intent, is_balanced = draw(days), draw(times), draw(st.sampled_from(["", "I"])), draw(st.booleans())
    if is_balanced or draw(st.booleans()):
        return lambda number: post(
            f"T{number}", reference, sign * amount, currency, on=day, at=time, type=kind, intent=intent
        )
    account = draw(st.sampled_from(["settlement_account", "reserved"]))
    return lambda number: (
        entry(f"X{number}", f"T{number}", reference, account, "credit", amount, currency, on=day, at=time, type=kind),
    )


@st.composite
def deliveries(draw: st.DrawFn) -> Callable[[int], Sequence[Row]]:
    status = draw(st.sampled_from(["succeeded", "succeeded", "pending", "failed", "reversed"]))
    reference, amount, currency, merchant = draw(references), draw(amounts), draw(currencies), draw(names)
    day, time, sequence = draw(days), draw(times), draw(st.sampled_from([None, 1, 2]))
    delivery = call("E", reference, amount, currency, status=status, on=day, at=time, merchant=merchant)
    change = draw(st.sampled_from(_CHANGES))
    return lambda number: _with_change(delivery.again(provider_event_id=f"E{number}", sequence=sequence), change)


# What a second delivery of the same event says otherwise; None: there is no second delivery.
_CHANGES: tuple[Mapping[str, Any] | None, ...] = (
    None,
    None,
    None,
    {"provider_reference": "Z"},
    {"merchant_reference": "Z"},
    {"currency": "EUR"},
    {"sequence": 9},
    {"event_type": "other"},
)


def _with_change(delivery: Row, change: Mapping[str, Any] | None) -> Sequence[Row]:
    return (delivery,) if change is None else (delivery, delivery.again(**change))


@dataclass(frozen=True, repr=False)
class Inputs:
    """Rows of a world; no id but a callback's has two contents."""

    rows: Sequence[Row]

    def __repr__(self) -> str:
        return "\n".join(" ".join(str(value) for value in row.values.values()) for row in self.rows)


@st.composite
def inputs(draw: st.DrawFn) -> Inputs:
    made = [
        *draw(st.lists(lines(), min_size=12, max_size=25)),
        *draw(st.lists(postings(), min_size=12, max_size=25)),
        *draw(st.lists(deliveries(), min_size=6, max_size=12)),
    ]
    return Inputs(tuple(row for number, make in enumerate(made) for row in make(number)))


@dataclass(frozen=True)
class Outcome:
    """What the windows published: digests by window and table, and the conservation rows."""

    inputs: Mapping[str, str]
    tables: Mapping[str, Mapping[str, str]]
    conservation: Sequence[Mapping[str, Any]]


def publish(folder: Path, parts: Sequence[Sequence[Row]]) -> tuple[World, Outcome]:
    """Ingest the parts one after another and run the windows."""
    world = World(folder)
    for part in parts:
        world.add(*part)
        world.deliver()
    for window in WINDOWS:
        world.reconcile(window)
    revisions = {window: world.revision(window) for window in WINDOWS}
    return world, Outcome(
        {window: revision.inputs_digest for window, revision in revisions.items()},
        {window: _digests(revision) for window, revision in revisions.items()},
        world.query("select * from conservation order by run_id, side, currency"),
    )


def _digests(revision: Revision) -> dict[str, str]:
    return {name: table["sha256"] for name, table in revision.tables.items()}


def check(rows: Sequence[Row], chance: random.Random, folder: Path) -> None:
    world, plain = publish(folder / "plain", [rows])
    assert_nothing_is_missing(world)
    assert not world.reconcile(MON).is_new_revision

    shuffled = chance.sample(rows[::-1], len(rows))
    with threads("4"):
        _, reordered = publish(folder / "reordered", [shuffled])
    assert reordered == plain

    with threads("1"):
        _, split = publish(folder / "split", [shuffled[0::3], shuffled[1::3], shuffled[2::3]])
    assert split == plain

    _, repeated = publish(folder / "repeated", [rows, shuffled])
    assert repeated.inputs == plain.inputs
    assert without_counts(repeated) == without_counts(plain)
    assert [settled(row) for row in repeated.conservation] == [settled(row) for row in plain.conservation]


def assert_nothing_is_missing(world: World) -> None:
    for row in world.query("select * from conservation"):
        buckets = ("matched", "in_transit", "excepted", "accounted", "duplicates", "quarantined")
        assert row["rows_in"] == sum(row[bucket] for bucket in buckets)
        assert row["amount_in_minor"] == sum(row[f"{bucket}_minor"] for bucket in buckets)
        assert (row["rows_unexplained"], row["amount_unexplained_minor"]) == (0, 0)
    for row in world.query("select * from rollforward"):
        moved = row["opening_minor"] + row["posted_minor"] - row["settled_minor"] - row["written_off_minor"]
        assert (moved, row["difference_minor"]) == (row["closing_minor"], 0)
    assert _balances(world, "closing_minor", MON) == _balances(world, "opening_minor", TUE)
    matched_twice = world.query(
        """select leg_type, leg_id from match_legs inner join matches using (match_id, run_id)
           where status = 'confirmed' and leg_type <> 'callback'
           group by leg_type, leg_id, matches.currency having count(*) > 1"""
    )
    assert matched_twice == []


def _balances(world: World, column: str, window: str) -> list[tuple[Any, ...]]:
    rows = world.query(
        f"""select currency, {column} from rollforward
            where ledger_window = date '{window}' and {column} <> 0 order by currency"""
    )
    return [tuple(row.values()) for row in rows]


def without_counts(outcome: Outcome) -> Mapping[str, Mapping[str, str]]:
    return {
        window: {name: digest for name, digest in tables.items() if name not in COUNTING_TABLES}
        for window, tables in outcome.tables.items()
    }


def settled(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A conservation row less its repeats."""
    rows = {**row, "rows_in": row["rows_in"] - row["duplicates"], "duplicates": 0}
    return {**rows, "amount_in_minor": row["amount_in_minor"] - row["duplicates_minor"], "duplicates_minor": 0}


@contextmanager
def threads(number: str) -> Iterator[None]:
    before = os.environ.get(THREADS_VARIABLE)
    os.environ[THREADS_VARIABLE] = number
    try:
        yield
    finally:
        os.environ.pop(THREADS_VARIABLE)
        if before is not None:
            os.environ[THREADS_VARIABLE] = before


any_input = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


@settings(any_input, max_examples=1)
@given(inputs(), st.randoms(use_true_random=False))
def test_order_splitting_repeats_and_threads_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, drawn: Inputs, chance: random.Random
) -> None:
    check(drawn.rows, chance, tmp_path_factory.mktemp("example"))


@pytest.mark.slow
@settings(any_input, max_examples=12, derandomize=False)
@given(inputs(), st.randoms(use_true_random=False))
def test_order_splitting_repeats_and_threads_change_nothing_in_many_examples(
    tmp_path_factory: pytest.TempPathFactory, drawn: Inputs, chance: random.Random
) -> None:
    check(drawn.rows, chance, tmp_path_factory.mktemp("example"))
