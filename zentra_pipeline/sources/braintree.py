"""Braintree's settled transactions, as its API returns them, as settlement lines.

A file is an array of transactions (GraphQL `search.transactions`), or one a line. Braintree states no total of a batch
or disbursement there and takes its fees by itself, so only the amounts of each transaction can be checked. Ids of
GraphQL are base64 of `transaction_<id>`; webhooks and the Control Panel have the bare id, and so has the reference.
Does not belong here: webhooks' meaning (braintree_events).
Sources: developer.paypal.com/braintree/graphql/reference/#transaction.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from zentra_pipeline.sources import braintree_events, json_pages
from zentra_pipeline.sources.bank_statements import Line, Part
from zentra_pipeline.sources.json_pages import Json
from zentra_pipeline.sources.parts_reader import Notes, PartsReader
from zentra_pipeline.sources.statement import Statement

_KINDS: Final = ("transaction", "refund", "dispute")
_SETTLED: Final = ("SETTLED", "SETTLEMENT_CONFIRMED")
COLUMN_NAMES: Final = {
    "line_id": "id",
    "line_type": "refundedTransaction",
    "provider_reference": "legacyId, or the one within id",
    "merchant_reference": "orderId",
    "original_reference": "refundedTransaction.id",
    "gross_minor": "disbursementDetails.amount",
    "fee_minor": "disbursementDetails.amount",
    "net_minor": "disbursementDetails.amount",
    "currency": "disbursementDetails.amount.currencyCode",
    "settled_at": "disbursementDetails.date",
    "batch_id": "statusHistory.settlementBatchId",
    "presentment_minor": "amount",
    "presentment_currency": "amount.currencyCode",
}
"""Settlement field → the API's field it is read from."""


def parts(path: Path, name: str, notes: Notes) -> Iterator[Part]:
    """Lines in the order of the file, then a statement per batch and currency; `notes` counts what is not settled."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for place, transaction in json_pages.pages(path, name):
        try:
            why = _unsettled(transaction)
            if why is not None:
                notes[why] = notes.get(why, 0) + 1
                continue
            line = _line(transaction)
        except ValueError as cause:
            raise json_pages.refusal(place, cause) from cause
        key = (line["batch_id"] or "", line["currency"] or "")
        entries, total = sums.get(key, (0, 0))
        sums[key] = (entries + 1, total + int(line["net_minor"] or 0))
        yield line
    for (batch, currency), (entries, total) in sums.items():
        yield Statement(batch or None, None, entries, currency, total)


def _unsettled(transaction: Json) -> str | None:
    """Why a transaction is no line yet; ValueError where it is none of Braintree's."""
    if "disbursementDetails" not in transaction:
        raise ValueError(
            "no disbursementDetails: not a transaction as Braintree's API returns it (another program's extract of one "
            "lacks what was disbursed, and when)"
        )
    status = json_pages.text(transaction, "status")
    if status not in _SETTLED:
        return f"{status}: not settled"
    return None if json_pages.inner(transaction, "disbursementDetails", "amount") else f"{status}: not disbursed yet"


def _line(transaction: Json) -> Line:
    id, details = json_pages.text(transaction, "id"), json_pages.inner(transaction, "disbursementDetails")
    original = json_pages.optional(json_pages.inner(transaction, "refundedTransaction"), "id")
    amount, currency = _amount(json_pages.inner(details, "amount"), f"{id}: disbursementDetails.amount")
    paid, paid_in = _amount(json_pages.inner(transaction, "amount"), f"{id}: amount")
    sign = 1 if original is None else -1
    if paid_in == currency and abs(paid) != abs(amount):
        raise ValueError(
            f"{id}: its amount is {abs(paid)} and what was disbursed {abs(amount)} minor units of {currency}"
        )
    line: dict[str, str | None] = {
        "line_id": id,
        "line_type": "payment" if original is None else "refund",
        "provider_reference": json_pages.optional(transaction, "legacyId") or _bare(id),
        "merchant_reference": json_pages.optional(transaction, "orderId"),
        "original_reference": original and _bare(original),
        "gross_minor": str(sign * abs(amount)),
        "fee_minor": "0",
        "net_minor": str(sign * abs(amount)),
        "currency": currency,
        "settled_at": json_pages.time_of(details, "date"),
        "batch_id": _batch(transaction),
    }
    if paid_in != currency:
        line |= {"presentment_minor": str(sign * abs(paid)), "presentment_currency": paid_in}
    return line


def _bare(id: str) -> str:
    """The id within a GraphQL id; any other as it is."""
    try:
        kind, _, bare = base64.b64decode(id + "=" * (-len(id) % 4), validate=True).decode("ascii").partition("_")
    except (binascii.Error, ValueError):
        return id
    return bare if kind in _KINDS and bare else id


def _amount(stated: Json, key: str) -> tuple[int, str]:
    currency = json_pages.currency_of(stated.get("currencyCode"), f"{key}.currencyCode")
    return json_pages.minor(stated.get("value"), currency, f"{key}.value"), currency


def _batch(transaction: Json) -> str | None:
    """The settlement batch that the history of a transaction names; steps it does not show are empty lists there."""
    history = transaction.get("statusHistory")
    steps = [step for step in history if isinstance(step, Mapping)] if isinstance(history, list) else []
    return next((batch for step in steps if (batch := json_pages.optional(step, "settlementBatchId"))), None)


READER: Final = PartsReader(parts, COLUMN_NAMES, braintree_events.EVENTS)
