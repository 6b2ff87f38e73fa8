"""One day of an account in each form that banks send it in: from the bank's own file to payouts, a seal and its check.

The provider's half is made once. Does not belong here: how any field of a format is read (tests/sources, tests/ingest).
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.bank_rows import ACCOUNT, Line, statement
from tests.scenarios.bank_world import SCOPE, BankWorld
from tests.scenarios.rows import MON, TUE
from tests.scenarios.world import NOW
from zentra_pipeline.closeout import candidate, closing, verify
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.ingest.mappings import format_in_force
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import run_requests, window_run
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.ci

BANK = "giro"
DAY, NEXT = "260421", "260422"  # Tuesday and Wednesday, as SWIFT writes them

# 125.00 that names its batch, 300.00 that has the payout's trace, 7.00 of rent: 500.00 becomes 918.00.
CREDIT, TRACED, RENT = Line("R1", 12500, "RAIL BATCH B1"), Line("R2", 30000, "TRANSFER", trace="TR-2"), Line("R3", -700)
LUMP = Line("R1", 42500, "COLLECTIVE")
SPLIT = Line("R1", 42500, "COLLECTIVE", details=(Line("D1", 12500, "BATCH B1"), Line("D2", 30000, "x", trace="TR-2")))

MT940 = f"""\
:20:RUN7
:25:{ACCOUNT}
:28C:111/1
:60F:C{DAY}USD500,00
:61:{DAY}0421CR125,00NTRFNONREF//R1
:86:166?00CREDIT?20SVWZ+RAIL BATCH B1
:61:{DAY}0421CR300,00NTRFNONREF//R2
:86:166?00CREDIT?20EREF+TR-2?21SVWZ+TRANSFER
:61:{DAY}0421DR7,00NTRFNONREF//R3
:86:177?00RENT
:62F:C{DAY}USD918,00
-
"""
MT942 = f"""\
:20:NOON
:25:{ACCOUNT}
:28C:111/1
:34F:USD0,
:13D:{DAY}1200+0000
:61:{DAY}0421CR125,00NTRFNONREF//R1
:86:166?00CREDIT?20SVWZ+RAIL BATCH B1
:61:{DAY}0421EC300,00NTRFNONREF//P2
:86:166?00EXPECTED?20EREF+TR-2
:90C:2USD425,00
-
"""
BAI2 = f"""\
01,BANK,ACME,{NEXT},0600,1,,,2/
02,ACME,BANK,1,{DAY},,USD,2/
03,{ACCOUNT},USD,010,50000,,,015,91800,,/
16,165,12500,,R1,,RAIL BATCH B1
16,165,30000,,R2,TR-2,TRANSFER
16,475,700,,R3,,RENT
49,185000,5/
98,185000,1,7/
99,185000,1,9/
"""
OFX = f"""\
OFXHEADER:100

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>1<ACCTID>{ACCOUNT}</BANKACCTFROM>
<BANKTRANLIST><DTSTART>20{DAY}<DTEND>20{DAY}
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20{DAY}<TRNAMT>125.00<FITID>R1<NAME>RAIL<MEMO>BATCH B1</STMTTRN>
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20{DAY}<TRNAMT>300.00<FITID>R2<REFNUM>TR-2<NAME>TRANSFER</STMTTRN>
<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20{DAY}<TRNAMT>-7.00<FITID>R3<NAME>RENT</STMTTRN></BANKTRANLIST>
<LEDGERBAL><BALAMT>918.00<DTASOF>20{DAY}</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""
TABLE = """\
Ref;Booked;Sender's ref;Purpose;Amount;Balance
R3;21.04.2026;;Rent;-7,00;918,00
R2;21.04.2026;TR-2;Transfer;300,00;925,00
R1;21.04.2026;;RAIL BATCH B1;125,00;625,00
"""
MAPPING = {
    "delimiter": "semicolon",
    "decimal_mark": ",",
    "line_id": "Ref",
    "merchant_reference": "Sender's ref",
    "text": "Purpose",
    "amounts": {"net": "Amount"},
    "currency": {"constant": "USD"},
    "settled_at": {"column": "Booked", "format": "%d.%m.%Y"},
    "running_balance": {"column": "Balance", "order": "newest_first"},
}

MATCHED = ["bank_text: R1 = po_1, 12500 USD", "bank_trace: R2 = po_2, 30000 USD"]
BY_DETAILS = ["bank_text: R1/D1 = po_1, 12500 USD", "bank_trace: R1/D2 = po_2, 30000 USD"]
NOON = [MATCHED[0], "payout po_1: credited", "payout po_2: in_transit"]
BALANCES = {"opening_minor": 50000, "lines_minor": 41800, "gap_minor": 0, "mismatch_minor": 0, "closing_minor": 91800}


@dataclass(frozen=True)
class Form:
    """What a bank sends of the day, file by file, and what the account says of it in the end.

    `says_first`: what it says after the first file, where it runs then; `repeated_minor`: what comes a second time.
    """

    files: Sequence[tuple[str, bytes | str]]
    profile: dict[str, Any]
    matched: Sequence[str] = tuple(MATCHED)
    balances: Sequence[dict[str, int]] = (BALANCES,)
    says_first: Sequence[str] = ()
    repeated_minor: int = 0


def camt(*lines: Line, kind: str = "statement", name: str | None = None) -> bytes:
    return statement(TUE, 50000, lines, kind=kind, statement_id=name)


