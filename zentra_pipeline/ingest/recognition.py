"""Which readers could take a file: advice for whoever received one, never a choice that ingest would make.

A reader could take a file when it accepts a row of its beginning. Does not belong here: what a reader makes of the
whole file (inspection).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zentra_pipeline.contracts import contract_of
from zentra_pipeline.contracts.bank_statements import KIND
from zentra_pipeline.contracts.gate import validate
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.reading import frames
from zentra_pipeline.sources.registry import FORMATS, TABULAR, reader_of


@dataclass(frozen=True)
class Recognized:
    """A format and kind that a file could be read as."""

    format: str
    kind: str


def recognize(path: Path) -> tuple[list[Recognized], str | None]:
    """Every format and kind a file could be read as, in the order of the registry; where there is none, why not.

    The reason is that of the canonical reader of settlement files, which names what a file looks like. A table of other
    columns is read by a mapping of its own (`zentra profile draft`), and none of these.
    """
    found: list[Recognized] = []
    looks_like: str | None = None
    for name, form in FORMATS.items():
        for kind in form.kinds if name != TABULAR else ():
            if kind == KIND and Recognized(name, "settlement") not in found:
                continue  # a bank's files may be of several messages; it is named as what it is
            try:
                if _accepts_a_row(path, name, kind):
                    found.append(Recognized(name, kind))
            except InputRejectedError as refusal:
                looks_like = looks_like or str(refusal)
    return found, None if found else looks_like or f"{path.name}: no reader accepts a row of it"


def _accepts_a_row(path: Path, name: str, kind: str) -> bool:
    contract = contract_of(kind)
    names = reader_of(name, kind).column_names(kind)
    beginning: Iterator[object] = (
        validate(contract, frame, names).accepted.height > 0
        for frame in frames(path, contract, name, name=path.name, notes={})
    )
    return bool(next(beginning, False))
