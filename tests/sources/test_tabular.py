"""Tables by a declared mapping: every way to write money, dates and totals, every form, and the public sample files."""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from tests.support.every import check_every
from zentra_pipeline.config import drafting, profile, strict_yaml, templates
from zentra_pipeline.errors import ConfigurationError, InputRejectedError
from zentra_pipeline.ingest.inspection import InspectedStatement, inspect
from zentra_pipeline.sources import bank_table
from zentra_pipeline.sources.bank_reading import BankReading
from zentra_pipeline.sources.column_mapping import ColumnMapping
from zentra_pipeline.sources.statement import Statement
from zentra_pipeline.sources.tabular import read_settlement

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "samples" / "bank-csv"
SIMPLE = "line_id: id\namounts: {gross: amount}\ncurrency: {constant: EUR}\nsettled_at: {column: day}\n"


def mapping(text: str) -> ColumnMapping:
    content = {"settlement_format": "tabular", "tabular": strict_yaml.parse_mapping(text, "mapping")}
    found = profile.parse_profile(content, "rail.yml").tabular
    assert found is not None
    return found


def read(path: Path, text: str) -> list[dict[str, Any]]:
    return [line for frame in read_settlement(path, path.name, mapping(text)) for line in frame.to_dicts()]


def table(path: Path, *rows: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(("\n".join(rows) + "\n").encode(encoding))
    return path


def one_amount(path: Path, written: str, keys: str, currency: str = "EUR") -> tuple[str | None, str | None]:
    """Gross as read, or why the row is refused."""
    text = SIMPLE.replace("EUR", currency) + "delimiter: semicolon\n" + keys
    (line,) = read(table(path / "one.csv", "id;amount;day", f'1;"{written}";2026-07-01'), text)
    return line["gross_minor"], line["refusal"]


def test_amounts_are_read_as_declared_and_refused_otherwise(tmp_path: Path) -> None:
    european = 'decimal_mark: ","\nthousands_mark: "."'
    right = [
        ("1250.5", "", "EUR", "125050"),
        ("-0.01", "", "EUR", "-1"),
        ("+7", "", "EUR", "700"),
        ("\u22121250,50", european, "EUR", "-125050"),
        ("1.250,50", european, "EUR", "125050"),
        ("1250,50", european, "EUR", "125050"),
        ("1,250,000.99", 'thousands_mark: ","', "EUR", "125000099"),
        ("1 250.00", 'thousands_mark: " "', "EUR", "125000"),
        ("(12.00)", "negative: parentheses", "EUR", "-1200"),
        ("12.00-", "negative: trailing_minus", "EUR", "-1200"),
        ("1250", "", "JPY", "1250"),
        ("1.234", "", "KWD", "1234"),
        ("1250", "amounts_in: minor", "EUR", "1250"),
        ("500", "amounts_in: minor\nexponents: {ISK: 2}", "ISK", "5"),
        ("5", "amounts_in: minor\nexponents: {MGA: 0}", "MGA", "500"),
    ]
    wrong = [
        ("1,250.50", "", "EUR"),
        ("1.250,50", "", "EUR"),
        ("12.5.00", 'thousands_mark: ","', "EUR"),
        ("1.25,00", european, "EUR"),
        ("1.000", "", "EUR"),
        ("1.5", "", "JPY"),
        ("€5.00", "", "EUR"),
        ("5.00 ", "", "EUR"),
        ("1e3", "", "EUR"),
        ("12.00-", "", "EUR"),
        ("12.00", "amounts_in: minor", "EUR"),
        ("501", "amounts_in: minor\nexponents: {ISK: 2}", "ISK"),
        ("99999999999999999999", "", "EUR"),
    ]
    check_every(right, lambda case: _is(one_amount(tmp_path, case[0], case[1], case[2]), (case[3], None)), str)

    def refused(case: tuple[str, str, str]) -> None:
        gross, refusal = one_amount(tmp_path, *case)
        assert gross is None
        assert (
            refusal
            == f"amount: '{case[0]}' is not an exact amount of its currency as the profile's mapping writes them"
        )

    check_every(wrong, refused, str)


def _is(found: object, due: object) -> None:
    assert found == due


def test_dates_are_instants_of_the_declared_zone(tmp_path: Path) -> None:
    def instant(written: str, rule: str) -> tuple[str | None, bool]:
        text = SIMPLE.replace("{column: day}", rule)
        (line,) = read(table(tmp_path / "one.csv", "id,amount,day", f'1,1.00,"{written}"'), text)
        return line["settled_at"], line["refusal"] is not None

    berlin = "timezone: Europe/Berlin"
    cases = [
        ("2026-07-01", "{column: day}", "2026-07-01T00:00:00Z"),
        ("2026-07-01T10:00:00.25+02:00", "{column: day}", "2026-07-01T08:00:00.25Z"),
        ("2026-07-01 10:00:00 -0500", "{column: day}", "2026-07-01T15:00:00Z"),
        ("2026-07-01 10:00", f"{{column: day, {berlin}}}", "2026-07-01T08:00:00Z"),
        ("01.07.26 23:59", f"{{column: day, format: '%d.%m.%y %H:%M', {berlin}}}", "2026-07-01T21:59:00Z"),
        ("3/9/2026 12:05 AM", "{column: day, format: '%m/%d/%Y %I:%M %p'}", "2026-03-09T00:05:00Z"),
        ("9 Mar 2026", "{column: day, format: '%d %b %Y'}", "2026-03-09T00:00:00Z"),
        ("1767225600", "{column: day, format: unix}", "2026-01-01T00:00:00Z"),
        ("2026-10-25 02:30", f"{{column: day, {berlin}}}", "2026-10-25T00:30:00Z"),  # twice: the first of the two
        ("2026-03-29 02:30", f"{{column: day, {berlin}}}", None),  # skipped by the clock
        ("31.02.2026", "{column: day, format: '%d.%m.%Y'}", None),
        ("2026-02-29", "{column: day}", None),
        ("13/13/2026", "{column: day, format: '%d/%m/%Y'}", None),
    ]
    check_every(cases, lambda case: _is(instant(case[0], case[1]), (case[2], case[2] is None)), str)


def test_gross_fee_and_net_follow_from_one_another(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "id,day,a,b,c,d", "1,2026-07-01,10.00,-0.30,9.70,D", "2,2026-07-01,5.00,,5.00,C")

    def money(amounts: str, line_type: str = "payment") -> list[tuple[str | None, ...]]:
        text = SIMPLE.replace("{gross: amount}", amounts) + f"line_type: {line_type}\n"
        return [tuple(line[name] for name in ("gross_minor", "fee_minor", "net_minor")) for line in read(path, text)]

    assert money("{gross: a, fee: b, net: c, fee_sign: negative}") == [("1000", "30", "970"), ("500", "0", "500")]
    assert money("{gross: a, net: c}") == [("1000", "30", "970"), ("500", "0", "500")]
    assert money("{net: c, fee: b, fee_sign: negative}") == [("1000", "30", "970"), ("500", "0", "500")]
    assert money("{gross: a, signs: opposite}") == [("-1000", "0", "-1000"), ("-500", "0", "-500")]
    assert money("{gross: a, signs: by_type}", "refund") == [("-1000", "0", "-1000"), ("-500", "0", "-500")]
    assert money("{gross: a, sign: {column: d, debit: D, credit: C}}") == [("-1000", "0", "-1000"), ("500", "0", "500")]
    assert money("{debit: a, credit: c}") == [("-30", "0", "-30"), ("0", "0", "0")]
    assert money("{credit: c, debit: b, debit_sign: negative}") == [("940", "0", "940"), ("500", "0", "500")]


def test_a_sign_that_contradicts_the_mapping_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "id,day,a,d", "1,2026-07-01,-10.00,D", "2,2026-07-01,10.00,X", "3,2026-07-01,,")
    text = SIMPLE.replace("{gross: amount}", "{gross: a, sign: {column: d, debit: D, credit: C}}")
    assert [line["refusal"] for line in read(path, text)] == [
        "a: '-10.00' has a sign of its own, where the mapping takes it from another column",
        "d: 'X' is neither a word for debit nor for credit",
        "a: blank; d: blank",
    ]
    pair = SIMPLE.replace("{gross: amount}", "{debit: a, credit: d}")
    assert (
        read(table(tmp_path / "p.csv", "id,day,a,d", "1,2026-07-01,-10.00,", "2,2026-07-01,,"), pair)[0]["refusal"]
        == "a: '-10.00' has another sign than the mapping says (debit_sign)"
    )


