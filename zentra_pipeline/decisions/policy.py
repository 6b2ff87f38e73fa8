"""Review policy (`tenants/<tenant>/policy.yml`): what needs a second person, and who may give up how much.

Write-offs, matches against the amounts and closeouts need a second person always; the file can add to that, never take
away. Does not belong here: the states of exceptions (decisions), recording anything (record), or the rules for intents
(runtime.intent_rules).

    second_person: [written_off, matched_manually]
    limits:
      approver: {USD: 100000, EUR: 90000}
      admin: {"*": 5000000}
    closeout:
      prepare_after_minutes: 120
    approvals_by_token: true
    accounts: {fee: provider_fees, write_off: write_offs, adjustment: adjustments, fx: fx_conversion}
    absences: [{actor: dora, delegate: olga, first_day: "2026-05-01", last_day: "2026-05-14"}]
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from zentra_pipeline import money, vocabulary
from zentra_pipeline.actors import PROGRAM, Origin, same_person
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.decisions.exception_state import (
    ACTIONS,
    RESOLVING,
    ExceptionState,
    check_step,
    personal_resolutions,
    result_of,
)
from zentra_pipeline.decisions.intent_policy import IntentPolicy
from zentra_pipeline.errors import ConfigurationError, ForbiddenError, RefusedError, UsageError
from zentra_pipeline.settings import TenantPaths

Account = Annotated[str, Field(min_length=1, max_length=128)]
Limit = Annotated[int, Field(ge=0, lt=10**15)]

WRITE_OFF: Final = "written_off"
FORCED: Final = "forced"
DELEGATES: Final = "operator"  # whoever may act in the place of somebody absent
_SECOND_PERSON_NEEDED: Final = "second_person_needed"
_ANY: Final = vocabulary.ANY_CURRENCY
_WORK: Final = frozenset({"assign", "comment", "investigate", "dispute"})
_OPERATE: Final = _WORK | {*RESOLVING, "reject", "reopen"}
# What a role may do about an exception; analysts read.
ROLE_ACTIONS: Final[Mapping[str, frozenset[str]]] = {
    "service": _WORK,
    "operator": _OPERATE,
    "approver": _OPERATE | {"approve"},
    "analyst": frozenset(),
    "admin": frozenset(ACTIONS),
}
_STRICT: Final = ConfigDict(strict=True, frozen=True, extra="forbid")


class CloseoutPolicy(BaseModel):
    """How runs are closed: `second_person` cannot be switched off; `prepare_after_minutes` null: no automatic start."""

    model_config = _STRICT

    second_person: bool = True
    prepare_after_minutes: Annotated[int, Field(ge=0, le=527_040)] | None = None

    @field_validator("second_person")
    @classmethod
    def _always(cls, value: bool) -> bool:
        if not value:
            raise ValueError("a closeout always needs a second person; leave the key out")
        return value


class Accounts(BaseModel):
    """Where journal proposals go: an account each for fees, write-offs, adjustments and FX, `clearing` or null for the
    first of the provider's clearing accounts.
    """

    model_config = _STRICT

    fee: Account
    write_off: Account
    adjustment: Account
    fx: Account
    clearing: Account | None = None


class AccountMap(Accounts):
    """The accounts of every provider, and those of some that differ from them."""

    providers: dict[str, dict[str, Account]] = {}

    @field_validator("providers")
    @classmethod
    def _known_kinds(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for provider, accounts in value.items():
            unknown = sorted(accounts.keys() - Accounts.model_fields.keys())
            if unknown:
                raise ValueError(f"{provider}: {unknown[0]!r} is not one of {', '.join(Accounts.model_fields)}")
        return value

    def of(self, provider: str) -> Accounts:
        """The accounts of a provider."""
        common = self.model_dump(exclude={"providers"})
        return Accounts(**common | self.providers.get(provider, {}))


class Absence(BaseModel):
    """From `first_day` to `last_day`, both included, `delegate` (an operator) acts as `role` in place of `actor`."""

    model_config = _STRICT

    actor: Annotated[str, Field(min_length=1, max_length=256)]
    delegate: Annotated[str, Field(min_length=1, max_length=256)]
    first_day: Annotated[date, Field(strict=False)]
    last_day: Annotated[date, Field(strict=False)]
    role: str = "approver"

    @model_validator(mode="after")
    def _of_two_people(self) -> "Absence":
        if self.role not in ROLE_ACTIONS or "approve" not in ROLE_ACTIONS[self.role]:
            raise ValueError(f"role {self.role!r} approves nothing")
        if same_person(self.actor, self.delegate):
            raise ValueError(f"{self.actor} cannot be their own delegate")
        if self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}")
        return self


class Policy(BaseModel):
    """A tenant's policy. `limits`: role → currency (`*`: any other) → the most it may write off, in minor units.

    A role without limits has none; a currency missing from a role's map has 0. With `approvals_by_token` nobody
    approves on the command line: an approval comes over HTTP, with a token of the approver's own.
    """

    model_config = _STRICT

    second_person: Annotated[tuple[str, ...], Field(strict=False)] = (WRITE_OFF,)
    limits: dict[str, dict[str, Limit]] = {}
    closeout: CloseoutPolicy = CloseoutPolicy()
    intents: IntentPolicy = IntentPolicy()
    approvals_by_token: bool = False
    accounts: AccountMap | None = None
    absences: Annotated[tuple[Absence, ...], Field(strict=False, max_length=1_000)] = ()

    @field_validator("absences")
    @classmethod
    def _one_place_at_a_time(cls, value: tuple[Absence, ...]) -> tuple[Absence, ...]:
        for one, other in combinations(value, 2):
            is_at_once = one.first_day <= other.last_day and other.first_day <= one.last_day
            if is_at_once and same_person(one.delegate, other.delegate):
                both = f"{one.actor} and {other.actor}"
                raise ValueError(f"{one.delegate} would act for {both} on the same days: name another delegate")
        return value

    @field_validator("second_person")
    @classmethod
    def _known_resolutions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        allowed = personal_resolutions()
        unknown = [word for word in value if word not in allowed]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(allowed)}")
        if WRITE_OFF not in value:
            raise ValueError(f"{WRITE_OFF} always needs a second person; name it beside the others")
        return tuple(word for word in allowed if word in value)

    @field_validator("limits", mode="before")
    @classmethod
    def _one_for_all_currencies(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {role: {_ANY: limit} if type(limit) is int else limit for role, limit in value.items()}

    @field_validator("limits")
    @classmethod
    def _known_words(cls, value: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        for role, limits in value.items():
            if role not in ROLE_ACTIONS:
                raise ValueError(f"role {role!r} is not one of {', '.join(ROLE_ACTIONS)}")
            unknown = sorted(limits.keys() - vocabulary.currencies().keys() - {_ANY})
            if unknown:
                raise ValueError(f"{unknown[0]!r} is not an ISO 4217 currency, nor {_ANY} for any")
        return value

    def digest(self) -> str:
        """Hex SHA-256 of the review policy as canonical JSON: the file's layout, order and comments do not count.

        What intents may ask for has a digest of its own; accounts decide about nothing.
        """
        import orjson

        left_out = {"intents", "accounts", *(() if self.approvals_by_token else ("approvals_by_token",))}
        left_out |= set() if self.absences else {"absences"}
        content = self.model_dump(mode="json", exclude=left_out)  # without the key the digest is what it always was
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def delegation(self, actor: str, role: str, day: date) -> Absence | None:
        """The absence in which an operator acts in somebody's place on a day; null for everybody else."""
        if role != DELEGATES:
            return None
        return next(
            (each for each in self.absences if each.delegate == actor and each.first_day <= day <= each.last_day), None
        )

    def limit(self, role: str, currency: str | None) -> int | None:
        """The most a role may write off in a currency; null for any amount."""
        if role not in self.limits:
            return None
        limits = self.limits[role]
        return limits.get(currency or _ANY, limits.get(_ANY, 0))


