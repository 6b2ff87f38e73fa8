"""The code location as Dagster sees it: which assets and checks there are, whose they are, and that tools find them."""

import itertools
import os
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.partitions.context import partition_loading_context

from tests.scenarios.rows import post, settle
from tests.scenarios.world import World
from tests.support.built_project import project_nodes
from zentra_pipeline import vocabulary
from zentra_pipeline.definitions import defs
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS, previous_window, windows
from zentra_pipeline.defs.reporting import COUNT_CHECK
from zentra_pipeline.settings import DBT_PROJECT, HOME_VARIABLE

ROOT = DBT_PROJECT.parent
SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "asset_keys.txt"
SUBJECTS = {"settlement_line": "lines", "ledger_transaction": "movements", "callback": "callbacks"}
OF_SUBJECTS = {f"exceptions_of_{name}" for name in SUBJECTS.values()}
OF_BANKS = "exceptions_of_banks"
GROUPS = {"ingest", "passes", "matches", "review", "controls", "closeout", "bank", OF_BANKS, *OF_SUBJECTS}


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    return defs().resolve_asset_graph()


def test_asset_keys_and_groups_are_those_of_the_snapshot(graph: AssetGraph) -> None:
    """Schedules, dashboards and operators name assets. Where a change is meant, correct the snapshot and say so.

    Models of exception types follow from the vocabulary.
    """
    found = [f"{graph.get(key).group_name} {key.to_user_string()}" for key in graph.get_all_asset_keys()]
    types = [
        f"{OF_BANKS} exc_{row.exception_type}"
        if row.of_runs == "bank"
        else f"exceptions_of_{SUBJECTS[row.subject_type]} exc_{row.exception_type}"
        for row in vocabulary.exception_types()
    ]
    assert sorted(found) == sorted([*SNAPSHOT.read_text(encoding="utf-8").splitlines(), *types])


def test_a_group_is_small_enough_to_look_at(graph: AssetGraph) -> None:
    counted = Counter(graph.get(key).group_name for key in graph.get_all_asset_keys())
    assert max(counted.values()) <= 12, counted


def test_the_passes_follow_one_another_and_all_that_is_said_comes_after_them(graph: AssetGraph) -> None:
    """Models between the passes are not followed; what is made from them is shown behind the nearest that is."""
    by_reference = ("exact_reference", "normalized_reference", "internal_reference", "callback_bridge")
    names = ("manual", "exact_pairs", *by_reference, "batch_total", "left_over", "amount_date")
    passes = [dg.AssetKey(f"int_pass_{name}") for name in names]
    for before, after in itertools.pairwise(passes):
        assert graph.get(after).parent_keys == {before}
    assert graph.get(dg.AssetKey("matches")).parent_keys == {passes[-1]}
    read = {dg.AssetKey("exception_types"), dg.AssetKey(["raw", "quarantine"])}
    assert graph.get(dg.AssetKey("conservation")).parent_keys == {passes[-1], *read}


def test_only_what_is_ingested_is_made_elsewhere(graph: AssetGraph) -> None:
    """A key that only somebody's lineage names (a slip in `deps`) would be an asset that nobody makes or describes."""
    found = sorted(key.to_user_string() for key in graph.get_all_asset_keys() if not graph.get(key).is_materializable)
    of_banks = ["bank_lines", "bank_statements"]
    raw = [*of_banks, "callbacks", "internal_events", "ledger_entries", "quarantine", "settlement_lines"]
    assert found == ["currencies", "exception_types", *(f"raw/{name}" for name in raw)]


