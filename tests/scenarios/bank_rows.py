"""Bank statements as a bank would send them: camt.053 (camt.052, camt.054) of a few lines. Nothing runs here."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

ACCOUNT = "DE02120300000000202051"
_KINDS = {
    "statement": ("053", "BkToCstmrStmt", "Stmt"),
    "report": ("052", "BkToCstmrAcctRpt", "Rpt"),
    "notification": ("054", "BkToCstmrDbtCdtNtfctn", "Ntfctn"),
}


@dataclass(frozen=True)
class Line:
    """A booking of `amount` minor units, credit positive, as a statement says it; `details` are its transactions."""

    reference: str
    amount: int
    text: str = ""
    trace: str = "NOTPROVIDED"
    on: str | None = None
    charges: int = 0
    instructed: tuple[int, str] | None = None
    is_reversal: bool = False
    is_pending: bool = False
    details: tuple["Line", ...] = ()


def statement(
    day: str,
    opening: int,
    lines: Sequence[Line],
    *,
    closing: int | None = None,
    statement_id: str | None = None,
    currency: str = "USD",
    account: str = ACCOUNT,
    kind: str = "statement",
    until: str | None = None,
) -> bytes:
    """One statement of a day, or of the days `until` another; its closing is what opening and booked lines come to."""
    number, root, part = _KINDS[kind]
    ends = opening + sum(line.amount for line in lines if not line.is_pending) if closing is None else closing
    balances = ""
    if kind == "statement":
        balances = _balance("OPBD", opening, currency, day) + _balance("CLBD", ends, currency, until or day)
    content = "".join(_entry(line, currency, day) for line in lines)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{number}.001.08">'
        f"<{root}><GrpHdr><MsgId>M-{day}</MsgId><CreDtTm>{day}T22:00:00Z</CreDtTm></GrpHdr><{part}>"
        f"<Id>{statement_id or day}</Id><CreDtTm>{day}T22:00:00Z</CreDtTm>"
        f"<FrToDt><FrDtTm>{day}T00:00:00Z</FrDtTm><ToDtTm>{until or day}T23:59:59Z</ToDtTm></FrToDt>"
        f"<Acct><Id><IBAN>{account}</IBAN></Id><Ccy>{currency}</Ccy></Acct>{balances}{content}</{part}></{root}></Document>"
    ).encode()


def _balance(code: str, minor: int, currency: str, day: str) -> str:
    sign = "CRDT" if minor >= 0 else "DBIT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(minor, currency)}"
        f"<CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _amount(minor: int, currency: str) -> str:
    return f'<Amt Ccy="{currency}">{abs(minor) // 100}.{abs(minor) % 100:02d}</Amt>'


def _entry(line: Line, currency: str, day: str) -> str:
    status = "PDNG" if line.is_pending else "BOOK"
    sign = "CRDT" if line.amount >= 0 else "DBIT"
    charges = "" if not line.charges else f"<Chrgs><Rcrd>{_amount(line.charges, currency)}</Rcrd></Chrgs>"
    reversal = "<RvslInd>true</RvslInd>" if line.is_reversal else ""
    parts = "".join(_details(part, currency) for part in (line.details or (line,)))
    return (
        f"<Ntry><NtryRef>{line.reference}</NtryRef>{_amount(line.amount, currency)}<CdtDbtInd>{sign}</CdtDbtInd>"
        f"{reversal}<Sts><Cd>{status}</Cd></Sts><BookgDt><Dt>{line.on or day}</Dt></BookgDt>"
        f"<AcctSvcrRef>{line.reference}</AcctSvcrRef>"
        "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>"
        f"{charges}<NtryDtls>{parts}</NtryDtls></Ntry>"
    )


def _details(line: Line, currency: str) -> str:
    minor, paid_in = line.instructed or (line.amount, currency)
    instructed = "" if line.instructed is None else f"<AmtDtls><InstdAmt>{_amount(minor, paid_in)}</InstdAmt></AmtDtls>"
    sign = "CRDT" if line.amount >= 0 else "DBIT"
    return (
        f"<TxDtls><Refs><AcctSvcrRef>{line.reference}</AcctSvcrRef><EndToEndId>{escape(line.trace)}</EndToEndId></Refs>"
        f"{_amount(line.amount, currency)}<CdtDbtInd>{sign}</CdtDbtInd>{instructed}"
        f"<RmtInf><Ustrd>{escape(line.text)}</Ustrd></RmtInf></TxDtls>"
    )


def without_blanks(content: bytes) -> bytes:
    """A statement whose bank gives lines without a reference no element for it."""
    return content.replace(b"<NtryRef></NtryRef>", b"").replace(b"<AcctSvcrRef></AcctSvcrRef>", b"")
