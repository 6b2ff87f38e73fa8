"""Normalized references: the profile's normalizer applied once to every distinct reference a run can see.

`none` writes nothing; `alphanumeric` case-folds and keeps letters and digits of any script; anything else is a regular
expression whose one group is the reference, and which leaves a reference unchanged where it does not match.
"""

import unicodedata
from typing import Final

import duckdb
import pyarrow as pa

COLUMNS: Final = "reference varchar, normalized_reference varchar"
_DISTINCT: Final = """
    select distinct provider_reference as reference from raw.settlement_lines where provider_reference <> ''
    union
    select distinct provider_reference as reference from raw.ledger_entries where provider_reference <> ''
    union
    select distinct provider_reference as reference from raw.callbacks where provider_reference <> ''
"""


def write_reference_keys(connection: duckdb.DuckDBPyConnection, normalizer: str) -> None:
    """Fill `run.reference_keys` (reference, normalized_reference); '' means that nothing of the reference is left."""
    connection.execute(f"create table run.reference_keys ({COLUMNS})")
    write_normalized(connection, "run.reference_keys", _DISTINCT, normalizer)


def write_normalized(connection: duckdb.DuckDBPyConnection, table: str, references: str, normalizer: str) -> None:
    """Add each row of a select of distinct references to a table of COLUMNS; with the normalizer `none` nothing."""
    if normalizer == "none":
        return
    if normalizer == "alphanumeric":
        # Of a text in ASCII alone, SQL says what `alphanumeric` says.
        connection.execute(
            f"insert into {table} select reference, lower(regexp_replace(reference, '[^0-9A-Za-z]', '', 'g')) "
            f"from ({references}) as distinct_references where strlen(reference) = length(reference)"
        )
        others = (
            f"select reference from ({references}) as distinct_references where strlen(reference) <> length(reference)"
        )
        found = [reference for (reference,) in connection.execute(others).fetchall()]
        keys = pa.table({"reference": found, "normalized_reference": [alphanumeric(text) for text in found]})
        connection.register("keys", keys)
        connection.execute(f"insert into {table} select reference, normalized_reference from keys")
        connection.unregister("keys")
        return
    connection.execute(
        f"""insert into {table}
            select
                reference,
                case when regexp_matches(reference, $1) then regexp_extract(reference, $1, 1) else reference end
            from ({references}) as distinct_references""",
        [normalizer],
    )


def alphanumeric(reference: str) -> str:
    """A reference case-folded, with everything but letters and digits of any script dropped; leading zeros stay."""
    folded = reference.casefold()
    if folded.isascii():
        return "".join(character for character in folded if character.isalnum())
    return "".join(character for character in folded if _is_letter(character) or character.isdecimal())


def _is_letter(character: str) -> bool:
    return unicodedata.category(character).startswith("L")