def test_rows_are_refused_in_the_words_of_the_file(tmp_path: Path) -> None:
    path = table(
        tmp_path / "t.csv", "No,Typ,Betrag,Cur,Tag", ",Sale,1.00,EUR,2026-07-01", "2,Odd,1.00,XXX,2026-07-01",
        "003,Sale,1.00,eur,2026-07-01",
    )  # fmt: skip
    text = (
        "line_id: No\nprovider_reference: [No]\namounts: {gross: Betrag}\ncurrency: Cur\nsettled_at: {column: Tag}\n"
        "line_type: {column: Typ, values: {Sale: payment}}\n"
    )
    first, second, third = read(path, text)
    assert first["refusal"] == "No: blank"
    assert second["refusal"] == (
        "Typ: 'Odd' is not known; name it under line_type of the profile's mapping; "
        "Cur: 'XXX' is not an ISO 4217 currency"
    )
    assert (third["line_id"], third["provider_reference"], third["currency"]) == ("003", "003", "EUR")
    assert read(path, text.replace("payment}}", "payment}, default: adjustment}"))[1]["line_type"] == "adjustment"
    with pytest.raises(InputRejectedError, match=r"t\.csv: no column Wert; correct the column names in the profile's"):
        read(path, text.replace("Betrag", "Wert"))


