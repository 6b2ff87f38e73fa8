"""A bank's camt.053 statements beside our ledger over two days: what is booked, announced, or comes again.

Does not belong here: how one entry reads (tests/sources).
"""

from pathlib import Path

import pytest

from tests.scenarios.rows import MON, TUE
from tests.scenarios.world import NOW, World
from tests.sources.test_camt import balance, document, entry, part
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.files import FileOutcome, ingest_files

BATCH = (
    "<Btch><PmtInfId>COLLECT-1</PmtInfId></Btch>"
    + part("20.00", refs="<EndToEndId>INV-20</EndToEndId>")
    + part("30.00", refs="<EndToEndId>INV-30</EndToEndId>")
)


def booked(day: str) -> str:
    return f"<BookgDt><Dt>{day}</Dt></BookgDt>"


MONDAY = (
    entry("10.00", ref="B1", booked=booked(MON), code="PMNT/RCDT/ESCT"),
    entry("50.00", ref="B2", booked=booked(MON), code="PMNT/RDDT/ESDD", details=BATCH),
    entry("1.50", "DBIT", ref="B3", booked=booked(MON), code="ACMT/MCOP/CHRG"),
)
PENDING = entry("7.00", ref="B4", booked=booked(TUE), status="<Sts>PDNG</Sts>")
TUESDAY = (
    entry("7.00", ref="B4", booked=booked(TUE), code="PMNT/RCDT/ESCT"),
    entry("20.00", "DBIT", ref="B5", booked=booked(TUE), code="PMNT/IDDT/UPDD"),
)


def camt(name: str, opening: str, closing: str, *entries: str) -> bytes:
    return document(balance("OPBD", opening), balance("CLBD", closing), *entries, name=name).encode()


def ingest(world: World, name: str, content: bytes, file_format: str) -> FileOutcome:
    path = world.inbox / name
    path.write_bytes(content)
    world._files.add(path.stem)
    (outcome,) = ingest_files(
        world.tenant,
        provider=world.provider,
        kind="settlement",
        files=[path],
        file_id=None,
        format=file_format,
        now=NOW,
    ).files
    return outcome


def test_a_days_statement_meets_its_postings_and_what_comes_again_counts_once(tmp_path: Path) -> None:
    world = World(tmp_path, {"settlement_format": "camt053", "expects_callbacks": False}, "house_bank")
    first = ingest(world, "monday.xml", camt("S1", "100.00", "158.50", *MONDAY, PENDING), "camt053")
    assert (first.staged, first.quarantined) == (4, 0)
    assert first.notes == {"entries of status PDNG: announced, not booked, and so no lines": 1}
    again = ingest(world, "both_days.xml", camt("S2", "100.00", "145.50", *MONDAY, *TUESDAY), "camt053")
    assert (again.staged, again.quarantined) == (6, 0)

    for name, reference, day, minor in (
        ("t1", "B1", MON, 1000),
        ("t2", "INV-20", MON, 2000),
        ("t3", "INV-30", MON, 3000),
    ):
        world.post(name, reference, minor, "EUR", on=day, provider="house_bank")
    world.post("t4", "B4", 700, "EUR", on=TUE, provider="house_bank")

    account = "DE02120300000000202051"
    assert [said.text for said in world.run(MON, file="monday")] == [
        f"exact_reference one_to_one exact: {account}:B1 = t1, 1000 EUR",
        f"exact_reference one_to_one exact: {account}:B2/INV-20 = t2, 2000 EUR",
        f"exact_reference one_to_one exact: {account}:B2/INV-30 = t3, 3000 EUR",
    ]
    assert [said.text for said in world.run(TUE, file="both_days")] == [
        f"exact_reference one_to_one exact: {account}:B4 = t4, 700 EUR",
        f"open {account}:B5, -2000 EUR, aged 0",
        f"unmatched_provider_row {account}:B5, -2000 EUR",
    ]
    counted = world.query(
        "select rows_in, amount_in_minor, duplicates from conservation join runs using (run_id) "
        "where side = 'settlement' and settlement_file = 'both_days' and currency = 'EUR'"
    )
    assert counted == [{"rows_in": 6, "amount_in_minor": 4550, "duplicates": 4}]


def test_a_statement_whose_figures_disagree_leaves_nothing_behind(tmp_path: Path) -> None:
    world = World(tmp_path, {"settlement_format": "camt053"}, "house_bank")
    with pytest.raises(InputRejectedError, match=r"off by -1\.00 EUR"):
        ingest(world, "monday.xml", camt("S1", "100.00", "159.50", *MONDAY), "camt053")
    with pytest.raises(InputRejectedError, match=r"camt\.054 notification, not a camt\.053 statement"):
        ingest(world, "later.xml", document(*MONDAY, kind="Ntfctn").encode(), "camt053")
    assert world.query("select * from files") == world.query("select * from settlement_lines") == []
