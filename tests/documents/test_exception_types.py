"""Every exception type has all that a type needs, and whoever adds one sees by name what it lacks."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.documents.exception_types import (
    CONTRACT,
    DESCRIPTIONS,
    MODELS,
    OPENAPI,
    PAGES,
    SCENARIOS,
    SECTIONS,
    SIMULATOR,
    UNIONS,
    VOCABULARY,
    missing,
    write,
)
from tests.support.built_project import built_bank, built_project, project_nodes
from tests.support.every import check_every
from zentra_pipeline import vocabulary
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.settings import DBT_PROJECT

pytestmark = pytest.mark.xdist_group("built_project")

ROOT = DBT_PROJECT.parent
NEW = "stale_reserve"
FACTS_OF_TYPE = f"{NEW},low,timing,1,settlement_line,false,,false,false,false,false,,provider"
ROW = f'{FACTS_OF_TYPE},a reserve is held for over a year,Reserve held too long,"Ask the provider to release it."\n'
INDEX = f"| [Reserve held too long]({NEW}.md) | `{NEW}` | low | `timing` | 1 | no |"
FACTS = f"`{NEW}` · severity low · lane `timing` · due in 1 business day · does not block a close"


def test_no_exception_type_of_this_project_lacks_anything() -> None:
    assert [str(each) for each in missing(ROOT)] == []


# A made-up type, added step by step to a copy of the project -------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what speaks of exception types."""
    for place in (VOCABULARY, *UNIONS.values(), CONTRACT, OPENAPI):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / place, tmp_path / place)
    for folder in (MODELS, PAGES, SCENARIOS, SIMULATOR):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def edit(file: Path, change: Callable[[str], str]) -> None:
    before = file.read_text(encoding="utf-8")
    after = change(before)
    assert after != before, f"{file.name} is as it was"
    file.write_text(after, encoding="utf-8")


def lacks(project: Path) -> set[tuple[str, str]]:
    """Where something is missing and what; nothing but the new type lacks anything."""
    found = missing(project)
    assert {each.exception_type for each in found} <= {NEW}
    return {(each.place, each.what) for each in found}


def test_a_new_type_is_named_all_that_it_lacks_until_nothing_is_missing(copy: Path) -> None:
    steps = {
        (f"{MODELS}/exc_{NEW}.sql", "the model"),
        (UNIONS["provider"], "its line of the list"),
        (DESCRIPTIONS, "a description of its model"),
        (DESCRIPTIONS, f"a unit test {NEW}_fires_…"),
        (DESCRIPTIONS, f"a unit test {NEW}_does_not_fire_…"),
        (f"{PAGES}/{NEW}.md", "the page"),
        (f"{PAGES}/README.md", f"the line {INDEX}"),
        (CONTRACT, f"the line | `{NEW}` | a reserve is held for over a year | of §6"),
        (OPENAPI, "the type among the values: print the file again"),
        (SCENARIOS, "a row of a scenario's expected exceptions"),
        (SIMULATOR, "a case that raises it"),
    }
    assert lacks(copy) == set()
    edit(copy / VOCABULARY, lambda text: text + ROW)
    assert lacks(copy) == steps

    def done(*places: str) -> None:
        steps.difference_update({step for step in steps if step[0] in places})
        assert lacks(copy) == steps

    (copy / MODELS / f"exc_{NEW}.sql").write_text(f"select '{NEW}' as exception_type\n", encoding="utf-8")
    done(f"{MODELS}/exc_{NEW}.sql")
    write(copy)
    done(UNIONS["provider"], f"{PAGES}/README.md", CONTRACT)
    model = f"  - {{name: exc_{NEW}, description: Reserve held too long., columns: *columns}}\n"
    edit(copy / DESCRIPTIONS, lambda text: text.replace("\n# Every model twice", f"{model}\n# Every model twice"))
    for name, rows in (("fires_after_a_year", [{"exception_type": NEW}]), ("does_not_fire_before", [])):
        test = f"  - {{name: {NEW}_{name}, model: exc_{NEW}, given: [], expect: {{rows: {rows}}}}}\n"
        edit(copy / DESCRIPTIONS, lambda text, test=test: f"{text}\n{test}")
    done(DESCRIPTIONS)
    page = ["# Reserve held too long", "", FACTS, *(f"## {heading}" for heading in SECTIONS), f"Model `exc_{NEW}`"]
    (copy / PAGES / f"{NEW}.md").write_text("\n".join(page), encoding="utf-8")
    done(f"{PAGES}/{NEW}.md")
    edit(copy / OPENAPI, lambda text: text.replace('"over_applied_reference"', f'"over_applied_reference", "{NEW}"'))
    done(OPENAPI)
    edit(copy / SCENARIOS / "a_bad_day/expected/wednesday/exceptions.csv", lambda text: f"{text}2026-04-15,{NEW}\n")
    done(SCENARIOS)
    edit(copy / SIMULATOR / "cases" / "refunds.py", lambda text: f'{text}\nNEW = "{NEW}"\n')
    done(SIMULATOR)
    assert steps == set()


