"""What there is to approve as lines for a person; working it out does not belong here (review, closeout)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_SIDES: Final = ("settlement", "ledger", "callback")
_SHOWN_ITEMS: Final = 20


def of_exception(content: Mapping[str, Any]) -> Iterator[str]:
    """A proposal: what its items come to on each side, what it changes in the statement, who may approve it."""
    proposed = f"{content['proposed_by']}, {content['proposed_at']}: {_words(content['action'])}"
    if content["resolution"]:
        proposed += f" as {_words(content['resolution'])}"
    yield f"{proposed} ({content['reason']})" if content["reason"] else proposed
    currency = content["currency"]
    for side in _SIDES:
        items = content[side]["items"]
        if side == "callback" and not items:
            continue
        yield f"{side:<12} {amount(content[side]['amount_minor'], currency)}" if items else f"{side:<12} nothing"
        for item in items[:_SHOWN_ITEMS]:
            reference = f", reference {item['provider_reference']}" if item["provider_reference"] else ""
            window = f", window {item['opened_window']}" if item["opened_window"] else ""
            yield f"  {item['item_id']}  {amount(item['amount_minor'], currency)}{reference}{window}"
        if len(items) > _SHOWN_ITEMS:
            yield f"  and {len(items) - _SHOWN_ITEMS:,} more: --json lists them all"
    yield f"{'difference':<12} {amount(content['difference_minor'], currency)} (settlement less ledger)"
    run = content["run"]
    sealed = ", which is sealed" if run["is_sealed"] else ""
    yield f"{'run':<12} {run['run_id']} of {run['provider']}, window {run['ledger_window']}{sealed}"
    yield from _statement(content)
    yield from _policy(content)


def _statement(content: Mapping[str, Any]) -> Iterator[str]:
    if not content["statement"]:
        yield f"{'statement':<12} no line of it changes"
    for line in content["statement"]:
        where = "roll-forward" if line["table"] == "rollforward" else f"{line['side']} rows"
        before, after = (amount(line[name], line["currency"]) for name in ("before_minor", "after_minor"))
        yield f"{'statement':<12} {where}, {line['label']}: {before} → {after}"


def _policy(content: Mapping[str, Any]) -> Iterator[str]:
    policy, currency = content["policy"], content["currency"]
    yield f"{'policy':<12} {policy['rule']}, of {amount(policy['amount_minor'], currency)}"
    for entry in policy["limits"]:
        limit = "any amount" if entry["limit_minor"] is None else f"up to {amount(entry['limit_minor'], currency)}"
        yield f"  {entry['role']}: {limit}{'' if entry['may_approve'] else ', so not this one'}"


def of_closeout(content: Mapping[str, Any]) -> Iterator[str]:
    """A prepared closeout: the statement to be sealed, what was given up or accepted, what evidence lacks."""
    for row in content["rollforward"]:
        figures = (
            f"{label} {amount(row[f'{name}_minor'], row['currency'])}"
            for name, label in (
                ("opening", "brought forward"),
                ("posted", "+ posted"),
                ("settled", "− settled"),
                ("written_off", "− written off"),
                ("closing", "= carried forward"),
            )
        )
        yield f"{'statement':<12} {', '.join(figures)}"
    for row in content["matches"]:
        yield (
            f"{'matches':<12} {row['matches']:,} {row['status']}, settlement "
            f"{amount(row['settlement_minor'], row['currency'])}, ledger "
            f"{amount(row['ledger_minor'], row['currency'])}, difference "
            f"{amount(row['difference_minor'], row['currency'])}"
        )
    for row in content["write_offs"]:
        yield (
            f"{'written off':<12} {row['side']}: {row['items']:,} of {amount(row['amount_minor'], row['currency'])} "
            "in all"
        )
    yield from _accepted(content["accepted"])
    for row in content["open"]:
        yield f"{'still open':<12} {row['exceptions']:,} {_words(row['exception_type'])}"
    if content["quarantine"]["rows"]:
        refused = content["quarantine"]
        yield f"{'quarantine':<12} {refused['rows']:,} rows, accepted by {refused['accepted_by']}: {refused['reason']}"
    evidence = content["evidence"]
    yield f"{'evidence':<12} {evidence['rows']:,} rows, {_words(evidence['status'])}"
    for row in evidence["gaps"]:
        yield f"  {row['rows']:,} without {row['missing'] or 'a reason recorded'}"


def _accepted(accepted: Mapping[str, Any]) -> Iterator[str]:
    if accepted["exceptions"]:
        yield f"{'decided':<12} {accepted['exceptions']:,} exceptions ended by decision"
    for row in accepted["items"][:_SHOWN_ITEMS]:
        off = row["amount_minor"] if row["difference_minor"] is None else row["difference_minor"]
        yield (
            f"  {_words(row['exception_type'])} {row['subject_id']}, {amount(off, row['currency'])}: "
            f"{_words(row['resolution'])} by {row['resolved_by']} ({row['reason']})"
        )
    if accepted["exceptions"] > _SHOWN_ITEMS:
        yield f"  and {accepted['exceptions'] - _SHOWN_ITEMS:,} more"


def amount(minor: int | None, currency: str | None) -> str:
    """An amount as text: `-1,250.00 USD`; `no amount` where there is none."""
    from zentra_pipeline import money

    if minor is None:
        return "no amount"
    return money.amount_text(minor, currency) if currency else str(minor)


def _words(name: str) -> str:
    return name.replace("_", " ")
