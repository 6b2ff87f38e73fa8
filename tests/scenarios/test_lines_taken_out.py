"""What a restatement takes out of a settlement file is gone for the runs of later files as well."""

from pathlib import Path

from tests.scenarios.rows import MON, TUE, post, settle, settlement_file
from tests.scenarios.world import World


def test_a_line_that_one_file_no_longer_has_is_new_in_the_next_and_a_claim_that_is_gone_claims_nothing(
    tmp_path: Path,
) -> None:
    """Monday's file comes again without its payment b, which Tuesday's has, and without the first refund of a."""
    world = World(tmp_path, {"expects_callbacks": False})
    a, b = settle("a", "pay-a", 1000, on=MON), settle("b", "pay-b", 2000, on=MON)
    first = settle("r1", "ref-1", -600, on=MON, type="refund", original="pay-a")
    world.add(
        *(post("txn-a", "pay-a", 1000, on=MON), post("txn-b", "pay-b", 2000, on=MON)),
        *(post("txn-r1", "ref-1", -600, on=MON, type="refund"), a, b, first),
    )
    world.run(MON)
    world.ingest("settlement", settlement_file(MON), [a.again(settled_at=f"{MON}T11:00:00Z")])
    world.run(MON)
    world.add(
        b.again(file=settlement_file(TUE)),
        settle("r2", "ref-2", -600, on=TUE, type="refund", original="pay-a"),
        post("txn-r2", "ref-2", -600, on=TUE, type="refund"),
    )
    world.run(TUE)
    matched = world.query("select first_line_id as line from matches where status = 'confirmed' order by line")
    assert [row["line"] for row in matched] == ["a", "b", "r2"]
    assert world.query("select exception_type, subject_id from exceptions where status <> 'resolved'") == []
    assert world.query(
        f"select duplicates from conservation where side = 'settlement' and ledger_window = date '{TUE}'"
    ) == [{"duplicates": 0}]
