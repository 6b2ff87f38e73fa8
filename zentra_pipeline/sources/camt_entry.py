"""The fields of an entry of an ISO 20022 statement and of its transaction details; statements do not belong here."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from lxml import etree

from zentra_pipeline.sources.bank_statements import reference

Node: TypeAlias = etree._Element
_ANY = "{*}"


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as written, with its currency where the file names it."""

    text: str
    currency: str | None


@dataclass(frozen=True, slots=True)
class Details:
    """One `TxDtls`: its own amount and direction (null: as the entry), what was instructed, and references.

    `references`: by element name; `batch`: that of the `Btch` it is in; `dated`: its own dates, first one first.
    """

    amount: Amount | None
    indicator: str | None
    instructed: Amount | None
    codes: tuple[str | None, ...]
    references: dict[str, str]
    batch: str | None
    dated: str | None
    said: "Said"


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that was deducted, with its amount; `is_credit`: given back."""

    amount: Amount
    is_credit: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What an entry or a transaction says beside its booking: texts, both parties' names, charges, why it came back."""

    texts: tuple[str, ...]
    debtor: str | None
    creditor: str | None
    charges: tuple[Charge, ...]
    return_reason: str | None


_REFERENCES = {
    "AcctSvcrRef": "Refs/AcctSvcrRef",
    "EndToEndId": "Refs/EndToEndId",
    "PmtInfId": "Refs/PmtInfId",
    "TxId": "Refs/TxId",
    "UETR": "Refs/UETR",
    "InstrId": "Refs/InstrId",
    "MsgId": "Refs/MsgId",
    "Strd": "RmtInf/Strd/CdtrRefInf/Ref",
    "StrdV01": "RmtInf/Strd/CdtrRefInf/CdtrRef",
    "Ustrd": "RmtInf/Ustrd",
}
_NAMES = ("Nm", "Pty/Nm")
_REASONS = ("RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry", "RtrInf/RtrRsn/Cd", "RtrInf/RtrRsn/Prtry")
_FALSE = frozenset(("false", "0"))
_DATES = ("RltdDts/TxDtTm", "RltdDts/IntrBkSttlmDt", "RltdDts/AccptncDtTm")

_NO_FIELDS = frozenset(("RltdPties", "RltdAgts", "Chrgs", "Tax", "RltdPric", "RltdQties", "FinInstrmId"))

Fields = dict[str, str]
"""The texts in an element by the path of local names to each, the first where a path repeats; `…@Ccy` of amounts."""


@lru_cache(maxsize=256)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def local_name(node: Node) -> str:
    """The name of an element without its namespace."""
    return _local(node.tag)


def child(node: Node, path: str) -> Node | None:
    """The first element at a path of local names."""
    return node.find("/".join(_ANY + part for part in path.split("/")))


def text(node: Node, path: str) -> str | None:
    """The text at a path of local names without blanks around it; null where there is none."""
    found = child(node, path)
    return None if found is None else (found.text or "").strip() or None


def fields_of(node: Node) -> Fields:
    """Every text in an element that lines are made of, none of them blank: parties and their banks are not."""
    found: Fields = {}
    _gather(node, "", found)
    return found


def _gather(node: Node, prefix: str, found: Fields) -> None:
    for part in node:
        name = _local(part.tag)
        path = prefix + name
        if len(part):
            if name not in _NO_FIELDS:
                _gather(part, f"{path}/", found)
        elif path not in found and (value := (part.text or "").strip()):
            found[path] = value
            if part.attrib and (currency := (part.get("Ccy") or "").strip()):
                found[f"{path}@Ccy"] = currency


def amount(fields: Fields, path: str) -> Amount | None:
    """The amount at a path, with its `Ccy`."""
    return Amount(fields[path], fields.get(f"{path}@Ccy")) if path in fields else None


def codes(fields: Fields) -> tuple[str | None, ...]:
    """Domain, family and sub-family of a bank transaction code."""
    return tuple(fields.get(f"BkTxCd/Domn/{part}") for part in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd"))


def day_or_time(fields: Fields, path: str) -> str | None:
    """A date given as `Dt` or `DtTm`, or as text of its own in version 01."""
    return fields.get(f"{path}/DtTm") or fields.get(f"{path}/Dt") or fields.get(path)


def details_of(node: Node, batch: str | None, *, has_words: bool) -> Details:
    """What a `TxDtls` says of its transaction; `batch`: the id of the batch it is in; `has_words`: see said_of."""
    fields = fields_of(node)
    references = {name: value for name, path in _REFERENCES.items() if (value := reference(fields.get(path)))}
    if "Ustrd" in references:
        references["Ustrd"] = " ".join(references["Ustrd"].split())
    return Details(
        amount=amount(fields, "Amt") or amount(fields, "AmtDtls/TxAmt/Amt"),
        indicator=fields.get("CdtDbtInd"),
        instructed=amount(fields, "AmtDtls/InstdAmt/Amt"),
        codes=codes(fields),
        references=references,
        batch=batch,
        dated=next((fields[path] for path in _DATES if path in fields), None),
        said=said_of(node, fields) if has_words else NOTHING_SAID,
    )


NOTHING_SAID: Final = Said((), None, None, (), None)


def said_of(node: Node, fields: Fields) -> Said:
    """What an entry (`Ntry`) or transaction says for whoever reads the statement; its details are not asked."""
    texts: list[str] = []
    charges: list[Charge] = []
    debtor = creditor = None
    for part in node:
        name = _local(part.tag)
        if name == "RmtInf":
            texts += [(each.text or "").strip() for each in part if _local(each.tag) == "Ustrd"]
        elif name == "Chrgs":
            charges += _charges(part)
        elif name == "RltdPties":
            debtor, creditor = _party(part, "Dbtr"), _party(part, "Cdtr")
    structured = (fields.get(f"RmtInf/Strd/{path}") for path in ("CdtrRefInf/Ref", "CdtrRefInf/CdtrRef", "AddtlRmtInf"))
    notes = (fields.get(name) for name in ("AddtlTxInf", "AddtlNtryInf"))
    found = dict.fromkeys(text for text in (*texts, *structured, *notes) if text)
    reason = next((fields[path] for path in _REASONS if path in fields), None)
    return Said(tuple(found), debtor, creditor, tuple(charges), reason)


def _party(parties: Node, role: str) -> str | None:
    return next((name for path in _NAMES if (name := text(parties, f"{role}/{path}"))), None)


def _charges(node: Node) -> list[Charge]:
    """The charges in a `Chrgs` that its amount has in it: one of version 02 and before, or a record for each."""
    records = [part for part in node if _local(part.tag) == "Rcrd"] or [node]
    found = []
    for record in records:
        fields = fields_of(record)
        deducted = amount(fields, "Amt")
        if deducted is not None and fields.get("ChrgInclInd", "").lower() not in _FALSE:
            found.append(Charge(deducted, fields.get("CdtDbtInd") == "CRDT"))
    return found


def batch_of(group: Node) -> str | None:
    """The id of the batch that an `NtryDtls` gives: the payment instruction's, else the message's."""
    batch = next((part for part in group if local_name(part) == "Btch"), None)
    if batch is None:
        return None
    return reference(text(batch, "PmtInfId")) or reference(text(batch, "MsgId"))
