"""Amazon's settlement reports: a line per amount, the payout, and a total that must hold."""

from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources import bank_statements
from zentra_pipeline.sources.amazon import parts

HEAD = "settlement-id deposit-date total-amount currency transaction-type order-id posted-date"
V2 = f"{HEAD} amount-type amount-description amount".replace(" ", "\t")
FLAT = f"{HEAD} price-type price-amount item-related-fee-type item-related-fee-amount promotion-amount".replace(
    " ", "\t"
)


def written(path: Path, *rows: str) -> Path:
    path.write_text("".join(row.replace("|", "\t") + "\n" for row in rows), encoding="utf-8")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    found = bank_statements.settlement_frames(parts(path, path.name), path.name)
    return [line for frame in found for line in frame.to_dicts()]


def test_each_amount_is_a_line_and_the_total_a_payout(tmp_path: Path) -> None:
    path = written(
        tmp_path / "s.txt",
        V2,
        "1001|2026-07-05 10:00:00 UTC|6.40|EUR||||||",
        "1001||||Order|302-1|2026-07-01|ItemPrice|Principal|10.00",
        "1001||||Order|302-1|2026-07-01|ItemFees|Commission|-1.50",
        "1001||||Refund|302-0|02.07.2026|ItemPrice|Principal|-2.10",
    )
    shown = ("line_type", "provider_reference", "net_minor", "settled_at", "batch_id")
    found = lines(path)
    assert [tuple(line[name] for name in shown) for line in found] == [
        ("payment", "302-1", "1000", "2026-07-01T00:00:00Z", "1001"),
        ("fee", "302-1", "-150", "2026-07-01T00:00:00Z", "1001"),
        ("refund", "302-0", "-210", "2026-07-02T00:00:00Z", "1001"),
        ("payout", "1001", "-640", "2026-07-05T10:00:00Z", "1001"),
    ]
    assert len({line["line_id"] for line in found}) == 4
    assert [line["line_id"] for line in lines(path)] == [line["line_id"] for line in found]
    (statement,) = inspect("amazon", path).statements
    assert (statement.id, statement.entries, statement.signed_sum_minor, statement.ties) == ("1001", 3, 640, True)


def test_dates_of_every_marketplace_are_instants(tmp_path: Path) -> None:
    row = "1001||||Order|302-1|{}|ItemPrice|Principal|10.00"
    for written_as, instant in (
        ("2026/07/01 09:30:00 JST", "2026-07-01T00:30:00Z"),
        ("2026/07/01", "2026-07-01T00:00:00Z"),
        ("01.07.2026 10:00:00 UTC", "2026-07-01T10:00:00Z"),
        ("2026-07-01T10:00:00+02:00", "2026-07-01T08:00:00Z"),
        ("2026-07-01 10:00:00 XYZ", "2026-07-01 10:00:00 XYZ"),
    ):
        path = written(tmp_path / "s.txt", V2, "1001|2026-07-05|10.00|EUR||||||", row.format(written_as))
        assert lines(path)[0]["settled_at"] == instant


def test_a_settlement_that_deposits_nothing_is_of_the_day_it_ends(tmp_path: Path) -> None:
    rows = (f"{V2}|settlement-end-date", "1001||0.00|EUR|||||||2026-07-14 00:00:00 UTC")
    (line,) = lines(written(tmp_path / "s.txt", *rows))
    assert (line["line_type"], line["net_minor"], line["settled_at"]) == ("payout", "0", "2026-07-14T00:00:00Z")


def test_promotions_are_part_of_the_total_and_a_total_that_fails_refuses_the_file(tmp_path: Path) -> None:
    rows = [FLAT, "1|2026-07-05|{total}|GBP||||||||", "1||||Order|o1|2026-07-01|Principal|10,00|Commission|-1,50|-0,50"]
    path = written(tmp_path / "s.txt", rows[0], rows[1].format(total="8,00"), rows[2])
    assert [(line["line_type"], line["net_minor"]) for line in lines(path)] == [
        ("payment", "1000"), ("fee", "-150"), ("payment", "-50"), ("payout", "-800"),
    ]  # fmt: skip
    wrong = written(tmp_path / "w.txt", rows[0], rows[1].format(total="8,01"), rows[2])
    with pytest.raises(
        InputRejectedError, match=r"total-amount is 8\.01 GBP, and its amounts come to 8\.00 GBP: a diff"
    ):
        lines(wrong)
    (statement,) = inspect("amazon", wrong).statements
    assert (statement.ties, statement.refused is None) == (False, False)


def test_quotes_are_text_and_reports_are_in_the_encoding_of_their_marketplace(tmp_path: Path) -> None:
    head = f"{V2}\tsku"
    for currency, encoding, sku in (
        ("EUR", "utf-8", '12" plate'),
        ("EUR", "utf-8", '"two words"'),
        ("EUR", "cp1252", 'Größe "L"'),
        ("JPY", "cp932", '"皿'),
        ("USD", "utf-8-sig", '"open'),
    ):
        rows = (
            head,
            f"1001|2026-07-05|30|{currency}|||||||",
            f"1001||||Order|302-1|2026-07-01|ItemPrice|Principal|10|{sku}",
            f"1001||||Order|302-2|2026-07-01|ItemPrice|Principal|20|{sku}",
        )
        path = tmp_path / "s.txt"
        path.write_bytes("".join(row.replace("|", "\t") + "\r\n" for row in rows).encode(encoding))
        assert [line["provider_reference"] for line in lines(path)] == ["302-1", "302-2", "1001"], (encoding, sku)


def test_what_is_text_in_no_encoding_of_amazon_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_bytes(f"{V2}\n1001\t2026-07-05\t0\tEUR\t\x81\t\t\t\t\t\n".encode("latin-1"))
    with pytest.raises(InputRejectedError, match=r"neither UTF-8 nor Windows-1252"):
        lines(path)
