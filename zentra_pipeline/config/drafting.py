"""Proposes a column mapping for a file, by the names and values of its columns: advice for a person, read by no reader.

Does not belong here: reading a file as declared (sources).
"""

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Final

import yaml

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.column_mapping import ColumnMapping
from zentra_pipeline.sources.separators import MARKS
from zentra_pipeline.sources.tables import text_frames

_LOOKED_AT: Final = 256 * 1024
_ROWS: Final = 200
_VALUES: Final = 24
_NOT_FOUND: Final = "COLUMN"
_NAMES: Final = {
    "line_id": r"(transaction|transfer\w*|balance.transaction|entity|line|entry|source|movement|payment) ?.?id|id|"
    r"ref(erence)?|referencia|r[eé]f[eé]rence|operation number",
    "provider_reference": r"(payment|charge|psp|provider|order|transaction|source|entity) ?(id|reference|code)?|"
    r"reference|referencia|r[eé]f[eé]rence|ref",
    "merchant_reference": r"(merchant|external|customer|order|payment) ?(reference|ref|receipt)( ?1)?|invoice( id)?",
    "batch_id": r"(payout|batch|settlement|transfer) ?(id|number|reference)|payment reference",
    "gross": r"(gross|transaction|total)? ?(amount|betrag|importe|montant|importo|valor)|gross( amount)?",
    "fee": r"(total|processing|transaction)? ?(fees?|commission|fee amount|geb[uü]hr(en)?)",
    "net": r"net( amount)?|settlement net amount|netto(betrag)?",
    "debit": r"debits?( amount)?|d[eé]bit|soll|cargo|debe|withdrawals?",
    "credit": r"credits?( amount)?|cr[eé]dit|haben|abono|haber|deposits?",
    "currency": r"(settlement |transaction |holding )?(currency|ccy|w[aä]hrung|devise|moneda|divisa)( code)?",
    "date": r".*\b(date|at|datum|fecha|data)\b.*",
    "type": r"(transaction |reporting |event |entry )?(type?|category|art|tipo)",
    "balance": r"(running |account )?(balance|saldo|solde)",
}
_DATES: Final = (
    "%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%Y/%m/%d",
    "%Y%m%d", "%d %b %Y", "%b %d %Y",
)  # fmt: skip
_TIMES: Final = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
_TYPES: Final = (
    ("chargeback_reversal", r"(chargeback|dispute).*(won|revers)"),
    ("chargeback", r"chargeback|dispute"),
    ("refund", r"refund|return|r[eé]trocession|erstattung"),
    ("payout", r"payout|withdraw|transfer|auszahlung"),
    ("fee", r"fee|tax|commission|charge for"),
    ("reserve", r"reserve|hold"),
    ("payment", r"payment|charge|sale|capture|settle|card|deposit|credit|purchase"),
)


@dataclass(frozen=True)
class _Table:
    """What a file looks like: keys of a mapping for its form, its header, and the values of its first rows."""

    form: dict[str, object]
    columns: tuple[str, ...]
    values: dict[str, list[str]]


def draft(path: Path) -> str:
    """A proposed profile as YAML with comments; InputRejectedError when no table is seen in the file."""
    table = _looked_at(path)
    mapping, doubts = _mapping(table)
    body = yaml.safe_dump({"settlement_format": "tabular", "tabular": mapping}, sort_keys=False, allow_unicode=True)
    head = [
        f"# Proposed for {path.name} by the names and first values of its columns: advice, to be checked line by line.",
        *(f"# {doubt}" for doubt in doubts),
    ]
    return "\n".join(head) + "\n" + body


def _looked_at(path: Path) -> _Table:
    with path.open("rb") as stream:
        start = stream.read(_LOOKED_AT)
    form: dict[str, object] = {}
    if start.startswith(b"PAR1"):
        form["form"] = "parquet"
    elif start.startswith(b"PK\x03\x04"):
        form["form"] = "excel"
        form |= _sheet(path)
    else:
        form |= _text_form(start, path.name)
    stand_in = {"line_id": 1, "amounts": {"gross": 1}, "currency": 1, "settled_at": {"column": 1}}
    frame = next(text_frames(path, path.name, ColumnMapping.model_validate(stand_in | form), []))
    columns = tuple(column for column in frame.columns if column != "row_number")
    rows = frame.head(_ROWS)
    return _Table(form, columns, {column: rows[column].drop_nulls().to_list() for column in columns})


def _sheet(path: Path) -> dict[str, object]:
    """The first sheet, where a workbook has several."""
    import python_calamine as calamine

    try:
        names = calamine.load_workbook(str(path)).sheet_names
    except (calamine.CalamineError, OSError, ValueError) as cause:
        raise InputRejectedError(f"{path.name}: not a readable workbook ({cause})") from cause
    return {"sheet": names[0]} if len(names) > 1 else {}


def _text_form(start: bytes, name: str) -> dict[str, object]:
    """Encoding, delimiter and the lines above the header, as far as they differ from the defaults."""
    encoding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        encoding, text = "cp1252", start.decode("cp1252", "replace")
    lines = text.lstrip("\ufeff").splitlines()[:_ROWS]
    widths = {mark: [len(next(csv.reader([line], delimiter=mark), [])) for line in lines] for mark in MARKS.values()}
    delimiter = max(widths, key=lambda mark: sum(width > 1 for width in widths[mark]) + max(widths[mark], default=0))
    most = max(widths[delimiter], default=0)
    if most < 2:
        raise InputRejectedError(f"{name}: no table is seen in it: no line has two fields")
    rows = list(csv.reader(StringIO("\n".join(lines)), delimiter=delimiter))
    found = next((n for n, row in enumerate(rows) if len(row) == most and _is_header(row)), 0)
    form: dict[str, object] = {} if encoding == "utf-8" else {"encoding": encoding}
    if delimiter != ",":
        form["delimiter"] = next(key for key, mark in MARKS.items() if mark == delimiter)
    return form | ({"skip_lines": found} if found else {})