CONTROLLED = (
    SIMPLE + "skip_rows: [{column: id, begins: '#'}]\ncontrol_rows: [{row: {column: id, values: Total}, net: amount}]\n"
)


def test_a_file_whose_total_does_not_hold_is_refused_with_the_figures(tmp_path: Path) -> None:
    def statement(total: str, *, sign: str = "same") -> InspectedStatement:
        path = table(
            tmp_path / "t.csv", "id,amount,day", "1,10.00,2026-07-01", "# a remark,,", "2,-2.50,2026-07-02", total
        )
        (found,) = inspect(
            "tabular", path, mapping(CONTROLLED.replace("net: amount", f"net: amount, sign: {sign}"))
        ).statements
        return found

    assert (statement("Total,7.50,").signed_sum_minor, statement("Total,7.50,").ties) == (750, True)
    assert statement("Total,-7.50,", sign="opposite").ties is True
    refused = statement("Total,7.51,")
    assert (refused.signed_sum_minor, refused.ties) == (None, False)
    assert refused.refused == (
        "t.csv: the file does not add up: row 4 states net 7.51 EUR, and the rows come to 7.50 EUR: "
        "a difference of 0.01 EUR; ask for it again"
    )
    assert "no row whose id is 'Total' states its totals (was it cut?)" in str(statement("3,1.00,2026-07-02").refused)