@pytest.mark.parametrize(
    ("place", "change", "right"),
    [
        (f"{MODELS}/exc_fee_variance.sql", ("'fee_variance' as", "'fee_varies' as"), "and no other type"),
        (f"{PAGES}/fee_variance.md", ("due in 5 business days", "due in 4 business days"), "due in 5 business days"),
        (f"{PAGES}/fee_variance.md", ("## What to do", "## What to do next"), "the heading 'What to do'"),
        (f"{PAGES}/README.md", ("| low | `settlement_breaks` | 5 |", "| low | `timing` | 5 |"), "`settlement_breaks`"),
        (DESCRIPTIONS, ("name: fee_variance_fires_", "name: fee_variance_is_raised_"), "the name fee_variance_fires_…"),
    ],
)
def test_what_does_not_say_what_the_vocabulary_says_is_named(
    copy: Path, place: str, change: tuple[str, str], right: str
) -> None:
    edit(copy / place, lambda text: text.replace(*change))
    named = [each for each in missing(copy) if each.exception_type == "fee_variance"]
    assert named
    assert all(each.place == place for each in named)
    assert any(right in each.what for each in named)


def test_what_speaks_of_a_type_that_is_none_is_named(copy: Path) -> None:
    (copy / PAGES / f"{NEW}.md").write_text("", encoding="utf-8")
    (copy / MODELS / f"exc_{NEW}.sql").write_text("", encoding="utf-8")
    assert [str(each) for each in missing(copy)] == [
        f"{NEW}: {VOCABULARY}: the row of what {MODELS}/exc_{NEW}.sql speaks of"
    ]


def test_a_list_in_another_order_is_named(copy: Path) -> None:
    two_lines = r"(\| `unmatched_provider_row` .*\n)(\| `unmatched_ledger_entry` .*\n)"
    edit(copy / CONTRACT, lambda text: re.sub(two_lines, r"\2\1", text))
    assert [each.what for each in missing(copy)] == ["the order of the vocabulary in §6"]


# What only the compiled project says ---------------------------------------------------------------------------------


def type_names() -> list[str]:
    return [row.exception_type for row in vocabulary.exception_types()]


def test_exception_models_have_the_same_columns() -> None:
    built = {**built_bank().columns, **built_project().columns}
    columns = [list(built[f"zentra.exc_{name}"].items()) for name in type_names()]
    assert all(each == columns[0] for each in columns)


def test_a_model_speaks_of_the_type_in_its_name_only() -> None:
    built = {**built_bank().compiled, **built_project().compiled}
    compiled = {name: sql for name, sql in built.items() if name.startswith("exc_")}
    assert set(compiled) == {f"exc_{name}" for name in type_names()}
    for name, sql in compiled.items():
        assert {f"exc_{found}" for found in re.findall(r"'(\w+)' as exception_type", sql)} == {name}


def test_every_exception_model_is_collected() -> None:
    """By runs of a provider, and what only those of a bank account find by them."""
    models = project_nodes("model")
    found: dict[str, set[str]] = {}
    for name in ("int_exceptions_found", "bank_exceptions_found"):
        found[name] = {node.removeprefix("model.zentra.exc_") for node in models[name]["depends_on"]["nodes"]}
    types = vocabulary.exception_types()
    assert found["int_exceptions_found"] == {row.exception_type for row in types if row.of_runs != "bank"}
    assert found["bank_exceptions_found"] == {row.exception_type for row in types if row.of_runs != "provider"}


def test_a_page_s_remedies_are_words_of_the_vocabulary() -> None:
    built = built_project().columns
    columns = built["zentra.exceptions"].keys() | built["raw.settlement_lines"].keys()
    known = {*vocabulary.values("resolution"), *type_names(), *Profile.model_fields, *columns}

    def check(name: str) -> None:
        advice = (ROOT / PAGES / f"{name}.md").read_text(encoding="utf-8").partition("## What to do")[2]
        assert set(re.findall(r"`(\w+)`", advice)) <= known

    check_every(type_names(), check)
