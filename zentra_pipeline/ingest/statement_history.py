"""Which statements of a bank's file came before: a redelivery, a restatement, or the same under another name.

Nothing is refused for it: which delivery holds is for readers of the rows. Does not belong here: rows that contradict
each other in other kinds of files (conflicts).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from zentra_pipeline import money, private_database
from zentra_pipeline.published import lake_files

REDELIVERED: Final = "statements that are here already with the same content"
_FILES_AT_ONCE: Final = 500
_NAMED: Final = 20
_SHOWN: Final = 80


@dataclass
class History:
    """What is to be said of a file's statements, and the sequences of files of which it restates a statement."""

    notes: dict[str, int] = field(default_factory=dict)
    restates: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Statement:
    account: str
    statement_id: str
    currency: str
    type: str
    opening_minor: int | None
    closing_minor: int | None
    entries: int
    digest: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.account, self.statement_id, self.currency, self.type

    @property
    def content(self) -> tuple[str, str, str, str]:
        return self.account, self.currency, self.type, self.digest

    @property
    def figures(self) -> str:
        balances = [
            "none" if minor is None else money.amount_text(minor, self.currency)
            for minor in (self.opening_minor, self.closing_minor)
        ]
        return f"opening {balances[0]}, {self.entries:,} entries, closing {balances[1]}"


def compare(new: Path, earlier: Sequence[tuple[int, str, Path]]) -> History:
    """What is said of the statements of a staged file beside those before it (sequence, file id, staged file)."""
    found = History()
    statements = [statement for _, statement in _statements([new])]
    by_key: dict[tuple[str, str, str, str], tuple[int, _Statement]] = {}
    by_content: dict[tuple[str, str, str, str], tuple[int, _Statement]] = {}
    places = {path: number for number, (_, _, path) in enumerate(earlier)}
    for path, statement in _statements([path for _, _, path in earlier]):
        number = places[path]
        by_key[statement.key] = max(
            by_key.get(statement.key, (-1, statement)), (number, statement), key=lambda one: one[0]
        )
        by_content[statement.content] = (number, statement)
    others: list[str] = []
    for statement in statements:
        before = by_key.get(statement.key)
        twin = by_content.get(statement.content)
        if before is not None and before[1].digest == statement.digest:
            found.notes[REDELIVERED] = found.notes.get(REDELIVERED, 0) + 1
        elif before is not None:
            sequence, file_id, _ = earlier[before[0]]
            found.restates.append(sequence)
            others.append(
                f"statement restated: {statement.statement_id[:_SHOWN]} of account {statement.account} was "
                f"{before[1].figures} in file {file_id}, and is {statement.figures}: the last delivery holds"
            )
        elif twin is not None:
            others.append(
                f"statement with the content of another: {statement.statement_id[:_SHOWN]} of account "
                f"{statement.account} has the balances and entries of {twin[1].statement_id[:_SHOWN]} in file "
                f"{earlier[twin[0]][1]}"
            )
    found.notes |= dict.fromkeys(others[:_NAMED], 1)
    if len(others) > _NAMED:
        found.notes["more statements that were restated, or came under another name"] = len(others) - _NAMED
    found.restates = sorted(set(found.restates))
    return found


def _statements(paths: Sequence[Path]) -> list[tuple[Path, _Statement]]:
    """The statements of staged files, each with its file, in the order of files and rows."""
    by_name = {str(path): path for path in paths}
    places = {name: place for place, name in enumerate(by_name)}
    found = []
    columns = (
        "account_id, statement_id, currency, statement_type, opening_minor, closing_minor, entries, content_digest"
    )
    with private_database.opened() as connection:
        for start in range(0, len(paths), _FILES_AT_ONCE):
            part = paths[start : start + _FILES_AT_ONCE]
            rows = lake_files.bank_rows("bank_statements", part, with_names=True)
            read = connection.execute(f"select filename, row_number, {columns} from ({rows})").fetchall()
            found += sorted(read, key=lambda row: (places[row[0]], row[1]))
    return [(by_name[name], _Statement(*values)) for name, _, *values in found]