def test_a_running_balance_is_followed_row_by_row(tmp_path: Path) -> None:
    rows = ["1,10.00,2026-07-01,110.00", "2,-2.50,2026-07-02,107.50", "3,1.00,2026-07-03,108.50"]
    text = SIMPLE + "running_balance: {column: balance}\n"
    assert len(read(table(tmp_path / "b.csv", "id,amount,day,balance", *rows), text)) == 3
    newest = text.replace("balance}", "balance, order: newest_first}")
    assert len(read(table(tmp_path / "b.csv", "id,amount,day,balance", *reversed(rows)), newest)) == 3
    with pytest.raises(
        InputRejectedError, match=r"row 3: balance is 108\.50 EUR, but 110\.00 EUR after data row 2 and 1\.00 EUR come"
    ):
        read(table(tmp_path / "b.csv", "id,amount,day,balance", rows[0], "2,0.00,2026-07-02,110.00", rows[2]), text)


def test_every_account_of_a_banks_table_has_a_running_balance_of_its_own(tmp_path: Path) -> None:
    text = f"{SIMPLE}running_balance: {{column: balance}}\naccount: of\npending: {{column: state, values: [open]}}\n"
    given = ColumnMapping.model_validate(strict_yaml.parse_mapping(text, "mapping"))

    def amounts(*rows: str) -> list[tuple[str | None, int | None]]:
        path = table(tmp_path / "b.csv", "of,id,amount,day,balance,state", *rows)
        found = bank_table.parts(path, path.name, BankReading(), given, None)
        return [(part.account, part.closing_minor) for part in found if isinstance(part, Statement)]

    first, second = "1,a,10.00,2026-07-01,110.00,", "2,b,-2.50,2026-07-01,7.50,"
    third, waits = "1,c,1.00,2026-07-02,111.00,", "1,d,5.00,2026-07-02,,open"
    assert amounts(first, second, waits, third) == [("1", 11_100), ("2", 750)]
    with pytest.raises(
        InputRejectedError, match=r"row 3: balance is 111\.00 EUR, but 110\.00 EUR after data row 1 and 2"
    ):
        amounts(first, second, third.replace(",1.00,", ",2.00,"))
    with pytest.raises(
        InputRejectedError, match=r"row 2: amount '-2\.5O', balance '7\.50': one of these cannot be read"
    ):
        amounts(first, second.replace("2.50", "2.5O"))


def test_every_form_of_one_table_gives_the_same_lines(tmp_path: Path) -> None:
    rows = [("007", "12.50", "2026-07-01"), ("8", "-3.10", "2026-07-02")]
    text = SIMPLE + "other_columns: [note]\n"
    plain = [",".join(row) for row in rows]
    due = read(table(tmp_path / "t.csv", "id,amount,day", *plain), SIMPLE)
    assert [(line["line_id"], line["gross_minor"]) for line in due] == [("007", "1250"), ("8", "-310")]

    def forms() -> list[tuple[Path, str]]:
        tabs = table(tmp_path / "t.tsv", "id\tamount\tday", *(row.replace(",", "\t") for row in plain))
        above = table(tmp_path / "a.csv", "Report,of,July", "", "id,amount,day", *plain, "end,,", encoding="utf-16")
        bare = table(tmp_path / "n.csv", *plain)
        fixed = table(tmp_path / "f.txt", *(f"{a:<5}{b:>8}{c}" for a, b, c in rows))
        places = "id, start: 1, length: 5}, {name: amount, start: 6, length: 8}, {name: day, start: 14, length: 10}"
        sheet, parquet = tmp_path / "t.xlsx", tmp_path / "t.parquet"
        typed = pd.DataFrame({"id": ["007", "8"], "amount": [12.5, -3.1], "day": pd.to_datetime([r[2] for r in rows])})
        typed.to_excel(sheet, index=False)
        pl.from_pandas(typed).write_parquet(parquet)
        return [
            (tabs, "delimiter: tab"),
            (above, "encoding: utf-16\nskip_lines: 2\nfooter_lines: 1"),
            (bare, "column_names: [id, amount, day]"),
            (fixed, f"form: fixed_width\nfields: [{{name: {places}]"),
            (sheet, "form: excel"),
            (parquet, "form: parquet"),
        ]

    def same(case: tuple[Path, str]) -> None:
        assert read(case[0], text + case[1]) == due

    check_every(forms(), same, lambda case: case[0].name)


