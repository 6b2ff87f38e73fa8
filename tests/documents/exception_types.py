"""What an exception type needs, read from the files of a project: what is missing, type by type, file by file, by name.

`python -m tests.documents.exception_types` prints it for this project, which is how a type is added: write its row of
the vocabulary, then what is named here; `--write` first writes what only repeats the vocabulary. Does not belong here:
that the models compile, that a run raises the type.
"""

import csv
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zentra_pipeline.settings import DBT_PROJECT

VOCABULARY = "dbt_project/seeds/exception_types.csv"
MODELS = "dbt_project/models/exceptions"
DESCRIPTIONS = f"{MODELS}/_exceptions.yml"
# The list of models that runs of a provider collect, and that of what only runs of a bank account find.
UNIONS = {
    "provider": "dbt_project/models/intermediate/int_exceptions_found.sql",
    "bank": "dbt_project/models/bank/bank_exceptions_found.sql",
}
PAGES = "docs/exceptions"
CONTRACT = "docs/contract.md"
SCENARIOS = "data/scenarios"
SIMULATOR = "zentra_pipeline/simulation"
OPENAPI = "docs/openapi.json"
SECTIONS = ("What it lists", "Why it matters", "How it is found", "An example", "What to do", "What clears it")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Missing:
    """Something that a type needs: the file or folder where it belongs, and what it is."""

    exception_type: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.exception_type}: {self.place}: {self.what}"


def missing(root: Path) -> list[Missing]:
    """All that types of the project below `root` lack, and whatever speaks of a type that the vocabulary does not have.

    Types in the vocabulary's order, and places in the order in which they are written.
    """
    project = _Project(root)
    needed = [
        Missing(name, place, what) for name, row in project.types.items() for place, what in project.lacks(name, row)
    ]
    return [*needed, *project.unknown()]


class _Project:
    """The files of a project that speak of exception types, read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.types = {row["exception_type"]: row for row in _rows(root / VOCABULARY)}
        described = yaml.safe_load((root / DESCRIPTIONS).read_text(encoding="utf-8"))
        self.descriptions = {model["name"]: model.get("description") for model in described["models"]}
        self.unit_tests: Sequence[Mapping[str, Any]] = described["unit_tests"]
        self.unions = {runs: (root / path).read_text(encoding="utf-8") for runs, path in UNIONS.items()}
        self.index = (root / PAGES / "README.md").read_text(encoding="utf-8").splitlines()
        contract = re.split(r"\n## \d+\. ", (root / CONTRACT).read_text(encoding="utf-8"))[6]
        self.contract_lines = re.findall(r"^\| `\w+` \|.*", contract, re.M)
        self.in_contract = re.findall(r"^\| `(\w+)` \|", contract, re.M)
        self.expected = {
            row["exception_type"]
            for path in (root / SCENARIOS).glob("*/expected/**/exceptions*.csv")
            for row in _rows(path)
        }
        self.simulator = "".join(path.read_text(encoding="utf-8") for path in sorted((root / SIMULATOR).rglob("*.py")))
        self.openapi = (root / OPENAPI).read_text(encoding="utf-8")

    def lacks(self, name: str, row: Row) -> Iterator[tuple[str, str]]:
        """Place and description of each thing that one type lacks."""
        yield from self._lacks_in_sql(name, row)
        yield from self._lacks_in_yaml(name)
        yield from self._lacks_in_docs(name, row)
        if name not in self.expected:
            yield SCENARIOS, "a row of a scenario's expected exceptions"
        if row["of_runs"] != "bank" and f'"{name}"' not in self.simulator:
            yield SIMULATOR, "a case that raises it"

    def _lacks_in_sql(self, name: str, row: Row) -> Iterator[tuple[str, str]]:
        model = self.root / MODELS / f"exc_{name}.sql"
        if not model.is_file():
            yield f"{MODELS}/{model.name}", "the model"
        elif set(re.findall(r"'(\w+)' as exception_type", model.read_text(encoding="utf-8"))) != {name}:
            yield f"{MODELS}/{model.name}", f"'{name}' as exception_type, and no other type"
        for runs in _collecting(row):
            if not re.search(rf"^    '{name}',?$", self.unions[runs], re.M):
                yield UNIONS[runs], "its line of the list"

    def _lacks_in_yaml(self, name: str) -> Iterator[tuple[str, str]]:
        if not self.descriptions.get(f"exc_{name}"):
            yield DESCRIPTIONS, "a description of its model"
        tests = [test for test in self.unit_tests if test["model"] == f"exc_{name}"]
        for what, fires in (("fires", True), ("does_not_fire", False)):
            found = [test["name"] for test in tests if bool(test["expect"]["rows"]) is fires]
            if not found:
                yield DESCRIPTIONS, f"a unit test {name}_{what}_…"
            for test in found:
                if not test.startswith(f"{name}_{what}_"):
                    yield DESCRIPTIONS, f"the name {name}_{what}_… of unit test {test}"

    def _lacks_in_docs(self, name: str, row: Row) -> Iterator[tuple[str, str]]:
        yield from _lacks_on_page(self.root / PAGES / f"{name}.md", row)
        line = _line_of_index(row)
        if line not in self.index:
            yield f"{PAGES}/README.md", f"the line {line}"
        if _line_of_contract(row) not in self.contract_lines:
            yield CONTRACT, f"the line {_line_of_contract(row)} of §6"
        if f'"{name}"' not in self.openapi:
            yield OPENAPI, "the type among the values: print the file again"

    def unknown(self) -> Iterator[Missing]:
        """What is there for a type without a row of the vocabulary, and lists in another order than its own."""
        models = {path.stem.removeprefix("exc_"): path for path in sorted((self.root / MODELS).glob("exc_*.sql"))}
        pages = {path.stem: path for path in sorted((self.root / PAGES).glob("*.md")) if path.stem != "README"}
        spoken_of = {
            **{name: f"{PAGES}/README.md" for line in self.index for name in re.findall(r"\]\((\w+)\.md\)", line)},
            **dict.fromkeys(self.in_contract, CONTRACT),
            **dict.fromkeys(sorted(self.expected), SCENARIOS),
            **{name.removeprefix("exc_"): DESCRIPTIONS for name in self.descriptions},
            **{name: f"{PAGES}/{path.name}" for name, path in pages.items()},
            **{name: f"{MODELS}/{path.name}" for name, path in models.items()},
        }
        for name, place in spoken_of.items():
            if name not in self.types:
                yield Missing(name, VOCABULARY, f"the row of what {place} speaks of")
        for runs, union in self.unions.items():
            collected = re.findall(r"^    '(\w+)',?$", union, re.M)
            wanted = [name for name, row in self.types.items() if runs in _collecting(row)]
            if set(collected) == set(wanted) and collected != wanted:
                yield Missing("all types", UNIONS[runs], "the order of the vocabulary")
        listed = [line for line in self.index if line.startswith("| [")]
        if not any(self.lacks_lines()) and listed != [_line_of_index(row) for row in self.types.values()]:
            yield Missing("all types", f"{PAGES}/README.md", "the order of the vocabulary")
        if set(self.in_contract) == self.types.keys() and self.in_contract != list(self.types):
            yield Missing("all types", CONTRACT, "the order of the vocabulary in §6")

    def lacks_lines(self) -> Iterator[str]:
        """Lines that the list of pages lacks."""
        return (line for line in map(_line_of_index, self.types.values()) if line not in self.index)


def _lacks_on_page(page: Path, row: Row) -> Iterator[tuple[str, str]]:
    place = f"{PAGES}/{page.name}"
    if not page.is_file():
        yield place, "the page"
        return
    text = page.read_text(encoding="utf-8")
    lines = [*text.splitlines(), "", "", ""]
    days = _days(row["sla_business_days"])
    closing = "blocks a close" if row["is_blocking"] == "true" else "does not block a close"
    facts = f"`{row['exception_type']}` · severity {row['severity']} · lane `{row['lane']}` · due in {days} · {closing}"
    for number, right in ((1, f"# {row['title']}"), (3, facts)):
        if lines[number - 1] != right:
            yield place, f"line {number}: {right}"
    found = tuple(line.removeprefix("## ") for line in lines if line.startswith("## "))
    yield from ((place, f"the heading {heading!r}") for heading in SECTIONS if heading not in found)
    if set(found) >= set(SECTIONS) and found != SECTIONS:
        yield place, "the headings of the other pages in their order, and no others"
    if f"`exc_{row['exception_type']}`" not in text:
        yield place, f"the name of the model `exc_{row['exception_type']}`"


def _collecting(row: Row) -> Sequence[str]:
    """The lists that a type is in: what any run finds is collected by the bank's under its words."""
    return ("bank",) if row["of_runs"] == "bank" else ("provider",)


