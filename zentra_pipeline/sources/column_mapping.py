"""A declared column mapping: how the columns of a table become settlement lines, checked key by key.

Does not belong here: reading a table (tables), applying a mapping (tabular).
"""

import hashlib
import json
import re
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from zentra_pipeline import vocabulary
from zentra_pipeline.sources.separators import MARKS

_STRICT: Final = ConfigDict(strict=True, frozen=True, extra="forbid")
_ENCODINGS: Final = (
    "utf-8",
    "utf-16",
    "cp1250",
    "cp1251",
    "cp1252",
    "iso-8859-1",
    "iso-8859-15",
    "shift_jis",
    "gb18030",
)
_DIRECTIVES: Final = "YymdHIMSfpzbB"
ISO: Final = "iso"
UNIX: Final = "unix"

ColumnName = Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=1, le=1024)]
"""A column by the name in the header, or by its place, the first being 1."""


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str | int) else _listed(value)


Columns = Annotated[tuple[ColumnName, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
Words = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(min_length=1)]


class Source(BaseModel):
    """Where a value comes from: a column, several of them, or a constant for every row."""

    model_config = _STRICT

    columns: Annotated[tuple[ColumnName, ...], BeforeValidator(_one_or_more)] = ()
    constant: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"columns": value} if isinstance(value, str | int | list) else value

    @model_validator(mode="after")
    def _either(self) -> Self:
        _require(bool(self.columns) != (self.constant is not None), "names a column (or several), or one constant")
        return self


class Match(BaseModel):
    """Rows known by a column: it holds one of the values, begins with one of the beginnings, or is blank."""

    model_config = _STRICT

    column: ColumnName
    values: Words | None = None
    begins: Words | None = None
    blank: Literal[True] | None = None

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        said = [key for key in ("values", "begins", "blank") if getattr(self, key) is not None]
        _require(len(said) == 1, "needs one of values, begins, blank")
        return self


class SignColumn(BaseModel):
    """A column that says which way an unsigned amount goes."""

    model_config = _STRICT

    column: ColumnName
    credit: Words
    debit: Words


class Amounts(BaseModel):
    """Which columns hold the money: `gross` and `net`, or one of them, or a `debit` and `credit` pair.

    `fee` columns add up, blanks in them count as nothing. Credits are positive. `fee_sign`: whether a fee that is
    deducted is written positive or negative. `signs`: amounts as given, all `opposite`, or unsigned with the sign
    `by_type` (refund, chargeback, fee and payout are negative, adjustment and reserve as given). `debit_sign`: debits
    are written positive, negative, or `signed` either way. `pair`: whether debit and credit state gross or net.
    """

    model_config = _STRICT

    gross: ColumnName | None = None
    fee: Columns | None = None
    net: ColumnName | None = None
    debit: ColumnName | None = None
    credit: ColumnName | None = None
    pair: Literal["gross", "net"] = "gross"
    sign: SignColumn | None = None
    signs: Literal["as_given", "by_type", "opposite"] = "as_given"
    fee_sign: Literal["positive", "negative"] = "positive"
    debit_sign: Literal["positive", "negative", "signed"] = "positive"

    @model_validator(mode="after")
    def _usable(self) -> Self:
        is_pair = self.debit is not None or self.credit is not None
        _require(not is_pair or (self.debit is not None and self.credit is not None), "debit and credit go together")
        _require(not is_pair or self.gross is None, "gross, or debit and credit, not both")
        _require(is_pair or self.gross is not None or self.net is not None, "needs gross, net, or debit and credit")
        _require(self.sign is None or not is_pair, "a sign column goes with gross or net, not with debit and credit")
        _require(
            self.signs == "as_given" or (self.sign is None and not is_pair),
            "signs are given by the sign column or the pair: leave signs out",
        )
        return self


class Instant(BaseModel):
    """When a row settled: the column (several are joined by a blank), its format, the zone of values without one."""

    model_config = _STRICT

    column: Columns
    format: str = ISO
    timezone: str = "UTC"

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in (ISO, UNIX):
            found = re.findall(r"%(.?)", value, re.DOTALL)
            allowed = " ".join(f"%{letter}" for letter in _DIRECTIVES)
            for directive in found:
                _require(directive != "" and directive in _DIRECTIVES, f"'%{directive}' is not known; use {allowed}")
            _require(len(set(found)) == len(found), f"{value!r} names a directive twice")
            _require(
                "d" in found and bool({"Y", "y"} & set(found)) and bool({"m", "b", "B"} & set(found)),
                f"{value!r} needs a year, a month and a day, such as %d.%m.%Y, or is iso or unix",
            )
            _require(("I" in found) == ("p" in found), "%I and %p go together")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as cause:
            raise ValueError(f"{value!r} is not a zone of the IANA database, such as UTC or Europe/Berlin") from cause
        _require(value != "localtime", "'localtime' differs from machine to machine: name the zone")
        return value


