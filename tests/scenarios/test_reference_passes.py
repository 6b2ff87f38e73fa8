"""Claims about what matches in one window: reference passes, groups, duplicates, differences (contract §5, §10)."""

import pytest

from tests.scenarios.claims import Claim, Said, claim, expected, outcomes
from tests.scenarios.rows import call, entry, post, settle

LONG = "r" * 4000

CLAIMS = [
    # exact_reference: shapes of a group
    claim(
        "one line and one movement of the same reference match one to one",
        settle("L1", "R", 125_000),
        post("T1", "R", 125_000, type="transfer"),
        gives=["exact_reference one_to_one exact: L1 = T1, 125000 USD"],
    ),
    claim(
        "one line matches several movements that add up to it",
        settle("L1", "R", 900),
        post("T1", "R", 600),
        post("T2", "R", 300),
        gives=["exact_reference one_to_many exact: L1 = T1 + T2, 900 USD"],
    ),
    claim(
        "several lines match one movement they add up to",
        settle("L1", "R", 100),
        settle("L2", "R", 250),
        settle("L3", "R", 50),
        post("T1", "R", 400),
        gives=["exact_reference many_to_one exact: L1 + L2 + L3 = T1, 400 USD"],
    ),
    claim(
        "several lines match several movements of the same sum as one group, equal amounts or not",
        settle("L1", "R", 700),
        settle("L2", "R", 300),
        post("T1", "R", 300),
        post("T2", "R", 600),
        post("T3", "R", 100),
        gives=["exact_reference many_to_many exact: L1 + L2 = T1 + T2 + T3, 1000 USD"],
    ),
    claim(
        "two equal lines and two equal movements are one group and no duplicates",
        settle("L1", "R", 500),
        settle("L2", "R", 500),
        post("T1", "R", 500),
        post("T2", "R", 500),
        gives=["exact_reference many_to_many exact: L1 + L2 = T1 + T2, 1000 USD"],
    ),
    claim(
        "a zero line matches a zero movement by reference",
        settle("L1", "R", 0),
        entry("E1", "T1", "R", "settlement_account", "credit", 40),
        entry("E2", "T1", "R", "settlement_account", "debit", 40),
        gives=["exact_reference one_to_one exact: L1 = T1, 0 USD"],
    ),
    # Duplicates, differences, ambiguity
    claim(
        "identical amounts pair off and the later twin line is the duplicate, whatever its id",
        settle("L1", "R", 500, at="10:30"),
        settle("L2", "R", 500, at="10:00"),
        post("T1", "R", 500),
        gives=[
            "exact_reference one_to_one exact: L2 = T1, 500 USD",
            "duplicate_settlement_line L1, 500 USD, off by 500",
            "open L1, 500 USD, aged 0",
        ],
    ),
    claim(
        "twin lines of the same second are distinguished by id",
        settle("L1", "R", 500),
        settle("L2", "R", 500),
        post("T1", "R", 500),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "duplicate_settlement_line L2, 500 USD, off by 500",
            "open L2, 500 USD, aged 0",
        ],
    ),
    claim(
        "the later twin movement is the duplicate, at once and whatever its id",
        settle("L1", "R", 500),
        post("T1", "R", 500, at="09:30"),
        post("T2", "R", 500, at="09:00"),
        gives=[
            "exact_reference one_to_one exact: L1 = T2, 500 USD",
            "duplicate_ledger_posting T1, 500 USD, off by -500",
            "open T1, 500 USD, aged 0",
        ],
    ),
    claim(
        "one line and one movement left over match with their difference shown",
        settle("L1", "R", 990),
        post("T1", "R", 1000),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 990 against 1000 USD, off by -10",
            "amount_mismatch L1, 990 USD, off by -10",
        ],
    ),
    claim(
        "equal amounts pair off, a repeat is left out, and the last pair matches with its difference",
        settle("L1", "R", 500, at="10:00"),
        settle("L2", "R", 500, at="10:01"),
        settle("L3", "R", 300, at="10:02"),
        post("T1", "R", 500),
        post("T2", "R", 310),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "duplicate_settlement_line L2, 500 USD, off by 500",
            "exact_reference one_to_one exact: L3 = T2, 300 against 310 USD, off by -10",
            "amount_mismatch L3, 300 USD, off by -10",
            "open L2, 500 USD, aged 0",
        ],
    ),
    claim(
        "a repeat is left out even when a movement of another amount is left over",
        settle("L1", "R", 500, at="10:00"),
        settle("L2", "R", 500, at="10:01"),
        post("T1", "R", 500),
        post("T2", "R", 400),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "duplicate_settlement_line L2, 500 USD, off by 500",
            "open L2, 500 USD, aged 0",
            "open T2, 400 USD, aged 0",
        ],
    ),
    claim(
        "two lines left over against one movement match as one group, with their difference",
        settle("L1", "R", 300),
        settle("L2", "R", 200),
        post("T1", "R", 310),
        gives=[
            "exact_reference many_to_one exact: L1 + L2 = T1, 500 against 310 USD, off by 190",
            "amount_mismatch L1, 500 USD, off by 190",
        ],
    ),
    claim(
        "two lines left over against two movements are ambiguous, each of them",
        settle("L1", "R", 300),
        settle("L2", "R", 200),
        post("T1", "R", 310),
        post("T2", "R", 120),
        gives=[
            "ambiguous_match L1, 300 USD",
            "ambiguous_match L2, 200 USD",
            "open L1, 300 USD, aged 0",
            "open L2, 200 USD, aged 0",
            "open T1, 310 USD, aged 0",
            "open T2, 120 USD, aged 0",
        ],
    ),
    claim(
        "one line left over against two movements matches both, with their difference",
        settle("L1", "R", 300),
        post("T1", "R", 310),
        post("T2", "R", 320),
        gives=[
            "exact_reference one_to_many exact: L1 = T1 + T2, 300 against 630 USD, off by -330",
            "amount_mismatch L1, 300 USD, off by -330",
        ],
    ),
    claim(
        "two equal lines without a movement are two unmatched rows: nothing was paired, so nothing repeats it",
        settle("L1", "R", 500),
        settle("L2", "R", 500),
        gives=[
            "unmatched_provider_row L1, 500 USD",
            "unmatched_provider_row L2, 500 USD",
            "open L1, 500 USD, aged 0",
            "open L2, 500 USD, aged 0",
        ],
    ),
    claim(
        "a line left over alone is unmatched when its amount repeats nothing",
        settle("L1", "R", 500),
        settle("L2", "R", 300),
        post("T1", "R", 500),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "unmatched_provider_row L2, 300 USD",
            "open L2, 300 USD, aged 0",
        ],
    ),
    # Text
    claim(
        "references are compared code point by code point: case, spaces and composed accents differ",
        settle("L1", "caf\u00e9", 501),
        post("T1", "cafe\u0301", 501),
        settle("L2", "pay", 502),
        post("T2", "PAY", 502),
        settle("L3", "pay 3", 503),
        post("T3", "pay  3", 503),
        gives=[
            "unmatched_provider_row L1, 501 USD",
            "unmatched_provider_row L2, 502 USD",
            "unmatched_provider_row L3, 503 USD",
            "open L1, 501 USD, aged 0",
            "open L2, 502 USD, aged 0",
            "open L3, 503 USD, aged 0",
            "open T1, 501 USD, aged 0",
            "open T2, 502 USD, aged 0",
            "open T3, 503 USD, aged 0",
        ],
    ),
    claim(
        "a reference of four thousand characters matches in full and not by its beginning",
        settle("L1", LONG + "a", 500),
        post("T1", LONG + "a", 500),
        settle("L2", LONG + "b", 600),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "unmatched_provider_row L2, 600 USD",
            "open L2, 600 USD, aged 0",
        ],
    ),
    claim(
        "blank references never meet",
        settle("L1", "", 500),
        post("T1", "", 500),
        gives=["unmatched_provider_row L1, 500 USD", "open L1, 500 USD, aged 0", "open T1, 500 USD, aged 0"],
    ),
    # Classes and currencies
    claim(
        "transfer, payment and card movements settle payment lines",
        settle("L1", "R1", 100),
        post("T1", "R1", 100, type="transfer"),
        settle("L2", "R2", 200),
        post("T2", "R2", 200, type="payment"),
        settle("L3", "R3", 300),
        post("T3", "R3", 300, type="card"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 100 USD",
            "exact_reference one_to_one exact: L2 = T2, 200 USD",
            "exact_reference one_to_one exact: L3 = T3, 300 USD",
        ],
    ),
    claim(
        "a refund of a payment's reference matches the refund movement and never the payment",
        settle("L1", "R", 1000),
        settle("L2", "R", -400, type="refund"),
        post("T1", "R", 1000),
        post("T2", "R", -400, type="refund"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 1000 USD",
            "exact_reference one_to_one exact: L2 = T2, -400 USD",
        ],
    ),
    claim(
        "a refund line does not match a payment movement of the same reference and amount",
        settle("L1", "R", -400, type="refund"),
        post("T1", "R", -400),
        gives=["unmatched_provider_row L1, -400 USD", "open L1, -400 USD, aged 0", "open T1, -400 USD, aged 0"],
    ),
    claim(
        "a chargeback movement is a chargeback as a debit and a reversal as a credit",
        settle("L1", "R", -700, type="chargeback"),
        settle("L2", "R", 700, type="chargeback_reversal"),
        post("T1", "R", -700, type="chargeback"),
        post("T2", "R", 700, type="chargeback"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, -700 USD",
            "exact_reference one_to_one exact: L2 = T2, 700 USD",
        ],
    ),
    claim(
        "fee, payout and adjustment movements have no class: they match no line by reference",
        settle("L1", "R1", 30),
        post("T1", "R1", 30, type="fee"),
        post("T2", "R2", 40, type="payout"),
        post("T3", "R3", 50, type="adjustment"),
        gives=[
            "unmatched_provider_row L1, 30 USD",
            "open L1, 30 USD, aged 0",
            "open T1, 30 USD, aged 0",
            "open T2, 40 USD, aged 0",
            "open T3, 50 USD, aged 0",
        ],
    ),
    claim(
        "fee, adjustment, reserve and payout lines need no movement",
        settle("L1", "R", -30, type="fee"),
        settle("L2", "R", -40, type="adjustment"),
        settle("L3", "R", -50, type="reserve"),
        settle("L4", "R", -60, type="payout"),
        gives=[],
    ),
    claim(
        "currencies of one reference and one transaction are separate groups",
        settle("L1", "R", 500, "EUR"),
        settle("L2", "R", 700, "JPY"),
        entry("E1", "T1", "R", "settlement_account", "credit", 500, "EUR"),
        entry("E2", "T1", "R", "reserved", "debit", 500, "EUR"),
        entry("E3", "T1", "R", "settlement_account", "credit", 700, "JPY"),
        entry("E4", "T1", "R", "reserved", "debit", 700, "JPY"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 EUR",
            "exact_reference one_to_one exact: L2 = T1, 700 JPY",
        ],
    ),
    claim(
        "the same reference in another currency is a currency mismatch, and the movement stays open",
        settle("L1", "R", 500, "EUR"),
        post("T1", "R", 500, "USD"),
        gives=["currency_mismatch L1, 500 EUR", "open L1, 500 EUR, aged 0", "open T1, 500 USD, aged 0"],
    ),
    claim(
        "a currency mismatch comes before ambiguity as the reason",
        settle("L1", "R", 300, "EUR"),
        settle("L2", "R", 200, "EUR"),
        post("T1", "R", 310, "EUR"),
        post("T3", "R", 120, "EUR"),
        post("T2", "R", 310, "USD"),
        gives=[
            "currency_mismatch L1, 300 EUR",
            "currency_mismatch L2, 200 EUR",
            "open L1, 300 EUR, aged 0",
            "open L2, 200 EUR, aged 0",
            "open T1, 310 EUR, aged 0",
            "open T2, 310 USD, aged 0",
            "open T3, 120 EUR, aged 0",
        ],
    ),
    claim(
        "a duplicate comes before a currency mismatch as the reason",
        settle("L1", "R", 500, at="10:00"),
        settle("L2", "R", 500, at="10:01"),
        post("T1", "R", 500),
        post("T2", "R", 500, "EUR"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "duplicate_settlement_line L2, 500 USD, off by 500",
            "open L2, 500 USD, aged 0",
            "open T2, 500 EUR, aged 0",
        ],
    ),
    # Movements
    claim(
        "a movement is the net of a transaction's entries on the clearing account",
        settle("L1", "R", 940),
        entry("E1", "T1", "R", "settlement_account", "credit", 1000),
        entry("E2", "T1", "R", "settlement_account", "debit", 60),
        entry("E3", "T1", "R", "reserved", "debit", 1000),
        entry("E4", "T1", "R", "fees", "credit", 60),
        gives=["exact_reference one_to_one exact: L1 = T1, 940 USD"],
    ),
    claim(
        "a movement has the reference, type and intent of its first clearing entry by id",
        settle("L1", "R1", 500),
        settle("L2", "R2", 500),
        entry("E1", "T1", "R0", "reserved", "debit", 500),
        entry("E2", "T1", "R1", "settlement_account", "credit", 300, at="09:30"),
        entry("E3", "T1", "R2", "settlement_account", "credit", 200, at="09:00"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "unmatched_provider_row L2, 500 USD",
            "open L2, 500 USD, aged 0",
        ],
    ),
    claim(
        "a transaction without a clearing entry is no movement",
        settle("L1", "R", 500),
        entry("E1", "T1", "R", "customer", "debit", 500),
        entry("E2", "T1", "R", "reserved", "credit", 500),
        gives=["unmatched_provider_row L1, 500 USD", "open L1, 500 USD, aged 0"],
    ),
    claim(
        "an unbalanced transaction matches by its clearing net, and its exception comes on top",
        settle("L1", "R", 500),
        entry("E1", "T1", "R", "settlement_account", "credit", 500),
        entry("E2", "T1", "R", "reserved", "debit", 450),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "unbalanced_transaction T1, 450 USD, off by 50",
        ],
    ),
    claim(
        "a transaction is balanced currency by currency",
        entry("E1", "T1", "R", "reserved", "debit", 500, "USD"),
        entry("E2", "T1", "R", "customer", "credit", 500, "EUR"),
        gives=["unbalanced_transaction T1, 0 EUR, off by 500", "unbalanced_transaction T1, 500 USD, off by -500"],
    ),
    claim(
        "a movement of another provider is not seen",
        settle("L1", "R", 500),
        post("T1", "R", 500, provider="rail_secondary"),
        gives=["unmatched_provider_row L1, 500 USD", "open L1, 500 USD, aged 0"],
    ),
    # Control totals
    claim(
        "a line whose gross less fee is not its net is reported, and matches all the same",
        settle("L1", "R", 1000, fee=30, net=960),
        post("T1", "R", 1000),
        settle("L2", "", -30, type="fee", net=-31),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 1000 USD",
            "control_total_mismatch L1, 960 USD, off by 10",
            "control_total_mismatch L2, -31 USD, off by 1",
        ],
    ),
    claim(
        "gross less fee is net: no control total is off",
        settle("L1", "R", 1000, fee=30),
        settle("L2", "R", -400, fee=-12, type="refund"),
        post("T1", "R", 1000),
        post("T2", "R", -400, type="refund"),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 1000 USD",
            "exact_reference one_to_one exact: L2 = T2, -400 USD",
        ],
    ),
    # internal_reference
    claim(
        "a line names a movement by its transaction",
        settle("L1", "", 500, merchant="T1"),
        post("T1", "", 500),
        gives=["internal_reference one_to_one exact: L1 = T1, 500 USD"],
    ),
    claim(
        "a line names all movements of an intent",
        settle("L1", "P", 900, merchant="I"),
        post("T1", "", 600, intent="I"),
        post("T2", "Q", 300, intent="I"),
        gives=["internal_reference one_to_many exact: L1 = T1 + T2, 900 USD"],
    ),
    claim(
        "lines that name the same movements by transaction and by intent are one group",
        settle("L1", "", 200, merchant="T1"),
        settle("L2", "", 300, merchant="I"),
        post("T1", "", 500, intent="I"),
        gives=["internal_reference many_to_one exact: L1 + L2 = T1, 500 USD"],
    ),
    claim(
        "an exact reference comes first: what it consumes an internal reference no longer finds",
        settle("L1", "R", 500),
        settle("L2", "P", 500, merchant="T1"),
        post("T1", "R", 500),
        gives=[
            "exact_reference one_to_one exact: L1 = T1, 500 USD",
            "unmatched_provider_row L2, 500 USD",
            "open L2, 500 USD, aged 0",
        ],
    ),
    claim(
        "what one pass leaves ambiguous a later pass may settle, and then it is not reported",
        settle("L1", "R", 300, merchant="T1"),
        settle("L2", "R", 210, merchant="T2"),
        post("T1", "R", 300 + 5),
        post("T2", "R", 210 + 7),
        gives=[
            "internal_reference one_to_one exact: L1 = T1, 300 against 305 USD, off by -5",
            "internal_reference one_to_one exact: L2 = T2, 210 against 217 USD, off by -7",
            "amount_mismatch L1, 300 USD, off by -5",
            "amount_mismatch L2, 210 USD, off by -7",
        ],
    ),
    # callback_bridge
    claim(
        "a callback bridges a line's reference and a movement's transaction",
        settle("L1", "P", 500),
        post("T1", "", 500),
        call("E1", "P", 500, merchant="T1"),
        gives=["callback_bridge one_to_one exact: L1 = T1, 500 USD", "callback E1 of L1 = T1"],
    ),
    claim(
        "a callback bridges to all movements of an intent",
        settle("L1", "P", 500),
        post("T1", "Q", 300, intent="I"),
        post("T2", "", 200, intent="I"),
        call("E1", "P", 500, merchant="I"),
        gives=["callback_bridge one_to_many exact: L1 = T1 + T2, 500 USD", "callback E1 of L1 = T1 + T2"],
    ),
    claim(
        "a callback not received by as_of bridges nothing",
        settle("L1", "P", 500),
        post("T1", "", 500),
        call("E1", "P", 500, merchant="T1", received="2026-04-21T01:00:01Z"),
        gives=["unmatched_provider_row L1, 500 USD", "open L1, 500 USD, aged 0", "open T1, 500 USD, aged 0"],
    ),
    claim(
        "a callback with two payloads is not believed and bridges nothing",
        settle("L1", "P", 500),
        post("T1", "", 500),
        call("E1", "P", 500, merchant="T1"),
        call("E1", "P", 501, merchant="T1"),
        gives=[
            "conflicting_callback E1, 500 USD",
            "unmatched_provider_row L1, 500 USD",
            "open L1, 500 USD, aged 0",
            "open T1, 500 USD, aged 0",
        ],
    ),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return outcomes(tmp_path_factory, "passes", CLAIMS, profile={"expects_callbacks": False})


@pytest.mark.parametrize(("number", "each"), list(enumerate(CLAIMS)), ids=[each.says for each in CLAIMS])
def test_claim(said: list[Said], number: int, each: Claim) -> None:
    assert said[number] == expected(each)