def _line_of_index(row: Row) -> str:
    blocking = "yes" if row["is_blocking"] == "true" else "no"
    name, days = row["exception_type"], row["sla_business_days"]
    return f"| [{row['title']}]({name}.md) | `{name}` | {row['severity']} | `{row['lane']}` | {days} | {blocking} |"


def _line_of_contract(row: Row) -> str:
    return f"| `{row['exception_type']}` | {row['found_when']} |"


def _days(number: str) -> str:
    return "1 business day" if number == "1" else f"{number} business days"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def write(root: Path) -> None:
    """Write what only repeats the vocabulary: the models to collect, the list of pages, the table of the contract."""
    types = _rows(root / VOCABULARY)
    for runs, path in UNIONS.items():
        union = root / path
        names = ",\n".join(f"    '{row['exception_type']}'" for row in types if runs in _collecting(row))
        listed = re.sub(r"(set types = \[\n).*?(\n\])", rf"\1{names}\2", union.read_text(encoding="utf-8"), flags=re.S)
        union.write_text(listed, encoding="utf-8")
    contract = root / CONTRACT
    before, heading, after = contract.read_text(encoding="utf-8").partition("\n| type | when |\n|---|---|\n")
    rest = after[re.match(r"(?:\|.*\n)*", after).end() :]  # type: ignore[union-attr]
    lines_of_types = "".join(f"{_line_of_contract(row)}\n" for row in types)
    contract.write_text(before + heading + lines_of_types + rest, encoding="utf-8")
    index = root / PAGES / "README.md"
    lines = index.read_text(encoding="utf-8").splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.startswith("| ["))
    others = [line for line in lines if not line.startswith("| [")]
    index.write_text(
        "".join([*others[:first], *(f"{_line_of_index(row)}\n" for row in types), *others[first:]]), encoding="utf-8"
    )


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write(DBT_PROJECT.parent)
        printed = subprocess.run([sys.executable, "-m", "zentra_pipeline.api"], capture_output=True, check=True)
        (DBT_PROJECT.parent / OPENAPI).write_bytes(printed.stdout)
    sys.stdout.writelines(f"{each}\n" for each in missing(DBT_PROJECT.parent))