FORMS = {
    "camt.053": Form([("day.xml", camt(CREDIT, TRACED, RENT))], {"format": "camt053"}),
    "camt.052 then camt.053": Form(
        [("noon.xml", camt(CREDIT, kind="report", name="noon")), ("day.xml", camt(CREDIT, TRACED, RENT))],
        {"format": "camt052"},
        says_first=NOON,
        repeated_minor=12500,
    ),
    "camt.053 with the details of a camt.054": Form(
        [("details.xml", camt(SPLIT, kind="notification", name="details")), ("day.xml", camt(LUMP, RENT))],
        {"format": "camt054"},
        tuple(BY_DETAILS),
    ),
    "MT940": Form([("day.sta", MT940)], {"format": "mt940"}),
    "MT942 then MT940": Form(
        [("noon.sta", MT942), ("day.sta", MT940)],
        {"format": "mt940"},
        says_first=NOON,
        repeated_minor=12500,
    ),
    "BAI2": Form([("day.bai", BAI2)], {"format": "bai2"}),
    # OFX has no opening balance: the account's balances are not proved by it.
    "OFX": Form([("day.ofx", OFX)], {"format": "ofx"}, balances=()),
    "a table": Form(
        [("day.csv", TABLE)], {"format": "tabular", "timezone": "UTC", "accounts": [ACCOUNT], "tabular": MAPPING}
    ),
}


@pytest.fixture(scope="module")
def provider_s_half(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankWorld]:
    """Two payouts of Monday, 125.00 of batch B1 and 300.00 with a trace id, in a window that is sealed."""
    world = BankWorld(tmp_path_factory.mktemp("half"), {"bank_reference_pattern": "BATCH ([A-Z0-9-]+)"})
    world.pay("po_1", 12500, on=MON, batch="B1")
    world.pay("po_2", 30000, on=MON, batch="B2", trace="TR-2")
    close(world.tenant, world.make(MON).run.run_id)
    return world


@pytest.mark.parametrize("name", FORMS)
def test_a_day_in_each_form_of_a_bank_ends_in_credited_payouts_and_a_seal_that_holds(
    provider_s_half: BankWorld, tmp_path: Path, name: str
) -> None:
    form = FORMS[name]
    shutil.copytree(provider_s_half.home.root, tmp_path / "home")
    world = at_another_place(provider_s_half, tmp_path / "home")
    (world.paths.banks / f"{BANK}.yml").write_text(json.dumps(form.profile), encoding="utf-8")
    run_id = ""
    for place, (file, content) in enumerate(form.files, start=1):
        send(world.tenant, tmp_path / file, content)
        if place == len(form.files) or form.says_first:
            run_id = run_day(world.tenant)
        if place < len(form.files) and form.says_first:
            assert world.bank_says() == list(form.says_first)
    assert world.bank_says() == [*form.matched, "payout po_1: credited", "payout po_2: credited"]
    assert world.query(
        "select opening_minor, lines_minor, gap_minor, mismatch_minor, closing_minor from account_balances"
    ) == list(form.balances)
    assert world.query(
        "select matched_minor, accounted_minor, duplicates_minor, amount_unexplained_minor from conservation "
        f"where provider = '{SCOPE}' and side = 'bank' and currency <> ''"
    ) == [
        {
            "matched_minor": 42500,
            "accounted_minor": -700,
            "duplicates_minor": form.repeated_minor,
            "amount_unexplained_minor": 0,
        }
    ]
    assert world.query("select closing_minor, difference_minor from cash_in_transit") == [
        {"closing_minor": 0, "difference_minor": 0}
    ]
    bundle = close(world.tenant, run_id)
    assert [finding for finding in verify.verify(bundle, world.home.trust).findings if not finding.holds] == []
    assert world.query("select distinct status from payouts") == [{"status": "closed"}]
    assert world.query("select sum(settled_minor) as minor from cash_story where payout_status = 'closed'") == [
        {"minor": 42500}
    ]


def at_another_place(world: BankWorld, root: Path) -> BankWorld:
    """The world with a copy of its home."""
    moved = BankWorld.__new__(BankWorld)
    moved.__dict__.update(world.__dict__)
    moved.tenant = Tenant.of(Home.at(root), world.tenant.name)
    return moved


def send(tenant: Tenant, path: Path, content: bytes | str) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    form = format_in_force(tenant.paths, BANK, "bank_statement")
    (outcome,) = ingest_files(
        tenant, provider=BANK, kind="bank_statement", files=[path], file_id=None, format=form, now=NOW
    ).files
    assert (outcome.quarantined, dict(outcome.notes)) == (0, {})
    assert lake.query(tenant.paths, "select distinct account_id from bank_statements").rows == [(ACCOUNT,)]


def run_day(tenant: Tenant) -> str:
    as_of = datetime.combine(date.fromisoformat(TUE), time(23, 59), UTC)
    request = run_requests.of_account(ACCOUNT, date.fromisoformat(TUE), "treasury", as_of, "test")
    return window_run.run_window(tenant, request).run.run_id


def close(tenant: Tenant, run_id: str) -> Path:
    """Close a run by two people; where its bundle lies."""
    with candidate.of_run(tenant, run_id) as prepared:
        assert closing.prepare(prepared, "ana", NOW).blockers == ()
    with candidate.of_run(tenant, run_id) as approved:
        sealed = closing.approve(approved, "ben", NOW).closeout
    assert sealed is not None
    return tenant.paths.root / str(sealed.bundle)
