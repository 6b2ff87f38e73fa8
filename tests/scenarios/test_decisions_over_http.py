"""Two tenants of one home with the same ids and other money, in yen and dinars, decided on over HTTP (contract §10).

Yen have no decimals and dinars three: 12.345 KWD are 12,345 minor units.
"""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import pytest

from tests.api.conftest import Api, Books, serving
from tests.scenarios.rows import MON, Row, flat, post, settle, settlement_file
from tests.scenarios.world import NOW, as_csv
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import run_window
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access, tenancy

PROFILE: Final = {
    "expects_callbacks": False,
    "amount_tolerance_minor": {"JPY": 1},
    "fee_schedule": {
        "JPY": {"payment": {"rate_bps": 290, "fixed_minor": 30, "tolerance_minor": 0}},
        "KWD": {"payment": {"rate_bps": 25, "fixed_minor": 0, "tolerance_minor": 1}},
    },
}
PREPARE: Final = {"action": "prepare"}
NOBODYS: Final = "exc_0123456789abcdef01234567"
ROWS: Final[dict[str, tuple[Row | tuple[Row, ...], ...]]] = {
    "acme": (
        # Expected fee 2500 × 2.9 % + 30 = 102.5 yen: 102 and 103 are both half a yen off, which is no variance.
        settle("L1", "R1", 2500, "JPY", fee=102),
        settle("L2", "R2", 2500, "JPY", fee=103),
        settle("L3", "R3", 2500, "JPY", fee=104),
        *(post(f"T{n}", f"R{n}", 2500, "JPY") for n in (1, 2, 3)),
        # One yen off is within tolerance, two are not; dinars are not in the map, so their tolerance is 0.
        settle("L4", "R4", 701, "JPY", fee=50),
        post("T4", "R4", 700, "JPY"),
        settle("L5", "R5", 702, "JPY", fee=50),
        post("T5", "R5", 700, "JPY"),
        settle("K1", "R6", 12_345, "KWD", fee=31),
        post("T6", "R6", 12_344, "KWD"),
        # No reference, the same amount: to be matched by hand.
        settle("L7", "", 9_000, "JPY", fee=291),
        post("T7", "", 9_000, "JPY"),
        post("T8", "", 9_000, "KWD"),
    ),
    "globex": (settle("L1", "R1", 99, "KWD"), settle("K1", "R6", 500, "JPY", fee=45), post("T6", "R6", 500, "JPY")),
}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    home = Home.at(tmp_path_factory.mktemp("decisions") / "home")
    tenancy.init_home(home)
    tokens = {}
    for tenant in ROWS:
        paths = tenancy.add_tenant(home, tenant, NOW).paths
        (paths.providers / "rail_primary.yml").write_text(json.dumps(PROFILE), encoding="utf-8")
        for role in ("operator", "approver", "admin"):
            made, _ = access.create_token(home, tenant=tenant, actor=f"{role}_{tenant}", role=role, now=NOW)
            tokens[tenant, role] = made
    return Books(home, tokens)


@pytest.fixture(scope="module")
def api(books: Books) -> Iterator[Api]:
    with serving(books) as nobody:
        for tenant, rows in ROWS.items():
            for kind in ("settlement", "ledger"):
                content = as_csv(kind, [row for row in flat(rows) if row.kind == kind])
                sent = nobody.as_("admin", tenant).post(
                    f"/files/rail_primary/{kind}",
                    content=content,
                    media_type="text/csv",
                    name=f"{settlement_file(MON)}.csv",
                    confirm=True,
                )
                assert (sent.status_code, sent.json()["quarantined"]) == (200, 0), sent.text
            request = RunRequest("rail_primary", settlement_file(MON), date.fromisoformat(MON), "finance_ops")
            run_window(books.tenant(tenant), request)
        yield nobody


def found(api: Api, reference: str, exception_type: str, tenant: str = "acme") -> dict[str, Any]:
    (row,) = api.as_("operator", tenant).items(
        "/reconciliation/exceptions", reference=reference, exception_type=exception_type
    )
    return row


def decide(api: Api, exception_id: str, role: str, tenant: str = "acme", **decision: Any) -> tuple[int, dict[str, Any]]:
    answer = api.as_(role, tenant).post(f"/reconciliation/exceptions/{exception_id}/decisions", decision)
    return answer.status_code, answer.json()


