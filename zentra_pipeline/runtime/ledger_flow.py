"""What is posted for an intent, account by account from the customer to the payout. Pure; the trace reads the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zentra_pipeline.runtime.intent import DEFAULTS


@dataclass(frozen=True)
class Account:
    """An account that the money of an intent passes; `net_minor` is credits less debits posted for it."""

    role: str
    account: str
    currency: str | None
    net_minor: int
    state: str


def ledger_flow(request: Mapping[str, Any], postings: Sequence[Mapping[str, Any]], is_settled: bool) -> list[Account]:
    """The accounts from the customer to the payout, whether or not anything is posted to them yet, then any others."""
    role_of = {
        str(request.get("customer_account", DEFAULTS["customer_account"])): "customer",
        str(request.get("reserved_account", DEFAULTS["reserved_account"])): "reserved",
        str(request.get("settlement_account") or "settlement_account"): "settlement",
        "merchant": "merchant",
        "payout": "payout",
    }
    posted = {account: [row for row in postings if row["account"] == account] for account in role_of}
    posted |= {str(row["account"]): [row] for row in postings if row["account"] not in role_of}
    flow = []
    for account, found in posted.items():
        role = role_of.get(account, "other")
        if not found:
            flow.append(Account(role, account, request.get("currency"), 0, "pending"))
        for row in found:
            net = int(row["net_minor"])
            flow.append(Account(role, account, str(row["currency"]), net, _account_state(role, net, is_settled)))
    return flow


def _account_state(role: str, net_minor: int, is_settled: bool) -> str:
    """What the postings left an account in, in a word."""
    if role == "settlement":
        return "settled" if is_settled else "posted"
    if net_minor == 0:
        return "released"
    if role == "reserved" and net_minor > 0:
        return "held"
    return "debited" if net_minor < 0 else "credited"
