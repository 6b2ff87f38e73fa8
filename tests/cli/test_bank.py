"""`zentra bank`, `zentra ingest --bank`: profiles from templates, statements by them, a rebuild that reads the same."""

from pathlib import Path

import pytest

from tests.cli.conftest import Zentra
from tests.ingest.test_bank_statements import CAMT, DAY, IBAN, TABLE, TABLE_PROFILE
from zentra_pipeline.sources.registry import formats_of


def test_banks_are_added_listed_and_shown(zentra: Zentra, tmp_path: Path) -> None:
    zentra("init")
    zentra("tenant", "add", "acme")
    for form in formats_of("bank_statement"):
        assert zentra("bank", "add", f"of_{form}", "--like", form, "--tenant", "acme").code == 0
        shown = zentra("bank", "show", f"of_{form}", "--tenant", "acme", "--json").json
        assert shown["profile"]["format"] == form
    again = zentra("bank", "add", "of_ofx", "--like", "ofx", "--tenant", "acme")
    assert (again.code, "is there already and stays as it is" in again.err) == (3, True)
    odd = zentra("bank", "add", "x", "--like", "pdf", "--tenant", "acme")
    assert (odd.code, "there is no template 'pdf': use one of camt053, camt052" in odd.err) == (2, True)

    file = tmp_path / "in.xml"
    file.write_text(CAMT, encoding="utf-8")
    ingest = ("ingest", "--tenant", "acme", "--kind", "bank_statement", file)
    mixed = zentra(*ingest, "--provider", "of_camt053")
    assert (mixed.code, "--kind bank_statement goes with --bank" in mixed.err) == (2, True)
    missing = zentra(*ingest, "--bank", "none")
    assert (missing.code, "add its profile, banks/none.yml" in missing.err) == (2, True)
    assert zentra(*ingest, "--bank", "of_mt940").code == 4
    assert zentra(*ingest, "--bank", "of_camt053", "--json").json["files"][0]["staged"] == 3
    (listed,) = (
        item for item in zentra("bank", "list", "--tenant", "acme", "--json").json["items"] if item["accounts"]
    )
    assert listed["bank"] == "of_camt053"
    assert listed["accounts"] == [{"account_id": IBAN, "currency": "EUR", "statements": 1, "last_day": "2026-04-26"}]
    table = zentra("bank", "list", "--tenant", "acme").out
    assert IBAN in table and "tabular" in table
    (file_row,) = zentra("files", "list", "--tenant", "acme", "--json").json["items"]
    assert (file_row["kind"], file_row["provider"], file_row["rows"]) == ("bank_statement", "of_camt053", 3)


@pytest.mark.usefixtures("catalog_as_shipped")
def test_a_rebuild_reads_a_statement_by_the_profile_of_its_time(zentra: Zentra, tmp_path: Path) -> None:
    zentra("init")
    zentra("tenant", "add", "acme")
    profile = Path(zentra("bank", "add", "giro", "--like", "tabular", "--tenant", "acme", "--json").json["file"])
    profile.write_text(TABLE_PROFILE, encoding="utf-8")
    file = tmp_path / "turnover.csv"
    file.write_text(TABLE, encoding="utf-8")
    shown = zentra("inspect", "--format", "tabular", "--profile", profile, file, "--json").json["statements"]
    assert [(each["entries"], each["signed_sum_minor"], each["refused"]) for each in shown] == [(2, 2000, None)]
    zentra("ingest", "--tenant", "acme", "--bank", "giro", "--kind", "bank_statement", file)
    asked = (
        "query",
        "--tenant",
        "acme",
        "select booked_on, amount_minor from bank_lines order by 2",
        "--format",
        "json",
    )
    before = zentra(*asked).json
    assert before[0] == {"booked_on": str(DAY), "amount_minor": -405}
    profile.write_text(
        TABLE_PROFILE.replace("timezone: Europe/Berlin\n", "timezone: Asia/Tokyo\n", 1), encoding="utf-8"
    )
    rebuilt = zentra("rebuild", "--tenant", "acme")
    assert rebuilt.code == 0, rebuilt.err
    assert zentra(*asked).json == before
    assert zentra("doctor").code == 0