def test_every_asset_says_what_it_is_and_whose(graph: AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        asset, name = graph.get(key), key.to_user_string()
        assert asset.group_name in GROUPS, name
        assert asset.description, name
        assert asset.owners, name
        assert asset.kinds, name


def test_every_asset_and_check_but_the_seeds_is_partitioned_by_scope_and_window(graph: AssetGraph) -> None:
    keys = graph.get_all_asset_keys() - {dg.AssetKey("currencies"), dg.AssetKey("exception_types")}
    assert {graph.get(key).partitions_def for key in keys} == {windows}
    assert {graph.get(key).partitions_def for key in graph.asset_check_keys} == {windows}


def test_every_data_test_of_a_run_is_a_blocking_check(graph: AssetGraph) -> None:
    """A failed control is reported as the check it is: one without a check would end the run without a name."""
    tests = {name for name, node in project_nodes("test").items() if node["original_file_path"].startswith("tests/")}
    checks = {check.name: graph.get(check) for check in graph.asset_check_keys}
    of_closing = {"nothing_blocks_the_closeout", "the_seal_verifies", "the_chain_is_intact"}
    assert checks.keys() == {*tests, *of_closing, "every_row_was_accepted", COUNT_CHECK}
    assert {name for name, check in checks.items() if not check.blocking} == {"every_row_was_accepted"}
    assert [name for name, check in checks.items() if not check.description] == []


def test_every_published_table_is_an_asset_and_no_unit_test_is_a_check(graph: AssetGraph) -> None:
    marts = {dg.AssetKey(name) for name, node in project_nodes("model").items() if node["fqn"][1] == "marts"}
    assert marts <= graph.get_all_asset_keys()
    assert project_nodes("unit_test").keys().isdisjoint(check.name for check in graph.asset_check_keys)


def test_raw_assets_join_the_sources_of_dbt(graph: AssetGraph) -> None:
    for name in project_nodes("source"):
        source, table = name.split(".")
        scope, earlier = dg.AssetKey(["run", "scope"]), dg.AssetKey(["earlier", "runs"])
        key = {"run": scope, "bank": scope, "earlier": earlier}.get(source, dg.AssetKey([source, table]))
        assert key in graph.get_all_asset_keys(), name


def test_a_window_starts_from_what_the_window_before_left_open(graph: AssetGraph) -> None:
    open_items = dg.AssetKey("open_items")
    assert open_items in graph.get(open_items).parent_keys
    monday = dg.MultiPartitionKey({"scope": "acme/rail", "ledger_window": "2026-04-27"})
    sunday = dg.MultiPartitionKey({"scope": "acme/rail", "ledger_window": "2026-04-26"})
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(SCOPE_PARTITIONS, ["acme/rail", "globex/rail"])
        with partition_loading_context(dynamic_partitions_store=instance):
            upstream = previous_window.get_upstream_mapped_partitions_result_for_partitions(
                windows.subset_with_partition_keys([monday]), windows, windows
            )
            assert set(upstream.partitions_subset.get_partition_keys()) == {sunday}


def test_workspace_and_project_name_the_same_code_location() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    (location,) = (entry["python_module"] for entry in workspace["load_from"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]["project"]
    assert location["module_name"] == project["code_location_target_module"]
    assert location["location_name"] == project["root_module"]
    assert project["defs_module"] == "zentra_pipeline.defs"


def test_definitions_load_with_every_resource_they_need() -> None:
    dg.Definitions.validate_loadable(defs())


def test_definitions_load_without_a_warning_and_begin_at_the_first_window_of_the_home(tmp_path: Path) -> None:
    """Dagster calls some of what we use beta or preview; whoever starts its UI need not read that."""
    world = World(tmp_path)
    world.ingest("settlement", "set_2026_04_22", [settle("L1", "R1", 500)])
    world.ingest("ledger", "entries", [*post("T1", "R1", 500, on="2026-04-21")])
    load = (
        "import warnings; warnings.simplefilter('error'); from zentra_pipeline.definitions import defs; "
        "defs().get_repository_def(); job = defs().resolve_job_def('reconcile_window'); "
        "days = job.partitions_def.get_partitions_def_for_dimension('ledger_window'); "
        "print(job.executor_def.name, days.start.date())"
    )
    home = {**os.environ, HOME_VARIABLE: str(world.home.root)}
    command = [sys.executable, "-c", load]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=home)
    assert (done.stdout, done.stderr) == ("in_process 2026-04-21\n", "")
