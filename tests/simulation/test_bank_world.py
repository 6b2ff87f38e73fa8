"""A bank's world is the same for the same seed, its statements tie by their own figures, and every case is in it."""

from pathlib import Path

import polars as pl
import pytest

from zentra_pipeline.contracts import bank_statements
from zentra_pipeline.contracts.gate import validate
from zentra_pipeline.errors import UsageError
from zentra_pipeline.simulation.bank.cases import CASES
from zentra_pipeline.simulation.bank.world import ACCOUNT, build_bank_world
from zentra_pipeline.simulation.bank.write import answer_key, camt, camt_report, write_bank_world
from zentra_pipeline.sources.reading import frames

SEEDS = range(50)


def rows_of(path: Path) -> pl.DataFrame:
    read = [
        validate(bank_statements.CONTRACT, frame)
        for frame in frames(path, bank_statements.CONTRACT, "camt053", name="x")
    ]
    assert sum(verdict.refused.height for verdict in read) == 0
    return pl.concat([verdict.accepted for verdict in read])


def test_the_same_seed_writes_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    for name, seed in (("first", 7), ("second", 7), ("other", 8)):
        write_bank_world(build_bank_world(seed, 60), tmp_path / name)
    first, second, other = (
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("first", "second", "other")
    )
    assert first == second != other


def test_every_case_is_in_a_world_of_some_size_and_says_what_it_is() -> None:
    for seed in SEEDS:
        assert {story.case for story in build_bank_world(seed, 40).stories} == set(CASES)
    assert [name for name, (_, case) in CASES.items() if not (case.__doc__ or "").endswith(".")] == []
    with pytest.raises(UsageError, match="there is no case 'x' of a bank; cases are plain, traced"):
        build_bank_world(1, 10, only_cases=["x"])
    with pytest.raises(UsageError, match="at least one payout and 6 windows"):
        build_bank_world(1, 10, windows=5)


def test_every_kind_of_break_and_every_pass_is_asked_for_over_the_seeds() -> None:
    keys = [answer_key(build_bank_world(seed, 60)) for seed in SEEDS]
    assert {row["exception_type"] for key in keys for row in key["exceptions"]} == {
        "missing_bank_credit",
        "unexpected_bank_credit",
        "bank_amount_mismatch",
        "bank_currency_mismatch",
        "bank_fee_variance",
        "payout_returned",
        "duplicate_bank_line",
        "duplicate_statement",
        "statement_gap",
    }
    assert {row["rule"] for key in keys for row in key["matches"]} == {"bank_trace", "bank_text", "bank_group"}
    assert {row["status"] for key in keys for row in key["payouts"]} == {
        "credited",
        "partially_credited",
        "returned",
        "overdue",
        "in_transit",
    }


def test_statements_follow_one_another_and_an_independent_reading_finds_the_key_s_balances(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        world = build_bank_world(seed, 60)
        (gap,) = answer_key(world)["balances"]
        closing, lines = None, 0
        for statement in world.statements:
            path = tmp_path / "in.xml"
            path.write_text(camt(statement), encoding="utf-8")
            rows = rows_of(path)
            said = rows.row(-1, named=True)
            booked = rows.filter(pl.col("row_type") == "line", pl.col("parent_line_id").is_null())["amount_minor"].sum()
            assert said["account_id"] == ACCOUNT
            assert said["opening_minor"] + booked == said["closing_minor"]
            if statement.repeats is not None:
                continue
            assert closing is None or said["opening_minor"] == closing
            closing, lines = said["closing_minor"], lines + (booked if statement.arrives is not None else -0)
            if statement.arrives is None:
                assert booked == gap["gap_minor"]
        assert (closing, lines) == (gap["closing_minor"], gap["lines_minor"])


def test_what_is_announced_is_pending(tmp_path: Path) -> None:
    world = build_bank_world(1, 60)
    (line, *_) = [line for story in world.stories for line in story.lines if line.announced is not None]
    path = tmp_path / "in.xml"
    path.write_text(camt_report([line], world.steps[0]), encoding="utf-8")
    found = rows_of(path).filter(row_type="line").row(0, named=True)
    assert (found["status"], found["bank_line_id"]) == ("pending", f"{ACCOUNT}:{line.reference}")