def test_a_workbooks_number_that_is_no_exact_amount_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    noise = {"id": ["1", "2"], "amount": [0.1 + 0.2, 12.345], "day": ["2026-07-01", "2026-07-01"]}
    pd.DataFrame(noise).to_excel(path, index=False)
    first, second = read(path, SIMPLE + "form: excel")
    assert (first["gross_minor"], first["refusal"]) == ("30", None)
    assert second["refusal"] is not None and "'12.345' is not an exact amount" in second["refusal"]


def test_what_a_mapping_may_not_say_is_named() -> None:
    cases = [
        (SIMPLE + "colour: red\n", "unknown key 'tabular.colour'"),
        (SIMPLE.replace("{gross: amount}", "{gross: amount, tip: x}"), "unknown key 'tabular.amounts.tip'"),
        (SIMPLE + "delimiter: ab\n", "'ab' is not a delimiter"),
        (SIMPLE + "encoding: klingon\n", "'klingon' is not one of utf-8"),
        (SIMPLE.replace("{column: day}", "{column: day, format: '%Q'}"), "'%Q' is not known"),
        (SIMPLE + "line_type: {column: t, values: {x: gift}}\n", "'gift' is not one of payment"),
        (SIMPLE.replace("{gross: amount}", "{fee: amount}"), "needs gross, net, or debit and credit"),
        (SIMPLE + "control_rows: [{row: {column: id, values: T}}]\n", "needs one of gross, fee, net"),
    ]

    def refused(case: tuple[str, str]) -> None:
        with pytest.raises(ConfigurationError) as cause:
            mapping(case[0])
        assert case[1] in str(cause.value)

    check_every(cases, refused, lambda case: case[1])
    with pytest.raises(ConfigurationError, match="settlement_format tabular and the key tabular"):
        profile.parse_profile({"settlement_format": "tabular"}, "rail.yml")


MOLLIE = "Date,Payment method,Currency,Amount,Status,ID,Description,Consumer name,Consumer bank account,Consumer BIC,"
MOLLIE += "Settlement currency,Settlement amount,Settlement reference,Amount refunded"
DUTCH = "Datum,Betaalmethode,Valuta,Bedrag,Status,ID,Omschrijving,Naam consument,Rekening consument,BIC consument,"
DUTCH += "Uitbetalingsvaluta,Uitbetalingsbedrag,Uitbetalingsreferentie,Teruggestort bedrag"
SETTLED = (
    "2026-04-13 10:00:00,ideal,EUR,100.00,paidout,tr_1,Order 17,A. Jansen,NL01BANK012,BANKNL2A,EUR,100.00,1.2604.1,",
    "2026-04-13 11:00:00,creditcard,USD,108.32,paidout,tr_2,Order 18,,,,EUR,100.00,1.2604.1,",
    "2026-04-14 09:30:00,ideal,EUR,-25.00,refunded,re_1,Order 17,,,,EUR,-25.00,1.2604.1,",
    "2026-04-14 09:31:00,directdebit,EUR,-10.00,charged_back,chb_1,Order 9,,,,EUR,-10.00,1.2604.1,",
    "2026-04-15 00:00:00,,EUR,,,,Withheld fees 2026.10001,,,,EUR,-2.54,1.2604.1,",
)


