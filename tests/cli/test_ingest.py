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


LEDGER = (
    "entry_id,transaction_id,movement_type,account,direction,amount_minor,currency,posted_at,provider,provider_reference,intent_id\n"
    "e1,t1,payment,reserved,debit,1000,USD,2026-04-26T08:00:00Z,rail,r1,\n"
    "e2,t1,payment,settlement_account,credit,1000,USD,2026-04-26T08:00:00Z,rail,r1,\n"
)
CALLBACK = (
    '{"provider_event_id":"v1","event_type":"payment.succeeded","provider_reference":"r1","merchant_reference":"m1",'
    '"amount_minor":1000,"currency":"USD","status":"succeeded","occurred_at":"2026-04-26T08:00:00Z",'
    '"received_at":"2026-04-26T08:00:01Z"}\n'
)


def registered(acme: Zentra) -> list[tuple[str, str]]:
    listed = acme("files", "list", "--tenant", "acme", "--json").json["items"]
    return sorted((file["kind"], file["file_id"]) for file in listed)


def test_one_command_takes_files_of_several_kinds_or_none_of_them(
    acme: Zentra, settlement_csv: Path, tmp_path: Path
) -> None:
    ledger, callbacks = tmp_path / "ledger.csv", tmp_path / "cb.jsonl"
    ledger.write_text(LEDGER, encoding="utf-8")
    callbacks.write_text(CALLBACK.replace("1000", "12.5"), encoding="utf-8")
    day = ("ingest", "--tenant", "acme", "--provider", "rail", "--settlement-file", "set_7", "--file")
    command = (*day, f"settlement={settlement_csv}", "--file", f"ledger={ledger}", "--file", f"callbacks={callbacks}")
    refused = acme(*command)
    assert (refused.code, refused.out, registered(acme)) == (4, "", [])
    assert "none of 1 rows of kind callbacks is accepted, nothing changed" in refused.err
    callbacks.write_text(CALLBACK, encoding="utf-8")
    done = acme(*command, "--json")
    counts = {
        each["kind"]: [(file["file_id"], file["staged"], file["quarantined"]) for file in each["files"]]
        for each in done.json["kinds"]
    }
    assert (done.code, counts) == (
        0,
        {"settlement": [("set_7", 2, 1)], "ledger": [("ledger", 2, 0)], "callbacks": [("cb", 1, 0)]},
    )
    assert registered(acme) == [("callbacks", "cb"), ("ledger", "ledger"), ("settlement", "set_7")]
    again = acme(*command)
    assert "ledger ledger: nothing new, these bytes are already here" in again.out
    assert again.out.count("nothing new") == 3
    assert again.out.split()[:2] == ["kind", "file"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--provider", "rail", "--file", "ledgers=x"), "--file ledgers=x: write KIND=FILE, such as ledger=ledger.csv"),
        (("--provider", "rail", "--file", "ledger"), "--file ledger: write KIND=FILE"),
        (("--provider", "rail", "--file", "ledger=no_such.csv"), "'no_such.csv' does not exist"),
        (("--provider", "rail", "--kind", "ledger", "--file", "ledger={}"), "leave out --kind and FILES"),
        (("--file", "ledger={}"), "files of every kind but bank_statement go with --provider: name it"),
        (("--provider", "rail", "--file", "ledger={}", "--file", "bank_statement={}"), "go with --bank"),
        (("--bank", "b", "--file", "bank_statement={}", "--provider", "rail"), "--provider is for kinds other than"),
        (("--bank", "b", "--provider", "rail", "--file", "ledger={}"), "--bank is for files of kind bank_statement"),
        (
            ("--provider", "rail", "--settlement-file", "s", "--file", "ledger={}"),
            "is the id of files of kind settlement",
        ),
    ],
)
def test_files_with_their_kinds_are_named_in_one_way(
    acme: Zentra, settlement_csv: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = acme("ingest", "--tenant", "acme", *(argument.replace("{}", str(settlement_csv)) for argument in arguments))
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())


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
