"""Writes a bank's world as files: what provider, ledger and bank send, the plan of the days, the answer key."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from zentra_pipeline.errors import UsageError
from zentra_pipeline.simulation.bank.cases import CASES
from zentra_pipeline.simulation.bank.story import BankLine, Payout
from zentra_pipeline.simulation.bank.world import ACCOUNT, BankStatement, BankWorld

PROVIDER: Final = "rail_sim"
BANK: Final = "house_bank"
KEY_TABLES: Final = ("matches", "exceptions", "payouts", "balances")
_SETTLEMENT: Final = (
    *("line_id", "line_type", "provider_reference", "merchant_reference", "original_reference"),
    *("gross_minor", "fee_minor", "net_minor", "currency", "settled_at", "batch_id", "trace_id", "statement_text"),
)
_LEDGER: Final = (
    *("entry_id", "transaction_id", "movement_type", "account", "direction", "amount_minor", "currency"),
    *("posted_at", "provider", "provider_reference", "intent_id"),
)
_MATCH: Final = ("rule", "status", "lines", "payouts", "fee_minor", "case")
_EXCEPTION: Final = ("exception_type", "subject", "is_open", "case")
_PAYOUT: Final = ("line_id", "status", "case")
_BALANCE: Final = ("currency", "gap_minor", "lines_minor", "closing_minor", "case")


def write_bank_world(world: BankWorld, folder: Path) -> dict[str, int]:
    """Write the world into a new or empty folder; how many rows each table of the answer key has."""
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "profile.yml", _profile(world))
    _write_json(folder / "bank.yml", {"format": "camt053", "accounts": [ACCOUNT]})
    steps = [_write_step(world, folder, place, day) for place, day in enumerate(world.steps)]
    _write_json(
        folder / "plan.json", {"kind": "bank", "provider": PROVIDER, "bank": BANK, "account": ACCOUNT, "steps": steps}
    )
    key = answer_key(world)
    for name, columns in zip(KEY_TABLES, (_MATCH, _EXCEPTION, _PAYOUT, _BALANCE), strict=True):
        _write_csv(folder / "answer_key" / f"{name}.csv", columns, key[name])
    (folder / "README.md").write_text(_readme(world, key), encoding="utf-8")
    return {name: len(rows) for name, rows in key.items()}


def answer_key(world: BankWorld) -> dict[str, list[dict[str, Any]]]:
    """What is right when the last day has run, by table; ids in a cell are joined by blanks."""
    matches = [
        {
            "rule": match.rule,
            "status": match.status,
            "lines": " ".join(match.lines),
            "payouts": " ".join(match.payouts),
            "fee_minor": match.fee_minor,
            "case": story.case,
        }
        for story in world.stories
        for match in story.matches
    ]
    exceptions = [
        {"exception_type": each.exception_type, "subject": each.subject, "is_open": each.is_open, "case": case}
        for case, found in [
            *((story.case, story.exceptions) for story in world.stories),
            ("statements", world.exceptions),
        ]
        for each in found
    ]
    payouts = [
        {"line_id": line_id, "status": status, "case": story.case}
        for story in world.stories
        for line_id, status in story.states.items()
    ]
    known = [each for each in world.statements if each.arrives is not None and each.repeats is None]
    lost = [each for each in world.statements if each.arrives is None]
    balances = [
        {
            "currency": "USD",
            "gap_minor": sum(line.amount for each in lost for line in each.lines),
            "lines_minor": sum(line.amount for each in known for line in each.lines),
            "closing_minor": known[-1].closing_minor,
            "case": "statements",
        }
    ]
    return {"matches": matches, "exceptions": exceptions, "payouts": payouts, "balances": balances}


def _profile(world: BankWorld) -> dict[str, Any]:
    return {
        "expects_callbacks": False,
        "payout_account": ACCOUNT,
        "bank_lag_days": world.terms.lag_days,
        "bank_fee_tolerance_minor": world.terms.fee_tolerance_minor,
        "bank_reference_pattern": "BATCH ([A-Z0-9-]+)",
    }


def _write_step(world: BankWorld, folder: Path, place: int, day: date) -> dict[str, Any]:
    """What comes with a day: the provider's file, the ledger's, and the bank's; what the plan says of it."""
    inputs = folder / "inputs" / day.isoformat()
    inputs.mkdir(parents=True)
    payouts = [payout for story in world.stories for payout in story.payouts if payout.day == place]
    _write_csv(inputs / f"set_{day:%Y_%m_%d}.csv", _SETTLEMENT, _settlement(payouts, day))
    _write_csv(inputs / f"ledger_{day:%Y_%m_%d}.csv", _LEDGER, _ledger(payouts, day))
    files = []
    for statement in world.statements:
        if statement.arrives == place:
            name = f"statement_{statement.statement_id}.xml"
            (inputs / name).write_text(camt(statement), encoding="utf-8")
            files.append(name)
    announced = [line for story in world.stories for line in story.lines if line.announced == place]
    if announced:
        name = f"report_{day.isoformat()}.xml"
        (inputs / name).write_text(camt_report(announced, day), encoding="utf-8")
        files.append(name)
    return {
        "ledger_window": day.isoformat(),
        "settlement": f"set_{day:%Y_%m_%d}.csv" if payouts else None,
        "ledger": f"ledger_{day:%Y_%m_%d}.csv" if payouts else None,
        "statements": files,
    }


