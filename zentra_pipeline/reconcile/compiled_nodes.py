"""What a run executes of the dbt project: a model or data test as dbt compiled it, for one engine.

Does not belong here: compiling it (dbt_project), executing it (dbt_execute).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

# Which engine a statement is for: DuckDB within the process, or a server that speaks Spark Connect (ADR 0078).
Target = Literal["duckdb", "spark"]
DUCKDB: Final[Target] = "duckdb"
SPARK: Final[Target] = "spark"


@dataclass(frozen=True)
class CompiledNode:
    """A model or data test as dbt compiled it.

    `relation` is what a model makes, a `table` or `view` by `materialized`, null for a test. `parents` are the ids of
    the statements that must have been executed before. `columns` gives the types of what a model makes. It has no rows
    where all tables of one list of `empty_when`, each `<schema>.<table>`, are empty. One that `is_of_bank` is executed
    by runs of a bank account only, and in the place of the model that it is `instead_of`. `parts` are tables that only
    this statement reads, which `target` needs first: their names and selects, in order.
    """

    unique_id: str
    name: str
    resource_type: str
    materialized: str
    relation: str | None
    sql: str
    parents: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    empty_when: tuple[tuple[str, ...], ...] = ()
    is_of_bank: bool = False
    instead_of: str | None = None
    target: Target = DUCKDB
    parts: tuple[tuple[str, str], ...] = ()

    @cached_property
    def table(self) -> str | None:
        """`<schema>.<table>` of what a model makes."""
        if self.relation is None:
            return None
        return ".".join(part.strip('"`') for part in self.relation.split(".")[-2:])
