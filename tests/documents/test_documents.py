"""Documentation names what exists: commands and their options, make targets, paths, variables, profile keys, tables."""

import re
import shlex
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import click
import pytest

from tests.support.every import check_every
from zentra_pipeline.cli.group import zentra
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.published import declared_tables
from zentra_pipeline.settings import DBT_PROJECT

ROOT = DBT_PROJECT.parent


def documents() -> list[Path]:
    folders = ("docs", "data/scenarios", "dbt_project/models", "benchmarks", "tests")
    found = [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]
    return sorted(found)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_lines(document: Path) -> Iterator[str]:
    """Lines of the code blocks of a document, continued lines joined."""
    # Every block is taken, of whatever language: the end of one that is skipped would pass for the start of another.
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S):
        if language not in ("", "bash", "console", "sh", "shell"):
            continue
        yield from block.replace("\\\n", " ").splitlines()


def inline_code(document: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", prose)


def zentra_commands(document: Path) -> Iterator[list[str]]:
    """Arguments of every `zentra …` in the code blocks of a document."""
    for line in code_lines(document):
        for part in re.split(r"\||&&|;|\$\((?=zentra)", line.removeprefix("$ ")) if "zentra" in line else []:
            words = shlex.split(part.split(")")[0] if "$(" in line else part, comments=True)
            if words and Path(words[0]).name == "zentra":
                yield words[1:]


def check_command(words: list[str]) -> None:
    """Fails unless the command line knows the command and each of its options, and has all it needs."""
    command: click.Command = zentra
    context = click.Context(zentra, info_name="zentra")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"zentra has no command {words[0]!r}"
        command, words = found, words[1:]
        context = click.Context(command, info_name=command.name, parent=context)
    if "--help" in words or "--version" in words:
        return
    parsed, _, _ = command.make_parser(context).parse_args(args=list(words))
    given = {
        name: value for name, value in parsed.items() if not isinstance(value, Enum)
    }  # click marks absence by an enum
    for parameter in command.params:
        value = given.get(parameter.name or "")
        assert not parameter.required or value, f"{command.name} needs {parameter.human_readable_name}"
        if isinstance(parameter.type, click.Choice) and value is not None:
            assert value in parameter.type.choices, f"{command.name}: {value!r} is no {parameter.human_readable_name}"


def check_commands(document: Path) -> None:
    for words in zentra_commands(document):
        check_command(words)
    for code in inline_code(document):
        if match := re.match(r"zentra ([a-z]+)", code):
            assert zentra.get_command(click.Context(zentra), match[1]) is not None, (
                f"zentra has no command {match[1]!r}"
            )


def check_make_targets(document: Path) -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    named = [
        match[1]
        for code in (*code_lines(document), *inline_code(document))
        if (match := re.match(r"make ([a-z-]+)", code))
    ]
    assert [name for name in named if name not in targets] == []


def check_paths(document: Path) -> None:
    """`<type>` stands for any name; what commands make in the home or in data/demo is not there yet."""
    roots = ("zentra_pipeline/", "dbt_project/", "docs/", "tests/", "data/scenarios/", "benchmarks/")
    for code in inline_code(document):
        if code.startswith(roots) and " " not in code:
            pattern = re.sub(r"<\w+>|…", "*", code).rstrip("/").split(":")[0]
            assert any(ROOT.glob(pattern)), f"{code} does not exist"
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"link to {target} leads nowhere"


def test_commands_in_documentation_exist() -> None:
    check_every(documents(), check_commands, relative)


def test_make_targets_in_documentation_exist() -> None:
    check_every(documents(), check_make_targets, relative)


def test_paths_in_documentation_exist() -> None:
    check_every(documents(), check_paths, relative)


def test_environment_variables_in_documentation_are_read() -> None:
    read = {
        name
        for path in (*ROOT.glob("zentra_pipeline/**/*.py"), *ROOT.glob("dbt_project/*.yml"), ROOT / "Makefile")
        for name in re.findall(r"\bZENTRA_[A-Z_]+\b", path.read_text(encoding="utf-8"))
    }

    def check(document: Path) -> None:
        assert set(re.findall(r"\bZENTRA_[A-Z_]+\b", document.read_text(encoding="utf-8"))) <= read

    check_every(documents(), check, relative)


def test_the_profile_guide_has_every_key_and_no_other() -> None:
    guide = (ROOT / "docs" / "guides" / "profiles.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in guide.splitlines() if line.startswith("| `")]
    assert {key for cell in cells for key in re.findall(r"`(\w+)`", cell)} == Profile.model_fields.keys()


def test_the_guide_to_tables_ends_with_every_table_and_column_as_declared() -> None:
    guide = (ROOT / "docs" / "guides" / "tables.md").read_text(encoding="utf-8")
    reference = declared_tables.reference()
    assert guide.endswith("\n" + reference), (
        "where a change is meant: .venv/bin/python -m zentra_pipeline.published.declared_tables prints that part"
    )
    assert "| `open_items_now` |" not in reference and "### `open_items_now`" in reference


def test_every_make_target_is_explained_and_declared() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    assert targets == set(re.findall(r"^([a-z][a-z-]*):.*## \S", makefile, re.M))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.M)
    assert set(phony.split()) == targets


@pytest.mark.parametrize(
    "command",
    [
        "reconcile --tenant acme",
        "exceptions dismiss exc_1 --tenant acme",
        "exceptions list --tenant acme --kind late_callback",
        "exceptions list",
        "query --tenant acme --format xml 'select 1'",
        "query --tenant acme",
    ],
)
def test_the_check_of_commands_finds_what_is_wrong(command: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        check_command(shlex.split(command))
