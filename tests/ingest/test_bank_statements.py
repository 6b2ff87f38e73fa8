"""Bank statements from a file to the tables that readers query: a scenario a format, and statements that come again."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.sources.bank_expectations import expected, needs_samples
from zentra_pipeline import vocabulary
from zentra_pipeline.config.bank_profile import parse_bank
from zentra_pipeline.contracts import bank_statements
from zentra_pipeline.contracts.gate import validate
from zentra_pipeline.errors import ConfigurationError, InputRejectedError, UsageError
from zentra_pipeline.ingest.files import FileOutcome, ingest_files, restage
from zentra_pipeline.ingest.mappings import format_in_force
from zentra_pipeline.published import lake
from zentra_pipeline.settings import Home
from zentra_pipeline.sources.reading import frames
from zentra_pipeline.store import file_facts
from zentra_pipeline.store import files as file_store
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import records
from zentra_pipeline.upkeep.bank_checks import check_banks

NOW = datetime(2026, 4, 28, 6, 0, tzinfo=UTC)
IBAN = "DE02120300000000202051"


class Bank:
    """A tenant with one bank: files are written, ingested and asked about."""

    def __init__(self, folder: Path, profile: str, name: str = "giro") -> None:
        self.folder = folder
        self.name = name
        self.tenant = Tenant.of(Home(folder / "home"), "acme")
        self.tenant.paths.banks.mkdir(parents=True)
        (self.tenant.paths.banks / f"{name}.yml").write_text(profile, encoding="utf-8")

    def send(self, name: str, content: str, **options: Any) -> FileOutcome:
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        (outcome,) = ingest_files(
            self.tenant,
            provider=self.name,
            kind="bank_statement",
            files=[path],
            file_id=None,
            format=format_in_force(self.tenant.paths, self.name, "bank_statement"),
            now=NOW,
            **options,
        ).files
        return outcome

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return lake.query(self.tenant.paths, sql).rows


def camt(entries: str, message: str = "053", opening: str = "500.00", closing: str = "", stmt: str = "2026-116") -> str:
    """A camt message of one statement; a report or notification has no balances."""
    names = {
        "053": ("BkToCstmrStmt", "Stmt"),
        "052": ("BkToCstmrAcctRpt", "Rpt"),
        "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
    }
    root, tag = names[message]
    balances = "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='EUR'>{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>"
        "<Dt><Dt>2026-04-26</Dt></Dt></Bal>"
        for code, amount in (("OPBD", opening), ("CLBD", closing))
        if closing
    )
    return (
        f"<Document><{root}><GrpHdr><MsgId>M</MsgId></GrpHdr><{tag}><Id>{stmt}</Id><ElctrncSeqNb>116</ElctrncSeqNb>"
        f"<CreDtTm>2026-04-26T22:15:00+02:00</CreDtTm><Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
        f"{balances}{entries}</{tag}></{root}></Document>"
    )


def entry(amount: str, reference: str = "B1", more: str = "", status: str = "BOOK", booked: str = "2026-04-26") -> str:
    size, side = amount.removeprefix("-"), "DBIT" if amount.startswith("-") else "CRDT"
    own = f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""
    dates = f"<BookgDt><Dt>{booked}</Dt></BookgDt>" if booked else ""
    return (
        f"<Ntry><Amt Ccy='EUR'>{size}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts><Cd>{status}</Cd></Sts>{dates}"
        f"<ValDt><Dt>2026-04-27</Dt></ValDt>{own}{more}</Ntry>"
    )


def details(*parts: tuple[str, str]) -> str:
    """Transactions of an entry: end-to-end id and amount."""
    found = "".join(
        f"<TxDtls><Refs><EndToEndId>{name}</EndToEndId></Refs><Amt Ccy='EUR'>{amount}</Amt></TxDtls>"
        for name, amount in parts
    )
    return f"<NtryDtls>{found}</NtryDtls>"


PAYOUT = (
    "<NtryDtls><TxDtls><Refs><EndToEndId>PO-17</EndToEndId></Refs>"
    "<AmtDtls><InstdAmt><Amt Ccy='USD'>27.00</Amt></InstdAmt></AmtDtls>"
    "<Chrgs><Rcrd><Amt Ccy='EUR'>0.95</Amt></Rcrd></Chrgs><RltdPties><Dbtr><Nm>Rail Ltd</Nm></Dbtr></RltdPties>"
    "<RmtInf><Ustrd>Payout PO-17</Ustrd><Ustrd>batch  0042</Ustrd></RmtInf></TxDtls></NtryDtls>"
)
CAMT = camt(entry("24.05", more=PAYOUT) + entry("-4.05", "B2", "<RvslInd>true</RvslInd>"), closing="520.00")
MT940 = (
    ":20:RUN7\r\n:25:10020030/1234567\r\n:28C:116/1\r\n:60F:C260425EUR500,00\r\n"
    ":61:2604270426CR24,05NTRFPO-17//B1\r\n/OCMT/USD27,00//CHGS/EUR0,95/\r\n"
    ":86:166?00GUTSCHRIFT?20EREF+PO-17?21SVWZ+Payout batch 0042?32RAIL LTD\r\n"
    ":61:2604270426RC4,05NTRFNONREF\r\n:62F:C260426EUR520,00\r\n-\r\n"
)
BAI2 = (
    "01,BANK,ACME,260427,0600,1,,,2/\n02,ACME,BANK,1,260426,,USD,2/\n03,0001234567,USD,010,50000,,,015,52000,,/\n"
    "16,165,2405,V,260427,,B1,PO-17,RAIL LTD\n88,PAYOUT BATCH 0042\n16,475,405,0,,,CHEQUE/\n"
    "49,104810,5/\n98,104810,1,7/\n99,104810,1,9/\n"
)
OFX = (
    "OFXHEADER:100\n\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>1<ACCTID>0001234567"
    "</BANKACCTFROM><BANKTRANLIST><DTSTART>20260426<DTEND>20260426"
    "<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20260426<TRNAMT>24.05<FITID>B1<REFNUM>PO-17<NAME>RAIL LTD"
    "<MEMO>Payout batch 0042</STMTTRN>"
    "<STMTTRN><TRNTYPE>CHECK<DTPOSTED>20260426<TRNAMT>-4.05<FITID>B2</STMTTRN></BANKTRANLIST>"
    "<LEDGERBAL><BALAMT>520.00<DTASOF>20260426</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>\n"
)
TABLE = (
    "Ref;Booked;Value;Purpose;Payer;Amount;Balance;Ccy\n"
    "B2;26.04.2026;27.04.2026;Cheque;;-4,05;520,00;EUR\n"
    "B1;26.04.2026;27.04.2026;Payout batch 0042;RAIL LTD;24,05;524,05;EUR\n"
)
TABLE_PROFILE = """
format: tabular
accounts: ["0001234567"]
timezone: Europe/Berlin
tabular:
  delimiter: semicolon
  decimal_mark: ","
  line_id: Ref
  amounts: {net: Amount}
  currency: Ccy
  settled_at: {column: Booked, format: "%d.%m.%Y", timezone: Europe/Berlin}
  value_on: {column: Value, format: "%d.%m.%Y", timezone: Europe/Berlin}
  text: [Purpose, Payer]
  running_balance: {column: Balance, order: newest_first}
