"""Which part of the dbt project a run executes: one of a provider, and one of a bank account (ADR 0061).

The engine has two sides, what an outside party says and what we expect. In a run of a bank account they are the bank's
lines and the payouts of providers: models of the folder `bank` put them there in the place of the models that do so for
settlement lines and ledger entries, and all that lies between is the same. Does not belong here: compiling, executing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from zentra_pipeline import identifiers
from zentra_pipeline.errors import RunFailedError
from zentra_pipeline.reconcile.compiled_nodes import CompiledNode

RunKind = Literal["provider", "bank"]
PROVIDER: Final[RunKind] = "provider"
BANK: Final[RunKind] = "bank"
_TAG: Final = "bank"
_OF_ENGINE: Final = "_of_engine"


def of_scope(scope: str) -> RunKind:
    """The kind of the runs about a provider, or about a bank account."""
    return PROVIDER if identifiers.account_of(scope) is None else BANK


def is_of_bank(tags: Sequence[str]) -> bool:
    """Whether a node of the project, by its tags, belongs to runs of a bank account only."""
    return _TAG in tags


def of_provider(statements: Iterable[CompiledNode]) -> list[CompiledNode]:
    """What a provider's run executes: everything but what is of the bank."""
    return [one for one in statements if not one.is_of_bank]


def of_bank(statements: Iterable[CompiledNode], published: Collection[str]) -> list[CompiledNode]:
    """What a run of a bank account executes: what is `published`, the models of the bank, and what tests say of them.

    A model of the bank that is `instead_of` another has the other's place: whoever reads the other reads it, under the
    other's name. It may itself read the other, which is then made under a name of its own.
    """
    by_id = {one.unique_id: one for one in statements}
    by_name = {one.name: one for one in by_id.values()}
    instead: dict[str, CompiledNode] = {}
    for one in by_id.values():
        if one.instead_of is not None:
            other = by_name.get(one.instead_of)
            if other is None or other.relation is None or one.relation is None or other.is_of_bank:
                raise RunFailedError(
                    f"model {one.name} is instead of {one.instead_of}, which is no model it can replace"
                )
            instead[other.unique_id] = one
    wrapped = {other for other, one in instead.items() if other in one.parents}
    placed = {
        name: _placed(one, by_id, instead, wrapped)
        for name, one in by_id.items()
        if name not in instead or name in wrapped
    }
    roots = [name for name, one in placed.items() if one.relation and (one.is_of_bank or one.name in published)]
    needed = _with_parents(roots, placed)
    tests = {
        name for name, one in placed.items() if one.relation is None and one.parents and needed.issuperset(one.parents)
    }
    return [one for name, one in placed.items() if name in needed | tests]


def _placed(
    statement: CompiledNode,
    by_id: Mapping[str, CompiledNode],
    instead: Mapping[str, CompiledNode],
    wrapped: Iterable[str],
) -> CompiledNode:
    """A statement as a run of a bank account executes it: under the name, and reading, of what is in the place."""
    relation, sql = statement.relation, statement.sql
    parents = set(statement.parents)
    for other, one in instead.items():
        place, own = str(by_id[other].relation), str(one.relation)
        if statement.unique_id == other:
            relation = _engines(by_id[other])
        if statement.unique_id == one.unique_id:
            relation = place
            if other in wrapped:
                sql = sql.replace(place, _engines(by_id[other]))
        elif other in parents:
            parents = parents - {other} | {one.unique_id}
        sql = sql.replace(own, place)
    return replace(statement, parents=tuple(sorted(parents)), relation=relation, sql=sql)


def _engines(statement: CompiledNode) -> str:
    """The relation of a model that another has the place of, and reads."""
    relation = str(statement.relation)
    quote = relation[-1]
    return f"{relation.removesuffix(quote)}{_OF_ENGINE}{quote}"


def _with_parents(names: Iterable[str], statements: Mapping[str, CompiledNode]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += statements[name].parents
    return found
