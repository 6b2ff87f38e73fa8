"""What to do next, by intent: one statement of it, which each surface words for those who use it.

An error or a blocker says what to do in words that fit anywhere, and names the intent; the command line renders it as a
command with every option that it needs, HTTP as a request. Commands and routes are strings here, so that the lowest
room imports no surface: a test holds them against both. Does not belong here: finding out what is wrong.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Remedy:
    """What to do: `words` of no surface, the `intent` (a key of FORMS) and what it is `about`, by name."""

    words: str
    intent: str
    about: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class _Form:
    """How an intent looks on each surface; `{name}` is filled from what the remedy is about."""

    command: str
    method: str
    path: str
    body: Mapping[str, str | bool] | None = None


_CLOSEOUT: Final = "/reconciliation/runs/{run_id}/closeout"
_SIGN_OFF: Final = "/reconciliation/periods/{period}/sign-off"
_WINDOWS: Final = "/reconciliation/periods/{period}/windows"
_DECISIONS: Final = "/reconciliation/exceptions/{exception_id}/decisions"
FORMS: Final[Mapping[str, _Form]] = {
    "approve_exception": _Form(
        "exceptions approve {exception_id} --tenant {tenant} --actor {second_person}",
        "POST",
        _DECISIONS,
        {"action": "approve"},
    ),
    "resolve_exception": _Form(
        "exceptions resolve {exception_id} --tenant {tenant} --actor {actor} --resolution {resolution} "
        "--reason {reason}",
        "POST",
        _DECISIONS,
        {"action": "resolve", "resolution": "{resolution}", "reason": "{reason}"},
    ),
    "accept_quarantine": _Form(
        "close --tenant {tenant} --run {run_id} --actor {actor} --accept-quarantine {reason}",
        "POST",
        _CLOSEOUT,
        {"action": "prepare", "accept_quarantine": "{reason}"},
    ),
    "prepare_closeout": _Form(
        "close --tenant {tenant} --run {run_id} --actor {actor}", "POST", _CLOSEOUT, {"action": "prepare"}
    ),
    "approve_closeout": _Form(
        "close --tenant {tenant} --run {run_id} --actor {second_person} --approve",
        "POST",
        _CLOSEOUT,
        {"action": "approve"},
    ),
    "close_idle_window": _Form(
        "close --tenant {tenant} --provider {provider} --ledger-window {ledger_window} --no-activity --actor {actor}",
        "POST",
        _WINDOWS,
        {"action": "prepare", "provider": "{provider}", "ledger_window": "{ledger_window}"},
    ),
    "approve_idle_window": _Form(
        "close --tenant {tenant} --provider {provider} --ledger-window {ledger_window} --no-activity "
        "--actor {second_person} --approve",
        "POST",
        _WINDOWS,
        {"action": "approve", "provider": "{provider}", "ledger_window": "{ledger_window}"},
    ),
    "prepare_period": _Form(
        "period prepare {period} --tenant {tenant} --actor {actor}", "POST", _SIGN_OFF, {"action": "prepare"}
    ),
    "run_window": _Form(
        "run --tenant {tenant} --provider {provider} --settlement-file {settlement_file} "
        "--ledger-window {ledger_window} --owner {owner}",
        "POST",
        "/reconciliation/runs",
        {name: f"{{{name}}}" for name in ("provider", "settlement_file", "ledger_window", "owner")},
    ),
    "run_bank_day": _Form(
        "run --tenant {tenant} --bank-account {bank_account} --ledger-window {ledger_window} --owner {owner} "
        "--actor {actor}",
        "POST",
        "/reconciliation/runs",
        {name: f"{{{name}}}" for name in ("bank_account", "ledger_window", "owner")},
    ),
    "run_window_without_file": _Form(
        "run --tenant {tenant} --provider {provider} --settlement-file {settlement_file} "
        "--ledger-window {ledger_window} --owner {owner} --actor {actor} --no-settlement",
        "POST",
        "/reconciliation/runs",
        {name: f"{{{name}}}" for name in ("provider", "settlement_file", "ledger_window", "owner")}
        | {"no_settlement": True},
    ),
    "ingest_settlement": _Form(
        "ingest --tenant {tenant} --provider {provider} --kind settlement --settlement-file {settlement_file} {file}",
        "POST",
        "/files/{provider}/settlement",
    ),
    "show_period": _Form("period show {period} --tenant {tenant}", "GET", "/reconciliation/periods/{period}"),
    "list_runs": _Form("runs list --tenant {tenant}", "GET", "/reconciliation/runs"),
    "show_run": _Form("runs show {run_id} --tenant {tenant}", "GET", "/reconciliation/runs/{run_id}"),
    "list_exceptions": _Form("exceptions list --tenant {tenant}", "GET", "/reconciliation/exceptions"),
    "list_events": _Form("events --tenant {tenant}", "GET", "/events"),
    "list_webhooks": _Form("webhooks list --tenant {tenant}", "GET", "/webhooks/endpoints"),
}
_RUNS: Final = ("run_window", "run_window_without_file")
_BANK: Final = "bank:"  # the scope of a bank account; identifiers, which knows it, is above this room
_FIELD: Final = re.compile(r"\{(\w+)\}")


def command(remedy: Remedy, tenant: str | None = None, home: str | None = None) -> str:
    """The command with all the options it needs; what nobody knows is in capitals, to be filled in."""
    form, about = _form(remedy)
    known = {"tenant": tenant, **about} if tenant is not None else about
    words = [_filled(word, known, shown=str.upper) for word in form.command.split()]
    return " ".join(["zentra", *words, *(["--home", shlex.quote(home)] if home is not None else [])])


def request(remedy: Remedy) -> dict[str, Any]:
    """The request, `{method, path, body}`; what nobody knows is in angle brackets."""
    form, about = _form(remedy)
    body = (
        None
        if form.body is None
        else {name: _plain(value, about) if isinstance(value, str) else value for name, value in form.body.items()}
    )
    return {"method": form.method, "path": _plain(form.path, about), "body": body}


def _form(remedy: Remedy) -> tuple[_Form, dict[str, str]]:
    """The form of an intent and what fills it: what is run of a bank account is a day of it, without a file."""
    about = dict(remedy.about)
    if remedy.intent in _RUNS and about.get("provider", "").startswith(_BANK):
        return FORMS["run_bank_day"], about | {"bank_account": about["provider"].removeprefix(_BANK)}
    return FORMS[remedy.intent], about


def _filled(word: str, known: Mapping[str, Any], shown: Any) -> str:
    found = _FIELD.fullmatch(word)
    if found is None:
        return word
    value = known.get(found[1])
    return shown(found[1]) if value is None else shlex.quote(str(value))


def _plain(text: str, known: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda found: known.get(found[1], f"<{found[1]}>"), text)
