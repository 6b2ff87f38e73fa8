"""What ingest and inspection say of a file's rows, in the same words. Deciding on rows does not belong here."""

from collections.abc import Mapping, Sequence

IDS_NAMED = 20
ASK_THE_SENDER = "ask the sender which row holds or for an id for each, and ingest the corrected file"


def rows_named(first: Sequence[int], count: int) -> str:
    """Which rows something is said of, by the first of them: `row 3`, `rows 3, 4, 5 and 297 more`."""
    named = ", ".join(f"{number:,}" for number in first)
    if count == 1:
        return f"row {named}"
    return f"rows {named} and {count - len(first):,} more" if count > len(first) else f"rows {named}"


def ids_named(used_twice: Mapping[str, Sequence[int]]) -> list[str]:
    """Each id that rows of different content share, with their numbers: `line_id L1: rows 1, 3`."""
    named = [
        f"{row_id}: {rows_named(numbers, len(numbers))}" for row_id, numbers in list(used_twice.items())[:IDS_NAMED]
    ]
    return [*named, f"{len(used_twice) - IDS_NAMED:,} more"] if len(used_twice) > IDS_NAMED else named


def shortened(column: str, example: str, first: Sequence[int], count: int) -> str:
    """What is noted of ids that a spreadsheet has written as numbers, and shortened."""
    return (
        f"in {column} shortened by a spreadsheet, such as {example!r} ({rows_named(first, count)}): the last digits "
        "are lost, and different ids may have become one; have the column exported as text and ingest the file again"
    )