"""
DAY, NEXT = date(2026, 4, 26), date(2026, 4, 27)
STATEMENT = (
    "account_id, currency, statement_type, statement_id, from_day, to_day, opening_minor, closing_minor, entries"
)
LINE = "amount_minor, booked_on, value_on, bank_reference, end_to_end_id, text, instructed_minor, charges_minor, "
LINE += "is_reversal"


@pytest.mark.parametrize(
    ("profile", "name", "content", "statement", "lines"),
    [
        pytest.param(
            "format: camt053",
            "statement.xml",
            CAMT,
            (IBAN, "EUR", "statement", "2026-116", DAY, DAY, 50000, 52000, 2),
            [
                (2405, DAY, NEXT, "B1", "PO-17", "Payout PO-17 batch 0042 Rail Ltd", 2700, 95, False),
                (-405, DAY, NEXT, "B2", None, None, None, None, True),
            ],
            id="camt053",
        ),
        pytest.param(
            "format: mt940",
            "statement.sta",
            MT940,
            ("10020030-1234567", "EUR", "statement", "RUN7/116/1/2026-04-25", date(2026, 4, 25), DAY, 50000, 52000, 2),
            [
                (
                    *(2405, DAY, NEXT, "B1", "PO-17"),
                    *("EREF+PO-17SVWZ+Payout batch 0042 RAIL LTD /OCMT/USD27,00//CHGS/EUR0,95/", 2700, 95, False),
                ),
                (-405, DAY, NEXT, None, None, None, None, None, True),
            ],
            id="mt940",
        ),
        pytest.param(
            "format: bai2",
            "prior_day.bai",
            BAI2,
            ("0001234567", "USD", "statement", "2026-04-26", DAY, DAY, 50000, 52000, 2),
            [
                (2405, DAY, NEXT, "B1", "PO-17", "RAIL LTD PAYOUT BATCH 0042", None, None, False),
                (-405, DAY, None, None, None, "CHEQUE", None, None, False),
            ],
            id="bai2",
        ),
        pytest.param(
            "format: ofx",
            "download.ofx",
            OFX,
            ("0001234567", "USD", "statement", "2026-04-26..2026-04-26", DAY, DAY, None, 52000, 2),
            [
                (2405, DAY, None, "B1", "PO-17", "RAIL LTD Payout batch 0042", None, None, False),
                (-405, DAY, None, "B2", None, None, None, None, False),
            ],
            id="ofx",
        ),
        pytest.param(
            TABLE_PROFILE,
            "turnover.csv",
            TABLE,
            ("0001234567", "EUR", "statement", "turnover", DAY, DAY, 50000, 52000, 2),
            [
                (-405, DAY, NEXT, "B2", None, "Cheque", None, None, False),
                (2405, DAY, NEXT, "B1", None, "Payout batch 0042 RAIL LTD", None, None, False),
            ],
            id="tabular",
        ),
    ],
)
def test_a_statement_of_each_format_is_two_tables_that_tie(
    tmp_path: Path, profile: str, name: str, content: str, statement: tuple[Any, ...], lines: list[tuple[Any, ...]]
) -> None:
    bank = Bank(tmp_path, profile)
    outcome = bank.send(name, content)
    assert (outcome.rows, outcome.staged, outcome.quarantined) == (3, 3, 0), outcome.reasons
    assert bank.ask(f"select {STATEMENT} from bank_statements") == [statement]
    assert bank.ask(f"select {LINE} from bank_lines order by row_number") == lines
    assert bank.ask(
        """select count(distinct bank_line_id), bool_and(starts_with(bank_line_id, account_id || ':')),
        bool_and(status = 'booked'), bool_and(bank = 'giro' and file_sequence = 1 and file_sha256 <> '')
        from bank_lines"""
    ) == [(2, True, True, True)]
    assert bank.ask("select kind, provider, rows, rows_quarantined from files") == [("bank_statement", "giro", 3, 0)]
    with bank.tenant.reading() as connection:
        (file,) = file_store.registered_files(connection)
        facts = file_facts.recorded(connection)[file.sequence]
    again = Tenant.of(Home(tmp_path / "again"), "acme")
    assert restage(again, bank.tenant.paths.landing / file.sha256, file, []) == file, "as a rebuild reads it"
    assert facts.staged_sha256 is not None


def test_an_entry_without_a_bank_reference_goes_by_its_statement_and_place_and_a_repeated_one_by_what_it_says(
    tmp_path: Path,
) -> None:
    bank = Bank(tmp_path, "format: camt053")
    content = camt(entry("1.00", "") + entry("2.00") + entry("3.00"), closing="506.00")
    bank.send("one.xml", content)
    (unnamed,), (first,), (second,) = bank.ask("select bank_line_id from bank_lines order by row_number")
    assert (unnamed, first) == (f"{IBAN}:2026-116#1", f"{IBAN}:B1")
    assert second.startswith(f"{IBAN}:B1~"), "the bank gave one reference twice"
    bank.send("two.xml", content)
    assert bank.ask("select count(distinct bank_line_id), count(*) from bank_lines") == [(3, 6)], "the same ids again"


def test_transactions_of_a_batch_name_their_entry_in_a_statement_and_in_a_later_notification(tmp_path: Path) -> None:
    bank = Bank(tmp_path, "format: camt053")
    parts = (("E1", "10.00"), ("E2", "14.05"))
    bank.send("day.xml", camt(entry("24.05", "BATCH"), closing="524.05"))
    bank.send("details.xml", camt(entry("24.05", "BATCH", details(*parts)), message="054", stmt="N1"))
    assert bank.ask("select statement_type, entries from bank_statements order by file_sequence") == [
        ("statement", 1),
        ("notification", 1),
    ]
    assert bank.ask(
        "select bank_line_id, amount_minor, end_to_end_id, parent_line_id from bank_lines "
        "order by file_sequence, row_number"
    ) == [
        (f"{IBAN}:BATCH", 2405, None, None),
        (f"{IBAN}:BATCH", 2405, None, None),
        (f"{IBAN}:BATCH/E1", 1000, "E1", f"{IBAN}:BATCH"),
        (f"{IBAN}:BATCH/E2", 1405, "E2", f"{IBAN}:BATCH"),
    ]


def test_pending_lines_are_said_to_be_and_leave_the_balance_alone(tmp_path: Path) -> None:
    bank = Bank(tmp_path, "format: camt053")
    announced = bank.send("noon.xml", camt(entry("24.05", status="PDNG", booked=""), message="052", stmt="R1"))
    assert announced.notes == {}
    bank.send("night.xml", camt(entry("24.05") + entry("9.00", "B9", status="INFO"), closing="524.05"))
    assert bank.ask("select bank_line_id, status, booked_on from bank_lines order by file_sequence") == [
        (f"{IBAN}:B1", "pending", NEXT),
        (f"{IBAN}:B1", "booked", DAY),
    ]
    interim = (
        ":20:I\n:25:1\n:28C:1/1\n:34F:EUR0,\n:13D:2604261200+0200\n:61:2604260426EC5,00NTRFX//P1\n:90C:1EUR5,00\n-"
    )
    other = Bank(tmp_path / "sta", "format: mt940")
    other.send("interim.sta", interim)
    assert other.ask("select statement_type, statement_id, entries from bank_statements") == [
        ("report", "I/1/1/2026-04-26/1200", 1)
    ]
    assert other.ask("select status, amount_minor from bank_lines") == [("pending", 500)]


def test_a_statement_that_comes_again_is_a_redelivery_a_restatement_or_a_double(tmp_path: Path) -> None:
    bank = Bank(tmp_path, "format: camt053")
    bank.send("monday.xml", camt(entry("24.05"), closing="524.05"))
    again = bank.send("monday_again.xml", camt(entry("24.05"), closing="524.05") + "\n")
    assert again.notes == {"statements that are here already with the same content": 1}
    double = bank.send("double.xml", camt(entry("24.05"), closing="524.05", stmt="OTHER"))
    (said,) = double.notes
    assert (
        said.startswith("statement with the content of another: OTHER of account") and "2026-116 in file monday" in said
    )
    restated = bank.send("corrected.xml", camt(entry("24.05") + entry("1.00", "B2"), closing="525.05"))
    (said,) = restated.notes
    assert "was opening 500.00 EUR, 1 entries, closing 524.05 EUR in file monday_again" in said
    assert "and is opening 500.00 EUR, 2 entries, closing 525.05 EUR: the last delivery holds" in said
    assert bank.ask("select file_id, superseded_by is not null from files order by file_sequence") == [
        ("monday", False),
        ("monday_again", True),
        ("double", False),
        ("corrected", False),
    ]
    assert bank.ask("select count(distinct content_digest), count(*) from bank_statements") == [(2, 4)]


def test_two_days_without_entries_are_not_doubles(tmp_path: Path) -> None:
    bank = Bank(tmp_path, "format: camt053")
    bank.send("saturday.xml", camt("", closing="500.00", stmt="S1"))
    sunday = bank.send("sunday.xml", camt("", closing="500.00", stmt="S2").replace("2026-04-26", "2026-04-27"))
    assert sunday.notes == {}


@pytest.mark.parametrize(
    ("profile", "name", "content", "words"),
    [
        (
            "format: camt053",
            "in.xml",
            camt(entry("1.00"), closing="502.00"),
            "opening balance 500.00 EUR + entries 1.00 EUR",
        ),
        (
            f"format: camt053\naccounts: [{IBAN[:-1]}9]",
            "in.xml",
            CAMT,
            "and the bank's profile has DE02120300000000202059",
        ),
        ("format: camt053", "in.xml", CAMT.replace(f"<IBAN>{IBAN}</IBAN>", ""), "statement 2026-116 names no account"),
        ("format: mt940", "in.xml", CAMT, "it is XML or HTML, not MT940"),
        ("format: camt053", "in.csv", TABLE, "not"),
        ("format: bai2", "in.bai", BAI2.replace("49,104810", "49,104811"), "the control total of account 0001234567"),
    ],
)
def test_what_does_not_add_up_or_is_of_another_bank_is_refused_whole(
    tmp_path: Path, profile: str, name: str, content: str, words: str
) -> None:
    bank = Bank(tmp_path, profile)
    with pytest.raises(InputRejectedError) as refused:
        bank.send(name, content)
    assert words in str(refused.value)
    assert bank.ask("select count(*) from files") == [(0,)]


def test_a_line_that_cannot_be_read_is_quarantined_and_its_neighbours_are_not(tmp_path: Path) -> None:
    bank = Bank(tmp_path, "format: ofx")
    outcome = bank.send("download.ofx", OFX.replace("<TRNAMT>-4.05", "<TRNAMT>-4.051"))
    assert (outcome.staged, outcome.quarantined) == (2, 1)
    assert bank.ask("select source, provider, reason from quarantine") == [
        ("bank_lines", "giro", "TRNAMT: '-4.051' has more than the 2 decimals of USD")
    ]
    assert bank.ask("select entries from bank_statements") == [(2,)], "the statement says how many there are"


def test_a_refused_row_may_name_the_account_that_the_statement_is_of(tmp_path: Path) -> None:
    """One row that could not be read had the file refused, as the bank writes the account's own IBAN beside each."""
    bank = Bank(tmp_path, TABLE_PROFILE.replace("0001234567", IBAN))
    (bank.tenant.paths.root / "privacy.yml").write_text("ibans: refuse\n", encoding="utf-8")
    own, payer = "DE02 1203 0000 0000 2020 51", "GB82WEST12345698765432"
    lines = TABLE.replace("26.04.2026;27.04.2026;Cheque", "soon;27.04.2026;Cheque").splitlines()

    def table(refused: str) -> str:
        return "\n".join(f"{line};{cell}" for line, cell in zip(lines, ("Account", refused, own), strict=True)) + "\n"

    outcome = bank.send("turnover.csv", table(own))
    assert (outcome.staged, outcome.quarantined) == (2, 1), outcome.reasons
    ((raw,),) = bank.ask("select raw from quarantine")
    assert own in raw
    with pytest.raises(InputRejectedError, match="row 1 holds one of the IBANs in raw"):
        bank.send("others.csv", table(payer))


