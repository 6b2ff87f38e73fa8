"""Rows of one id: which are one row delivered again, and which contradict each other and go to quarantine."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.ingest.test_ingest import csv as settlement
from tests.ingest.test_ingest import ingest, line, staged
from zentra_pipeline.contracts import contract_of
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant

LEDGER = ",".join(contract_of("ledger").columns)


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    return Tenant.of(Home(tmp_path), "acme")


def ledger(path: Path, *entries: str) -> Path:
    rows = (f"rail,{entry},USD,2026-04-26T00:00:00Z,ref," for entry in entries)
    path.write_text("\n".join((LEDGER, *rows)) + "\n", encoding="utf-8")
    return path


def test_both_rows_of_an_id_used_twice_go_to_quarantine_and_the_file_is_kept(tenant: Tenant, tmp_path: Path) -> None:
    """The last row of an id replaced the others without a word, and 45.20 were in no bucket."""
    file = settlement(tmp_path / "set_1.csv", line("A", 4520), line("B"), line("A", 136), line("A", 4520))
    outcome = ingest(tenant, file).files[0]
    assert (outcome.rows, outcome.staged, outcome.quarantined) == (4, 1, 3)
    assert outcome.ids_used_twice == {"line_id A": (1, 3, 4)}
    assert [(row["row_number"], row["reason"]) for row in staged(tenant, "quarantine")] == [
        (1, "id_used_twice"),
        (3, "id_used_twice"),
        (4, "id_used_twice"),
    ]
    assert [row["line_id"] for row in staged(tenant)] == ["B"]


def test_a_file_of_nothing_but_one_id_used_twice_is_registered_with_its_rows_in_quarantine(
    tenant: Tenant, tmp_path: Path
) -> None:
    outcome = ingest(tenant, settlement(tmp_path / "set_1.csv", line("A", 4520), line("A", 136))).files[0]
    assert (outcome.rows, outcome.staged, outcome.quarantined, outcome.unchanged) == (2, 0, 2, False)
    assert ingest(tenant, tmp_path / "set_1.csv").files[0].unchanged


def test_equal_rows_of_one_id_are_a_redelivery_in_one_file_too(tenant: Tenant, tmp_path: Path) -> None:
    outcome = ingest(tenant, settlement(tmp_path / "set_1.csv", line("A"), line("A"))).files[0]
    assert (outcome.staged, outcome.ids_used_twice) == (2, {})


def test_what_an_id_used_twice_says_contradicts_no_other_file(tenant: Tenant, tmp_path: Path) -> None:
    twice = settlement(tmp_path / "a.csv", line("A", 1), line("A", 2), line("Z"))
    other = settlement(tmp_path / "b.csv", line("A", 3))
    outcome = ingest(tenant, twice, other)
    assert [(file.staged, file.quarantined) for file in outcome.files] == [(1, 2), (1, 0)]


def test_a_quarantined_row_quarantines_no_later_row(tenant: Tenant, tmp_path: Path) -> None:
    ingest(tenant, settlement(tmp_path / "a.csv", line("A", 1)))
    wrong, right = settlement(tmp_path / "b.csv", line("A", 2), line("B")), settlement(tmp_path / "c.csv", line("A", 1))
    outcome = ingest(tenant, wrong, right)
    assert [(file.staged, file.quarantined) for file in outcome.files] == [(1, 1), (1, 0)]


def test_another_batch_and_a_blank_filled_in_are_no_other_content(tenant: Tenant, tmp_path: Path) -> None:
    """A payout report brings the rows of an activity report again, now with the payout they went out in."""
    ingest(tenant, settlement(tmp_path / "activity.csv", line("A").replace(",order,", ",,").replace(",b1", ",")))
    outcome = ingest(tenant, settlement(tmp_path / "payout.csv", line("A"))).files[0]
    assert outcome.quarantined == 0
    again = ingest(tenant, settlement(tmp_path / "sent_again.csv", line("A").replace(",b1", ",b2"))).files[0]
    assert again.quarantined == 0
    (refused,) = (
        ingest(tenant, settlement(tmp_path / "other.csv", line("A").replace(",order,", ",another,"), line("B")))
        .files[0]
        .reasons
    )
    assert refused == "line_id A already arrived in file payout with other content"


@pytest.mark.parametrize("order", [("activity", "payout"), ("payout", "activity")])
def test_a_blank_contradicts_nothing_in_either_order_of_arrival(
    tenant: Tenant, tmp_path: Path, order: tuple[str, str]
) -> None:
    settlement(tmp_path / "activity.csv", line("A").replace(",order,", ",,").replace(",b1", ","))
    settlement(tmp_path / "payout.csv", line("A"))
    quarantined = [ingest(tenant, tmp_path / f"{name}.csv").files[0].quarantined for name in order]
    assert quarantined == [0, 0]


def test_an_entry_is_known_by_its_transaction_and_number(tenant: Tenant, tmp_path: Path) -> None:
    """Exports number their entries 1, 2 again in each transaction: one of two transactions vanished."""
    entries = ("1,t1,payment,a,debit,10", "2,t1,payment,b,credit,10", "1,t2,payment,a,debit,20")
    outcome = ingest(tenant, ledger(tmp_path / "ledger.csv", *entries), kind="ledger").files[0]
    assert (outcome.staged, outcome.quarantined) == (3, 0)
    twice = ledger(
        tmp_path / "twice.csv", "1,t3,payment,a,debit,5", "1,t3,payment,b,credit,5", "2,t2,payment,b,credit,20"
    )
    assert ingest(tenant, twice, kind="ledger").files[0].ids_used_twice == {"entry_id 1 of transaction_id t3": (1, 2)}


def test_a_hundred_small_files_are_ingested_in_one_command_as_if_one_by_one(tenant: Tenant, tmp_path: Path) -> None:
    files = [settlement(tmp_path / f"f{n:03}.csv", line(f"L{n % 60}", n // 60)) for n in range(100)]
    outcome = ingest(tenant, *files, now=datetime(2026, 4, 27, tzinfo=UTC))
    assert [file.quarantined for file in outcome.files] == [0] * 60 + [1] * 40