def test_exports_of_the_dashboards_of_mollie_and_gocardless_are_read_by_their_templates(tmp_path: Path) -> None:
    def lines(template: str, *rows: str) -> list[tuple[str | None, ...]]:
        content = strict_yaml.parse_mapping(templates.profile_text(template, "rail"), "rail.yml")
        found = profile.parse_profile(content, "rail.yml").tabular
        assert found is not None
        columns = ("line_id", "line_type", "provider_reference", "gross_minor", "fee_minor", "net_minor", "currency")
        columns += ("settled_at", "batch_id", "presentment_minor", "presentment_currency", "refusal")
        frames = read_settlement(table(tmp_path / "in.csv", *rows), "in.csv", found)
        return [row for frame in frames for row in frame.select(columns).rows()]

    one, ten = "1.2604.1", "2026-04-13T08:00:00Z"
    english = lines("mollie-csv", MOLLIE, *SETTLED)
    assert english == [
        ("1.2604.1:tr_1:Order 17", "payment", "tr_1", "10000", "0", "10000", "EUR", ten, one, None, None, None),
        (
            *("1.2604.1:tr_2:Order 18", "payment", "tr_2", "10000", "0", "10000", "EUR"),
            *("2026-04-13T09:00:00Z", one, "10832", "USD", None),
        ),
        (
            *("1.2604.1:re_1:Order 17", "refund", "re_1", "-2500", "0", "-2500", "EUR"),
            *("2026-04-14T07:30:00Z", one, None, None, None),
        ),
        (
            *("1.2604.1:chb_1:Order 9", "chargeback", "chb_1", "-1000", "0", "-1000", "EUR"),
            *("2026-04-14T07:31:00Z", one, None, None, None),
        ),
        (
            *("1.2604.1::Withheld fees 2026.10001", "fee", None, "-254", "0", "-254", "EUR"),
            *("2026-04-14T22:00:00Z", one, None, None, None),
        ),
    ]
    assert lines("mollie-csv-nl", DUTCH, *SETTLED) == english
    header = "customers.id,resources.type,resources.status,resources.reference,gross_amount,gocardless_fees,app_fees,"
    header += "net_amount,currency,payouts.id,payouts.arrival_date,payments.id,refunds.id"
    found = lines(
        "gocardless-csv",
        header,
        "CU1,payment,paid_out,INV-1,100.00,1.20,0.00,98.80,GBP,PO1,2026-04-14,PM1,",
        "CU2,payment,charged_back,INV-0,-50.00,-0.70,0.00,-49.30,GBP,PO1,2026-04-14,PM0,",
        "CU1,refund,paid,INV-1,-20.00,0.50,0.00,-20.50,GBP,PO1,2026-04-14,PM1,RF1",
        "CU1,instalment,paid,INV-1,1.00,0.00,0.00,1.00,GBP,PO1,2026-04-14,PM2,",
    )
    assert [row[:6] for row in found[:3]] == [
        ("PO1:PM1::100.00", "payment", "PM1", "10000", "120", "9880"),
        ("PO1:PM0::-50.00", "payment", "PM0", "-5000", "-70", "-4930"),
        ("PO1:PM1:RF1:-20.00", "refund", "RF1", "-2000", "50", "-2050"),
    ]
    assert str(found[3][-1]).startswith("resources.type: 'instalment' is not known; name it under line_type")
    assert found[0][7:9] == ("2026-04-14T00:00:00Z", "PO1")


def test_a_mapping_without_beginnings_has_the_digest_it_always_had() -> None:
    plain = mapping(SIMPLE + "line_type: {column: kind, values: {Sale: payment}}")
    assert b"begins" not in plain.canonical_json()
    begun = mapping(SIMPLE + "line_type: {column: kind, begins: {S: payment, SR: refund}}")
    assert ColumnMapping.from_json(begun.canonical_json()) == begun
    with pytest.raises(ConfigurationError, match="a beginning must not be blank"):
        mapping(SIMPLE + "line_type: {column: kind, begins: {'': payment}}")


def test_every_template_is_a_profile_whose_mapping_reads_back() -> None:
    for name in templates.names():
        text = templates.profile_text(name, "rail_1")
        found = profile.parse_profile(strict_yaml.parse_mapping(text, name), name)
        if found.tabular is not None:
            assert ColumnMapping.from_json(found.tabular.canonical_json()) == found.tabular, name