class Meanings(BaseModel):
    """Values of a column by what they mean, else their beginnings; what is not named is `default`, else refused."""

    model_config = _STRICT

    column: ColumnName | None = None
    values: dict[str, str] = {}
    begins: dict[str, str] = {}
    default: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"default": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        is_said = bool(self.values or self.begins)
        _require((self.column is not None) == is_said, "column and values go together")
        _require(is_said or self.default is not None, "needs column and values, or a default for every row")
        _require(all(self.begins), "a beginning must not be blank")
        return self

    @model_serializer(mode="wrap")
    def _as_older_releases(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `begins` where there are none, which older releases did not know: digests are what they were."""
        found: dict[str, Any] = dump(self)
        return found if self.begins else {key: value for key, value in found.items() if key != "begins"}


def _of_vocabulary(name: str) -> Any:
    def check(found: Meanings) -> Meanings:
        for word in (*found.values.values(), *found.begins.values(), *filter(None, (found.default,))):
            allowed = vocabulary.values(name)
            _require(word in allowed, f"{word!r} is not one of {', '.join(allowed)}")
        return found

    return check


class Presentment(BaseModel):
    """What the customer paid, where that is another currency than the one settled."""

    model_config = _STRICT

    amount: ColumnName
    currency: ColumnName


class ControlRow(BaseModel):
    """A row that sums up the others: which one it is, and what its columns must agree with.

    `sign`: whether its amounts have the sign of the sum, or the `opposite`. `currency`: the column that says of which
    currency; without it the file may hold only one.
    """

    model_config = _STRICT

    row: Match
    gross: ColumnName | None = None
    fee: ColumnName | None = None
    net: ColumnName | None = None
    count: ColumnName | None = None
    opening_balance: ColumnName | None = None
    closing_balance: ColumnName | None = None
    currency: ColumnName | None = None
    sign: Literal["same", "opposite"] = "same"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        _require(bool(self.figures), f"needs one of {', '.join(_FIGURES)}")
        return self

    @property
    def figures(self) -> dict[str, ColumnName]:
        """What the row states → the column that states it."""
        return {key: getattr(self, key) for key in _FIGURES if getattr(self, key) is not None}


_FIGURES: Final = ("gross", "fee", "net", "count", "opening_balance", "closing_balance")


class RunningBalance(BaseModel):
    """A column with the balance after each row; `order`: whether the file begins with the oldest row or the newest."""

    model_config = _STRICT

    column: ColumnName
    order: Literal["oldest_first", "newest_first"] = "oldest_first"


class FixedField(BaseModel):
    """A field of a fixed-width line: characters from `start` (the first is 1), `length` of them."""

    model_config = _STRICT

    name: Annotated[str, Field(min_length=1)]
    start: Annotated[int, Field(ge=1, le=65_536)]
    length: Annotated[int, Field(ge=1, le=65_536)]


OF_BANKS: Final = ("account", "value_on", "text", "pending")
"""Keys of the mapping of a bank's table alone."""


class ColumnMapping(BaseModel):
    """How a provider's or bank's table is read. Columns go by the names of its header, or by their place.

    Of a bank's table alone are `account`, `value_on`, `text` (all its columns together) and `pending`, which rows are
    announced and not booked.
    """

    model_config = _STRICT

    form: Literal["csv", "fixed_width", "excel", "parquet"] = "csv"
    delimiter: str = ","
    encoding: str = "utf-8"
    decimal_mark: Literal[".", ","] = "."
    thousands_mark: Literal[",", ".", " ", "'", "none"] = "none"
    negative: Literal["minus", "parentheses", "trailing_minus"] = "minus"
    amounts_in: Literal["major", "minor"] = "major"
    exponents: dict[str, Annotated[int, Field(ge=0, le=6)]] = {}
    sheet: str | None = None
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    footer_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    column_names: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)] | None = None
    fields: Annotated[tuple[FixedField, ...], BeforeValidator(_listed)] | None = None
    skip_rows: Annotated[tuple[Match, ...], BeforeValidator(_listed)] = ()
    control_rows: Annotated[tuple[ControlRow, ...], BeforeValidator(_listed)] = ()
    running_balance: RunningBalance | None = None
    line_id: Source
    line_type: Meanings = Meanings(default="payment")
    provider_reference: Source | None = None
    merchant_reference: Source | None = None
    original_reference: Source | None = None
    batch_id: Source | None = None
    status: Meanings | None = None
    amounts: Amounts
    currency: Source
    settled_at: Instant
    presentment: Presentment | None = None
    trace_id: Source | None = None
    statement_text: Source | None = None
    account: Source | None = None
    value_on: Instant | None = None
    text: Source | None = None
    pending: Match | None = None
    other_columns: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str) -> str:
        mark = MARKS.get(value, value)
        is_usable = len(mark) == 1 and mark.isascii() and not mark.isalnum() and mark not in '"\r\n. -+\x00'
        _require(is_usable, f"{value!r} is not a delimiter: use {', '.join(MARKS)} or one character such as ^")
        return mark

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        _require(value in _ENCODINGS, f"{value!r} is not one of {', '.join(_ENCODINGS)}")
        return value

    @field_validator("exponents")
    @classmethod
    def _of_currencies(cls, value: dict[str, int]) -> dict[str, int]:
        for currency in value:
            _require(currency in vocabulary.currencies(), f"{currency!r} is not an ISO 4217 currency")
        return value

    @field_validator("line_type")
    @classmethod
    def _line_types(cls, value: Meanings) -> Meanings:
        found: Meanings = _of_vocabulary("line_type")(value)
        return found

    @field_validator("status")
    @classmethod
    def _statuses(cls, value: Meanings | None) -> Meanings | None:
        return None if value is None else _of_vocabulary("settlement_status")(value)

    @model_validator(mode="after")
    def _of_one_form(self) -> Self:
        _require((self.fields is not None) == (self.form == "fixed_width"), "fields and form: fixed_width go together")
        _require(self.sheet is None or self.form == "excel", "sheet goes with form: excel")
        _require(self.thousands_mark != self.decimal_mark, "thousands_mark and decimal_mark are the same character")
        if self.form == "parquet":
            _require(
                not (self.skip_lines or self.footer_lines or self.column_names), "a Parquet file has no such lines"
            )
        names = self.column_names or tuple(field.name for field in self.fields or ())
        _require(len(set(names)) == len(names), "column_names (or fields) name a column twice")
        _require(not self.exponents or self.amounts_in == "minor", "exponents go with amounts_in: minor")
        constant = self.currency.constant
        _require(constant is None or constant in vocabulary.currencies(), f"{constant!r} is not an ISO 4217 currency")
        return self

    @property
    def columns(self) -> tuple[ColumnName, ...]:
        """Every column that a row of data must have, in order of use."""
        named: list[ColumnName] = []
        for source in (self.line_id, self.provider_reference, self.merchant_reference, self.original_reference):
            named += source.columns if source is not None else ()
        for source in (self.batch_id, self.currency, self.trace_id, self.statement_text):
            named += source.columns if source is not None else ()
        for words in (self.line_type, self.status):
            named += [words.column] if words is not None and words.column is not None else []
        given = self.amounts
        single = (given.gross, given.net, given.debit, given.credit, given.sign.column if given.sign else None)
        named += [column for column in (*single, *(given.fee or ())) if column is not None]
        named += self.settled_at.column
        if self.presentment is not None:
            named += (self.presentment.amount, self.presentment.currency)
        for source in (self.account, self.text):
            named += source.columns if source is not None else ()
        named += self.value_on.column if self.value_on is not None else ()
        named += [self.pending.column] if self.pending is not None else []
        if self.running_balance is not None:
            named.append(self.running_balance.column)
        named += [rule.column for rule in self.skip_rows]
        return tuple(dict.fromkeys(named))

    @model_serializer(mode="wrap")
    def _as_before_banks(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without keys that older releases did not know, where they say nothing: digests are what they were."""
        found: dict[str, Any] = dump(self)
        later = (*OF_BANKS, "trace_id", "statement_text")
        return {key: value for key, value in found.items() if key not in later or value is not None}

    def canonical_json(self) -> bytes:
        """The mapping as JSON with sorted keys and no white space; `from_json` reads it back."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The mapping that `canonical_json` wrote."""
        return cls.model_validate(json.loads(text))

    def digest(self) -> str:
        """Hex SHA-256 of the mapping as canonical JSON."""
        return hashlib.sha256(self.canonical_json()).hexdigest()