@dataclass(frozen=True)
class DecisionStep:
    """What somebody is about to decide; an approval takes the resolution that was proposed.

    `amount_minor` is what a write-off would give up, null where the exception has no amount. `is_forced` is a match, or
    its approval, whose sums differ.
    """

    action: str
    actor: str
    role: str
    resolution: str | None
    currency: str | None
    amount_minor: int | None
    is_forced: bool = False
    origin: Origin = PROGRAM


@dataclass(frozen=True)
class PolicyResult:
    """What a step leads to: a status, the resolution it gives, and what it passed, as the log keeps it."""

    result: str
    resolution: str | None
    passed: dict[str, Any]


def load_policy(paths: TenantPaths) -> Policy:
    """The tenant's policy; all defaults without a file. ConfigurationError names file, key and what is allowed."""
    if not paths.policy.exists():
        return Policy()
    return parse_policy(strict_yaml.read_mapping(paths.policy), paths.policy.name)


def parse_policy(content: Mapping[str, Any], name: str) -> Policy:
    """A policy from a parsed mapping; `name` is what errors call the file."""
    try:
        return Policy.model_validate(dict(content))
    except ValidationError as cause:
        found = "; ".join(strict_yaml.findings(cause, tuple(Policy.model_fields)))
        raise ConfigurationError(f"{name}: {found}") from cause