def test_a_warehouse_table_of_stripe_is_read_in_minor_units(tmp_path: Path) -> None:
    path = tmp_path / "balance_transaction.parquet"
    rows = {
        "id": ["txn_1", "txn_2"], "amount": [2500, -500], "fee": [95, 0], "net": [2405, -500],
        "currency": ["usd", "isk"],
        "source": ["ch_1", "re_1"], "payout_id": ["po_1", "po_1"], "reporting_category": ["charge", "refund"],
        "available_on": pd.to_datetime(["2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z"]),
    }  # fmt: skip
    pl.from_pandas(pd.DataFrame(rows)).write_parquet(path)
    found = profile.parse_profile(
        strict_yaml.parse_mapping(templates.profile_text("fivetran-stripe", "rail"), "t"), "t"
    ).tabular
    assert found is not None
    lines = [line for frame in read_settlement(path, path.name, found) for line in frame.to_dicts()]
    assert [(line["line_id"], line["line_type"], line["net_minor"], line["settled_at"]) for line in lines] == [
        ("txn_1", "payment", "2405", "2026-07-01T00:00:00Z"),
        ("txn_2", "refund", "-5", "2026-07-02T00:00:00Z"),
    ]


def test_a_file_of_another_layout_is_refused_with_the_key_that_reads_it(tmp_path: Path) -> None:
    """A semicolon file was once told to correct its column names: they were right, the delimiter was not."""
    split = "line_id: Ref\namounts: {debit: Debit, credit: Credit}\ncurrency: {constant: EUR}\n"
    split += "settled_at: {column: Date}\n"
    places = "line_id: 1\namounts: {gross: 2}\ncurrency: {constant: EUR}\nsettled_at: {column: 3}\n"
    header, row = "Ref;Debit;Credit;Date", "A1;2,50;;2026-07-01"
    tabs = [line.replace(";", "\t") for line in (header, row)]
    named = "column_names: [id, amount, day]\n"
    separated = "its columns are separated by {}, not by {}; write delimiter: {} in the profile's mapping (tabular)"
    cases: list[tuple[list[str], str, str]] = [
        ([header, row], split, separated.format("semicolons", "commas", "semicolon")),
        (["sep=;", header, row], split, separated.format("semicolons", "commas", "semicolon")),
        (tabs, split, separated.format("tabs", "commas", "tab")),
        ([header.replace(";", "|")], split, separated.format("vertical bars", "commas", "pipe")),
        ([header.replace(";", "^")], split, separated.format("carets", "commas", '"^"')),
        ([header.replace(";", ",")], split + "delimiter: tab\n", separated.format("commas", "tabs", "comma")),
        (["My bank", header, row], split + "skip_lines: 1\n", separated.format("semicolons", "commas", "semicolon")),
        (tabs, split + "encoding: utf-16\n", separated.format("tabs", "commas", "tab")),
        (["id;amount;day", "1;2,50;2026-07-01"], places, separated.format("semicolons", "commas", "semicolon")),
        (["1;2,50;2026-07-01"], SIMPLE + named, separated.format("semicolons", "commas", "semicolon")),
        (
            ["My bank", "", header.replace(";", ",")], split,
            "line 1 ('My bank') is not the header of this report: the header is in line 3; write skip_lines: 2 in the "
            "profile's mapping (tabular)",
        ),
        (
            ["My bank", "Of 2026", header], split + "delimiter: semicolon\nskip_lines: 1\n",
            "line 2 ('Of 2026') is not the header of this report: the header is in line 3; write skip_lines: 2 in the "
            "profile's mapping (tabular)",
        ),
        (
            ["A1,2.50,0,2026-07-01"], split,
            "line 1 ('A1,2.50,0,2026-07-01') looks like a row of data: the header line with the column names is "
            "missing; name its columns in order with column_names in the profile's mapping (tabular)",
        ),
    ]  # fmt: skip

    def is_refused(case: tuple[list[str], str, str]) -> None:
        rows, text, words = case
        encoding = "utf-16" if "utf-16" in text else "utf-8"
        with pytest.raises(InputRejectedError) as refusal:
            read(table(tmp_path / "bank.csv", *rows, encoding=encoding), text)
        assert str(refusal.value) == f"bank.csv: {words}"

    check_every(cases, is_refused, lambda case: f"{case[0][0]!r} {case[1]!r}")
    (line,) = read(table(tmp_path / "bank.csv", header, row), split + "delimiter: semicolon\ndecimal_mark: ','\n")
    assert line["net_minor"] == "-250"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample files are beside the project, in ../shared/samples")
