"""`zentra ingest` says what was accepted, what was not and why."""

from pathlib import Path

import pytest

from tests.cli.conftest import Zentra

SETTLEMENT = ("ingest", "--tenant", "acme", "--provider", "rail", "--kind", "settlement")


def test_rows_accepted_and_rows_in_quarantine_are_counted(acme: Zentra, settlement_csv: Path) -> None:
    done = acme(*SETTLEMENT, settlement_csv, "--json")
    assert (done.code, done.err) == (0, "")
    (file,) = done.json["files"]
    assert (done.json["kind"], done.json["provider"], file["file_id"]) == ("settlement", "rail", "set_2026_04_26")
    assert (file["rows"], file["staged"], file["quarantined"], file["unchanged"]) == (3, 2, 1, False)
    ((reason, count),) = file["reasons"].items()
    assert reason.startswith("gross_minor: '12.0' is not an integer below 10^15: this column counts minor units")
    assert count == 1


def test_the_same_bytes_again_are_nothing_new(acme: Zentra, settlement_csv: Path) -> None:
    first = acme(*SETTLEMENT, settlement_csv)
    assert "1 in quarantine: gross_minor: '12.0' is not an integer" in first.out
    assert "nothing new" not in first.out
    again = acme(*SETTLEMENT, settlement_csv)
    assert again.code == 0
    assert "set_2026_04_26: nothing new, these bytes are already here" in again.out


def test_a_settlement_file_goes_by_the_id_it_is_given(acme: Zentra, settlement_csv: Path) -> None:
    done = acme(*SETTLEMENT, settlement_csv, "--settlement-file", "set_7", "--json")
    assert done.json["files"][0]["file_id"] == "set_7"


def test_a_broken_file_is_rejected_with_4(acme: Zentra, settlement_csv: Path) -> None:
    settlement_csv.write_text("line_id\nL1\n", encoding="utf-8")
    done = acme(*SETTLEMENT, settlement_csv)
    assert (done.code, done.out) == (4, "")
    assert "set_2026_04_26.csv" in done.err and "line_type" in done.err


def test_the_reader_is_the_one_the_profile_names(acme: Zentra, settlement_csv: Path, tmp_path: Path) -> None:
    profile = tmp_path / "home/tenants/acme/providers/rail.yml"
    profile.write_text("settlement_format: stripe\n", encoding="utf-8")
    done = acme(*SETTLEMENT, settlement_csv)
    assert done.code == 4
    assert "reporting_category" in done.err
    ledger = acme("ingest", "--tenant", "acme", "--provider", "rail", "--kind", "ledger", settlement_csv)
    assert "entry_id" in ledger.err


def test_a_wrong_profile_is_misuse(acme: Zentra, settlement_csv: Path, tmp_path: Path) -> None:
    (tmp_path / "home/tenants/acme/providers/rail.yml").write_text("settlment_format: x\n", encoding="utf-8")
    done = acme(*SETTLEMENT, settlement_csv)
    assert done.code == 2
    assert "rail.yml" in done.err and "settlment_format" in done.err


@pytest.mark.parametrize("name", ["a b.csv", "*.csv", "[1].csv", "k=v.csv", "-x.csv", "..csv"])
def test_a_file_whose_name_is_no_id_asks_for_one(acme: Zentra, settlement_csv: Path, name: str) -> None:
    odd = settlement_csv.rename(settlement_csv.with_name(name))
    assert acme(*SETTLEMENT, odd).code == 2
    assert acme(*SETTLEMENT, "--settlement-file", "set_7", odd).code == 0
