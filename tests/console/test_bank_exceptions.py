"""The page of an exception of a bank account shows what the bank booked beside what providers say they paid out."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.console.visitor import Page, Visitor
from zentra_pipeline.console.app import create_app
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile.window_run import run_window
from zentra_pipeline.scenarios.scenario import load_scenario, scenario_folders
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.tenants.tenant import Tenant

NOW = datetime(2026, 5, 17, tzinfo=UTC)
ACCOUNT = "DE02120300000000202051"


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Tenant:
    """The shipped story of payouts, as far as the first day of its bank account."""
    home = Home.at(tmp_path_factory.mktemp("bank") / "home")
    tenancy.init_home(home)
    tenant = tenancy.add_tenant(home, "acme", NOW)
    (folder,) = (folder for folder in scenario_folders() if folder.name == "from_payout_to_cash")
    scenario = load_scenario(folder)
    scenario.write_profiles(tenant.paths)
    for step in scenario.steps[:5]:
        if step.ingest is not None:
            scenario.ingest(tenant, step.ingest, NOW)
        if step.run is not None:
            run_window(tenant, scenario.request(step.run))
    return tenant


@pytest.fixture(scope="module")
def analyst(tenant: Tenant) -> Iterator[Visitor]:
    token, _ = access.create_token(tenant.home, tenant="acme", actor="ana", role="analyst", now=NOW)
    app = create_app(tenant.home)
    visitor = Visitor(app)
    assert visitor.sign_in(token).status == 200
    yield visitor
    app.state.service.intake.close()
    app.state.service.audit.close()


def page_of(analyst: Visitor, tenant: Tenant, exception_type: str) -> Page:
    query = "select exception_id from exceptions where exception_type = $1 and status <> 'resolved'"
    ((exception_id,),) = lake.query(tenant.paths, query, [exception_type]).rows
    return analyst.open(f"/console/exceptions/{exception_id}")


def test_a_line_and_the_payout_it_answers_are_next_to_each_other(analyst: Visitor, tenant: Tenant) -> None:
    page = page_of(analyst, tenant, "bank_amount_mismatch")
    assert page.status == 200
    for shown in ("Bank booked", "30.00 USD", f"{ACCOUNT}:T6", "Providers paid out", "40.00 USD", "batch B5"):
        assert shown in page.text
    assert "\u221210.00 USD" in page.text
    assert "booked less paid out" in page.text
    assert f"Aboutbank line {ACCOUNT}:T6" in page.text.replace("About bank", "Aboutbank")
    assert "Provider settled" not in page.text


def test_a_credit_without_a_payout_has_nothing_on_the_other_side(analyst: Visitor, tenant: Tenant) -> None:
    page = page_of(analyst, tenant, "unexpected_bank_credit")
    assert "12.34 USD" in page.text
    paid_out = page.text.split("Providers paid out")[1]
    assert paid_out.split()[0] == "nothing"


def test_what_the_bank_booked_twice_is_there_twice(analyst: Visitor, tenant: Tenant) -> None:
    page = page_of(analyst, tenant, "duplicate_bank_line")
    booked = page.text.split("The sides")[1].split("Providers paid out")[0]
    assert f"{ACCOUNT}:T7" in booked
    assert f"{ACCOUNT}:T8" in booked
    assert "140.00 USD" in booked
