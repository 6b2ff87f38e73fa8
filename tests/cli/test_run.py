"""`zentra run` and `zentra backfill` ask for the right runs and print how they ended; the runs are fakes."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Zentra
from zentra_pipeline.defs import launch
from zentra_pipeline.defs.launch import RunOutcome, RunRequest
from zentra_pipeline.errors import RunFailedError
from zentra_pipeline.published.run_summary import RunSummary
from zentra_pipeline.tenants.tenant import Tenant

RUN = (
    *("run", "--tenant", "acme", "--provider", "rail", "--settlement-file", "set_2026_04_26"),
    *("--ledger-window", "2026-04-26", "--owner", "finance_ops"),
)
BACKFILL = ("backfill", "--tenant", "acme", "--provider", "rail", "--owner", "finance_ops")
BUCKETS = ("matched", "in_transit", "excepted", "accounted", "duplicates", "quarantined")


def conservation(side: str, currency: str, **buckets: tuple[int, int]) -> dict[str, object]:
    figures = {bucket: buckets.get(bucket, (0, 0)) for bucket in BUCKETS}
    counts = {bucket: rows for bucket, (rows, _) in figures.items()}
    amounts = {f"{bucket}_minor": minor for bucket, (_, minor) in figures.items()}
    total = {"rows_in": sum(counts.values()), "amount_in_minor": sum(amounts.values())}
    return {"side": side, "currency": currency, **total, **counts, **amounts}


SUMMARY = RunSummary(
    matches=2,
    match_legs=4,
    open_items=1,
    opened={"amount_mismatch": 1},
    resolved={"unmatched_ledger_entry": 1},
    conservation=[
        conservation("ledger", "USD", matched=(2, 250_000), in_transit=(1, -5_000)),
        conservation("settlement", "USD", matched=(2, 250_000)),
        conservation("settlement", "", quarantined=(1, 0)),
    ],
    rollforward=[
        {
            "run_id": "run_1",
            "currency": "USD",
            "opening_minor": 0,
            "posted_minor": 245_000,
            "settled_minor": 250_000,
            "written_off_minor": 0,
            "closing_minor": -5_000,
            "difference_minor": 0,
        }
    ],
    aging=[],
    exceptions=[],
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunRequest]:
    """Requests that reached the reconciliation, which is a fake; a window of 2026-04-30 fails."""
    requests: list[RunRequest] = []

    def stand_in(
        tenant: Tenant,
        request: RunRequest,
        progress: Callable[[str, str], None] | None = None,
        *,
        is_alone: bool = True,
    ) -> RunOutcome:
        assert tenant.name == "acme" and progress is not None
        requests.append(request)
        progress("match", "looking for the movement of every line")
        if request.ledger_window == date(2026, 4, 30):
            raise RunFailedError("conservation does not hold")
        return RunOutcome(
            "run_1",
            1,
            "in_review",
            True,
            "d" * 64,
            request.owner or "finance_ops",
            "2026-04-27T06:00:00.000000Z",
            SUMMARY,
            ("set_x day",),
        )

    monkeypatch.setattr(launch, "reconcile", stand_in)
    return requests


def test_a_run_is_asked_for_as_the_options_say(
    acme: Zentra, asked: list[RunRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert acme(*RUN).code == 0
    assert acme(*RUN, "--as-of", "2026-04-27T06:00:00.5Z", "--actor", "ana").code == 0
    monkeypatch.setenv("ZENTRA_ACTOR", "ben")
    assert acme(*RUN).code == 0
    as_of = datetime(2026, 4, 27, 6, 0, 0, 500_000, tzinfo=UTC)
    day = date(2026, 4, 26)
    assert asked == [
        RunRequest("rail", "set_2026_04_26", day, "finance_ops", None, "cli"),
        RunRequest("rail", "set_2026_04_26", day, "finance_ops", as_of, "ana"),
        RunRequest("rail", "set_2026_04_26", day, "finance_ops", None, "ben"),
    ]


def test_a_run_as_json_is_one_object_and_progress_goes_to_stderr(acme: Zentra, asked: list[RunRequest]) -> None:
    done = acme(*RUN, "--json")
    assert done.err == "match: looking for the movement of every line\n"
    expected = {
        "run_id": "run_1",
        "revision": 1,
        "status": "in_review",
        "settlement_file": "set_2026_04_26",
        "ledger_window": "2026-04-26",
        "owner": "finance_ops",
        "as_of": "2026-04-27T06:00:00.000000Z",
        "inputs_digest": "d" * 64,
        "matches": 2,
        "open_items": 1,
        "exceptions": {"amount_mismatch": 1},
    }
    assert {key: done.json[key] for key in expected} == expected


def test_finance_reads_where_every_row_went(acme: Zentra, asked: list[RunRequest]) -> None:
    done = acme(*RUN)
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "Run run_1: published revision 1, in review" in lines
    assert "2 matches, 1 open item, as known at 2026-04-27T06:00:00.000000Z" in lines
    assert "ledger movements USD 3 · 2,450.00 2 · 2,500.00 1 · -50.00 – – – –" in lines
    assert "settlement lines 1 – – – – – 1" in lines
    assert "USD 0.00 2,450.00 2,500.00 0.00 -50.00" in lines
    assert any(line.startswith("amount_mismatch 1 ") for line in lines)
    assert "Resolved, because the missing part arrived: 1 unmatched_ledger_entry" in lines
    assert "Next: zentra exceptions list --tenant acme --run run_1" in done.err


@pytest.mark.parametrize(
    "instant",
    [
        "2026-04-27",
        "2026-04-27T06:00:00",
        "2026-04-27T06:00:00+00:00",
        "2026-04-27 06:00:00Z",
        "20260427T060000Z",
        "2026-02-30T06:00:00Z",
        "2026-04-27T24:00:01Z",
        "2026-04-27T06:00:00.1234567Z",
        "now",
        "",
    ],
)
def test_as_of_must_be_a_utc_instant(acme: Zentra, asked: list[RunRequest], instant: str) -> None:
    done = acme(*RUN, "--as-of", instant)
    assert (done.code, done.out, asked) == (2, "", [])
    assert "instant" in done.err


@pytest.mark.parametrize("owner", ["", "  ", "a\nb", "x" * 257, "\x1b[31m"])
def test_an_owner_is_a_name(acme: Zentra, asked: list[RunRequest], owner: str) -> None:
    assert acme(*RUN, "--owner", owner).code == 2
    assert acme(*RUN, "--actor", owner).code == (0 if owner == "" else 2)


def test_a_settlement_file_never_ingested_ends_with_4(acme: Zentra) -> None:
    done = acme(*RUN, "--json")
    assert done.code == 4
    assert "set_2026_04_26" in done.json["error"]["message"]
    assert "never ingested" in done.json["error"]["message"]


@pytest.fixture
def ingested(acme: Zentra, settlement_csv: Path) -> Zentra:
    """Settlement files of 26, 28 and 30 April are in; 28 April's only from another provider."""
    for day, provider in ((26, "rail"), (27, "rail"), (28, "other"), (30, "rail")):
        ingest = ("ingest", "--tenant", "acme", "--provider", provider, "--kind", "settlement", settlement_csv)
        assert acme(*ingest, "--settlement-file", f"set_2026_04_{day}").code == 0
    return acme