def evaluate(policy: Policy, state: ExceptionState, step: DecisionStep) -> PolicyResult:
    """What a step on an exception comes to.

    Raises RefusedError where it does not follow on the state, the role may not take it, the second person is the
    first one, or the amount is above the limit.
    """
    check_step(state, step.action)
    if step.action == "approve":
        step = replace(step, resolution=state.proposed_resolution)
    passed = _passed(policy, state, step)
    result = result_of(step.action, state, needs_second_person=passed["outcome"] == _SECOND_PERSON_NEEDED)
    return PolicyResult(result, step.resolution, passed)


def _passed(policy: Policy, state: ExceptionState, step: DecisionStep) -> dict[str, Any]:
    """Rule, outcome, role, digest, and the limit where one was looked at."""
    check_role(step.actor, step.role, step.action)
    passed: dict[str, Any] = {"digest": policy.digest(), "role": step.role}
    why = FORCED if step.is_forced else step.resolution
    if step.action in RESOLVING and (step.is_forced or step.resolution in policy.second_person):
        return passed | {"rule": f"second_person.{why}", "outcome": _SECOND_PERSON_NEEDED}
    if step.action == "approve":
        check_origin(policy, step.actor, step.origin)
        if state.proposed_by is not None and same_person(step.actor, state.proposed_by):
            raise RefusedError(
                f"exception {state.exception_id}: {state.proposed_by} proposed {state.proposed_resolution}, "
                "so somebody else has to approve it"
            )
        check_place(step.origin, state.proposed_by, f"exception {state.exception_id}")
        return passed | {
            "rule": f"second_person.{why}",
            "outcome": "approved",
            "proposed_by": state.proposed_by,
            **_within_limit(policy, state, step),
        }
    return passed | {"rule": f"roles.{step.role}", "outcome": "allowed"}


def check_role(actor: str, role: str, action: str) -> None:
    """Refuse with ForbiddenError what a role may not do about any exception; UsageError for a role that is none."""
    if role not in ROLE_ACTIONS:
        raise UsageError(f"role {role!r} is not known: use one of {', '.join(ROLE_ACTIONS)}")
    if action not in ROLE_ACTIONS[role]:
        may = ", ".join(each for each, actions in ROLE_ACTIONS.items() if action in actions)
        raise ForbiddenError(f"{actor} acts as {role}, who may not {action}: have it done by {may}")


def check_place(origin: Origin, maker: str | None, what: str) -> None:
    """Refuse an approval in the place of whoever proposed or prepared it."""
    if maker is not None and origin.in_place_of is not None and same_person(origin.in_place_of, maker):
        raise RefusedError(f"{what}: {maker} proposed it, so whoever acts in their place does not approve it")


def check_origin(policy: Policy, actor: str, origin: Origin) -> None:
    """Refuse an approval without a token where the policy demands one."""
    if policy.approvals_by_token and not origin.is_token:
        raise RefusedError(
            f"approvals_by_token of policy.yml demands that approvals come with an API token: {actor} approves over "
            "HTTP, with a token of their own"
        )


def _within_limit(policy: Policy, state: ExceptionState, step: DecisionStep) -> dict[str, Any]:
    limit = policy.limit(step.role, step.currency)
    if step.resolution != WRITE_OFF or limit is None:
        return {}
    amount = abs(step.amount_minor or 0)
    if amount > limit:
        raise RefusedError(
            f"exception {state.exception_id}: {_amount(amount, step.currency)} is above the "
            f"{_amount(limit, step.currency)} that limits.{step.role} of policy.yml lets {step.actor} write off: "
            "have it approved by a role that may"
        )
    return {"limit_minor": limit, "amount_minor": amount}


def _amount(amount_minor: int, currency: str | None) -> str:
    return money.amount_text(amount_minor, currency) if currency else str(amount_minor)
