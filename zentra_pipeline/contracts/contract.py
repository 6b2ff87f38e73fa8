"""The form of a contract: a table's fields as data. Schemas and the fields of any table do not belong here."""

from dataclasses import dataclass
from enum import Enum

import polars as pl

TEXT_LIMIT = 4096


class FieldType(Enum):
    """How the text of a field becomes a staged value."""

    TEXT = "text"
    INTEGER = "integer"
    INSTANT = "instant"
    DAY = "day"
    BOOLEAN = "boolean"

    @property
    def staged(self) -> pl.DataType:
        """The polars type a staged value has; instants are naive UTC."""
        return {
            FieldType.TEXT: pl.String(),
            FieldType.INTEGER: pl.Int64(),
            FieldType.INSTANT: pl.Datetime("us"),
            FieldType.DAY: pl.Date(),
            FieldType.BOOLEAN: pl.Boolean(),
        }[self]


@dataclass(frozen=True)
class Field:
    """One column of contract §2.

    `is_required`: a file without the column is refused. `may_be_blank`: a row without a value is accepted.
    `vocabulary`: the seed vocabulary a value must belong to (`currency` means the currencies).
    `when_blank`: what is staged for a blank value. `refused_value`: a value that keeps its row out, and why.
    `goes_with`: the field that must have a value where this one has one. `reserved_end`: how no value may end, as ids
    that Zentra gives itself do.
    """

    name: str
    type: FieldType = FieldType.TEXT
    is_required: bool = True
    may_be_blank: bool = False
    vocabulary: str | None = None
    is_positive: bool = False
    when_blank: str | None = None
    refused_value: tuple[str, str] | None = None
    goes_with: str | None = None
    reserved_end: str | None = None


@dataclass(frozen=True)
class Contract:
    """A table's fields, required ones first, and the key by which a row is known again (contract §10.13).

    `key` is empty where every row is a delivery of its own. `has_own_provider`: the row's own column names the
    provider, otherwise the command's `--provider` does. `not_content`: fields a later row may change, the latest holds.
    `fillable`: fields whose blank a later row may fill in; a blank of them never says anything. `lineage`: the column
    that says whose the row is. `parts`: the contracts of a file's several kinds of rows by the word in its first field,
    where it has more than one; the fields are then those of all of them.
    """

    kind: str
    table: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    not_content: tuple[str, ...] = ()
    fillable: tuple[str, ...] = ()
    lineage: str = "provider"
    parts: tuple[tuple[str, "Contract"], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields if field.is_required)

    @property
    def content(self) -> tuple[str, ...]:
        """The fields in which rows of one key must agree."""
        return tuple(name for name in self.columns if name not in (*self.key, *self.not_content))

    @property
    def instants(self) -> tuple[str, ...]:
        """The fields that place a row in time: instants, and days."""
        return tuple(field.name for field in self.fields if field.type in (FieldType.INSTANT, FieldType.DAY))

    @property
    def references(self) -> tuple[str, ...]:
        """The fields that hold ids and references: text that means nothing in itself."""
        texts = (field.name for field in self.fields if field.type is FieldType.TEXT and field.vocabulary is None)
        return tuple(name for name in texts if name.endswith(("_id", "_reference")))

    @property
    def has_own_provider(self) -> bool:
        return "provider" in self.columns

    @property
    def staged_columns(self) -> tuple[str, ...]:
        """Every column of the staged table, in order."""
        return tuple(self.staged_types())

    def staged_types(self) -> dict[str, pl.DataType]:
        """Every staged column with its type, in order: lineage of the provider, the fields, lineage of the row."""
        types: dict[str, pl.DataType] = {self.lineage: pl.String()}
        if self.kind == "settlement":
            types["settlement_file"] = pl.String()
        types |= {field.name: field.type.staged for field in self.fields}
        types |= {"raw": pl.String(), "file_id": pl.String(), "file_sha256": pl.String()}
        return types | {"file_sequence": pl.Int64(), "row_number": pl.Int64()}
