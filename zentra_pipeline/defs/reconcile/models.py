"""The dbt models as Dagster assets: keys, groups, descriptions and checks; running them does not belong here.

They are read from the manifest: importing dagster_dbt takes longer than a small window.
"""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final

import dagster as dg

from zentra_pipeline.defs.partitions import partitioned_check, previous_window
from zentra_pipeline.reconcile import dbt_project

OWNERS: Final = ["team:data", "team:finance"]
# A window a business day: from Friday's to Monday's run there are three days, and a holiday makes them four.
FRESHNESS: Final = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(days=5), warn_window=timedelta(days=3, hours=12)
)
SCOPE_KEY: Final = dg.AssetKey(["run", "scope"])
EARLIER_KEY: Final = dg.AssetKey(["earlier", "runs"])
_GROUP_OF_FOLDER: Final = {
    "staging": "staging",
    "intermediate": "matching",
    "exceptions": "exceptions",
    "marts": "matching",
}
_GROUP_OF_MART: Final = {
    "exceptions": "exceptions",
    "conservation": "closeout",
    "rollforward": "closeout",
    "run_metrics": "closeout",
    "evidence_items": "closeout",
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
    """Every model as an asset, and every data test by the model it tests."""
    nodes = dbt_project.manifest()["nodes"]
    models = {unique_id: node for unique_id, node in nodes.items() if node["resource_type"] == "model"}
    asset_of_node = {unique_id: dg.AssetKey(node["name"]) for unique_id, node in models.items()}
    check_of_node = {
        unique_id: dg.AssetCheckKey(dg.AssetKey(tested), node["name"])
        for unique_id, node in nodes.items()
        if node["resource_type"] == "test" and (tested := _tested(node)) in {model["name"] for model in models.values()}
    }
    claims = {key: _first_comment(nodes[unique_id]) for unique_id, key in check_of_node.items()}
    return ModelSpecs([_spec(node) for node in models.values()], claims, asset_of_node, check_of_node)


def _spec(node: Mapping[str, Any]) -> dg.AssetSpec:
    """A model as an asset, skippable: a window that is skipped or fails materializes nothing."""
    deps = [dg.AssetDep(key) for key in sorted({_key(parent) for parent in node["depends_on"]["nodes"]})]
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
        group_name=_GROUP_OF_MART.get(node["name"], _GROUP_OF_FOLDER[node["fqn"][1]]),
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
    if kind == "source" and names[0] in ("run", "earlier"):
        return SCOPE_KEY if names[0] == "run" else EARLIER_KEY
    return dg.AssetKey(names)


def _tested(node: Mapping[str, Any]) -> str:
    """What a data test is a check of: the model it names, else the node it is declared with or reads."""
    named = node["config"].get("meta", {}).get("dagster", {}).get("ref", {}).get("name")
    return str(named or (node.get("attached_node") or node["depends_on"]["nodes"][0]).split(".")[-1])


def _first_comment(node: Mapping[str, Any]) -> str:
    """The comment that a node's SQL begins with, as one line."""
    comment = itertools.takewhile(lambda line: line.startswith("--"), str(node.get("raw_code") or "").splitlines())
    return " ".join(line.removeprefix("--").strip() for line in comment)
