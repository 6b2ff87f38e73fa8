"""What a seal is over does not say in which order statements and files came: the evidence's root is the same."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.scenarios.bank_rows import Line, statement
from tests.scenarios.bank_world import BANK, BankWorld
from tests.scenarios.rows import MON, TUE, WED, Row, call, post, settle
from tests.scenarios.world import NOW, World, a_run_follows
from zentra_pipeline.closeout import bundle_files, candidate
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.reconcile.window_run import WindowResult

pytestmark = pytest.mark.ci


def seal_of(world: World, result: WindowResult) -> tuple[str, int, str, tuple[tuple[str, str], ...]]:
    """Root and rows of the evidence that a seal of the run would have; its digest of inputs, and those of tables."""
    with candidate.of_run(world.tenant, result.run.run_id) as found, found.tables() as tables:
        root, rows = bundle_files.write_evidence(tables, world.inbox / "evidence.jsonl")
    digests = tuple(sorted((name, table.sha256) for name, table in result.tables.items()))
    return root, rows, result.run.inputs_digest, digests


def test_statements_in_any_order_of_arrival_are_sealed_under_one_root(tmp_path: Path) -> None:
    """Three days, one of them twice under two ids and once more in a report of noon."""
    tuesday = [Line("R2", 200, "BATCH B2"), Line("R3", 90, "BATCH B9"), Line("R5", -10, "rent")]
    files = {
        "monday.xml": statement(MON, 0, [Line("R1", 500, "BATCH B1")]),
        "noon.xml": statement(TUE, 0, tuesday[:2], kind="report", statement_id="noon"),
        "tuesday.xml": statement(TUE, 500, tuesday),
        "again.xml": statement(TUE, 500, tuesday, statement_id="again"),
        "wednesday.xml": statement(WED, 780, [Line("R4", 300, "BATCH B2")]),
    }
    sealed = set()
    for place, order in enumerate(list(itertools.permutations(files))[::53]):
        world = BankWorld(tmp_path / str(place), {"bank_reference_pattern": "BATCH ([A-Z0-9-]+)"})
        world.pay("po_1", 500, on=MON, batch="B1")
        world.pay("po_2", 500, on=MON, batch="B2")
        world.run(MON)
        for name in order:
            path = world.inbox / name
            path.write_bytes(files[name])
            with a_run_follows():
                ingest_files(
                    world.tenant,
                    provider=BANK,
                    kind="bank_statement",
                    files=[path],
                    file_id=None,
                    format="camt053",
                    now=NOW,
                )
        sealed.add((*seal_of(world, world.bank_day(WED)), tuple(world.bank_says())))
    ((*_, said),) = sealed
    assert said == (
        "bank_group: R2 + R4 = po_2, 500 USD",
        "bank_text: R1 = po_1, 500 USD",
        "duplicate_statement: again, 780 USD",
        "payout po_1: credited",
        "payout po_2: credited",
        "unexpected_bank_credit: R3, 90 USD",
    )


def test_files_of_a_provider_s_window_in_any_order_of_arrival_are_sealed_under_one_root(tmp_path: Path) -> None:
    """Settlement, ledger and callbacks of a day in two files each, some rows in both."""
    settled: list[Row] = [settle(f"line-{name}", f"pay-{name}", 1000 + place) for place, name in enumerate("abcd")]
    posted = [
        post(f"txn-{name}", f"pay-{name}", 1000 + place, intent=f"int-{name}") for place, name in enumerate("abce")
    ]
    called = [call(f"evt-{name}", f"pay-{name}", 1000 + place) for place, name in enumerate("abcd")]
    files: dict[str, tuple[str, Sequence[Row]]] = {
        "settlement": ("settlement", settled),
        "ledger_noon": ("ledger", [row for pair in posted[:3] for row in pair]),
        "ledger_night": ("ledger", [row for pair in posted[1:] for row in pair]),
        "callbacks_noon": ("callbacks", called[:3]),
        "callbacks_night": ("callbacks", called[1:]),
    }
    sealed = set()
    for place, order in enumerate(list(itertools.permutations(files))[::53]):
        world = World(tmp_path / str(place))
        for name in order:
            kind, rows = files[name]
            with a_run_follows():
                world.ingest(kind, name, rows)
        sealed.add(seal_of(world, world.request(MON, "settlement")))
    assert len(sealed) == 1
