"""MT940 and MT942 as settlement lines: signs, dates, references, balances and totals, and the public samples."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sources.bank_expectations import expected, figures_expected, figures_found, needs_samples, statements_of
from zentra_pipeline.contracts import contract_of
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import inspect
from zentra_pipeline.sources.reading import frames

HEAD = (":20:RUN7", ":25:10020030/1234567", ":28C:116/1")


def statement(*fields: str, opening: str = "C260425EUR500,00", closing: str | None = None) -> str:
    """A statement whose closing balance is as given, as lines with CR LF."""
    lines = [*HEAD, f":60F:{opening}", *fields]
    if closing is not None:
        lines.append(f":62F:{closing}")
    return "\r\n".join((*lines, "-", ""))


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "in.sta"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [
        line for frame in frames(path, contract_of("settlement"), "mt940", name=path.name) for line in frame.to_dicts()
    ]


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    """Lines of a statement with the fields given, whose closing balance is `closing`."""

    def read(*fields: str, closing: str = "C260426EUR510,00", opening: str = "C260425EUR500,00") -> Any:
        return lines_of(written(tmp_path, statement(*fields, opening=opening, closing=closing)))

    return read


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(InputRejectedError) as refused:
        lines_of(written(folder, text))
    return str(refused.value)


def test_a_credit_becomes_a_payment(lines: Any) -> None:
    info = ":86:166?00GUTSCHRIFT?20EREF+ORDER-7?21KREF+RUN-1?22SVWZ+Invoice 0?2307?32JANE DOE"
    assert lines(":61:2604270426CR10,00NTRFNONREF//BANK1", info) == [
        {
            "line_id": "10020030/1234567:BANK1",
            "line_type": "payment",
            "provider_reference": "BANK1",
            "merchant_reference": "ORDER-7",
            "original_reference": None,
            "status": None,
            "gross_minor": "1000",
            "fee_minor": "0",
            "net_minor": "1000",
            "currency": "EUR",
            "settled_at": "2026-04-26T00:00:00Z",
            "batch_id": "RUN-1",
            "presentment_minor": None,
            "presentment_currency": None,
            "trace_id": None,
            "statement_text": None,
            "raw": None,
            "row_number": 1,
            "refusal": None,
            "source_row": None,
        }
    ]


@pytest.mark.parametrize(
    ("mark", "closing", "minor"),
    [
        ("C10,00N", "C260426EUR510,00", "1000"),
        ("CR10,N", "C260426EUR510,00", "1000"),
        ("C10N", "C260426EUR510,00", "1000"),
        ("C10.50N", "C260426EUR510,50", "1050"),
        ("C,50N", "C260426EUR500,50", "50"),
        ("D10,00N", "C260426EUR490,", "-1000"),
        ("RC10,00N", "C260426EUR490,00", "-1000"),
        ("RD10,00N", "C260426EUR510,00", "1000"),
        ("RDR10,00N", "C260426EUR510,00", "1000"),
        ("D600,00N", "D260426EUR100,00", "-60000"),
        ("C000000000010,00N", "C260426EUR000000000510,00", "1000"),
    ],
)
def test_the_mark_gives_the_sign(lines: Any, mark: str, closing: str, minor: str) -> None:
    assert [line["gross_minor"] for line in lines(f":61:260426{mark}TRFNONREF", closing=closing)] == [minor]


@pytest.mark.parametrize(
    ("dates", "settled_at"),
    [
        ("2604260427", "2026-04-27T00:00:00Z"),
        ("260426", "2026-04-26T00:00:00Z"),
        ("260426    ", "2026-04-26T00:00:00Z"),
        ("2601021231", "2025-12-31T00:00:00Z"),
        ("2512310102", "2026-01-02T00:00:00Z"),
        ("2602300301", "2026-03-01T00:00:00Z"),
        ("260230", "2026-02-28T00:00:00Z"),
        ("2402300230", "2024-02-29T00:00:00Z"),
        ("991231", "1999-12-31T00:00:00Z"),
    ],
)
def test_the_entry_date_dates_a_line_in_the_nearest_year(lines: Any, dates: str, settled_at: str) -> None:
    assert [line["settled_at"] for line in lines(f":61:{dates}C10,00NTRFNONREF")] == [settled_at]


def test_a_day_that_is_none_sends_its_row_to_quarantine(tmp_path: Path) -> None:
    text = statement(":61:260431C10,00NTRFNONREF", ":61:260430C10,00NTRFA", closing="C260430EUR520,00")
    whole, refused = statements_of(written(tmp_path, text), "mt940")
    assert (whole.entries, whole.ties, refused.entries) == (2, True, 1)
    assert ":61: date: '260431'" in (refused.refused or "")


@pytest.mark.parametrize(
    ("rest", "info", "reference", "merchant"),
    [
        ("TRFORDER-7//BANK1", "", "ORDER-7", None),
        ("TRFNONREF         //BANK1", "", "BANK1", None),
        ("TRFEREF+", ":86:105?20EREF+E1?21KREF+K1", "E1", "E1"),
        ("TRFKREF+", ":86:105?20KREF+K1?21SVWZ+hello", "K1", "K1"),
        ("TRFNONREF", ":86:105?20EREF+NOTPROVIDED?21SVWZ+Invo?22ice 7", "Invoice 7", None),
        ("102EREF            ", ":86:/EREF/E 1/BENM//NAME/JANE/REMI//ISDT/2026-04-26", "E 1", "E 1"),
        ("TRFNONREF", ":86:/BENM//NAME/JANE DOE/REMI/Reference 7/ISDT/2026-04-26", "Reference 7", None),
        ("TRFNONREF", ":86:free text\r\nof two lines", "free text of two lines", None),
        ("TRFNONREF", ":86:first\r\n:86:second", "first second", None),
        ("TRFNONREF", ":86:944;944 PRZELEW; 123-4567", "944;944 PRZELEW; 123-4567", None),
        ("TRFNONREF", ":86:106?20SVWZ+at T14\r\n:20:11 Uhr", "at T14:20:11 Uhr", None),
        ("TRF007//", "", "007", None),
        ("TRFNONREF", "", None, None),
    ],
)
def test_the_reference_is_the_first_one_that_says_something(
    lines: Any, rest: str, info: str, reference: str | None, merchant: str | None
) -> None:
    (line,) = lines(f":61:260426C10,00N{rest}", *([info] if info else []))
    assert (line["provider_reference"], line["merchant_reference"]) == (reference, merchant)


@pytest.mark.parametrize(
    ("mark", "kind", "info", "line_type"),
    [
        ("C", "NTRF", "", "payment"),
        ("D", "NTRF", "", "payout"),
        ("D", "NMSC", "", "refund"),
        ("D", "NCHG", "", "fee"),
        ("D", "NMSC", ":86:805?00ENTGELT?20x", "fee"),
        ("D", "NMSC", ":86:109?00RUECKLASTSCHRIFT?20x", "chargeback"),
        ("D", "NTRF", ":86:116?00UEBERWEISUNG?20x", "payout"),
        ("C", "N051", ":86:051?00GUTSCHRIFT?20x", "payment"),
        ("C", "NINT", "", "adjustment"),
    ],
)
def test_the_banks_code_gives_the_line_type(lines: Any, mark: str, kind: str, info: str, line_type: str) -> None:
    closing = "C260426EUR510,00" if mark == "C" else "C260426EUR490,00"
    (line,) = lines(f":61:260426{mark}10,00{kind}NONREF", *([info] if info else []), closing=closing)
    assert line["line_type"] == line_type


def test_ids_repeat_neither_in_a_file_nor_from_one_reading_to_the_next(lines: Any) -> None:
    fields = (
        *(":61:260426C2,00NTRFA//BANK1", ":61:260426C2,00NTRFA//BANK1", ":61:260426C1,00NTRFB//BANK1"),
        *(":61:260426C2,50NTRFNONREF", ":86:same", ":61:260426C2,50NTRFNONREF", ":86:same"),
    )
    found = [line["line_id"] for line in lines(*fields)]
    assert found == [line["line_id"] for line in lines(*fields)]
    assert len(set(found)) == 5
    assert found[0] == "10020030/1234567:BANK1"


def test_an_entry_without_a_bank_reference_is_another_one_in_another_statement(lines: Any) -> None:
    (one,) = lines(":61:260426C10,00NTRFNONREF")
    (other,) = lines(":61:260426C10,00NTRFNONREF", opening="C260425EUR510,00", closing="C260426EUR520,00")
    assert one["line_id"] != other["line_id"]


def test_a_file_holds_many_statements_in_any_envelope(tmp_path: Path) -> None:
    envelope = "\x01{1:F01BANKCHBEAXXX0000000000}{2:I940XXXXXXXXXXXXN}{4:\r\n"
    first = "\r\n".join((*HEAD, ":60F:C260425CHF0,", ":61:260425C5,5FMSC1//X", ":62M:C260425CHF5,5", "-}\x03"))
    second = "\r\n".join((":20:RUN8", ":25:2", ":28C:116/2", ":60M:C260425CHF5,5", ":62F:C260426CHF5,5", "-}\x03"))
    page = "\r\n:60M:C260426CHF5,5\r\n:61:260426D1,NTRF2//Y\r\n:62F:C260426CHF4,5\r\n"
    found = statements_of(written(tmp_path, envelope + first + envelope + second + page), "mt940")
    assert [(each.id, each.account, each.signed_sum_minor, each.ties) for each in found] == [
        ("RUN7", "10020030/1234567", 550, True),
        ("RUN8", "2", 0, True),
        ("RUN8", "2", -100, True),
    ]


def test_windows_1252_and_utf_8_are_both_read(tmp_path: Path) -> None:
    text = statement(":61:260426C10,00NTRFNONREF", ":86:Müller € 10", closing="C260426EUR510,00")
    for octets in (text.encode("utf-8"), text.encode("cp1252"), text.replace("\r\n", "\n").encode("utf-8-sig")):
        assert [line["provider_reference"] for line in lines_of(written(tmp_path, octets))] == ["Müller € 10"]


def interim(*totals: str) -> str:
    lines = (*HEAD, ":34F:EURD100,", ":13D:2604261733+0200", ":61:260426C10,00NTRFA", ":61:260426D4,00NCHGB", *totals)
    return "\r\n".join((*lines, "-", ""))


def test_an_mt942_ties_by_its_counts_and_sums_and_has_no_balances(tmp_path: Path) -> None:
    (found,) = statements_of(written(tmp_path, interim(":90D:1EUR4,00", ":90C:1EUR10,00")), "mt940")
    assert (found.entries, found.signed_sum_minor, found.opening_minor, found.ties) == (2, 600, None, None)
    assert found.refused is None
    said = refusal(tmp_path, interim(":90D:1EUR4,00", ":90C:2EUR19,00"))
    assert ":90C: states 2 entries of 19.00 EUR, but there are 1 of 10.00 EUR" in said


def refusals() -> Iterator[tuple[str, str | bytes, str]]:
    entry = ":61:260426C10,00NTRFA"
    yield (
        "balances",
        statement(entry, closing="C260426EUR511,00"),
        "statement RUN7 of account 10020030/1234567: opening balance 500.00 EUR + entries 10.00 EUR = 510.00 EUR, "
        "but the closing balance is 511.00 EUR (off by -1.00 EUR)",
    )
    yield "currencies", statement(entry, closing="C260426USD510,00"), "are in different currencies"
    yield "cut", statement(entry), "it has no closing balance :62F:; was the file cut?"
    yield (
        "cut, and another behind it",
        statement(entry).replace("\r\n-", "") + statement(entry, closing="C260426EUR510,00"),
        "no closing balance :62F:",
    )
    yield "a line", statement(":61:260426X10,00NTRFA", closing="C260426EUR510,00"), "entry 1: :61: '260426X10,00NTRFA'"
    yield "no type", statement(":61:260426C10,00", closing="C260426EUR510,00"), "is not a statement line such as"
    yield "thousands", statement(":61:260426C1.010,00NTRFA", closing="C260426EUR1510,00"), "is not a statement line"
    yield "expected", statement(":61:260426EC10,00NTRFA", closing="C260426EUR510,00"), "+ entries 0.00 EUR = 500.00 EUR"
    yield "decimals", statement(":61:260426C10,005NTRFA", closing="C260426EUR510,00"), "more than the 2 decimals of EUR"
    yield (
        "a thousand",
        statement(":61:260426C1,000NTRFA", closing="C260426EUR501,00"),
        "more than the 2 decimals of EUR",
    )
    yield "a balance", statement(entry, opening="260425EUR500,00"), ":60F: '260425EUR500,00' is not a balance such as"
    yield "no currency", "\n".join((*HEAD, entry, "-")), "before any field that names a currency"
    yield "after the end", statement(entry, closing="C260426EUR510,00").replace("\r\n-", f"\r\n{entry}"), "comes after"
    yield (
        "a page is missing",
        statement(entry, closing="C260426EUR510,00").replace(":62F:", ":62M:")
        + statement(entry, opening="C260426EUR520,00", closing="C260426EUR530,00")
        .replace("116/1", "116/3")
        .replace(":60F:", ":60M:"),
        "page 116/3 opens with 520.00 EUR (:60M:) where page 116/1 before it closes with 510.00 EUR (:62M:)",
    )
    yield "CSV", "a,b\n1,2\n", "it has no field :20:, :25: or :60F:"
    yield "empty", "", "the file is empty, which is not MT940"
    yield "XML", "<?xml version='1.0'?><Document/>", "it is XML or HTML, not MT940"
    yield "zip", b"PK\x03\x04xx", "it is a zip archive"
    yield "one line", ":20:" + "x" * 100_000, "a line is longer than 64 KiB"
    yield "fields without end", statement(entry, *[":86:" + "y" * 1000] * 2000), "longer than 1 MiB together"
    yield "one field", statement(entry, ":86:x", *["y" * 1000] * 2000), "field :86: is longer than 1 MiB"


@pytest.mark.parametrize(("content", "words"), [pytest.param(*case[1:], id=case[0]) for case in refusals()])
def test_what_cannot_be_read_or_does_not_tie_is_refused_in_words(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    assert words in refusal(tmp_path, content)


@needs_samples
def test_every_public_statement_that_ties_is_read_as_an_independent_reader_does() -> None:
    rows = 0
    for path, _, wanted in expected("mt940"):
        found = iter([figures_found(each) for each in inspect("mt940", path).statements if each.ties is not None])
        currencies = [each.currency or "EUR" for each in statements_of(path, "mt940")]
        for row in wanted:
            assert figures_expected(row, currencies[0]) in found, f"{path.name} {row['id']}"
            rows += 1
    assert rows == 74


@needs_samples
def test_the_library_counts_and_adds_up_the_public_statements_as_we_do() -> None:
    import mt940

    agreed = 0
    for path, _, wanted in expected("mt940"):
        text = path.read_bytes().decode("utf-8", "replace")
        theirs = iter(
            [
                (len(each.transactions), sum(entry.data["amount"].amount for entry in each.transactions))
                for each in mt940.parse_statements(text, options=mt940.Options.all())
            ]
        )
        for row in wanted:
            assert (int(row["entries"]), Decimal(row["signed_sum"])) in theirs, f"{path.name} {row['id']}"
            agreed += 1
    assert agreed == 74


def test_a_statements_id_of_any_length_is_named_in_a_few_words(tmp_path: Path) -> None:
    said = refusal(tmp_path, statement(opening="none").replace("RUN7", "R" * 9_000))
    assert "is not a balance" in said and len(said) < 600
