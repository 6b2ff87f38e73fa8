"""The dbt models that finance follows as Dagster assets: keys, groups, descriptions, checks; not how they are run.

They are the passes, the exception types and the marts; what lies between is in dbt's documentation (ADR 0050). They are
read from the manifest: importing dagster_dbt takes longer than a small window.
"""

import hashlib
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from typing import Any, Final

import dagster as dg

from zentra_pipeline import vocabulary
from zentra_pipeline.defs.asset_policies import FRESHNESS, OWNERS
from zentra_pipeline.defs.partitions import partitioned_check, previous_window
from zentra_pipeline.reconcile import dbt_project, run_kinds

SCOPE_KEY: Final = dg.AssetKey(["run", "scope"])
EARLIER_KEY: Final = dg.AssetKey(["earlier", "runs"])
_PASSES: Final = "int_pass_"
_GROUP_OF_MART: Final = {
    "exceptions": "review",
    "open_items": "review",
    "conservation": "controls",
    "rollforward": "controls",
    "run_metrics": "controls",
    "evidence_items": "closeout",
}
# What only runs of a bank account make: what lines name, how statements follow, what is found, what is published.
_NAMED_OF_BANK: Final = frozenset({"bank_line_payouts", "bank_statement_chain"})
_GROUP_OF_SUBJECT: Final = {
    "settlement_line": "exceptions_of_lines",
    "ledger_transaction": "exceptions_of_movements",
    "callback": "exceptions_of_callbacks",
}


@dataclass(frozen=True)
class ModelSpecs:
    """Asset and check specs of the project, and the dbt id of each."""

    assets: list[dg.AssetSpec]
    claims: dict[dg.AssetCheckKey, str]
    asset_of_node: dict[str, dg.AssetKey]
    check_of_node: dict[str, dg.AssetCheckKey]

    def checks(self, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetCheckSpec]:
        """Every data test as a blocking check of the model it tests, with what it claims."""
        return [partitioned_check(key.name, key.asset_key, claim, partitions) for key, claim in self.claims.items()]


@cache
def model_specs() -> ModelSpecs:
    """Every model that is followed as an asset, and every data test by the asset it is a check of."""
    nodes = dbt_project.manifest()["nodes"]
    groups = {unique_id: group for unique_id, node in nodes.items() if (group := _group(node)) is not None}
    dependencies = _dependencies(nodes, groups.keys())
    asset_of_node = {unique_id: dg.AssetKey(nodes[unique_id]["name"]) for unique_id in groups}
    check_of_node = {
        unique_id: dg.AssetCheckKey(dg.AssetKey(tested), node["name"])
        for unique_id, node in nodes.items()
        if node["resource_type"] == "test" and (tested := _tested(node)) in {nodes[each]["name"] for each in groups}
    }
    claims = {key: _first_comment(nodes[unique_id]) for unique_id, key in check_of_node.items()}
    assets = [_spec(nodes[unique_id], group, dependencies[unique_id]) for unique_id, group in groups.items()]
    return ModelSpecs(assets, claims, asset_of_node, check_of_node)


def _group(node: Mapping[str, Any]) -> str | None:
    """The group of a model that is followed; null for any other node."""
    if node["resource_type"] != "model":
        return None
    name, folder = str(node["name"]), node["fqn"][1]
    if run_kinds.is_of_bank(node["tags"]):
        if folder == "exceptions":
            return "exceptions_of_banks"
        return "bank" if node["config"]["contract"]["enforced"] or name in _NAMED_OF_BANK else None
    if folder == "marts":
        return _GROUP_OF_MART.get(name, "matches")
    if folder == "exceptions":
        return _GROUP_OF_SUBJECT[vocabulary.exception_type(name.removeprefix("exc_")).subject_type]
    return "passes" if name.startswith(_PASSES) else None


def _dependencies(
    nodes: Mapping[str, Mapping[str, Any]], followed: Collection[str]
) -> dict[str, frozenset[dg.AssetKey]]:
    """What each followed model is made from among sources, seeds and followed models, through what lies between.

    What another of them is made from is left out: the picture shows the way from one to the next.
    """
    parents = {name: node["depends_on"]["nodes"] for name, node in nodes.items() if node["resource_type"] == "model"}
    nearest: dict[str, frozenset[dg.AssetKey]] = {}  # what a node shows as, or what shows of its own parents
    behind: dict[dg.AssetKey, frozenset[dg.AssetKey]] = {}
    found = {}
    for name in TopologicalSorter(parents).static_order():
        made_from = frozenset(key for parent in parents.get(name, ()) for key in nearest[parent])
        beyond = frozenset(key for each in made_from for key in behind[each])
        if name in followed or name not in parents:
            behind[_key(name)] = made_from | beyond
            nearest[name] = frozenset({_key(name)})
            found[name] = made_from - beyond
        else:
            nearest[name] = made_from
    return found


def _spec(node: Mapping[str, Any], group: str, made_from: Collection[dg.AssetKey]) -> dg.AssetSpec:
    """A model as an asset, skippable: a window that is skipped or fails materializes nothing."""
    deps = [dg.AssetDep(key) for key in sorted(made_from)]
    if node["name"] == "open_items":
        deps.append(dg.AssetDep("open_items", partition_mapping=previous_window))
    columns = [
        dg.TableColumn(name, column["data_type"] or "unknown", column["description"] or None)
        for name, column in node["columns"].items()
    ]
    return dg.AssetSpec(
        node["name"],
        deps=deps,
        description=_first_comment(node) or node["description"],
        group_name=group,
        metadata={
            "dagster/column_schema": dg.TableSchema(columns=columns),
            "dagster/table_name": node["relation_name"].replace('"', ""),
            "materialization": node["config"]["materialized"],
        },
        owners=OWNERS,
        kinds={"dbt", "duckdb"},
        code_version=hashlib.sha1(node["raw_code"].encode(), usedforsecurity=False).hexdigest(),
        freshness_policy=FRESHNESS,
        skippable=True,
    )


def _key(unique_id: str) -> dg.AssetKey:
    """The asset of a model, seed or source; a run's parameters are one thing to follow, and so are earlier runs."""
    kind, _project, *names = unique_id.split(".")
    if kind == "source" and names == ["bank", "payouts"]:
        return dg.AssetKey("payouts")  # those that runs of providers have published
    if kind == "source" and names[0] in ("run", "earlier", "bank"):
        return EARLIER_KEY if names[0] == "earlier" else SCOPE_KEY
    return dg.AssetKey(names)


def _tested(node: Mapping[str, Any]) -> str:
    """What a data test is a check of: the model it names, else the node it is declared with or reads."""
    named = node["config"].get("meta", {}).get("dagster", {}).get("ref", {}).get("name")
    return str(named or (node.get("attached_node") or node["depends_on"]["nodes"][0]).split(".")[-1])


def _first_comment(node: Mapping[str, Any]) -> str:
    """The comment that a node's SQL begins with, as one line."""
    comment = itertools.takewhile(lambda line: line.startswith("--"), str(node.get("raw_code") or "").splitlines())
    return " ".join(line.removeprefix("--").strip() for line in comment)
