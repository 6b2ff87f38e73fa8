"""A home and its tenants are made once, completely, and found only by names that are allowed."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from zentra_pipeline.config.profile import Profile, load_profile
from zentra_pipeline.config.routing import load_escalation, load_routing
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import Home
from zentra_pipeline.store.engine import control_store
from zentra_pipeline.store.place import operational_place
from zentra_pipeline.tenants import tenancy

pytestmark = pytest.mark.on_postgresql

NOW = datetime(2026, 4, 26, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, database: str) -> Home:
    home = Home.at(tmp_path / "home")
    tenancy.init_home(home)
    return home


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_making_a_home_twice_says_so_and_changes_nothing(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "deep" / "home")
    assert tenancy.init_home(home) is True
    before = files_below(home.root)
    assert tenancy.init_home(home) is False
    assert files_below(home.root) == before


def test_a_new_tenant_has_its_folders_store_and_starter_configuration(home: Home) -> None:
    tenant = tenancy.add_tenant(home, "acme", NOW)
    paths = tenant.paths
    folders = (paths.providers, paths.landing, paths.staged, paths.lake, paths.scratch, paths.locks)
    assert all(folder.is_dir() for folder in folders)
    assert operational_place(paths).is_made
    assert load_routing(paths) == ()
    assert load_profile(paths, "rail") == Profile()
    assert tenancy.require_tenant(home, "acme") == tenant


def test_the_example_in_the_starter_routing_is_a_valid_rule(home: Home) -> None:
    tenant = tenancy.add_tenant(home, "acme", NOW)
    paths = tenant.paths
    text = paths.routing.read_text(encoding="utf-8")
    paths.routing.write_text(re.sub(r"^# ?(?=rules:|escalation:|  )", "", text, flags=re.MULTILINE), encoding="utf-8")
    (rule,) = load_routing(paths)
    assert (rule.owner, rule.min_amount_minor) == ("treasury", 1_000_000)
    (step,) = load_escalation(paths)
    assert (step.after_business_days, step.lane, step.owner) == (2, "escalated", "head_of_finance")


def test_adding_a_tenant_again_keeps_what_its_operator_wrote(home: Home) -> None:
    tenant = tenancy.add_tenant(home, "acme", NOW)
    paths = tenant.paths
    paths.routing.write_text("rules: []\n", encoding="utf-8")
    assert tenancy.add_tenant(home, "acme", NOW.replace(year=2027)) == tenant
    assert paths.routing.read_text(encoding="utf-8") == "rules: []\n"
    with control_store(home).begin() as connection:
        rows = connection.exec_driver_sql("SELECT tenant_id, created_at FROM tenants").all()
    assert [tuple(row) for row in rows] == [("acme", "2026-04-26T12:00:00.000000Z")]


def test_tenants_are_listed_in_alphabetical_order(home: Home) -> None:
    for tenant in ("zeta", "acme", "Mid"):
        tenancy.add_tenant(home, tenant, NOW)
    assert tenancy.names(home) == ["Mid", "acme", "zeta"]


def test_a_folder_alone_is_no_tenant(home: Home) -> None:
    (home.tenants / "ghost").mkdir()
    with pytest.raises(UsageError, match=r"there is no tenant 'ghost' .* add it with `zentra tenant add ghost`"):
        tenancy.require_tenant(home, "ghost")


def test_a_home_that_was_never_made_is_refused_and_not_made(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "nowhere")
    for attempt in (
        lambda: tenancy.require_tenant(home, "acme"),
        lambda: tenancy.names(home),
        lambda: tenancy.add_tenant(home, "acme", NOW),
    ):
        with pytest.raises(UsageError, match="is not a Zentra home: make it with `zentra init`"):
            attempt()
    assert not home.root.exists()


@pytest.mark.parametrize("name", ["../acme", "a/b", "", ".", "*", "[1]", "k=v", "a b", "x" * 65, "-a", "é", "a\n"])
def test_names_that_could_be_paths_or_patterns_are_refused(home: Home, name: str) -> None:
    before = files_below(home.root)
    with pytest.raises(UsageError, match="tenant"):
        tenancy.add_tenant(home, name, NOW)
    with pytest.raises(UsageError, match="tenant"):
        tenancy.require_tenant(home, name)
    assert files_below(home.root) == before


@pytest.mark.parametrize("name", ["ACME-EU", "acme_eu", "Acme-eu"])
def test_a_name_that_file_systems_or_variables_take_for_anothers_is_refused(home: Home, name: str) -> None:
    """Both would read callbacks with the secrets of ZENTRA_CALLBACK_SECRETS__ACME_EU__…"""
    tenancy.add_tenant(home, "acme-eu", NOW)
    with pytest.raises(UsageError, match="not allowed beside 'acme-eu'"):
        tenancy.add_tenant(home, name, NOW)
    assert tenancy.names(home) == ["acme-eu"]
    assert not home.tenant(name).root.exists()
    tenancy.add_tenant(home, "acme-eu", NOW)
    tenancy.add_tenant(home, "acme-euro", NOW)


@pytest.mark.parametrize(("first", "second"), [("a", "a__b"), ("a__b", "a"), ("a-b", "A_B-_c"), ("a", "a--b")])
def test_a_name_whose_variables_could_be_another_tenants_is_refused(home: Home, first: str, second: str) -> None:
    """ZENTRA_CALLBACK_SECRETS__A__B__C was that of provider b__c of tenant a, and of provider c of tenant a__b."""
    tenancy.add_tenant(home, first, NOW)
    with pytest.raises(UsageError, match="could be of either"):
        tenancy.add_tenant(home, second, NOW)
    assert tenancy.names(home) == [first]
    tenancy.add_tenant(home, first, NOW)
    tenancy.add_tenant(home, f"{first}_b", NOW)


@pytest.mark.ci
def test_processes_that_add_the_same_tenant_at_once_agree(home: Home) -> None:
    program = (
        "import sys; from datetime import UTC, datetime; from zentra_pipeline.tenants import tenancy;"
        "from zentra_pipeline.settings import Home;"
        "print(tenancy.add_tenant(Home.at(sys.argv[1]), 'acme', datetime.now(UTC)).name)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(home.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(4)
    ]
    assert [(process.communicate(timeout=60), process.returncode) for process in started] == [(("acme\n", ""), 0)] * 4
    assert tenancy.names(home) == ["acme"]