def test_public_samples_tie_or_are_refused_with_the_figures() -> None:
    sheets = SAMPLES / "OCA__bank-statement-import/account_statement_import_sheet_file/tests/fixtures"
    parsers = SAMPLES / "sebastienrousseau__bankstatementparser/tests/test_data"
    american = (
        'thousands_mark: ","\nline_id: [Date, Label, Amount]\namounts: {gross: Amount}\ncurrency: {constant: USD}\n'
    )
    american += 'settled_at: {column: Date, format: "%m/%d/%Y"}\n'
    split = "line_id: Ref\ndelimiter: semicolon\ndecimal_mark: ','\namounts: {debit: Debit, credit: Credit}\n"
    split += "currency: CCY\n"
    split += "settled_at: {column: Booking Date}\nrunning_balance: {column: Running Balance}\n"
    meta = (
        "skip_lines: 4\ndecimal_mark: ','\nline_id: Operation Number\ncurrency: {constant: EUR}\n"
        "amounts: {debit: Debit, credit: Credit, debit_sign: negative}\n"
        "settled_at: {column: Date, format: '%d/%m/%y'}\n"
        "control_rows: [{row: {column: Date, values: Balance at start of period}, opening_balance: Credit},"
        " {row: {column: Date, values: Balance at end of period}, closing_balance: Credit}]\n"
    )

    def facts(path: Path, text: str) -> list[tuple[object, ...]]:
        found = inspect("tabular", path, mapping(text)).statements
        return [(s.entries, s.signed_sum_minor, s.opening_minor, s.closing_minor, s.ties) for s in found]

    assert facts(parsers / "sample_split_amounts.csv", split) == [(2, 105025, None, None, True)]
    assert facts(sheets / "balance.csv", american + "running_balance: {column: Balance}") == [
        (2, 150000, None, None, True)
    ]
    for form in ("", "form: excel\n"):
        path = sheets / f"meta_data_separated_credit_debit.{'xlsx' if form else 'csv'}"
        (refused,) = inspect("tabular", path, mapping(meta + form)).statements
        assert refused.ties is False
        assert "come to 31,070.09 EUR, not to the closing balance 31,070.11 EUR" in str(refused.refused)
        without = meta.partition("control_rows")[0] + "skip_rows: [{column: Date, begins: Balance}]\n" + form
        assert facts(path, without) == [(4, 106932, None, None, None)]


def test_a_draft_of_a_plain_file_reads_it(tmp_path: Path) -> None:
    path = table(
        tmp_path / "bank.csv", "Ref;Datum;Betrag;Währung;Typ", "A1;01.07.2026;1.250,50;EUR;Sale",
        "A2;13.07.2026;-3,00;EUR;Refund",
    )  # fmt: skip
    proposed = profile.parse_profile(strict_yaml.parse_mapping(drafting.draft(path), "draft"), "draft").tabular
    assert proposed is not None
    (found,) = inspect("tabular", path, proposed).statements
    assert (found.entries, found.currency, found.signed_sum_minor) == (2, "EUR", 124750)
    assert proposed.line_type.values == {"Sale": "payment", "Refund": "refund"}
    with pytest.raises(InputRejectedError, match="no table is seen in it"):
        drafting.draft(table(tmp_path / "prose.csv", "just words", "and more words"))