def test_a_backfill_runs_ingested_windows_in_order_and_names_the_others(
    ingested: Zentra, asked: list[RunRequest]
) -> None:
    done = ingested(*BACKFILL, "--from", "2026-04-25", "--to", "2026-04-29", "--json")
    assert done.code == 0
    assert [request.ledger_window.day for request in asked] == [26, 27]
    assert {request.settlement_file for request in asked} == {"set_2026_04_26", "set_2026_04_27"}
    assert [run["ledger_window"] for run in done.json["runs"]] == ["2026-04-26", "2026-04-27"]
    assert done.json["skipped"] == [
        {"ledger_window": f"2026-04-{day}", "settlement_file": f"set_2026_04_{day}"} for day in (25, 28, 29)
    ]
    assert "2026-04-25: skipped, set_2026_04_25 was never ingested" in done.err


def test_a_backfill_follows_the_file_names_of_the_profile(
    ingested: Zentra, asked: list[RunRequest], tmp_path: Path
) -> None:
    profile = tmp_path / "home/tenants/acme/providers/rail.yml"
    profile.write_text("settlement_file_name: odd_%Y%m%d\n", encoding="utf-8")
    done = ingested(*BACKFILL, "--from", "2026-04-26", "--to", "2026-04-26", "--json")
    assert done.json["skipped"] == [{"ledger_window": "2026-04-26", "settlement_file": "odd_20260426"}]


def test_a_failed_window_ends_the_backfill_with_its_reason(ingested: Zentra, asked: list[RunRequest]) -> None:
    done = ingested(*BACKFILL, "--from", "2026-04-27", "--to", "2026-05-02")
    assert done.code == 1
    assert done.err.endswith(
        "2026-04-30: failed; 1 window before it done, those after it not begun\nError: conservation does not hold\n"
    )
    assert [request.ledger_window.day for request in asked] == [27, 30]


def test_a_range_that_ends_before_it_begins_is_misuse(acme: Zentra, asked: list[RunRequest]) -> None:
    done = acme(*BACKFILL, "--from", "2026-04-27", "--to", "2026-04-26")
    assert done.code == 2
    assert "--from 2026-04-27 is after --to 2026-04-26" in done.err
