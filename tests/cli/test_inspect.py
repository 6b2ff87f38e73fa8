"""`zentra inspect` adds a file up without a home, and refuses as ingest would."""

from pathlib import Path

from tests.cli.conftest import Zentra
from zentra_pipeline.scenarios.scenario import SCENARIOS

KEYS = {
    "file",
    "id",
    "account",
    "entries",
    "currency",
    "signed_sum_minor",
    "opening_minor",
    "closing_minor",
    "ties",
    "refused",
}


def test_statements_have_the_fields_of_the_contract(zentra: Zentra, settlement_csv: Path, tmp_path: Path) -> None:
    done = zentra("inspect", "--format", "canonical", "--json", settlement_csv)
    assert done.code == 0
    usd, refused_rows = done.json["statements"]
    assert usd.keys() == refused_rows.keys() == KEYS
    assert (usd["id"], usd["entries"], usd["currency"], usd["signed_sum_minor"]) == ("set_2026_04_26", 2, "USD", 490)
    assert (usd["ties"], usd["refused"]) == (True, None)
    assert refused_rows["entries"] == 1
    assert "row 3: gross_minor: '12.0'" in refused_rows["refused"]
    assert not (tmp_path / "home").exists()


def test_only_files_that_are_all_refused_end_with_4(zentra: Zentra, settlement_csv: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.csv"
    torn.write_text('a,"b', encoding="utf-8")
    both = zentra("inspect", "--format", "canonical", "--json", torn, settlement_csv)
    assert both.code == 0
    assert ["torn.csv" in (statement["refused"] or "") for statement in both.json["statements"]] == [True, False, False]
    alone = zentra("inspect", "--format", "canonical", torn, torn)
    assert alone.code == 4
    assert alone.out.count("refused: torn.csv: ") == 2


def test_an_unknown_format_is_misuse(zentra: Zentra, settlement_csv: Path) -> None:
    done = zentra("inspect", "--format", "../canonical", settlement_csv)
    assert done.code == 2
    assert "use one of canonical, stripe" in done.err


def test_operators_read_amounts_and_whether_they_tie(zentra: Zentra, settlement_csv: Path) -> None:
    line = zentra("inspect", "--format", "canonical", settlement_csv).out.splitlines()[2]
    assert line.split() == ["set_2026_04_26.csv", "set_2026_04_26", "2", "USD", "4.90", "USD", "yes"]


def test_inspect_and_ingest_say_the_same_of_a_file(acme: Zentra, settlement_csv: Path, tmp_path: Path) -> None:
    header, first, *_ = settlement_csv.read_text(encoding="utf-8").splitlines()
    line = dict(zip(header.split(","), first.split(","), strict=True))

    def row(**values: str) -> str:
        return ",".join({**line, **values}.values())

    path = tmp_path / "set_1.csv"
    rows = (first, row(gross_minor="7"), row(line_id="1.23457E+15"), row(line_id="L9", net_minor="4.90"))
    path.write_text("\n".join((header, *rows)), encoding="utf-8")
    said = acme("inspect", "--format", "canonical", "--json", path).json
    found = acme("inspect", "--format", "canonical", path).out
    ingest = acme("ingest", "--tenant", "acme", "--provider", "rail_primary", "--kind", "settlement", "--json", path)
    assert ingest.code == 0, ingest.json
    (file,) = ingest.json["files"]
    assert {note["note"]: note["count"] for note in said["notes"]} == file["notes"]
    assert set(file["notes"].values()) == {1}
    assert all(f"set_1.csv: 1 {note}" in found for note in file["notes"])
    (kept, rejected) = said["statements"]
    assert (kept["entries"], rejected["entries"]) == (file["staged"], file["quarantined"]) == (1, 3)
    assert all(reason in rejected["refused"] for reason in file["reasons"])
    assert all(row_id in rejected["refused"] and row_id in ingest.err for row_id in file["ids_used_twice"])
    assert file["ids_used_twice"].keys() == {f"line_id {line['line_id']}"}


def test_without_a_format_the_readers_are_named_that_could_take_a_file(zentra: Zentra, tmp_path: Path) -> None:
    batch = SCENARIOS / "adyen_batch" / "inputs"
    other = tmp_path / "other.csv"
    other.write_text("When,How much\n2026-01-01,5\n", encoding="utf-8")
    done = zentra("inspect", batch / "settlement_detail_report_2026_05_06.csv", other)
    assert done.code == 0
    assert "settlement_detail_report_2026_05_06.csv: --format adyen reads it as settlement" in done.out
    assert f"other.csv: for a table of other columns: zentra profile draft {other}" in done.out
    found = zentra("inspect", "--json", batch / "notifications_2026_05_06.jsonl").json["files"]
    assert [file["readers"] for file in found] == [[{"format": "adyen", "kind": "callbacks"}]]
    assert zentra("inspect", other).code == 4
    assert zentra("inspect", "--profile", other, other).code == 2
