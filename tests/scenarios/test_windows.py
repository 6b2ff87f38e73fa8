"""Claims about what a window leaves to the next: lag, carried items, repeats, later parts (contract §10)."""

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import FRI, MON, NEXT_MON, SAT, THU, TUE, WED, call, entry, post, settle

WINDOWS = (MON, TUE, WED, THU, FRI, SAT, NEXT_MON)

CLAIMS = [
    # The settlement lag
    claim(
        "a movement of Wednesday is in transit through Friday and an exception on Monday",
        post("T1", "R", 500, on=WED),
        gives={
            WED: ["open T1, 500 USD, aged 0"],
            THU: ["open T1, 500 USD, aged 1"],
            FRI: ["open T1, 500 USD, aged 2"],
            SAT: ["open T1, 500 USD, aged 2"],
            NEXT_MON: ["open T1, 500 USD, aged 3", "unmatched_ledger_entry T1, 500 USD"],
        },
    ),
    claim(
        "a movement of Saturday ages from Monday on",
        post("T1", "R", 500, on=SAT),
        gives={SAT: ["open T1, 500 USD, aged 0"], NEXT_MON: ["open T1, 500 USD, aged 1"]},
    ),
    claim(
        "a movement settled within the lag is never an exception",
        post("T1", "R", 500, on=MON, at="23:59:59.999999"),
        settle("L1", "R", 500, on=WED),
        gives={
            MON: ["open T1, 500 USD, aged 0"],
            TUE: ["open T1, 500 USD, aged 1"],
            WED: ["exact_reference one_to_one exact: L1 = T1, 500 USD"],
        },
    ),
    claim(
        "a movement settled after the lag resolves its exception as matched late",
        post("T1", "R", 500, on=MON),
        settle("L1", "R", 500, on=FRI),
        gives={
            MON: ["open T1, 500 USD, aged 0"],
            TUE: ["open T1, 500 USD, aged 1"],
            WED: ["open T1, 500 USD, aged 2"],
            THU: ["open T1, 500 USD, aged 3", "unmatched_ledger_entry T1, 500 USD"],
            FRI: [
                "exact_reference one_to_one exact: L1 = T1, 500 USD",
                "resolved as matched_late: unmatched_ledger_entry T1, 500 USD",
            ],
        },
    ),
    claim(
        "a movement without a class is an open item and after the lag an exception like any other",
        post("T1", "R", -30, type="fee", on=THU),
        gives={
            THU: ["open T1, -30 USD, aged 0"],
            FRI: ["open T1, -30 USD, aged 1"],
            SAT: ["open T1, -30 USD, aged 1"],
            NEXT_MON: ["open T1, -30 USD, aged 2"],
        },
    ),
    # Lines wait too
    claim(
        "an unmatched line is carried and matched by a later movement, its exception resolved",
        settle("L1", "R", 500, on=FRI),
        post("T1", "R", 500, on=NEXT_MON),
        gives={
            FRI: ["open L1, 500 USD, aged 0", "unmatched_provider_row L1, 500 USD"],
            SAT: ["open L1, 500 USD, aged 0"],
            NEXT_MON: [
                "exact_reference one_to_one exact: L1 = T1, 500 USD",
                "resolved as matched_late: unmatched_provider_row L1, 500 USD",
            ],
        },
    ),
    claim(
        "a movement of a later window is not seen, though it is here already",
        settle("L1", "R", 500, on=SAT),
        post("T1", "R", 500, on=NEXT_MON, at="00:00"),
        gives={
            SAT: ["open L1, 500 USD, aged 0", "unmatched_provider_row L1, 500 USD"],
            NEXT_MON: [
                "exact_reference one_to_one exact: L1 = T1, 500 USD",
                "resolved as matched_late: unmatched_provider_row L1, 500 USD",
            ],
        },
    ),
    claim(
        "a window without a run is picked up by the next, aged from its own day",
        post("T1", "R", 500, on="2026-04-26"),
        post("T2", "Q", 600, on="2026-04-19"),
        settle("L2", "Q", 600, on=MON),
        gives={
            MON: ["exact_reference one_to_one exact: L2 = T2, 600 USD"],
            NEXT_MON: ["open T1, 500 USD, aged 1"],
        },
    ),
    claim(
        "a movement posted before but ingested late is aged from its own window",
        post("T1", "R", 500, on=WED, arrives=NEXT_MON),
        gives={NEXT_MON: ["open T1, 500 USD, aged 3", "unmatched_ledger_entry T1, 500 USD"]},
    ),
    # Duplicates across windows
    claim(
        "a line that repeats an amount an earlier run paired is a duplicate",
        settle("L1", "R", 500, on=FRI),
        post("T1", "R", 500, on=FRI),
        settle("L2", "R", 500, on=SAT),
        gives={
            FRI: ["exact_reference one_to_one exact: L1 = T1, 500 USD"],
            SAT: ["duplicate_settlement_line L2, 500 USD, off by 500", "open L2, 500 USD, aged 0"],
            NEXT_MON: ["open L2, 500 USD, aged 1"],
        },
    ),
    claim(
        "a line of another amount after a match is no duplicate",
        settle("L1", "R", 500, on=SAT),
        post("T1", "R", 500, on=SAT),
        settle("L2", "R", 501, on=NEXT_MON),
        gives={
            SAT: ["exact_reference one_to_one exact: L1 = T1, 500 USD"],
            NEXT_MON: ["open L2, 501 USD, aged 0", "unmatched_provider_row L2, 501 USD"],
        },
    ),
    claim(
        "a posting that repeats an amount an earlier run paired is a duplicate at once",
        settle("L1", "R", 500, on=SAT),
        post("T1", "R", 500, on=SAT),
        post("T2", "R", 500, on=NEXT_MON),
        gives={
            SAT: ["exact_reference one_to_one exact: L1 = T1, 500 USD"],
            NEXT_MON: ["duplicate_ledger_posting T2, 500 USD, off by -500", "open T2, 500 USD, aged 0"],
        },
    ),
    claim(
        "a duplicate line stays a candidate for a later counterpart, which resolves it",
        settle("L1", "R", 500, on=FRI, at="10:00"),
        settle("L2", "R", 500, on=FRI, at="10:01"),
        post("T1", "R", 500, on=FRI),
        post("T2", "R", 500, on=SAT),
        gives={
            FRI: [
                "duplicate_settlement_line L2, 500 USD, off by 500",
                "exact_reference one_to_one exact: L1 = T1, 500 USD",
                "open L2, 500 USD, aged 0",
            ],
            SAT: [
                "exact_reference one_to_one exact: L2 = T2, 500 USD",
                "resolved as matched_late: duplicate_settlement_line L2, 500 USD, off by 500",
            ],
        },
    ),
    claim(
        "a duplicate posting stays a candidate for a later line, which resolves it",
        settle("L1", "R", 500, on=FRI),
        post("T1", "R", 500, on=FRI, at="09:00"),
        post("T2", "R", 500, on=FRI, at="09:01"),
        settle("L2", "R", 500, on=SAT),
        gives={
            FRI: [
                "duplicate_ledger_posting T2, 500 USD, off by -500",
                "exact_reference one_to_one exact: L1 = T1, 500 USD",
                "open T2, 500 USD, aged 0",
            ],
            SAT: [
                "exact_reference one_to_one exact: L2 = T2, 500 USD",
                "resolved as matched_late: duplicate_ledger_posting T2, 500 USD, off by -500",
            ],
        },
    ),
    claim(
        "a line of the wrong currency matches the movement of its own currency, which resolves the break",
        settle("L1", "R", 500, "EUR", on=SAT),
        post("T1", "R", 500, "USD", on=SAT),
        post("T2", "R", 500, "EUR", on=NEXT_MON),
        gives={
            SAT: ["currency_mismatch L1, 500 EUR", "open L1, 500 EUR, aged 0", "open T1, 500 USD, aged 0"],
            NEXT_MON: [
                "exact_reference one_to_one exact: L1 = T2, 500 EUR",
                "open T1, 500 USD, aged 1",
                "resolved as matched_late: currency_mismatch L1, 500 EUR",
            ],
        },
    ),
    claim(
        "an ambiguity is resolved when a later part makes the sums equal",
        settle("L1", "R", 300, on=SAT),
        settle("L2", "R", 200, on=SAT),
        post("T1", "R", 400, on=SAT),
        post("T3", "R", 10, on=SAT),
        post("T2", "R", 90, on=NEXT_MON),
        gives={
            SAT: [
                "ambiguous_match L1, 300 USD",
                "ambiguous_match L2, 200 USD",
                "open L1, 300 USD, aged 0",
                "open L2, 200 USD, aged 0",
                "open T1, 400 USD, aged 0",
                "open T3, 10 USD, aged 0",
            ],
            NEXT_MON: [
                "exact_reference many_to_many exact: L1 + L2 = T1 + T2 + T3, 500 USD",
                "resolved as matched_late: ambiguous_match L1, 300 USD",
                "resolved as matched_late: ambiguous_match L2, 200 USD",
            ],
        },
    ),
    # Repeats
    claim(
        "an equal line in another file is a redelivery and no exception",
        settle("L1", "R", 500, on=FRI),
        settle("L1", "R", 500, on=FRI, file="set_2026_04_25"),
        post("T1", "R", 500, on=FRI),
        settle("L2", "Q", 600, on=FRI),
        settle("L2", "Q", 600, on=FRI, file="set_2026_04_25"),
        gives={
            FRI: [
                "exact_reference one_to_one exact: L1 = T1, 500 USD",
                "open L2, 600 USD, aged 0",
                "unmatched_provider_row L2, 600 USD",
            ],
            SAT: ["open L2, 600 USD, aged 0"],
            NEXT_MON: ["open L2, 600 USD, aged 1"],
        },
    ),
    claim(
        "an equal line or entry twice in one file counts once",
        settle("L1", "R", 500, on=NEXT_MON),
        settle("L1", "R", 500, on=NEXT_MON),
        post("T1", "R", 500, on=NEXT_MON),
        post("T1", "R", 500, on=NEXT_MON),
        gives={NEXT_MON: ["exact_reference one_to_one exact: L1 = T1, 500 USD"]},
    ),
    claim(
        "another content under a line's id in a later delivery of the same file restates it: the last counts",
        settle("L1", "R", 400, on=SAT),
        settle("L1", "R", 500, on=SAT, arrives=NEXT_MON),
        post("T1", "R", 500, on=NEXT_MON),
        gives={
            SAT: ["unmatched_provider_row L1, 400 USD", "open L1, 400 USD, aged 0"],
            NEXT_MON: [
                "exact_reference one_to_one exact: L1 = T1, 500 USD",
                "resolved as matched_late: unmatched_provider_row L1, 400 USD",
            ],
        },
    ),
    claim(
        "a line's id twice in one delivery with other content: neither row gets in",
        settle("L1", "R", 400, on=NEXT_MON),
        settle("L1", "R", 500, on=NEXT_MON),
        post("T1", "R", 500, on=NEXT_MON),
        gives={NEXT_MON: ["open T1, 500 USD, aged 0"]},
    ),
    claim(
        "another content under a line's id in another file does not get in",
        settle("L1", "R", 500, on=SAT),
        settle("L1", "R", 400, on=SAT, file="set_2026_04_27", arrives=NEXT_MON),
        settle("L2", "", -5, type="fee", on=NEXT_MON, arrives=NEXT_MON),
        post("T1", "R", 500, on=SAT),
        gives={SAT: ["exact_reference one_to_one exact: L1 = T1, 500 USD"]},
    ),
    claim(
        "another content under an entry's id in another file does not get in",
        settle("L1", "R", 500, on=SAT),
        post("T1", "R", 500, on=SAT),
        entry("T1.2", "T1", "R", "settlement_account", "credit", 400, on=SAT, arrives=NEXT_MON),
        post("T2", "Q", 60, on=NEXT_MON, arrives=NEXT_MON),
        gives={
            SAT: ["exact_reference one_to_one exact: L1 = T1, 500 USD"],
            NEXT_MON: ["open T2, 60 USD, aged 0"],
        },
    ),
    # A later part joins
    claim(
        "a later line joins a match with a difference, and the difference is resolved",
        settle("L1", "R", 800, on=FRI),
        post("T1", "R", 1000, on=FRI),
        settle("L2", "R", 200, on=SAT),
        gives={
            FRI: [
                "amount_mismatch L1, 800 USD, off by -200",
                "exact_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
            ],
            SAT: [
                "exact_reference many_to_one exact: L1 + L2 = T1, 1000 USD",
                "resolved as matched_late: amount_mismatch L1, 800 USD, off by -200",
                "reversed exact_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
            ],
        },
    ),
    claim(
        "a later movement joins a match with a difference",
        settle("L1", "R", 1000, on=FRI),
        post("T1", "R", 800, on=FRI),
        post("T2", "R", 200, on=SAT),
        gives={
            FRI: [
                "amount_mismatch L1, 1000 USD, off by 200",
                "exact_reference one_to_one exact: L1 = T1, 1000 against 800 USD, off by 200",
            ],
            SAT: [
                "exact_reference one_to_many exact: L1 = T1 + T2, 1000 USD",
                "resolved as matched_late: amount_mismatch L1, 1000 USD, off by 200",
                "reversed exact_reference one_to_one exact: L1 = T1, 1000 against 800 USD, off by 200",
            ],
        },
    ),
    claim(
        "a later line joins by the movement it names, and a later movement by its intent",
        settle("L1", "", 800, on=SAT, merchant="T1"),
        post("T1", "", 1000, on=SAT),
        settle("L2", "", 200, on=NEXT_MON, merchant="T1"),
        settle("L3", "", 900, on=SAT, merchant="I"),
        post("T3", "", 600, on=SAT, intent="I"),
        post("T4", "", 300, on=NEXT_MON, intent="I"),
        gives={
            SAT: [
                "amount_mismatch L1, 800 USD, off by -200",
                "internal_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
                "amount_mismatch L3, 900 USD, off by 300",
                "internal_reference one_to_one exact: L3 = T3, 900 against 600 USD, off by 300",
            ],
            NEXT_MON: [
                "internal_reference many_to_one exact: L1 + L2 = T1, 1000 USD",
                "resolved as matched_late: amount_mismatch L1, 800 USD, off by -200",
                "reversed internal_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
                "internal_reference one_to_many exact: L3 = T3 + T4, 900 USD",
                "resolved as matched_late: amount_mismatch L3, 900 USD, off by 300",
                "reversed internal_reference one_to_one exact: L3 = T3, 900 against 600 USD, off by 300",
            ],
        },
    ),
    claim(
        "a later part that leaves a difference reverses the match, and its mismatch shows what is left",
        settle("L1", "R", 800, on=SAT),
        post("T1", "R", 1000, on=SAT),
        settle("L2", "R", 100, on=NEXT_MON),
        gives={
            SAT: [
                "amount_mismatch L1, 800 USD, off by -200",
                "exact_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
            ],
            NEXT_MON: [
                "amount_mismatch L1, 900 USD, off by -100",
                "exact_reference many_to_one exact: L1 + L2 = T1, 900 against 1000 USD, off by -100",
                "reversed exact_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
            ],
        },
    ),
    claim(
        "what waited when a match with a difference was made is no later part: the match holds",
        settle("L1", "R", 500, on=FRI, at="10:00"),
        settle("L2", "R", 500, on=FRI, at="10:01"),
        settle("L3", "R", 300, on=FRI, at="10:02"),
        post("T1", "R", 500, on=FRI),
        post("T2", "R", 310, on=FRI),
        gives={
            FRI: [
                "amount_mismatch L3, 300 USD, off by -10",
                "duplicate_settlement_line L2, 500 USD, off by 500",
                "exact_reference one_to_one exact: L1 = T1, 500 USD",
                "exact_reference one_to_one exact: L3 = T2, 300 against 310 USD, off by -10",
                "open L2, 500 USD, aged 0",
            ],
            SAT: ["open L2, 500 USD, aged 0"],
            NEXT_MON: ["open L2, 500 USD, aged 1"],
        },
    ),
    claim(
        "a break that comes back is a new row",
        post("T1", "R", 1000, on=MON),
        settle("L1", "R", 800, on=FRI),
        post("T2", "R", 800, on=SAT),
        gives={
            MON: ["open T1, 1000 USD, aged 0"],
            TUE: ["open T1, 1000 USD, aged 1"],
            WED: ["open T1, 1000 USD, aged 2"],
            THU: ["open T1, 1000 USD, aged 3", "unmatched_ledger_entry T1, 1000 USD"],
            FRI: [
                "amount_mismatch L1, 800 USD, off by -200",
                "exact_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
                "resolved as matched_late: unmatched_ledger_entry T1, 1000 USD",
            ],
            SAT: [
                "exact_reference one_to_one exact: L1 = T2, 800 USD",
                "open T1, 1000 USD, aged 4",
                "resolved as superseded: amount_mismatch L1, 800 USD, off by -200",
                "reversed exact_reference one_to_one exact: L1 = T1, 800 against 1000 USD, off by -200",
                "unmatched_ledger_entry T1, 1000 USD",
            ],
            NEXT_MON: ["open T1, 1000 USD, aged 5"],
        },
    ),
    # Other passes, other days
    claim(
        "a first success after the cut-off is late even where no callback is expected",
        settle("L1", "R", 500, on=SAT),
        post("T1", "R", 500, on=SAT),
        call("E1", "R", 500, on=NEXT_MON),
        gives={
            SAT: ["exact_reference one_to_one exact: L1 = T1, 500 USD"],
            NEXT_MON: ["callback E1 of L1 = T1", "late_callback E1, 500 USD"],
        },
    ),
    claim(
        "a callback of a later day bridges a line and a movement that waited",
        settle("L1", "P", 500, on=SAT),
        post("T1", "", 500, on=SAT),
        call("E1", "P", 500, merchant="T1", on=NEXT_MON),
        gives={
            SAT: ["open L1, 500 USD, aged 0", "open T1, 500 USD, aged 0", "unmatched_provider_row L1, 500 USD"],
            NEXT_MON: [
                "callback E1 of L1 = T1",
                "callback_bridge one_to_one exact: L1 = T1, 500 USD",
                "resolved as matched_late: unmatched_provider_row L1, 500 USD",
            ],
        },
    ),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "windows", CLAIMS, WINDOWS, {"expects_callbacks": False})


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim(said: list[Said], number: int, each: Claim) -> None:
    assert said[number] == expected(each)
