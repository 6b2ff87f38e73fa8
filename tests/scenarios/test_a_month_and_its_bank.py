"""A month that a bank account's days are part of: what of it no run has seen, and what is no entry of a journal."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from zentra_pipeline import cli, remedies
from zentra_pipeline.closeout import candidate, closing, period
from zentra_pipeline.decisions.policy import load_policy
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile.window_run import run_queued, run_window
from zentra_pipeline.scenarios.scenario import SCENARIOS, load_scenario
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import tenancy

JUNE_2 = datetime(2026, 6, 2, tzinfo=UTC)
ACCOUNT = "DE02120300000000202051"
ACCOUNTS = "accounts: {fee: fees, write_off: write_offs, adjustment: adjustments, fx: fx}\n"


def test_a_day_of_a_bank_account_with_lines_is_not_idle_and_a_statement_that_no_run_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = load_scenario(SCENARIOS / "from_payout_to_cash")
    home = Home.at(tmp_path / "home")
    tenancy.init_home(home)
    tenant = tenancy.add_tenant(home, story.tenant, JUNE_2)
    story.write_profiles(tenant.paths)
    tenant.paths.policy.write_text(ACCOUNTS, encoding="utf-8")

    def unread() -> list[str]:
        found = period.seen(tenant, "2026-05", JUNE_2).blockers()
        return [remedies.command(each.remedy, "acme") for each in found if each.kind == "newer_facts"]

    for step in story.steps[:4]:
        if step.ingest is not None:
            story.ingest(tenant, step.ingest, JUNE_2)
        if step.run is not None:
            run_window(tenant, story.request(step.run))
    day = "zentra run --tenant acme --bank-account BANK_ACCOUNT --ledger-window 2026-05-12 --owner OWNER --actor ACTOR"
    assert unread() == [day, day]
    story.ingest(tenant, story.steps[6].ingest, JUNE_2)  # type: ignore[arg-type]
    result = run_window(tenant, story.request(story.steps[4].run))  # type: ignore[arg-type]
    run_queued(tenant, result.run.provider)
    after = f"zentra run --tenant acme --bank-account {ACCOUNT} --ledger-window 2026-05-31 --owner OWNER --actor ACTOR"
    assert unread() == [after], "lines of Thursday and Friday are after the last run"
    idle = []
    for window in (date(2026, 5, 13), date(2026, 5, 14)):
        with candidate.of_idle_window(tenant, f"bank:{ACCOUNT}", window, "ann", JUNE_2) as case:
            idle.append([each.explanation for each in closing.prepare(case, "ann", JUNE_2).blockers])
    assert idle[0] == []
    assert all(text.endswith(("belongs to the window", "belong to the window")) for text in idle[1])
    assert len(idle[1]) == 1
    window = ["--tenant", "acme", "--provider", f"bank:{ACCOUNT}", "--ledger-window", "2026-05-13", "--no-activity"]
    capsys.readouterr()
    assert cli.invoke(["close", *window, "--actor", "ann", "--home", str(home.root)]) == 0
    assert f"zentra close {' '.join(window)} --approve" in capsys.readouterr().err
    assert load_policy(tenant.paths).accounts is not None
    found = lake.query(tenant.paths, "select distinct provider from journal_proposals")
    assert all(not str(provider).startswith("bank:") for (provider,) in found.rows)