def test_amounts_fees_and_tolerances_are_judged_in_minor_units_of_their_own_currency(api: Api) -> None:
    listed = api.as_("operator").items("/reconciliation/exceptions")
    lines = [row for row in listed if row["subject_type"] == "settlement_line"]
    assert sorted((row["exception_type"], row["subject_id"], row["difference_minor"]) for row in lines) == [
        ("amount_mismatch", "K1", 1),
        ("amount_mismatch", "L5", 2),
        ("fee_variance", "L3", 2),
        ("unmatched_provider_row", "L7", None),
    ]
    explained = found(api, "K1", "amount_mismatch")["explanation"]
    assert "12.345 KWD" in explained
    assert "12.344" in explained
    assert "702 JPY" in found(api, "L5", "amount_mismatch")["explanation"]
    of_globex = api.as_("operator", "globex").items("/reconciliation/exceptions")
    assert [(row["exception_type"], row["subject_id"], row["currency"], row["amount_minor"]) for row in of_globex] == [
        ("unmatched_provider_row", "L1", "KWD", 99)
    ]


def test_what_is_another_tenants_is_not_there_whatever_is_decided(api: Api) -> None:
    mine = found(api, "K1", "amount_mismatch")
    for role in ("operator", "approver", "admin"):
        for decision in ({"action": "assign", "owner": "me"}, {"action": "approve"}):
            answers = [decide(api, wanted, role, "globex", **decision) for wanted in (mine["exception_id"], NOBODYS)]
            assert {status for status, _ in answers} <= {403, 404}
            assert [said["type"] for _, said in answers] == [answers[0][1]["type"]] * 2
            assert mine["exception_id"] not in answers[0][1]["detail"] or answers[0][0] == 404
    run_id = mine["run_id"]
    assert api.as_("admin", "globex").get(f"/reconciliation/runs/{run_id}").status_code == 404
    assert api.as_("admin", "globex").post(f"/reconciliation/runs/{run_id}/closeout", PREPARE).status_code == 404
    assert api.as_("admin", "globex").items("/reconciliation/exceptions", reference="K1") == []


def test_a_write_off_in_dinars_takes_a_reason_and_two_operators(api: Api) -> None:
    wanted = found(api, "K1", "amount_mismatch")["exception_id"]
    resolve = {"action": "resolve", "resolution": "written_off"}
    status, said = decide(api, wanted, "operator", **resolve)
    assert (status, said["type"]) == (422, "/problems/invalid"), said
    status, said = decide(api, wanted, "operator", **resolve, reason="one fils of rounding")
    assert (status, said["status"]) == (200, "pending_approval"), said
    pending = said["pending_approval"]
    assert (pending["currency"], pending["difference_minor"], pending["proposed_by"]) == ("KWD", 1, "operator_acme")
    status, said = decide(api, wanted, "operator", action="approve")
    assert status == 403, said
    status, said = decide(api, wanted, "approver", action="approve")
    assert (status, said["status"], said["resolved_by"]) == (200, "resolved", "approver_acme"), said


def test_items_of_two_currencies_are_not_matched_by_hand_and_those_of_one_are(api: Api) -> None:
    wanted = found(api, "L7", "unmatched_provider_row")["exception_id"]

    def match(*transactions: str, lines: tuple[str, ...] = ("L7",)) -> tuple[int, dict[str, Any]]:
        return decide(
            api,
            wanted,
            "operator",
            action="match",
            reason="the remittance names both",
            settlement_lines=list(lines),
            ledger_transactions=list(transactions),
        )

    other_currency, matched, of_nobody = match("T8"), match("T6"), match("T_of_nobody")
    for (status, said), item in ((other_currency, "T8"), (matched, "T6"), (of_nobody, "T_of_nobody")):
        # Nobody may: it said that somebody whom the policy allows should do it.
        assert (status, said["type"]) == (409, "/problems/conflict")
        assert said["detail"].startswith(f"ledger transaction {item} is not open in JPY in the newest run that sees it")
        assert "policy" not in said["remedy"]
    status, said = match("T7", lines=("L7", "L1"))
    assert (status, said["detail"].split(" is not open")[0]) == (409, "settlement line L1")
    status, said = match("T7")
    assert (status, said["status"], said["resolution"]) == (200, "resolved", "matched_manually"), said


def test_the_amounts_of_each_currency_add_up_after_what_was_decided(api: Api) -> None:
    paths = api.books.paths("acme")
    rows = lake.query(
        paths,
        "select currency, posted_minor, settled_minor, closing_minor, difference_minor from rollforward order by 1",
    ).rows
    assert rows == [("JPY", 17_900, 17_900, 0, 0), ("KWD", 21_344, 12_344, 9_000, 0)]
    unexplained = "select sum(rows_unexplained), sum(amount_unexplained_minor) from conservation"
    assert lake.query(paths, unexplained).rows == [(0, 0)]
