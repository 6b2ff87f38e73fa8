"""The dbt models as Dagster assets: keys, groups, descriptions and checks; running them does not belong here."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings
from dagster_dbt.asset_utils import build_dbt_specs

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


class _Translator(DagsterDbtTranslator):
    """Names dbt's nodes the way finance follows them."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        # A run's parameters are one thing to follow, and so is what earlier runs left.
        if dbt_resource_props["resource_type"] == "source":
            if dbt_resource_props["source_name"] == "run":
                return SCOPE_KEY
            if dbt_resource_props["source_name"] == "earlier":
                return EARLIER_KEY
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        if dbt_resource_props["resource_type"] == "seed":
            return "staging"
        name, folder = dbt_resource_props["name"], dbt_resource_props["fqn"][1]
        return _GROUP_OF_MART.get(name, _GROUP_OF_FOLDER[folder])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What stands first in a model: its grain and what it assumes."""
        return _first_comment(dbt_resource_props) or str(dbt_resource_props.get("description") or "")


@dataclass(frozen=True)
class ModelSpecs:
    """Asset and check specs of the project, and the dbt id each stands for."""

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
    translator = _Translator()
    content = dbt_project.manifest()
    assets, checks = build_dbt_specs(
        translator=translator,
        manifest=content,
        select="fqn:*",
        exclude="resource_type:seed",
        selector="",
        io_manager_key=None,
        project=None,
    )
    nodes = content["nodes"]
    asset_of_node = {
        unique_id: translator.get_asset_key(node)
        for unique_id, node in nodes.items()
        if node["resource_type"] == "model"
    }
    by_name = {check.name: check.key for check in checks}
    check_of_node = {unique_id: by_name[node["name"]] for unique_id, node in nodes.items() if node["name"] in by_name}
    claims = {key: _first_comment(nodes[unique_id]) for unique_id, key in check_of_node.items()}
    return ModelSpecs([_ours(spec) for spec in assets], claims, asset_of_node, check_of_node)


def _first_comment(node: Mapping[str, Any]) -> str:
    """The comment that a node's SQL begins with, as one line."""
    comment = itertools.takewhile(lambda line: line.startswith("--"), str(node.get("raw_code") or "").splitlines())
    return " ".join(line.removeprefix("--").strip() for line in comment)


def _ours(spec: dg.AssetSpec) -> dg.AssetSpec:
    """A model's spec with its owners, and skippable: a window that is skipped or fails materializes nothing."""
    deps = list(spec.deps)
    if spec.key == dg.AssetKey("open_items"):
        deps.append(dg.AssetDep("open_items", partition_mapping=previous_window))
    return spec.replace_attributes(
        owners=OWNERS, kinds={"dbt", "duckdb"}, deps=deps, skippable=True, freshness_policy=FRESHNESS
    )