def _is_header(row: Sequence[str]) -> bool:
    """Whether cells look like names: hardly any is blank or a number."""
    names = [cell for cell in row if cell.strip() and not re.fullmatch(r"[-+0-9.,/: ]+", cell)]
    return len(names) * 10 >= len(row) * 8


def _mapping(table: _Table) -> tuple[dict[str, object], list[str]]:
    found = {role: _column(table, role) for role in _NAMES}
    doubts = [f"No column looks like the {what}: put its name for {_NOT_FOUND}." for what in _missing(found)]
    mapping = dict(table.form)
    amounts, texts = _amounts(table, found)
    mapping |= _marks(texts)
    mapping["line_id"] = found["line_id"] or _NOT_FOUND
    for field in ("provider_reference", "merchant_reference", "batch_id"):
        if found[field] is not None:
            mapping[field] = found[field]
    mapping["amounts"] = amounts
    mapping["currency"] = found["currency"] or {"constant": "EUR"}
    if found["currency"] is None:
        doubts.append("No column looks like a currency: EUR is set for all rows; put the right one.")
    if found["type"] is not None:
        words = list(dict.fromkeys(table.values[found["type"]]))[:_VALUES]
        mapping["line_type"] = {"column": found["type"], "values": {word: _line_type(word) for word in words}}
        doubts.append("line_type: only values of the first rows are named; add the others that the provider documents.")
    mapping["settled_at"] = _date(table, found["date"], doubts)
    if found["balance"] is not None:
        mapping["running_balance"] = {"column": found["balance"]}
        doubts.append("running_balance: say order: newest_first where the newest row comes first.")
    used = set(re.findall(r"[^\n]+", "\n".join(_names_in(mapping))))
    mapping["other_columns"] = [column for column in table.columns if column not in used]
    return mapping, doubts


def _names_in(value: object) -> list[str]:
    if isinstance(value, dict):
        return [name for each in value.values() for name in _names_in(each)]
    return [value] if isinstance(value, str) else []


def _missing(found: dict[str, str | None]) -> list[str]:
    has_amount = any(found[role] for role in ("gross", "net", "debit"))
    wanted = {"id of a row": found["line_id"], "date": found["date"], "amount": "yes" if has_amount else None}
    return [what for what, column in wanted.items() if column is None]


def _column(table: _Table, role: str) -> str | None:
    """The first column whose name is one of the role's, the better of them those that match an earlier alternative."""
    plain = {column: re.sub(r"[_\s.\-]+", " ", column).strip().lower() for column in table.columns}
    hits = [column for column, name in plain.items() if re.fullmatch(_NAMES[role], name)]
    if role == "line_id":
        hits = [column for column in hits if len(set(table.values[column])) == len(table.values[column])] or hits
        hits.sort(key=lambda column: not plain[column].endswith("id"))
    return hits[0] if hits else None


def _amounts(table: _Table, found: dict[str, str | None]) -> tuple[dict[str, object], list[str]]:
    roles = ("debit", "credit") if found["debit"] and found["credit"] else ("gross", "fee", "net")
    amounts: dict[str, object] = {role: found[role] for role in roles if found[role] is not None}
    texts = [text for column in amounts.values() for text in table.values[str(column)]]
    if "debit" in amounts and any("-" in text for text in table.values[str(found["debit"])]):
        amounts["debit_sign"] = "negative"
    if "fee" in amounts:
        fees = table.values[str(found["fee"])]
        if sum("-" in text for text in fees) * 2 > len(fees):
            amounts["fee_sign"] = "negative"
    if not {"gross", "net", "debit"} & amounts.keys():
        amounts["gross"] = _NOT_FOUND
    return amounts, texts


def _marks(texts: Sequence[str]) -> dict[str, object]:
    """Decimal and thousands marks by the last mark of amounts, where that is followed by one or two digits."""
    last = [text[-3 + (text[-2:-1] in ".,")] for text in texts if re.search(r"[.,][0-9]{1,2}\Z", text)]
    decimal = "," if last.count(",") > last.count(".") else "."
    found: dict[str, object] = {} if decimal == "." else {"decimal_mark": ","}
    for mark in {",": (".", " ", "'"), ".": (",", " ", "'")}[decimal]:
        if any(re.search(rf"[0-9]{re.escape(mark)}[0-9]{{3}}(?![0-9])", text) for text in texts):
            return found | {"thousands_mark": mark}
    return found


def _date(table: _Table, column: str | None, doubts: list[str]) -> dict[str, object]:
    if column is None:
        return {"column": _NOT_FOUND}
    texts = table.values[column]
    if texts and not all(re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]|\Z)", text) for text in texts):
        fits = [day + time for time in _TIMES for day in _DATES if _fits(texts, day + time)]
        if len(fits) > 1:
            doubts.append(f"{column}: these formats fit its values: {', '.join(fits)}; choose.")
        if fits:
            return {"column": column, "format": fits[0], "timezone": "UTC"}
        doubts.append(f"{column}: no known format fits its values ({texts[0][:40]!r}); write one.")
    return {"column": column, "timezone": "UTC"}


def _fits(texts: Sequence[str], form: str) -> bool:
    """Whether nearly all texts are of a format: totals at the foot have none."""
    return sum(_is_of(text, form) for text in texts) * 10 >= len(texts) * 8


def _is_of(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _line_type(word: str) -> str:
    return next((line_type for line_type, pattern in _TYPES if re.search(pattern, word.lower())), "adjustment")
