"""The gate between read and staged: which rows of a frame are accepted, typed, and which are not and why.

Does not belong here: reading bytes, writing files, lineage of the file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import orjson
import polars as pl

from zentra_pipeline import vocabulary
from zentra_pipeline.contracts import row_rules
from zentra_pipeline.contracts.contract import Contract, Field, FieldType
from zentra_pipeline.errors import ZentraError

REFUSED_COLUMNS: dict[str, pl.DataType] = {"row_number": pl.Int64(), "reason": pl.String(), "raw": pl.String()}
_SHOWN = 60
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BLANK = re.compile(row_rules.BLANK)
_DECIMAL = re.compile(r"-?[0-9]+[.,][0-9]{1,3}")
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(?:[.,' \u00a0][0-9]{3})+(?:[.,][0-9]{1,3})?")
_LONG_FRACTION = re.compile(r".*[0-9]\.[0-9]{7,9}Z")


@dataclass(frozen=True)
class GateResult:
    """`accepted`: the contract's columns as staged, `raw`, `row_number`. `refused`: `row_number`, `reason`, `raw`."""

    accepted: pl.DataFrame
    refused: pl.DataFrame


def validate(contract: Contract, frame: pl.DataFrame, names: Mapping[str, str] | None = None) -> GateResult:
    """Split a reader's frame into rows that keep the contract and rows that do not.

    A field is text, or already of its staged type where the source is typed. `names`: field → the column of the file
    that it is read from, where that has a name of its own. Every failed check of a row is named in its reason, joined
    with `; `.
    """
    if contract.parts:
        return _validate_parts(contract, frame, names)
    refused = [_refused_by_reader(frame)] if frame["refusal"].null_count() < frame.height else []
    rows = frame.filter(pl.col("refusal").is_null()) if refused else frame
    reasons = _failures(contract, rows, names or {})
    if reasons:
        is_bad = pl.Series(dtype=pl.Boolean, values=[False]).new_from_index(0, rows.height).scatter(list(reasons), True)
        refused.append(quarantine(contract, rows.filter(is_bad), [reasons[i] for i in sorted(reasons)]))
        rows = rows.filter(~is_bad)
    nothing = pl.DataFrame(schema=REFUSED_COLUMNS)
    return GateResult(
        accepted=rows.select(*_staged_fields(contract, rows), "raw", "row_number"),
        refused=pl.concat(refused).sort("row_number") if refused else nothing,
    )


def _validate_parts(contract: Contract, frame: pl.DataFrame, names: Mapping[str, str] | None) -> GateResult:
    """Each kind of row by its own contract; `refused` says in `source` which table a row was meant for."""
    kind = contract.columns[0]
    accepted, refused = [], []
    for word, part in contract.parts:
        rows = frame.filter(pl.col(kind) == word)
        if rows.height:
            verdict = validate(part, rows, names)
            missing = [pl.lit(None, field.type.staged).alias(field.name) for field in contract.fields]
            found = verdict.accepted.with_columns(pl.lit(word).alias(kind))
            found = found.with_columns(column for column in missing if column.meta.output_name() not in found.columns)
            accepted.append(found.select(*contract.columns, "raw", "row_number"))
            refused.append(verdict.refused.with_columns(source=pl.lit(part.table)))
    if sum(rows.height for rows in (*accepted, *refused)) != frame.height:
        raise ZentraError(
            f"a reader's frame has rows of none of the kinds {', '.join(word for word, _ in contract.parts)}"
        )
    if not accepted:
        types = {field.name: field.type.staged for field in contract.fields} | {
            "raw": pl.String(),
            "row_number": pl.Int64(),
        }
        return GateResult(pl.DataFrame(schema=types), pl.DataFrame(schema={**REFUSED_COLUMNS, "source": pl.String()}))
    return GateResult(pl.concat(accepted).sort("row_number"), pl.concat(refused).sort("row_number"))


