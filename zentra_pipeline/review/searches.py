"""What the match passes looked for about an exception, for command line and API; nothing is searched here."""

import re
from collections.abc import Mapping
from typing import Any, Final

from zentra_pipeline import identifiers, money, vocabulary
from zentra_pipeline.published import lake
from zentra_pipeline.queries import result_text
from zentra_pipeline.settings import TenantPaths

_AMOUNT: Final = re.compile(r"(-?[0-9]{1,19}) ([A-Z]{3})")
_BY_AMOUNT: Final = {"amount_date": "the same amount near in time", "bank_sum": "payouts that come to it together"}
_LOOKED_FOR: Final = {"bank_trace": "the trace ID", "bank_text": "the text of the bank line", **_BY_AMOUNT}
_OF_ACCOUNTS: Final = {"settlement_line": "bank line", "ledger_transaction": "payout"}
_RESULTS: Final = {
    "not_reached": "not asked, as an earlier pass or a decision had taken it",
    "not_found": "nothing was found",
    "not_equal": "{found} found, and the amounts differ",
    "ambiguous": "{found} found, and nothing tells them apart",
    "suggested": "{found} found, and suggested",
    "duplicate": "{found} found, and it repeats what is matched already",
}
COLUMNS: Final = ("rule", "searched_key", "windows_from", "windows_to", "movements_examined", "result")


def of_exception(paths: TenantPaths, exception_id: str) -> list[dict[str, Any]]:
    """Rows of `ledger_search` about an exception, as objects with JSON values in the order of the passes."""
    found = lake.query(
        paths,
        f"select {', '.join(COLUMNS)} from ledger_search where exception_id = $1 order by list_position($2, rule)",
        [exception_id, vocabulary.values("rule")],
    )
    return [
        {column: result_text.json_value(value) for column, value in zip(found.columns, values, strict=True)}
        for values in found.rows
    ]


def sentence(search: Mapping[str, Any]) -> str:
    """What a pass looked for, and what came of it, as a sentence.

    Amounts are in major units: `The same amount near in time: 10.00 USD, from 2026-04-20 to 2026-04-22; nothing was
    found.`
    """
    rule = str(search["rule"])
    looked = _LOOKED_FOR.get(rule, rule.replace("_", " "))
    key = search["searched_key"]
    if key is None:
        return f"{_begun(looked)}: there was nothing to look for."
    amount = _AMOUNT.fullmatch(str(key)) if rule in _BY_AMOUNT else None
    shown = key if amount is None else money.amount_text(int(amount[1]), amount[2])
    days = f"from {search['windows_from']} to {search['windows_to']}"
    word = str(search["result"])
    result = _RESULTS.get(word, "{found} found: " + word.replace("_", " "))
    found = search["movements_examined"]
    return f"{_begun(looked)}: {shown}, {days}; {result.format(found=f'{found} {_was(found)}')}."


def item_word(provider: str, item_type: str) -> str:
    """What an item is called where people read of it: of a bank account it is a bank line or a payout."""
    words = item_type.replace("_", " ")
    return words if identifiers.account_of(provider) is None else _OF_ACCOUNTS.get(item_type, words)


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


def _was(found: int) -> str:
    return "was" if found == 1 else "were"
