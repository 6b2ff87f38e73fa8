"""What is posted for an intent, account by account from the customer to the payout. Pure; the trace reads the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from zentra_pipeline.runtime.intent import DEFAULTS

_ARRIVED: Final = ("credited", "closed")


@dataclass(frozen=True)
class Account:
    """An account that the money of an intent passes; `net_minor` is credits less debits posted for it."""

    role: str
    account: str
    currency: str | None
    net_minor: int
    state: str


def ledger_flow(
    request: Mapping[str, Any],
    postings: Sequence[Mapping[str, Any]],
    is_settled: bool,
    cash: Sequence[Mapping[str, Any]] = (),
) -> list[Account]:
    """The accounts from the customer to the payout, whether or not anything is posted to them yet, then any others.

    `cash` are rows of `cash_story`: where nothing is posted to merchant and payout, they say how far the money is.
    """
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
        if not found and cash and role in ("merchant", "payout"):
            flow.append(_by_cash(role, account, cash))
        elif not found:
            flow.append(Account(role, account, request.get("currency"), 0, "pending"))
        for row in found:
            net = int(row["net_minor"])
            flow.append(Account(role, account, str(row["currency"]), net, _account_state(role, net, is_settled)))
    return flow


def _by_cash(role: str, account: str, cash: Sequence[Mapping[str, Any]]) -> Account:
    """Merchant or payout as the bank has them: what is credited of the movement's lines, and how the payout ended."""
    states = [str(row["payout_status"]) for row in cash]
    arrived = [row for row in cash if row["payout_status"] in _ARRIVED]
    currency = str(cash[0]["currency"])
    if role == "payout":
        return Account(role, account, currency, 0, states[-1])
    credited = sum(int(row["settled_minor"]) for row in arrived)
    return Account(role, account, currency, credited, "credited" if arrived else "pending")


def _account_state(role: str, net_minor: int, is_settled: bool) -> str:
    """What the postings left an account in, in a word."""
    if role == "settlement":
        return "settled" if is_settled else "posted"
    if net_minor == 0:
        return "released"
    if role == "reserved" and net_minor > 0:
        return "held"
    return "debited" if net_minor < 0 else "credited"
