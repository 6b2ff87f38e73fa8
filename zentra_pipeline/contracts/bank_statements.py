"""The contracts of bank statements and their lines, and of the file that holds both; no other table belongs here."""

from dataclasses import replace
from typing import Final

from zentra_pipeline.contracts.contract import Contract, Field, FieldType

KIND: Final = "bank_statement"
ROW_TYPE: Final = "row_type"
STATEMENT: Final = "statement"
LINE: Final = "line"


def _optional(name: str, kind: FieldType = FieldType.TEXT, vocabulary: str | None = None) -> Field:
    return Field(name, kind, is_required=False, may_be_blank=True, vocabulary=vocabulary)


STATEMENTS: Final = Contract(
    kind=KIND,
    table="bank_statements",
    key=("bank", "account_id", "statement_id", "currency", "statement_type"),
    lineage="bank",
    fields=(
        Field("statement_id"),
        Field("account_id"),
        Field("currency", vocabulary="currency"),
        Field("statement_type", vocabulary="bank_statement_type"),
        _optional("sequence"),
        _optional("from_day", FieldType.DAY),
        _optional("to_day", FieldType.DAY),
        _optional("opening_minor", FieldType.INTEGER),
        _optional("closing_minor", FieldType.INTEGER),
        Field("entries", FieldType.INTEGER),
        Field("content_digest"),
    ),
)
"""A statement as its bank closed it, a report within the day, or a notification of single entries."""

LINES: Final = Contract(
    kind=KIND,
    table="bank_lines",
    key=("bank", "account_id", "statement_id", "bank_line_id"),
    lineage="bank",
    fields=(
        Field("bank_line_id"),
        Field("statement_id"),
        Field("account_id"),
        Field("booked_on", FieldType.DAY),
        _optional("value_on", FieldType.DAY),
        Field("amount_minor", FieldType.INTEGER),
        Field("currency", vocabulary="currency"),
        Field("status", vocabulary="bank_line_status"),
        _optional("bank_reference"),
        _optional("end_to_end_id"),
        _optional("text"),
        _optional("parent_line_id"),
        replace(_optional("instructed_minor", FieldType.INTEGER), goes_with="instructed_currency"),
        replace(_optional("instructed_currency", vocabulary="currency"), goes_with="instructed_minor"),
        _optional("charges_minor", FieldType.INTEGER),
        Field("is_reversal", FieldType.BOOLEAN),
        _optional("return_reason"),
    ),
)
"""An entry of a statement, or a detail of one (`parent_line_id`)."""


def _together() -> tuple[Field, ...]:
    found = {field.name: field for field in (*STATEMENTS.fields, *LINES.fields)}
    return tuple(replace(field, is_required=False, may_be_blank=True, goes_with=None) for field in found.values())


CONTRACT: Final = Contract(
    kind=KIND,
    table="bank_rows",
    key=(),
    lineage="bank",
    fields=(Field(ROW_TYPE), *_together()),
    parts=((STATEMENT, STATEMENTS), (LINE, LINES)),
)
"""A file's statements and lines in its order: one reading of the file, one staged file, one registration."""
