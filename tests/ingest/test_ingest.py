"""What an ingest of canonical files leaves behind; grammars are tested beside their readers."""

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from zentra_pipeline.contracts import contract_of
from zentra_pipeline.errors import InputRejectedError, UsageError
from zentra_pipeline.identifiers import FILE_KINDS
from zentra_pipeline.ingest.files import IngestOutcome, ingest_files
from zentra_pipeline.settings import Home
from zentra_pipeline.store import files as registered
from zentra_pipeline.tenants.tenant import Tenant

NOW = datetime(2026, 4, 27, 6, 0, tzinfo=UTC)
HEADER = (
    "line_id,line_type,provider_reference,merchant_reference,"
    "gross_minor,fee_minor,net_minor,currency,settled_at,batch_id"
)


def line(line_id: str, gross: int | str = 1000, reference: str = "ref") -> str:
    return f"{line_id},payment,{reference},order,{gross},30,970,USD,2026-04-26T10:00:00Z,b1"


def csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    return Tenant.of(Home(tmp_path), "acme")


def ingest(tenant: Tenant, *files: Path, kind: str = "settlement", **named: Any) -> IngestOutcome:
    options = {"provider": "rail_primary", "file_id": None, "format": "canonical", "now": NOW} | named
    return ingest_files(tenant, kind=kind, files=files, **options)


def staged(tenant: Tenant, table: str = "settlement_lines") -> list[dict[str, Any]]:
    with tenant.reading() as connection:
        rows = [row for kind in FILE_KINDS for row in registered.staged_files(connection, kind)]
    found = [row.quarantine_path if table == "quarantine" else row.staged_path for row in rows]
    frames = [pl.read_parquet(tenant.paths.root / path) for path in found if path and f"/{table}/" in f"/{path}"]
    return pl.concat(frames).to_dicts() if frames else []