def assert_staged(contract: Contract, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame unchanged when it is exactly what may be staged; otherwise a ZentraError, for it is our fault."""
    for word, part in contract.parts:
        rows = frame.filter(pl.col(contract.columns[0]) == word)
        assert_staged(part, rows.select(part.staged_columns))
    has_form = dict(frame.schema) == contract.staged_types()
    if has_form and all(frame.select(row_rules.staged_whole(contract)).row(0)):
        return frame
    from zentra_pipeline.contracts import schemas

    try:
        schemas.staged(contract).validate(frame, lazy=True)
    except schemas.BrokenRulesError as cause:
        raise ZentraError(f"{contract.table}: rows about to be staged break their own contract: {cause}") from cause
    return frame


def quarantine(contract: Contract, rows: pl.DataFrame, reasons: list[str]) -> pl.DataFrame:
    """Rows as refused: `row_number`, the `reason` given for each, its fields and unknown columns as JSON in `raw`."""
    raw = [
        _json_object(dict(zip(contract.columns, values, strict=True)), drift)
        for *values, drift in rows.select(*contract.columns, "raw").iter_rows()
    ]
    return pl.DataFrame(
        {"row_number": rows["row_number"], "reason": reasons, "raw": raw},
        schema=REFUSED_COLUMNS,
    )


def _failures(contract: Contract, rows: pl.DataFrame, names: Mapping[str, str]) -> dict[int, str]:
    """Position of each row that breaks the contract → all its reasons."""
    typed = frozenset(name for name in contract.columns if rows.schema[name] != pl.String())
    fields = {field.name: field for field in contract.fields}
    typed -= {name for name in typed if fields[name].type is FieldType.TEXT}
    texts = (name for name in contract.columns if name not in typed and rows.schema[name] == pl.String())
    plain = frozenset(name for name in texts if _is_plain(rows[name]))
    if all(rows.select(row_rules.received_whole(contract, typed, plain)).row(0)):
        return {}
    # Pandera takes half a second to import, and says nothing of rows that break no rule.
    from zentra_pipeline.contracts import schemas

    try:
        schemas.received(contract, typed).validate(rows.select(contract.columns), lazy=True)
    except schemas.BrokenRulesError as broken:
        return _reasons(fields, rows, broken.failure_cases, names)
    return {}


def _is_plain(values: pl.Series) -> bool:
    """Whether a text column holds nothing but ASCII that shows, blanks not counted; far quicker than to match it."""
    array = values.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, content = array.buffers()
    if content is None or not len(array):
        return True
    ends = np.frombuffer(offsets, np.int64, count=len(array) + 1, offset=8 * array.offset)
    octets = np.frombuffer(content, np.uint8)[ends[0] : ends[-1]]
    return not octets.size or bool(octets.min() > 0x20 and octets.max() < 0x7F)


def _reasons(
    fields: dict[str, Field], rows: pl.DataFrame, cases: pl.DataFrame, names: Mapping[str, str]
) -> dict[int, str]:
    if cases["index"].null_count():
        raise ZentraError(f"a reader's frame has not the form agreed with the gate: {cases.to_dicts()[:3]}")
    found: dict[int, list[str]] = {}
    for (column, check), broken in cases.group_by(["column", "check"], maintain_order=True):
        field = _named(fields[str(column)], names)
        said: dict[object, str] = {}
        values = rows[str(column)].gather(broken["index"]).to_list()
        for index, value in zip(broken["index"], values, strict=True):
            if value not in said:
                said[value] = _reason(field, value, str(check))
            found.setdefault(index, []).append(said[value])
    return {index: "; ".join(reasons) for index, reasons in found.items()}


def _named(field: Field, names: Mapping[str, str]) -> Field:
    return replace(field, name=names[field.name]) if field.name in names else field


def _reason(field: Field, value: object, check: str) -> str:
    if value is None:
        return f"{field.name}: blank"
    if field.refused_value is not None and check == field.refused_value[1]:
        return check
    text = str(value)
    if check == row_rules.HAS_BLANK_EDGE and not field.may_be_blank and not _BLANK.sub("", text):
        return f"{field.name}: blank (it holds only {', '.join(sorted({f'U+{ord(mark):04X}' for mark in text}))})"
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"{field.name}: {shown!r} {check}{_hint(field, text, check)}"


def _hint(field: Field, text: str, check: str) -> str:
    """What more there is to say of a value: where it breaks the rule, and what to write instead."""
    if check == row_rules.HAS_CONTROL:
        found = _CONTROL.search(text)
        assert found is not None
        return f" (U+{ord(found.group()):04X}) at character {found.start() + 1:,}"
    if check == row_rules.UNKNOWN_CURRENCY and text.strip().upper() in vocabulary.currencies():
        return f": write {text.strip().upper()}"
    if check == row_rules.NO_INTEGER:
        if text != text.strip():
            return ": it begins or ends with white space"
        if _DECIMAL.fullmatch(text) or _THOUSANDS.fullmatch(text):
            return ": this column counts minor units, so 10.00 of a currency with two decimals is 1000"
    if field.type is FieldType.INSTANT and _LONG_FRACTION.fullmatch(text):
        return ": its fraction goes beyond the microsecond and would be cut"
    return ""


def _refused_by_reader(frame: pl.DataFrame) -> pl.DataFrame:
    rows = frame.filter(pl.col("refusal").is_not_null())
    return rows.select("row_number", pl.col("refusal").alias("reason"), pl.col("source_row").alias("raw"))


def _json_object(values: dict[str, object], drift: str | None) -> str:
    known = orjson.dumps(values, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z).decode()
    if drift is None or drift == "{}":
        return known
    return f"{known[:-1]},{drift[1:]}"


def _staged_fields(contract: Contract, rows: pl.DataFrame) -> list[pl.Expr]:
    return [_staged(field, rows[field.name]) for field in contract.fields]


def _staged(field: Field, values: pl.Series) -> pl.Expr:
    """Admitted values in their staged type; a value that cannot be converted is an error, never null."""
    column = pl.col(field.name)
    if values.dtype == pl.String():
        if field.type is FieldType.INTEGER:
            column = column.cast(pl.Int64)
        if field.type is FieldType.INSTANT:
            column = _instant(column, values)
        if field.type is FieldType.DAY:
            column = column.str.to_date("%Y-%m-%d")
        if field.type is FieldType.BOOLEAN:
            column = column == "true"
    return column if field.when_blank is None else column.fill_null(pl.lit(field.when_blank))


def _instant(column: pl.Expr, values: pl.Series) -> pl.Expr:
    """Naive UTC, zeros beyond the microsecond left out; the fraction is read apart, for the parser is slow with one."""
    if values.str.len_bytes().max() in (None, len("2026-04-26T00:00:00Z")):
        return column.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us")
    seconds = column.str.head(19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us")
    digits = column.str.slice(20, 6).str.strip_suffix("Z").str.pad_end(6, "0")
    return seconds + pl.duration(microseconds=digits.cast(pl.Int64))