def _settlement(payouts: Iterable[Payout], day: date) -> Iterable[dict[str, Any]]:
    for payout in payouts:
        common = {
            "currency": payout.currency,
            "settled_at": f"{day}T10:00:00Z",
            "batch_id": payout.batch,
            "fee_minor": 0,
        }
        yield {
            **common,
            "line_id": f"L{payout.line_id}",
            "line_type": "payment",
            "provider_reference": f"pay_{payout.line_id}",
            "gross_minor": payout.amount,
            "net_minor": payout.amount,
        }
        yield {
            **common,
            "line_id": payout.line_id,
            "line_type": "payout",
            "original_reference": payout.retries,
            "gross_minor": -payout.amount,
            "net_minor": -payout.amount,
            "trace_id": payout.trace_id,
            "statement_text": payout.statement_text,
        }


def _ledger(payouts: Iterable[Payout], day: date) -> Iterable[dict[str, Any]]:
    for payout in payouts:
        for number, (account, direction) in enumerate(
            (("settlement_account", "credit"), ("customer", "debit")), start=1
        ):
            yield {
                "entry_id": str(number),
                "transaction_id": f"txn_{payout.line_id}",
                "movement_type": "payment",
                "account": account,
                "direction": direction,
                "amount_minor": payout.amount,
                "currency": payout.currency,
                "posted_at": f"{day}T10:00:00Z",
                "provider": PROVIDER,
                "provider_reference": f"pay_{payout.line_id}",
            }


def camt(statement: BankStatement) -> str:
    """A camt.053 of one statement."""
    day = statement.on.isoformat()
    balances = _balance("OPBD", statement.opening_minor, day) + _balance("CLBD", statement.closing_minor, day)
    entries = "".join(_entry(line, day) for line in statement.lines)
    return _document("BkToCstmrStmt", "Stmt", statement.statement_id, day, balances + entries)


def camt_report(lines: Sequence[BankLine], day: date) -> str:
    """A camt.052 that announces lines which are not booked yet."""
    entries = "".join(_entry(line, day.isoformat(), status="PDNG") for line in lines)
    return _document("BkToCstmrAcctRpt", "Rpt", f"R-{day}", day.isoformat(), entries)


def _document(root: str, part: str, name: str, day: str, content: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document><{root}><GrpHdr><MsgId>M-{name}</MsgId></GrpHdr>'
        f"<{part}><Id>{name}</Id><CreDtTm>{day}T22:00:00Z</CreDtTm>"
        f"<FrToDt><FrDtTm>{day}T00:00:00Z</FrDtTm><ToDtTm>{day}T23:59:59Z</ToDtTm></FrToDt>"
        f"<Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id><Ccy>USD</Ccy></Acct>{content}</{part}></{root}></Document>\n"
    )


def _balance(code: str, minor: int, day: str) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(minor)}<CdtDbtInd>{_side(minor)}</CdtDbtInd>"
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _entry(line: BankLine, day: str, status: str = "BOOK") -> str:
    reversal = "<RvslInd>true</RvslInd>" if line.is_reversal else ""
    charges = f"<Chrgs><Rcrd>{_amount(line.charges)}</Rcrd></Chrgs>" if line.charges else ""
    trace = escape(line.trace or "NOTPROVIDED")
    instructed = ""
    if line.instructed is not None:
        instructed = f"<AmtDtls><InstdAmt>{_amount(*line.instructed)}</InstdAmt></AmtDtls>"
    parts = "".join(
        f"<TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>{_amount(amount)}"
        f"<RmtInf><Ustrd>{escape(text)}</Ustrd></RmtInf></TxDtls>"
        for text, amount in line.details
    ) or (
        f"<TxDtls><Refs><EndToEndId>{trace}</EndToEndId></Refs>{_amount(line.amount)}{instructed}"
        f"<RmtInf><Ustrd>{escape(line.text)}</Ustrd></RmtInf></TxDtls>"
    )
    note = f"<AddtlNtryInf>{escape(line.text)}</AddtlNtryInf>" if line.details else ""
    return (
        f"<Ntry>{_amount(line.amount)}<CdtDbtInd>{_side(line.amount)}</CdtDbtInd>{reversal}<Sts><Cd>{status}</Cd></Sts>"
        f"<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt><AcctSvcrRef>{line.reference}</AcctSvcrRef>"
        f"{charges}<NtryDtls>{parts}</NtryDtls>{note}</Ntry>"
    )


def _amount(minor: int, currency: str = "USD") -> str:
    return f'<Amt Ccy="{currency}">{abs(minor) // 100}.{abs(minor) % 100:02d}</Amt>'


def _side(minor: int) -> str:
    return "CRDT" if minor >= 0 else "DBIT"


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _readme(world: BankWorld, key: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    told = {name: sum(story.case == name for story in world.stories) for name in CASES}
    cases = "\n".join(
        f"| `{name}` | {count:,} | {(CASES[name][1].__doc__ or '').strip()} |" for name, count in told.items() if count
    )
    counts = ", ".join(f"`{name}.csv` {len(rows):,}" for name, rows in key.items())
    return f"""\
# A labelled world of a bank account

{len(world.stories):,} stories with {world.payouts:,} payouts of one provider over {len(world.steps):,} days,
made from seed {world.seed}. Each is made by a case that knows what the provider pays out and what
the bank books, and so what is right when the last day has run.
No part of the engine took part in the answer key. One statement before the first day is lost, one
comes a day late and one twice.

    zentra score DIR            run this world in a fresh home and compare with the key

| file | holds |
|---|---|
| `plan.json` | the days in order: what comes with each |
| `profile.yml`, `bank.yml` | the profiles of provider and bank |
| `inputs/<day>/` | settlement and ledger as CSV, statements and reports as camt.053 and camt.052 |
| `answer_key/` | what is right: {counts}; lines by the bank's reference, payouts by their settlement line |

| case | stories | what it is |
|---|---|---|
{cases}
"""
