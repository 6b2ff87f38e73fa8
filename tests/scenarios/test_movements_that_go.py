"""A restated ledger file takes a movement away: to another currency, another provider or another account.

What was matched with it is open again, what was open is gone, and nothing is in two books or in two currencies at once.
Does not belong here: entries that change a movement's amount (test_facts_that_change).
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.scenarios import invariants
from tests.scenarios.rows import MON, TUE, WED, Row, post, settle
from tests.scenarios.world import World

PROFILE = {"expects_callbacks": False, "amount_date_rule": "off", "settlement_lag_days": 0}
NAMES = ("account", "currency", "provider")


def _posted(name: str, amount: int) -> tuple[Row, ...]:
    return post(name, f"ref-{name}", amount, file="ledger_of_the_day")


def _restated() -> Sequence[Row]:
    matched, unmatched = ({name: _posted(f"{kind}-{name}", 500) for name in NAMES} for kind in ("matched", "open"))
    return [
        *(row.again(currency="EUR") for rows in (matched, unmatched) for row in rows["currency"]),
        *(row.again(provider="rail_other") for rows in (matched, unmatched) for row in rows["provider"]),
        *(
            row.again(account="elsewhere") if row.values["account"] == "settlement_account" else row
            for rows in (matched, unmatched)
            for row in rows["account"]
        ),
    ]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each window newly said; Tuesday sees the restated file; the checks of the books come last."""
    world = World(tmp_path_factory.mktemp("movements_that_go"), PROFILE)
    world.add(*(_posted(f"{kind}-{name}", 500) for kind in ("matched", "open") for name in NAMES))
    world.add(*(settle(f"line-{name}", f"ref-matched-{name}", 500) for name in NAMES))
    world.run(MON)
    world.add(*_restated())
    said = {day: [statement.text for statement in world.run(day)] for day in (TUE, WED)}
    other = world.beside("rail_other")
    of_other = [each.text for each in other.run(WED)]
    said["other"] = [text for text in of_other if text.startswith(("open matched-provider", "open open-provider"))]
    amounts = "ledger_window, currency, opening_minor, posted_minor, settled_minor, closing_minor"
    rows = world.query(f"select {amounts} from rollforward where provider = '{world.provider}' order by all")
    said["books"] = [" ".join(str(value) for value in row.values()) for row in rows]
    said["faults"] = invariants.faults(world)
    return said


def test_a_match_with_what_is_gone_is_taken_back_and_its_line_is_open(said: dict[str, list[str]]) -> None:
    of_matched = [text for text in said[TUE] if "matched-" in text or "line-" in text]
    assert of_matched == [
        "currency_mismatch line-currency, 500 USD",
        "open line-account, 500 USD, aged 1",
        "open line-currency, 500 USD, aged 1",
        "open line-provider, 500 USD, aged 1",
        "open matched-currency, 500 EUR, aged 1",
        *(f"reversed exact_reference one_to_one exact: line-{name} = matched-{name}, 500 USD" for name in NAMES),
        "unmatched_ledger_entry matched-currency, 500 EUR",
        "unmatched_provider_row line-account, 500 USD",
        "unmatched_provider_row line-provider, 500 USD",
    ]


def test_what_was_open_and_is_gone_is_open_no_more(said: dict[str, list[str]]) -> None:
    assert [text for text in said[TUE] if " open-" in text] == [
        "open open-currency, 500 EUR, aged 1",
        "unmatched_ledger_entry open-currency, 500 EUR",
    ]
    assert [text for text in said[WED] if "superseded" in text or "resolved" in text] == []
    assert said["other"] == [
        "open matched-provider, 500 USD, aged 2",
        "open open-provider, 500 USD, aged 2",
    ]


def test_the_books_close_with_what_the_ledger_has_by_now(said: dict[str, list[str]]) -> None:
    assert said["books"] == [
        f"{MON} USD 0 3000 1500 1500",
        f"{TUE} EUR 0 1000 0 1000",
        f"{TUE} USD 1500 -3000 -1500 0",
        f"{WED} EUR 1000 0 0 1000",
    ]
    assert said["faults"] == []


def test_what_a_changed_profile_takes_away_does_not_open_the_windows_after_it(tmp_path: Path) -> None:
    """Tuesday's profile settles another account; Wednesday opens with what Tuesday closed with."""
    world = World(tmp_path, PROFILE)
    world.add(post("T1", "R1", 500))
    world.make(MON)
    accounts = {**PROFILE, "clearing_accounts": ["elsewhere"]}
    (world.paths.providers / f"{world.provider}.yml").write_text(json.dumps(accounts), encoding="utf-8")
    for window in (TUE, WED):
        world.make(window)
    amounts = "ledger_window, opening_minor, posted_minor, closing_minor"
    rows = world.query(f"select {amounts} from rollforward where opening_minor <> 0 or closing_minor <> 0 order by all")
    assert [" ".join(str(value) for value in row.values()) for row in rows] == [f"{MON} 0 500 500", f"{TUE} 500 -500 0"]