def files_of(tenant: Tenant) -> set[str]:
    return {
        str(path.relative_to(tenant.paths.root))
        for folder in (tenant.paths.landing, tenant.paths.staged)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_staged_row_holds_typed_values_and_where_it_came_from(tenant: Tenant, tmp_path: Path) -> None:
    outcome = ingest(tenant, csv(tmp_path / "set_1.csv", line("007", -5)))
    (row,) = staged(tenant)
    assert row == {
        "provider": "rail_primary",
        "settlement_file": "set_1",
        "line_id": "007",
        "line_type": "payment",
        "provider_reference": "ref",
        "merchant_reference": "order",
        "original_reference": None,
        "status": "settled",
        "gross_minor": -5,
        "fee_minor": 30,
        "net_minor": 970,
        "currency": "USD",
        "settled_at": datetime(2026, 4, 26, 10),
        "batch_id": "b1",
        "presentment_minor": None,
        "presentment_currency": None,
        "trace_id": None,
        "statement_text": None,
        "raw": None,
        "file_id": "set_1",
        "file_sha256": outcome.files[0].sha256,
        "file_sequence": 1,
        "row_number": 1,
    }
    assert (tenant.paths.landing / outcome.files[0].sha256).read_bytes() == (tmp_path / "set_1.csv").read_bytes()


def test_a_registration_says_what_the_file_was_and_spans(tenant: Tenant, tmp_path: Path) -> None:
    ingest(tenant, csv(tmp_path / "set_1.csv", line("a"), line("b", "x"), line("c").replace("T10", "T11")))
    with tenant.reading() as connection:
        (row,) = registered.staged_files(connection, "settlement")
    assert (row.rows_staged, row.rows_quarantined) == (2, 1)
    assert (row.first_at, row.last_at) == ("2026-04-26T10:00:00.000000Z", "2026-04-26T11:00:00.000000Z")
    assert (row.original_name, row.received_at) == ("set_1.csv", "2026-04-27T06:00:00.000000Z")
    assert row.byte_size == (tmp_path / "set_1.csv").stat().st_size


def test_bad_rows_are_quarantined_with_every_reason_and_good_rows_proceed(tenant: Tenant, tmp_path: Path) -> None:
    bad = ",pay,ref,,1.0,,970,ZZZ,2026-02-30T00:00:00Z,"
    outcome = ingest(tenant, csv(tmp_path / "set_1.csv", line("a"), bad)).files[0]
    (row,) = staged(tenant, "quarantine")
    assert (outcome.rows, outcome.staged, outcome.quarantined) == (2, 1, 1)
    assert row["row_number"] == 2
    assert row["source"] == "settlement_lines"
    for part in (
        "line_id: blank",
        "line_type: 'pay' is not one of payment",
        "gross_minor: '1.0' is not an integer",
        "fee_minor: blank",
        "currency: 'ZZZ' is not a known currency",
        "settled_at: '2026-02-30T00:00:00Z' is not an instant",
    ):
        assert part in row["reason"]
    assert json.loads(row["raw"])["gross_minor"] == "1.0"
    assert outcome.reasons == {row["reason"]: 1}


def test_rows_that_break_one_rule_are_one_reason_that_names_its_first_rows(tenant: Tenant, tmp_path: Path) -> None:
    lines = [line(f"l{i}", f"{i}x") for i in range(30)]
    outcome = ingest(tenant, csv(tmp_path / "set_1.csv", line("a"), *lines)).files[0]
    reason = "gross_minor: '0x' is not an integer below 10^15"
    assert (outcome.reasons, outcome.reason_rows) == ({reason: 30}, {reason: (2, 3, 4)})


def test_reasons_beyond_twenty_are_counted_together(tenant: Tenant, tmp_path: Path) -> None:
    values = ["l", "payment", "ref", "m", "1", "0", "1", "USD", "2026-04-26T08:00:00Z", "b"]
    may_be = (4, 5, 6, 7, 8)
    lines = [
        ",".join("" if place in blank else value for place, value in enumerate(values))
        for size in (1, 2, 3)
        for blank in itertools.combinations(may_be, size)
    ]
    outcome = ingest(tenant, csv(tmp_path / "set_1.csv", line("a"), *lines)).files[0]
    assert (len(outcome.reasons), outcome.reasons["other reasons"]) == (20, 6)
    assert sum(outcome.reasons.values()) == 25


def test_a_file_without_one_good_row_is_not_read_to_its_end(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zentra_pipeline.ingest.arrivals.HOPELESS_VALUES", 50 * 14)
    monkeypatch.setattr("zentra_pipeline.ingest.arrivals.FRAME_ROWS", 20)
    bad = [line(f"l{i}", "x") for i in range(100)]
    with pytest.raises(InputRejectedError, match=r"set_1.csv: none of its first 60 rows is accepted, .* \(60 rows\)"):
        ingest(tenant, csv(tmp_path / "set_1.csv", *bad, line("a")))
    assert ingest(tenant, csv(tmp_path / "set_2.csv", line("a"), *bad)).files[0].quarantined == 100


@pytest.mark.parametrize("content", [HEADER, HEADER + "\n", HEADER + "\n\n"])
def test_a_file_without_rows_is_a_window_without_activity(tenant: Tenant, tmp_path: Path, content: str) -> None:
    (tmp_path / "set_1.csv").write_text(content)
    outcome = ingest(tenant, tmp_path / "set_1.csv").files[0]
    assert (outcome.rows, outcome.unchanged) == (0, False)
    assert files_of(tenant) == {f"landing/{outcome.sha256}"}
    assert ingest(tenant, tmp_path / "set_1.csv").files[0].unchanged


def test_an_empty_json_lines_file_is_a_window_without_activity(tenant: Tenant, tmp_path: Path) -> None:
    (tmp_path / "calls.jsonl").write_bytes(b"")
    assert ingest(tenant, tmp_path / "calls.jsonl", kind="callbacks").files[0].rows == 0


def test_the_same_content_again_changes_nothing(tenant: Tenant, tmp_path: Path) -> None:
    source = csv(tmp_path / "set_1.csv", line("a"), line("b", "x"))
    first = ingest(tenant, source).files[0]
    before = files_of(tenant)
    again = ingest(tenant, source).files[0]
    assert again.unchanged
    assert (again.rows, again.staged, again.quarantined) == (first.rows, first.staged, first.quarantined)
    assert files_of(tenant) == before


def test_the_same_content_twice_in_one_command_is_registered_once(tenant: Tenant, tmp_path: Path) -> None:
    one, two = csv(tmp_path / "one.csv", line("a")), csv(tmp_path / "two.csv", line("a"))
    outcome = ingest(tenant, one, two, file_id="set_1")
    assert [file.unchanged for file in outcome.files] == [False, True]
    assert len(staged(tenant)) == 1


def test_the_same_bytes_under_another_id_share_what_landed(tenant: Tenant, tmp_path: Path) -> None:
    source = csv(tmp_path / "set_1.csv", line("a"))
    ingest(tenant, source)
    outcome = ingest(tenant, source, file_id="set_2").files[0]
    assert not outcome.unchanged
    assert len(list(tenant.paths.landing.glob("?" * 64))) == 1
    assert [row["settlement_file"] for row in staged(tenant)] == ["set_1", "set_2"]


@pytest.mark.parametrize(
    "broken",
    ["line_id\n", HEADER + "\na,b\n", HEADER + '\n"' + line("a"), HEADER + "\n" + line("a", "x") + "\n", ""],
    ids=["missing columns", "field count", "open quote", "no row gets in", "empty"],
)
def test_a_refused_file_takes_the_whole_command_with_it_and_leaves_nothing(
    tenant: Tenant, tmp_path: Path, broken: str
) -> None:
    (tmp_path / "bad.csv").write_text(broken)
    with pytest.raises(InputRejectedError):
        ingest(tenant, tmp_path / "bad.csv")
    if "x" not in broken:
        with pytest.raises(InputRejectedError, match=r"bad\.csv"):
            ingest(tenant, csv(tmp_path / "good.csv", line("a")), tmp_path / "bad.csv")
    assert files_of(tenant) == set()
    assert staged(tenant) == []


def test_a_rejection_lists_the_reasons(tenant: Tenant, tmp_path: Path) -> None:
    with pytest.raises(InputRejectedError, match=r"none of 2 rows is accepted.*'x' is not an integer.*\(2\)"):
        ingest(tenant, csv(tmp_path / "set_1.csv", line("a", "x"), line("b", "x")))


@pytest.mark.parametrize("name", ["-x.csv", "a b.csv", "é.csv", ".csv"])
def test_a_stem_that_is_no_file_id_is_a_usage_error(tenant: Tenant, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        ingest(tenant, csv(tmp_path / name, line("a")))


@pytest.mark.parametrize("file_id", ["../x", "", "a/b", "x" * 129])
def test_a_file_id_of_another_form_is_a_usage_error(tenant: Tenant, tmp_path: Path, file_id: str) -> None:
    with pytest.raises(UsageError):
        ingest(tenant, csv(tmp_path / "set_1.csv", line("a")), file_id=file_id)


def test_a_file_that_is_not_there_is_a_usage_error_and_leaves_nothing(tenant: Tenant, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        ingest(tenant, csv(tmp_path / "set_1.csv", line("a")), tmp_path / "absent.csv")
    assert files_of(tenant) == set()


@pytest.mark.parametrize(("kind", "format"), [("bank", "canonical"), ("ledger", "stripe"), ("settlement", "nobody")])
def test_an_unknown_kind_or_format_is_a_usage_error(tenant: Tenant, tmp_path: Path, kind: str, format: str) -> None:
    with pytest.raises(UsageError):
        ingest(tenant, csv(tmp_path / "set_1.csv", line("a")), kind=kind, format=format)


def test_unknown_columns_are_reported_and_kept(tenant: Tenant, tmp_path: Path) -> None:
    (tmp_path / "set_1.csv").write_text(f'{HEADER},row_number,refusal\n{line("a")},"7, 8",no\n')
    outcome = ingest(tenant, tmp_path / "set_1.csv").files[0]
    assert outcome.unknown_columns == ("refusal", "row_number")
    assert json.loads(staged(tenant)[0]["raw"]) == {"row_number": "7, 8", "refusal": "no"}


def test_other_content_under_a_key_from_another_file_goes_to_quarantine(tenant: Tenant, tmp_path: Path) -> None:
    ingest(tenant, csv(tmp_path / "set_a.csv", line("L1"), line("L2")))
    outcome = ingest(tenant, csv(tmp_path / "set_b.csv", line("L1", 999), line("L2"), line("L3"))).files[0]
    (row,) = staged(tenant, "quarantine")
    assert (outcome.staged, outcome.quarantined) == (2, 1)
    assert row["reason"] == "line_id L1 already arrived in file set_a with other content"
    assert (row["file_id"], row["row_number"], json.loads(row["raw"])["gross_minor"]) == ("set_b", 1, 999)
    assert [(r["file_id"], r["line_id"]) for r in staged(tenant)] == [
        ("set_a", "L1"),
        ("set_a", "L2"),
        ("set_b", "L2"),
        ("set_b", "L3"),
    ]


def test_conflicts_are_found_between_files_of_one_command(tenant: Tenant, tmp_path: Path) -> None:
    one, two = csv(tmp_path / "a.csv", line("L1")), csv(tmp_path / "b.csv", line("L1", 1), line("L2"))
    outcome = ingest(tenant, one, two)
    assert [file.quarantined for file in outcome.files] == [0, 1]


def test_a_file_of_nothing_but_conflicts_is_rejected(tenant: Tenant, tmp_path: Path) -> None:
    ingest(tenant, csv(tmp_path / "a.csv", line("L1")))
    with pytest.raises(InputRejectedError, match="already arrived in file a"):
        ingest(tenant, csv(tmp_path / "b.csv", line("L1", 1)))
    assert len(files_of(tenant)) == 2


def test_other_content_in_the_same_file_is_a_restatement_and_stays(tenant: Tenant, tmp_path: Path) -> None:
    ingest(tenant, csv(tmp_path / "one.csv", line("L1")), file_id="set_1")
    ingest(tenant, csv(tmp_path / "two.csv", line("L1", 2)), file_id="set_1")
    assert [(row["gross_minor"], row["file_sequence"]) for row in staged(tenant)] == [(1000, 1), (2, 2)]
    assert staged(tenant, "quarantine") == []


def test_the_last_word_of_the_other_file_decides_what_contradicts_it(tenant: Tenant, tmp_path: Path) -> None:
    ingest(tenant, csv(tmp_path / "one.csv", line("L1")), file_id="set_1")
    ingest(tenant, csv(tmp_path / "two.csv", line("L1", 2)), file_id="set_1")
    outcome = ingest(tenant, csv(tmp_path / "b.csv", line("L1", 2))).files[0]
    assert outcome.quarantined == 0


def test_the_same_line_id_of_another_provider_is_another_row(tenant: Tenant, tmp_path: Path) -> None:
    ingest(tenant, csv(tmp_path / "a.csv", line("L1")))
    assert ingest(tenant, csv(tmp_path / "b.csv", line("L1", 2)), provider="other").files[0].quarantined == 0


def test_a_ledger_entry_keeps_its_own_provider(tenant: Tenant, tmp_path: Path) -> None:
    columns = ",".join(contract_of("ledger").columns)
    row = "rail_b,e1,t1,payment,settlement_account,credit,5,USD,2026-04-26T00:00:00Z,,"
    (tmp_path / "ledger.csv").write_text(f"{columns}\n{row}\n{row.replace('e1', 'e2').replace('5', '0')}\n")
    ingest(tenant, tmp_path / "ledger.csv", kind="ledger")
    assert staged(tenant, "ledger_entries")[0]["provider"] == "rail_b"
    assert staged(tenant, "quarantine")[0]["reason"] == "amount_minor: '0' is not greater than zero"


def test_an_unverified_callback_goes_to_quarantine_and_repeats_stay(tenant: Tenant, tmp_path: Path) -> None:
    delivery = {
        "provider_event_id": "evt_1",
        "event_type": "payment.succeeded",
        "provider_reference": "ref",
        "merchant_reference": None,
        "amount_minor": 5,
        "currency": "USD",
        "status": "succeeded",
        "occurred_at": "2026-04-26T00:00:00.123456Z",
        "received_at": "2026-04-26T00:00:01Z",
        "signature_verified": True,
    }
    deliveries = [delivery, delivery, delivery | {"signature_verified": False}, delivery | {"amount_minor": 6}]
    (tmp_path / "calls.jsonl").write_text("\n".join(map(json.dumps, deliveries)))
    ingest(tenant, tmp_path / "calls.jsonl", kind="callbacks")
    rows = staged(tenant, "callbacks")
    assert [(row["amount_minor"], row["signature_verified"], row["sequence"]) for row in rows] == [
        (5, True, None),
        (5, True, None),
        (6, True, None),
    ]
    assert rows[0]["occurred_at"] == datetime(2026, 4, 26, 0, 0, 0, 123456)
    assert [row["reason"] for row in staged(tenant, "quarantine")] == ["callback signature not verified"]


def test_a_callback_may_say_its_movement_type_in_the_words_of_the_contract_or_not_at_all(
    tenant: Tenant, tmp_path: Path
) -> None:
    columns = "provider_event_id,event_type,provider_reference,merchant_reference,amount_minor,currency,status"
    row = "evt_{0},refund,re,,-5,USD,succeeded,2026-04-26T00:00:00Z,2026-04-26T00:00:00Z,{1}"
    words = ["refund", "", "payout", "chargeback_reversal"]
    rows = [row.format(number, word) for number, word in enumerate(words)]
    (tmp_path / "said.csv").write_text("\n".join([f"{columns},occurred_at,received_at,movement_type", *rows]) + "\n")
    (tmp_path / "silent.csv").write_text(f"{columns},occurred_at,received_at\n{row.format(9, '').removesuffix(',')}\n")
    ingest(tenant, tmp_path / "said.csv", kind="callbacks")
    ingest(tenant, tmp_path / "silent.csv", kind="callbacks")
    assert [row["movement_type"] for row in staged(tenant, "callbacks")] == [
        "refund",
        None,
        "chargeback_reversal",
        None,
    ]
    (refused,) = staged(tenant, "quarantine")
    assert refused["row_number"] == 3
    assert refused["reason"].startswith("movement_type: 'payout' is not")


def test_an_early_internal_event_needs_no_transaction(tenant: Tenant, tmp_path: Path) -> None:
    event = dict.fromkeys(contract_of("internal_events").columns)
    event |= {"event_id": "e1", "intent_id": "i1", "stage": "accepted", "occurred_at": "2026-04-26T00:00:00Z"}
    (tmp_path / "events.jsonl").write_text(json.dumps(event))
    assert ingest(tenant, tmp_path / "events.jsonl", kind="internal_events").files[0].staged == 1


def test_a_folder_name_with_pattern_characters_is_no_pattern(tmp_path: Path) -> None:
    tenant = Tenant.of(Home(tmp_path / "a[1]*" / "k=v"), "acme")
    ingest(tenant, csv(tmp_path / "a.csv", line("L1")))
    assert ingest(tenant, csv(tmp_path / "b.csv", line("L1", 2), line("L2"))).files[0].quarantined == 1


def test_what_a_dead_command_left_is_cleared_away(tenant: Tenant, tmp_path: Path) -> None:
    ingest(tenant, csv(tmp_path / "a.csv", line("L1")))
    before = files_of(tenant)
    for left in ("landing/arriving/000000", "staged/arriving/x", "staged/settlement_lines/00000002-00.parquet"):
        (tenant.paths.root / left).parent.mkdir(parents=True, exist_ok=True)
        (tenant.paths.root / left).write_bytes(b"torn")
    ingest(tenant, csv(tmp_path / "a.csv", line("L1")))
    assert files_of(tenant) == before
