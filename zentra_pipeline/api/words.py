"""Parameters and members that take a word of a vocabulary: checked, and listed in the description."""

from typing import Any

from pydantic import AfterValidator, Field

from zentra_pipeline import vocabulary


def word(name: str) -> tuple[Any, ...]:
    """Metadata of a text that has to be in a vocabulary (`exception_type`: the types of exception)."""
    if name == "exception_type":
        return one_of(tuple(row.exception_type for row in vocabulary.exception_types()))
    return one_of(vocabulary.values(name))


def one_of(allowed: tuple[str, ...]) -> tuple[Any, ...]:
    """Metadata of a text that has to be one of these."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in allowed:
            raise ValueError(f"use one of {', '.join(allowed)}")
        return value

    return AfterValidator(check), Field(json_schema_extra={"enum": list(allowed)})
