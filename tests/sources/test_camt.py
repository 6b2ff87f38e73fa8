"""camt.053, camt.052 and camt.054 as settlement lines: signs, ids, details, dates, balances, and the public samples."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sources.bank_expectations import (
    expected,
    figures_expected,
    figures_found,
    needs_samples,
    statements_of,
)
from zentra_pipeline import vocabulary
from zentra_pipeline.contracts import contract_of, settlement_lines
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.inspection import InspectedStatement, inspect
from zentra_pipeline.sources import bank_statements, camt, camt_statement
from zentra_pipeline.sources.reading import frames

FORMATS = {"Stmt": "camt053", "Rpt": "camt052", "Ntfctn": "camt054"}
MESSAGES = {"Stmt": "BkToCstmrStmt", "Rpt": "BkToCstmrAcctRpt", "Ntfctn": "BkToCstmrDbtCdtNtfctn"}


def balance(code: str, amount: str, indicator: str = "CRDT", currency: str = "EUR", on: str = "2026-04-26") -> str:
    sign = f"<CdtDbtInd>{indicator}</CdtDbtInd>" if indicator else ""
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{amount}</Amt>{sign}'
        f"<Dt><Dt>{on}</Dt></Dt></Bal>"
    )


def entry(
    amount: str = "10.00",
    indicator: str = "CRDT",
    *,
    ref: str = "BANK1",
    details: str = "",
    status: str = "<Sts>BOOK</Sts>",
    booked: str = "<BookgDt><Dt>2026-04-26</Dt></BookgDt>",
    code: str = "",
    currency: str = "EUR",
    more: str = "",
) -> str:
    sign = f"<CdtDbtInd>{indicator}</CdtDbtInd>" if indicator else ""
    own = f"<AcctSvcrRef>{ref}</AcctSvcrRef>" if ref else ""
    parts = code.split("/")
    codes = ""
    if code:
        family = f"<Fmly><Cd>{parts[1]}</Cd><SubFmlyCd>{parts[2]}</SubFmlyCd></Fmly>"
        codes = f"<BkTxCd><Domn><Cd>{parts[0]}</Cd>{family}</Domn></BkTxCd>"
    inner = f"<NtryDtls>{details}</NtryDtls>" if details else ""
    return f'<Ntry><Amt Ccy="{currency}">{amount}</Amt>{sign}{more}{status}{booked}{own}{codes}{inner}</Ntry>'


def part(amount: str = "", indicator: str = "", refs: str = "", remittance: str = "", instructed: str = "") -> str:
    size = f'<Amt Ccy="EUR">{amount}</Amt>' if amount else ""
    sign = f"<CdtDbtInd>{indicator}</CdtDbtInd>" if indicator else ""
    paid = f"<AmtDtls><InstdAmt>{instructed}</InstdAmt></AmtDtls>" if instructed else ""
    said = f"<RmtInf>{remittance}</RmtInf>" if remittance else ""
    return f"<TxDtls><Refs>{refs}</Refs>{size}{sign}{paid}{said}</TxDtls>"


def document(*inner: str, kind: str = "Stmt", version: str = "08", name: str = "S1", suffix: str = "") -> str:
    space = f"urn:iso:std:iso:20022:tech:xsd:{FORMATS[kind].replace('camt', 'camt.')}.001.{version}"
    message = MESSAGES[kind] + suffix
    head = f"<Id>{name}</Id><CreDtTm>2026-04-27T01:00:00+02:00</CreDtTm>"
    account = "<Acct><Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="{space}"><{message}><GrpHdr><MsgId>M</MsgId></GrpHdr>'
        f"<{kind}>{head}{account}{''.join(inner)}</{kind}></{message}></Document>"
    )


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "in.xml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines_of(path: Path, file_format: str = "camt053", notes: dict[str, int] | None = None) -> list[dict[str, Any]]:
    read = frames(path, contract_of("settlement"), file_format, name=path.name, notes=notes)
    return [line for frame in read for line in frame.to_dicts()]


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    def read(*inner: str, **how: Any) -> list[dict[str, Any]]:
        return lines_of(written(tmp_path, document(*inner, **how)), FORMATS[how.get("kind", "Stmt")])

    return read


@pytest.fixture
def statement(tmp_path: Path) -> Any:
    def read(*inner: str, **how: Any) -> InspectedStatement:
        found = inspect(FORMATS[how.get("kind", "Stmt")], written(tmp_path, document(*inner, **how)))
        (only,) = found.statements
        assert found.is_refused == (only.refused is not None)
        return only

    return read


def refusal(folder: Path, text: str | bytes, file_format: str = "camt053") -> str:
    with pytest.raises(InputRejectedError) as refused:
        lines_of(written(folder, text), file_format)
    return str(refused.value)


def test_a_booked_credit_becomes_a_payment(lines: Any) -> None:
    refs = "<EndToEndId>ORDER-7</EndToEndId><PmtInfId>RUN-1</PmtInfId>"
    assert lines(entry(details=part(refs=refs), code="PMNT/RCDT/ESCT")) == [
        {
            "line_id": "DE02120300000000202051:BANK1",
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


def test_a_frame_has_the_contracts_columns_and_its_lineage(tmp_path: Path) -> None:
    path = written(tmp_path, document(entry()))
    frame = next(frames(path, contract_of("settlement"), "camt053", name=path.name))
    assert frame.columns == [*settlement_lines.CONTRACT.columns, "raw", "row_number", "refusal", "source_row"]


@pytest.mark.parametrize("version", [f"{number:02}" for number in range(1, 15)])
@pytest.mark.parametrize("kind", ["Stmt", "Rpt", "Ntfctn"])
def test_every_version_is_read_by_the_names_of_its_elements(lines: Any, version: str, kind: str) -> None:
    suffix = "V01" if version == "01" else ""
    (line,) = lines(entry("12.5", "DBIT"), kind=kind, version=version, suffix=suffix)
    assert line["gross_minor"] == "-1250"


@pytest.mark.parametrize(
    ("changes", "minor"),
    [
        ({"indicator": "DBIT"}, "-1000"),
        ({"indicator": "DBIT", "more": "<RvslInd>true</RvslInd>"}, "-1000"),
        ({"indicator": "CRDT", "more": "<RvslInd>true</RvslInd>"}, "1000"),
        ({"amount": "10.000"}, "1000"),
        ({"amount": "1500", "currency": "JPY"}, "1500"),
        ({"amount": "0.005", "currency": "KWD"}, "5"),
        ({"status": ""}, "1000"),
        ({"status": "<Sts><Cd>BOOK</Cd></Sts>"}, "1000"),
    ],
)
def test_the_indicator_alone_gives_the_sign(lines: Any, changes: dict[str, str], minor: str) -> None:
    assert [line["gross_minor"] for line in lines(entry(**changes))] == [minor]


@pytest.mark.parametrize(
    ("ref", "more", "refs", "remittance", "reference"),
    [
        ("BANK1", "", "<EndToEndId>E</EndToEndId>", "", "BANK1"),
        ("", "", "<AcctSvcrRef>T1</AcctSvcrRef><EndToEndId>E</EndToEndId>", "", "T1"),
        ("", "<NtryRef>N</NtryRef>", "<EndToEndId>E</EndToEndId>", "", "N"),
        ("", "", "<PmtInfId>P</PmtInfId><EndToEndId>E</EndToEndId>", "", "E"),
        ("", "", "<EndToEndId>NOTPROVIDED</EndToEndId><TxId>X</TxId><PmtInfId>P</PmtInfId>", "", "P"),
        ("NOTPROVIDED", "", "<TxId>007</TxId><UETR>U</UETR>", "", "007"),
        ("", "", "<UETR>U</UETR>", "<Ustrd>invoice 7</Ustrd>", "U"),
        ("", "", "", "<Strd><CdtrRefInf><Ref>RF18</Ref></CdtrRefInf></Strd><Ustrd>invoice 7</Ustrd>", "RF18"),
        ("", "", "", "<Ustrd>invoice\n 7</Ustrd><Ustrd>more</Ustrd>", "invoice 7"),
        ("", "", "<EndToEndId>notprovided</EndToEndId>", "", None),
    ],
)
def test_the_reference_is_the_first_one_that_says_something(
    lines: Any, ref: str, more: str, refs: str, remittance: str, reference: str | None
) -> None:
    (line,) = lines(entry(ref=ref, more=more, details=part(refs=refs, remittance=remittance)))
    assert line["provider_reference"] == reference


def test_a_batch_that_adds_up_is_a_line_for_each_of_its_transactions(lines: Any) -> None:
    details = (
        "<Btch><PmtInfId>RUN-9</PmtInfId></Btch>"
        + part("8.00", "CRDT", "<EndToEndId>A</EndToEndId>")
        + part("3.00", "", "<EndToEndId>B</EndToEndId>")
        + part("1.00", "DBIT", "<EndToEndId>A</EndToEndId>")
    )
    found = lines(entry("10.00", details=details))
    assert [(line["gross_minor"], line["provider_reference"], line["batch_id"]) for line in found] == [
        ("800", "A", "RUN-9"),
        ("300", "B", "RUN-9"),
        ("-100", "A", "RUN-9"),
    ]
    assert [line["line_type"] for line in found] == ["payment", "payment", "refund"]
    assert len({line["line_id"] for line in found}) == 3


def test_a_batch_whose_parts_do_not_add_up_is_one_line_and_noted(tmp_path: Path) -> None:
    notes: dict[str, int] = {}
    details = part("8.00", "CRDT") + part("1.00", "CRDT")
    (line,) = lines_of(written(tmp_path, document(entry("10.00", details=details))), notes=notes)
    assert (line["gross_minor"], line["provider_reference"]) == ("1000", "BANK1")
    assert notes == {
        "entries whose details do not give amounts that add up to them: one line for each entry": 1,
    }


@pytest.mark.parametrize(
    "status", ["<Sts>PDNG</Sts>", "<Sts><Cd>PDNG</Cd></Sts>", "<Sts>INFO</Sts>", "<Sts>FUTR</Sts>"]
)
def test_what_is_not_booked_is_no_line_and_no_part_of_a_balance(tmp_path: Path, status: str) -> None:
    inner = (balance("OPBD", "5.00"), balance("CLBD", "15.00"), entry(), entry("99.00", ref="BANK2", status=status))
    path = written(tmp_path, document(*inner))
    notes: dict[str, int] = {}
    assert [line["gross_minor"] for line in lines_of(path, notes=notes)] == ["1000"]
    assert list(notes.values()) == [1]
    (found,) = statements_of(path, "camt053")
    assert (found.entries, found.signed_sum_minor, found.ties) == (1, 1000, True)


def test_ids_repeat_neither_in_a_file_nor_from_one_reading_to_the_next(lines: Any) -> None:
    inner = (entry(), entry(), entry("4.00"), entry(ref=""), entry(ref=""), entry("4.00", "DBIT", ref=""))
    found = [line["line_id"] for line in lines(*inner)]
    assert found == [line["line_id"] for line in lines(*inner)]
    assert len(set(found)) == 6
    assert found[0] == "DE02120300000000202051:BANK1"


def test_a_notification_names_a_booking_as_its_statement_does(lines: Any) -> None:
    details = part("6.00", refs="<TxId>X1</TxId>") + part("4.00", refs="<TxId>X2</TxId>")
    booked = [line["line_id"] for line in lines(entry(details=details))]
    assert booked == [line["line_id"] for line in lines(entry(details=details), kind="Ntfctn", name="N9")]
    assert booked == ["DE02120300000000202051:BANK1/X1", "DE02120300000000202051:BANK1/X2"]


@pytest.mark.parametrize(
    ("booked", "settled_at"),
    [
        ("<BookgDt><DtTm>2026-04-26T23:30:00-02:00</DtTm></BookgDt>", "2026-04-27T01:30:00Z"),
        ("<BookgDt><DtTm>2026-04-26T23:30:00.2500</DtTm></BookgDt>", "2026-04-26T23:30:00.25Z"),
        ("<BookgDt><Dt>2026-04-26+02:00</Dt></BookgDt>", "2026-04-26T00:00:00Z"),
        ("<ValDt><Dt>2026-04-28</Dt></ValDt>", "2026-04-28T00:00:00Z"),
        ("", "2026-04-26T23:00:00Z"),
    ],
)
def test_a_line_is_dated_by_its_booking_else_by_what_is_nearest(lines: Any, booked: str, settled_at: str) -> None:
    assert [line["settled_at"] for line in lines(entry(booked=booked))] == [settled_at]


def test_a_day_that_is_none_sends_its_row_to_quarantine(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        document(entry(), entry(ref="B2", booked="<BookgDt><Dt>2026-02-30</Dt></BookgDt>")),
    )
    booked, refused = statements_of(path, "camt053")
    assert (booked.entries, booked.ties) == (2, None)
    assert "BookgDt: '2026-02-30T00:00:00Z'" in (refused.refused or "")


def test_what_was_instructed_in_another_currency_is_kept(lines: Any) -> None:
    (line,) = lines(entry("10.00", "DBIT", details=part(instructed='<Amt Ccy="JPY">1620</Amt>')))
    assert (line["presentment_minor"], line["presentment_currency"]) == ("-1620", "JPY")
    (line,) = lines(entry("10.00", "DBIT", details=part(instructed='<Amt Ccy="EUR">10.00</Amt>')))
    assert (line["presentment_minor"], line["presentment_currency"]) == (None, None)


@pytest.mark.parametrize(
    ("code", "indicator", "line_type"),
    [
        ("PMNT/RCDT/ESCT", "CRDT", "payment"),
        ("PMNT/RCDT/RRTN", "DBIT", "refund"),
        ("PMNT/ICDT/ESCT", "DBIT", "payout"),
        ("PMNT/ICDT/RRTN", "CRDT", "payout"),
        ("PMNT/IDDT/ESDD", "CRDT", "payment"),
        ("PMNT/IDDT/UPDD", "DBIT", "chargeback"),
        ("PMNT/MDOP/FEES", "DBIT", "fee"),
        ("ACMT/MCOP/INTR", "CRDT", "adjustment"),
        ("", "DBIT", "refund"),
        ("XTND/NTAV/NTAV", "CRDT", "payment"),
    ],
)
def test_the_banks_code_gives_the_line_type(lines: Any, code: str, indicator: str, line_type: str) -> None:
    assert [line["line_type"] for line in lines(entry(indicator=indicator, code=code))] == [line_type]


@pytest.mark.parametrize(
    ("inner", "figures"),
    [
        ((balance("OPBD", "1.00", "DBIT"), balance("CLBD", "9.00"), entry()), (-100, 900, True)),
        ((balance("PRCD", "1.00"), balance("CLBD", "11.00"), entry()), (100, 1100, True)),
        ((balance("OPBD", "1.00", ""), balance("CLBD", "11.00", ""), entry()), (100, 1100, True)),
        ((balance("PRCD", "9.00"), balance("OPBD", "1.00"), balance("CLBD", "11.00"), entry()), (100, 1100, True)),
        ((balance("OPAV", "1.00"), balance("CLAV", "5.00"), balance("ITBD", "3.00"), entry()), (None, None, None)),
        ((balance("OPBD", "1.00"), entry()), (100, None, None)),
        ((balance("OPBD", "1.00"), balance("CLBD", "11.00"), entry(indicator="")), (100, 1100, True)),
    ],
)
def test_a_statement_ties_by_its_booked_balances(statement: Any, inner: tuple[str, ...], figures: Any) -> None:
    found = statement(*inner)
    assert (found.opening_minor, found.closing_minor, found.ties) == figures
    assert (found.refused, found.account) == (None, "DE02120300000000202051")


@pytest.mark.parametrize(
    ("inner", "ties", "words"),
    [
        (
            (balance("OPBD", "1.00"), balance("CLBD", "12.00"), entry()),
            False,
            "statement S1 of account DE02120300000000202051: opening balance 1.00 EUR + entries 10.00 EUR = 11.00 EUR, "
            "but the closing balance is 12.00 EUR (off by -1.00 EUR)",
        ),
        (
            (balance("OPBD", "1.00"), balance("CLBD", "11.00", currency="SEK"), entry()),
            False,
            "opening balance 1.00 EUR, entries 10.00 EUR and closing balance 11.00 SEK are in different currencies",
        ),
        (
            ("<TxsSummry><TtlNtries><NbOfNtries>2</NbOfNtries></TtlNtries></TxsSummry>", entry()),
            None,
            "TtlNtries/NbOfNtries is 2, but the entries are 1",
        ),
        (
            ("<TxsSummry><TtlCdtNtries><Sum>9.99</Sum></TtlCdtNtries></TxsSummry>", entry()),
            None,
            "TtlCdtNtries/Sum is 9.99 EUR, but the entries add up to 10.00 EUR",
        ),
        ((entry(indicator=""),), None, "1 entries have no CdtDbtInd, and no balances show what they were"),
    ],
)
def test_figures_that_disagree_refuse_the_file(
    statement: Any, tmp_path: Path, inner: tuple[str, ...], ties: bool | None, words: str
) -> None:
    found = statement(*inner)
    assert (found.ties, found.entries, found.signed_sum_minor) == (ties, 1, 1000)
    assert words in (found.refused or "")
    assert words in refusal(tmp_path, document(*inner))


def test_currencies_of_one_statement_are_added_up_apart(tmp_path: Path) -> None:
    inner = (
        *(balance("OPBD", "1.00"), balance("OPBD", "2.00", currency="USD")),
        *(balance("CLBD", "11.00"), balance("CLBD", "1.00", currency="USD")),
        *(entry(), entry("1.00", "DBIT", ref="BANK2", currency="USD")),
    )
    found = statements_of(written(tmp_path, document(*inner)), "camt053")
    assert [(each.currency, each.entries, each.signed_sum_minor, each.ties) for each in found] == [
        ("EUR", 1, 1000, True),
        ("USD", 1, -100, True),
    ]


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("10.005", "statement S1: entry 1: Amt: '10.005' has more than the 2 decimals of EUR"),
        ("1,50", "entry 1: Amt: '1,50' is not an amount such as 40.00"),
        ("1e3", "entry 1: Amt: '1e3' is not an amount"),
        (".", "entry 1: Amt: '.' is not an amount"),
    ],
)
def test_an_amount_that_is_not_exact_refuses_the_file(tmp_path: Path, amount: str, words: str) -> None:
    assert words in refusal(tmp_path, document(entry(amount)))


def hostile() -> Iterator[tuple[str, str | bytes, str]]:
    whole = document(entry())
    yield "another message", document(entry(), kind="Rpt"), "it is a camt.052 report, not a camt.053 statement; read it"
    yield "no statement", whole.replace("Stmt>", "Other>"), "is not a camt.053 statement"
    yield "a payment order", "<Document><CstmrCdtTrfInitn/></Document>", "<Document> with <CstmrCdtTrfInitn> is not"
    yield "cut", whole[: len(whole) // 2], "it is not whole XML"
    yield "empty", "", "the file is empty, which is not XML"
    yield "CSV", "a,b\n1,2\n", "it begins with 'a,b', not as XML"
    yield "MT940", ":20:X\n:25:1/2\n:28C:1\n", "it is a bank statement (MT940), not XML"
    yield "zip", b"PK\x03\x04xx", "it is a zip archive"
    entity = f'<!DOCTYPE Document [<!ENTITY a "{"x" * 100}"><!ENTITY b "&a;&a;">]>'
    yield "entities", whole.replace("?>", f"?>{entity}", 1).replace("BANK1", "&b;"), "it has a document type (DTD)"
    yield "deep", "<a>" * 100_000, "it is not whole XML"
    yield "no end", whole.replace("<Ntry>", "<Other/>" * 2_000_000, 1), "512 KiB without an end of an entry"
    yield "status", document(entry(status="<Sts>MAYBE</Sts>")), "status 'MAYBE' is none of BOOK, PDNG, INFO, FUTR"
    yield "indicator", document(entry(indicator="CRED")), "CdtDbtInd 'CRED' is neither CRDT nor DBIT"
    yield "currency", document(entry(currency="XXX")), "'XXX' is not an ISO 4217 currency"


@pytest.mark.parametrize(("content", "words"), [pytest.param(*case[1:], id=case[0]) for case in hostile()])
def test_other_files_are_refused_in_words(tmp_path: Path, content: str | bytes, words: str) -> None:
    assert words in refusal(tmp_path, content)


def test_a_later_page_is_a_statement_of_its_own_to_a_bank(tmp_path: Path) -> None:
    pages = "<StmtPgntn><PgNb>2</PgNb><LastPgInd>true</LastPgInd></StmtPgntn><ElctrncSeqNb>116</ElctrncSeqNb>"
    text = document(balance("OPBD", "500.00"), balance("CLBD", "510.00"), entry()).replace(
        "</Id><CreDt", f"</Id>{pages}<CreDt"
    )
    read = frames(written(tmp_path, text), contract_of("bank_statement"), "camt053", name="in.xml")
    rows = [row for frame in read for row in frame.to_dicts()]
    assert [(row["row_type"], row["statement_id"], row["sequence"]) for row in rows] == [
        ("line", "S1/2", None),
        ("statement", "S1/2", "116"),
    ]


def test_a_page_that_is_missing_between_two_others_refuses_the_file(tmp_path: Path) -> None:
    def page(number: int, opening: str, closing: str) -> str:
        balances = balance("OPBD", opening) + balance("CLBD", closing)
        text = document(balances, entry(ref=f"B{number}"))
        pages = f"<StmtPgntn><PgNb>{number}</PgNb><LastPgInd>{str(number == 3).lower()}</LastPgInd></StmtPgntn>"
        return text.replace("</Id><CreDt", f"</Id>{pages}<CreDt")

    def together(*pages: str) -> str:
        first, *others = pages
        inner = "".join(each[each.index("<Stmt>") : each.index("</BkTo")] for each in others)
        return first.replace("</BkTo", f"{inner}</BkTo")

    first, second, third = page(1, "500.00", "510.00"), page(2, "510.00", "520.00"), page(3, "520.00", "530.00")
    assert len(lines_of(written(tmp_path, together(first, second, third)))) == 3
    assert "page 3 follows page 1 (PgNb): what is between them is missing" in refusal(tmp_path, together(first, third))


def test_utf_16_is_read_as_it_declares(tmp_path: Path) -> None:
    text = document(entry()).replace("UTF-8", "UTF-16")
    assert [line["gross_minor"] for line in lines_of(written(tmp_path, text.encode("utf-16")))] == ["1000"]


def test_blank_lines_above_the_declaration_are_skipped_and_the_account_is_its_own_number(tmp_path: Path) -> None:
    account = "<Acct><Id><Othr><Id>12345</Id></Othr></Id><Ccy>EUR</Ccy><Ownr><Id><OrgId><Othr><Id>9</Id></Othr></OrgId>"
    account += "</Id></Ownr><Svcr><FinInstnId><Othr><Id>DE 1</Id></Othr></FinInstnId></Svcr></Acct>"
    text = re.sub("<Acct>.*</Acct>", account, document(balance("OPBD", "1.00"), balance("CLBD", "1.00")))
    for above in ("\n \r\n", "\ufeff", "\ufeff\r\n"):
        (found,) = inspect("camt053", written(tmp_path, f"{above}{text}")).statements
        assert (found.account, found.ties) == ("12345", True)


def test_what_is_held_until_an_entry_ends_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camt, "_MOST_DETAILS", 3)
    monkeypatch.setattr(camt, "_HELD_BYTES", 200_000)
    monkeypatch.setattr(camt_statement, "_MOST_BALANCES", 4)
    monkeypatch.setattr(bank_statements, "_MOST_STATEMENTS", 5)
    four = entry(details="".join(part("1.00", refs=f"<TxId>{n}</TxId>") for n in range(4)))
    six = re.sub("(<Stmt>.*</Stmt>)", r"\1" * 6, document())
    for text, words in (
        (document(four), "an entry has more than 3 transactions (TxDtls); ask the bank for smaller batches"),
        (document(*[balance("OPBD", "1.00")] * 5), "statement S1: it has more than 4 balances"),
        (document("<Foo>x</Foo>" * 50_000), "more than 195 KiB without an end of an entry"),
        (six, "more than 5 statements or batches; split the file"),
    ):
        assert words in refusal(tmp_path, text)


def test_codes_without_end_are_not_all_remembered() -> None:
    for number in range(3_000):
        assert bank_statements.line_type((("swift", (f"{number}{'X' * 10_000}",)),), 1) == "payment"
    assert vocabulary.bank_line_type.cache_info().currsize <= 1_024


def test_every_line_type_of_a_code_is_one_of_the_contract() -> None:
    assert vocabulary.bank_line_type("iso20022", ("", "", ""), "credit") == "payment"
    assert vocabulary.bank_line_type("swift", ("CHG",), "debit") == "fee"


OTHER_IDS_JOINED = (
    "camt053.v3.xml",
    "valid_example_with_dates.xml",
    "valid_example_with_datetime.xml",
    "valid_example_with_other_id.xml",
)
"""Files in which the independent reading joins the id of the account's owner or bank to the account's own."""


@needs_samples
def test_every_public_statement_is_read_as_an_independent_reader_does() -> None:
    rows = 0
    for path, kind, wanted in expected("camt"):
        found = statements_of(path, FORMATS[kind])
        assert len(found) == len(wanted), path.name
        for statement, row in zip(found, wanted, strict=True):
            said, figures = figures_found(statement), figures_expected(row, statement.currency or "EUR")
            if path.name in OTHER_IDS_JOINED and row["account"] != statement.account:
                assert figures[1].startswith(said[1]), path.name
                figures = (figures[0], said[1], *figures[2:])
            assert said == figures, path.name
            rows += 1
    assert rows == 61


@needs_samples
def test_public_statements_that_do_not_tie_are_refused_and_the_others_give_every_booked_line() -> None:
    for path, kind, wanted in expected("camt"):
        if any(row["ties"] == "False" for row in wanted):
            with pytest.raises(InputRejectedError, match="closing balance"):
                lines_of(path, FORMATS[kind])
        elif path.name != "valid_example_with_datetime.xml":
            lines = lines_of(path, FORMATS[kind])
            assert {line["refusal"] for line in lines} <= {None}
            booked = sum(int(line["net_minor"]) for line in lines)
            stated = sum(each.signed_sum_minor or 0 for each in statements_of(path, FORMATS[kind]))
            assert booked == stated or b"PDNG" in path.read_bytes() or b"INFO" in path.read_bytes(), path.name


def test_a_fault_of_any_length_is_named_in_a_few_words(tmp_path: Path) -> None:
    odd = document(entry("1.00")).replace("camt.053", "camt.053" + "\u2800" * 9_000 + " ", 1)
    for text in (odd, document(balance("OPBD", "1.00"), balance("CLBD", "3.00"), entry("1.00"), name="S" * 9_000)):
        assert len(refusal(tmp_path, text)) < 1_200