def test_a_time_is_a_day_as_the_bank_writes_it_or_on_the_clock_of_the_profile(tmp_path: Path) -> None:
    late = camt(
        entry("24.05", booked="").replace("<ValDt>", "<BookgDt><DtTm>2026-04-26T23:30:00Z</DtTm></BookgDt><ValDt>")
    )
    written, local = (
        Bank(tmp_path / "a", "format: camt053"),
        Bank(tmp_path / "b", "format: camt053\ntimezone: Europe/Berlin"),
    )
    written.send("in.xml", late)
    local.send("in.xml", late)
    assert written.ask("select booked_on from bank_lines") == [(DAY,)]
    assert local.ask("select booked_on from bank_lines") == [(NEXT,)]


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({}, "format: field required"),
        ({"format": "stripe"}, "'stripe' is not one of camt053, camt052, camt054, mt940, bai2, ofx, tabular"),
        (
            {"format": "camt053", "acounts": []},
            "unknown key 'acounts'; allowed are format, accounts, timezone, drops, tabular",
        ),
        ({"format": "camt053", "accounts": ["DE89 3704", "DE893704"]}, "accounts: names an account twice"),
        ({"format": "camt053", "timezone": "Berlin"}, "is not a zone of the IANA database"),
        ({"format": "tabular"}, "format tabular and the key tabular"),
        ({"format": "camt053", "drops": [{"url": "drop"}]}, "is neither a whole path"),
    ],
)
def test_a_wrong_profile_is_refused_by_file_and_key(profile: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^giro\.yml: ") as refused:
        parse_bank(profile, "giro.yml")
    assert words in str(refused.value)


def test_a_bank_without_a_profile_is_refused_by_the_file_that_it_lacks(tmp_path: Path) -> None:
    bank = Bank(tmp_path, "format: camt053")
    bank.name = "other"
    with pytest.raises(UsageError, match=r"no bank 'other' \(the tenant has giro\): add its profile, banks/other.yml"):
        bank.send("in.xml", CAMT)


def frames_of(path: Path, file_format: str) -> list[pl.DataFrame]:
    """The rows of a public file; none where it is refused, for one of its statements does not tie."""
    try:
        return list(frames(path, bank_statements.CONTRACT, file_format, name=path.name, notes={}))
    except InputRejectedError as refused:
        assert "closing balance" in str(refused) or "NbOfNtries is 14" in str(refused), path
        return []


@needs_samples
@pytest.mark.parametrize(("folder", "file_format"), [("camt", "camt053"), ("mt940", "mt940")])
def test_account_balances_tie_on_every_public_statement(folder: str, file_format: str) -> None:
    tied = 0
    for path, _, rows in expected(folder):
        if any(row["ties"] == "False" for row in rows):
            continue
        found: dict[str, list[dict[str, Any]]] = {"statement": [], "line": []}
        for frame in frames_of(path, file_format):
            verdict = validate(bank_statements.CONTRACT, frame)
            assert verdict.refused.height == 0, (path, verdict.refused.to_dicts()[:3])
            for row in verdict.accepted.to_dicts():
                found[row["row_type"]].append(row)
        ids = [(line["account_id"], line["statement_id"], line["bank_line_id"]) for line in found["line"]]
        assert len(set(ids)) == len(ids), path
        keys = [(each["account_id"], each["statement_id"], each["currency"]) for each in found["statement"]]
        assert len(set(keys)) == len(keys), path
        due = iter(rows)
        for statement in found["statement"]:
            lines = [
                line["amount_minor"]
                for line in found["line"]
                if line["parent_line_id"] is None
                and line["status"] == "booked"
                and (line["account_id"], line["statement_id"], line["currency"])
                == (statement["account_id"], statement["statement_id"], statement["currency"])
            ]
            row = next(due)
            exponent = vocabulary.exponent(statement["currency"])
            if row["ties"] == "True":
                assert sum(lines) == int(Decimal(row["signed_sum"]).scaleb(exponent)), (path, row["id"])
                assert statement["opening_minor"] + sum(lines) == statement["closing_minor"], (path, row["id"])
                tied += 1
    assert tied == {"camt": 13, "mt940": 65}[folder], "the other nine are in files with a statement that does not tie"


def test_the_doctor_names_banks_that_cannot_be_read_and_payouts_that_go_nowhere(tmp_path: Path) -> None:
    bank = Bank(tmp_path, "format: camt053")
    bank.send("in.xml", CAMT)
    bank.tenant.paths.providers.mkdir()
    rail = bank.tenant.paths.providers / "rail.yml"
    rail.write_text(f"payout_account: {{EUR: {IBAN}, USD: '000123'}}", encoding="utf-8")
    (bank.tenant.paths.banks / "other.yml").write_text("format: pdf", encoding="utf-8")
    found = {finding.subject: finding.what for finding in check_banks(records.read(bank.tenant))}
    assert found.keys() == {"banks/other.yml", "providers/rail.yml"}
    assert found["providers/rail.yml"] == "payouts of rail go to account 000123, of which no bank has a statement"
    (bank.tenant.paths.banks / "giro.yml").unlink()
    (bank.tenant.paths.banks / "other.yml").unlink()
    (gone, _) = check_banks(records.read(bank.tenant))
    assert gone.remedy == "zentra bank add giro --like camt053 --tenant acme"
