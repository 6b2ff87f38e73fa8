"""An intent and its canonical rows: internal events and balanced ledger entries. Pure; keeps nothing.

Money goes from the customer's account to a reserved one, and on to the account that the provider settles; a refund goes
the other way. The second step is the movement that runs reconcile.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

ACCEPTED: Final = "accepted"
CONTROLLED: Final = "controlled"
LEDGERED: Final = "ledgered"
ROUTED: Final = "routed"
SYNCHRONIZED: Final = "synchronized"
EVIDENCED: Final = "evidenced"
STAGES: Final = (ACCEPTED, CONTROLLED, LEDGERED, ROUTED, SYNCHRONIZED, EVIDENCED)
# What completes an intent: with these it is evaluated by policy and posted.
REQUIRED: Final = ("amount_minor", "currency", "provider")
# What callers may state about an intent that changes no posting.
OPTIONAL: Final = frozenset({"money_model", "primitives", "transfer"})
DEFAULTS: Final[Mapping[str, Any]] = {
    "movement_type": "transfer",
    "provider_reference": "",
    "customer_account": "customer",
    "reserved_account": "reserved",
    "settlement_account": "",
}
SYSTEM: Final = "system"
_PASSED: Final = "passed"


@dataclass(frozen=True)
class Intent:
    """Money somebody asks to move; `amount_minor` in minor units, unsigned: the movement type gives the direction.

    `settlement_account` is blank until it is recorded where the provider's usual one is meant. `money_model`,
    `primitives` and `transfer` (the caller's id of it) are kept and shown as stated; no posting depends on them.
    """

    intent_id: str
    actor: str
    scope: str
    amount_minor: int
    currency: str
    provider: str
    movement_type: str
    provider_reference: str
    customer_account: str
    reserved_account: str
    settlement_account: str
    money_model: str = ""
    primitives: tuple[str, ...] = ()
    transfer: str = ""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Intent":
        """The intent of a recorded content; members that it lacks have their defaults."""
        return cls(**{**DEFAULTS, **content, "primitives": tuple(content.get("primitives", ()))})

    def content(self) -> dict[str, Any]:
        """The intent as it is recorded; a member of OPTIONAL that was not stated is left out."""
        content = asdict(self) | {"primitives": list(self.primitives)}
        return {name: value for name, value in content.items() if value or name not in OPTIONAL}

    def digest(self) -> str:
        """Hex SHA-256 of all that is asked for: the same id with another digest is another intent."""
        content = json.dumps(self.content(), ensure_ascii=True, separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def reservation_id(tenant: str, intent_id: str) -> str:
    """The transaction that reserves an intent's money."""
    return f"txn_{_name(tenant, intent_id)}_reservation"


def settlement_id(tenant: str, intent_id: str) -> str:
    """The transaction that hands an intent's money to the provider: the movement to be reconciled."""
    return f"txn_{_name(tenant, intent_id)}_settlement"


def event_id(tenant: str, intent_id: str, stage: str) -> str:
    """The internal event of a stage of an intent."""
    return f"iev_{_name(tenant, intent_id)}_{STAGES.index(stage) + 1}"


def internal_events(tenant: str, intent: Intent, policy: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
    """Rows of contract §2 for the stages that recording takes an intent through: two when it is refused, else four."""
    is_refused = policy["result"] != _PASSED
    movement = None if is_refused else settlement_id(tenant, intent.intent_id)
    steps = [
        (ACCEPTED, intent.actor, "request_is_valid", _PASSED),
        (CONTROLLED, intent.actor, policy["rule"], policy["result"]),
    ]
    if not is_refused:
        steps += [
            (LEDGERED, SYSTEM, "double_entry_balanced", _PASSED),
            (ROUTED, SYSTEM, f"provider_is_{intent.provider}", _PASSED),
        ]
    return [
        {
            "event_id": event_id(tenant, intent.intent_id, stage),
            "intent_id": intent.intent_id,
            "stage": stage,
            "actor": actor,
            "scope": intent.scope,
            "policy": rule,
            "policy_result": result,
            "occurred_at": at,
            "transaction_id": movement,
        }
        for stage, actor, rule, result in steps
    ]


def ledger_entries(tenant: str, intent: Intent, at: str) -> list[dict[str, Any]]:
    """Rows of contract §2 for the two transactions of an accepted intent; debits equal credits in each."""
    reserve = reservation_id(tenant, intent.intent_id)
    settle = settlement_id(tenant, intent.intent_id)
    steps = [
        (reserve, intent.customer_account, intent.reserved_account),
        (settle, intent.reserved_account, intent.settlement_account),
    ]
    if intent.movement_type == "refund":
        steps = [
            (settle, intent.settlement_account, intent.reserved_account),
            (reserve, intent.reserved_account, intent.customer_account),
        ]
    return [
        {
            "entry_id": f"{transaction}_{direction}",
            "transaction_id": transaction,
            "movement_type": intent.movement_type,
            "account": account,
            "direction": direction,
            "amount_minor": intent.amount_minor,
            "currency": intent.currency,
            "posted_at": at,
            "provider": intent.provider,
            "provider_reference": intent.provider_reference,
            "intent_id": intent.intent_id,
        }
        for transaction, source, target in steps
        for direction, account in (("debit", source), ("credit", target))
    ]


def _name(tenant: str, intent_id: str) -> str:
    return hashlib.sha256(json.dumps([tenant, intent_id]).encode()).hexdigest()[:24]
