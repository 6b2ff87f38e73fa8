"""The contract (docs/contract.md) against the product: keys, formats, inputs, commands, words, routes, event types.

Tables and their columns (§4) are held in tests/published/test_published_tables.py.
"""

import json
import re
from collections.abc import Iterator

import click

from zentra_pipeline import vocabulary
from zentra_pipeline.api.security import APPROVE, ASK, DECIDE, DELIVER, KEEP_WEBHOOKS, MAY, PREPARE, READ
from zentra_pipeline.cli.group import zentra
from zentra_pipeline.config.privacy import Privacy
from zentra_pipeline.config.profile import Profile
from zentra_pipeline.console.app import PAGES
from zentra_pipeline.contracts import CONTRACTS
from zentra_pipeline.events import types
from zentra_pipeline.settings import DBT_PROJECT
from zentra_pipeline.sources.registry import formats_of

ROOT = DBT_PROJECT.parent
TEXT = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
EVENT_TYPES_UNNAMED = {types.MATCH_REVERSED, types.EXCEPTION_CHANGED, types.PROVIDER_DRIFTED}


def section(number: int) -> str:
    """A section of the contract, its line ends as blanks where a sentence goes on."""
    return re.split(r"\n## \d+\. ", TEXT)[number]


def table(number: int) -> dict[str, list[str]]:
    """First cell of each row of a section's table → its other cells."""
    rows = [
        re.split(r" (?<!\\)\| ", line.strip("| ")) for line in section(number).splitlines() if line.startswith("| `")
    ]
    return {first: others for first, *others in rows}


def words(text: str) -> list[str]:
    """What is in code marks."""
    return re.findall(r"`([^`]+)`", text)


def not_built(number: int, key: str = "") -> set[str]:
    """What §11 names as missing of a section, or of one of its keys."""
    mark = f"§{number} `{key}`" if key else f"§{number}"
    return {
        word
        for line in section(11).splitlines()
        if line.startswith(f"| {mark} |")
        for word in words(line.split("|")[2])
    }


def test_profile_keys_are_those_of_the_contract() -> None:
    keys = {key for first in table(1) for key in words(first) for key in key.split(", ")}
    assert keys == set(Profile.model_fields)
    assert not_built(1) == set()


def test_keys_of_privacy_are_those_of_the_contract() -> None:
    assert {key for first in table(2) for key in words(first)} == set(Privacy.model_fields)


def test_formats_are_those_of_the_contract() -> None:
    rows = table(1)
    for key, readers in (("settlement_format", formats_of("settlement")), ("callback_format", formats_of("callbacks"))):
        named = set(words(rows[f"`{key}`"][1]))
        assert named - not_built(1, key) == set(readers)
        assert not_built(1, key) <= named


def test_the_guide_names_every_route_of_the_console_and_the_contract_what_it_lacks() -> None:
    guide = (ROOT / "docs" / "guides" / "console.md").read_text(encoding="utf-8").split("## Routes")[1]
    named = {
        (method, line.split("`")[1])
        for line in guide.splitlines()
        if line.startswith("| `/console")
        for method in re.findall(r"`(GET|POST)`", line)
    }
    assert named == {
        (method, f"/console{route.path}")
        for module in PAGES
        for route in module.ROUTES
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert "zentra serve" not in section(11), "the console lacks nothing that is promised"


def test_input_columns_are_those_of_the_contract() -> None:
    for kind, contract in CONTRACTS.items():
        (item,) = re.findall(rf"^- \*\*{kind}\*\*.*?(?=^- \*\*|\Z)", section(2), re.M | re.S)
        named = {word for text in words(" ".join(item.split())) for word in re.split(r",\s*", text)}
        assert set(contract.columns) <= named | {"provider", "row_type"}, kind
        for group in words(" ".join(item.split()))[: max(1, len(contract.parts))]:
            assert set(group.split(", ")) <= set(contract.columns), kind


def commands(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Every command line in a text as the names of its command and its options; `a|b` are two commands."""
    for line in words(text):
        if not line.startswith("zentra "):
            continue
        names = re.match(r"zentra ([a-z_]+)(?: ([a-z]+(?:\\?\|[a-z]+)*)(?= |$))?", line)
        assert names, line
        options = re.findall(r"--[a-z-]+", line)
        for last in re.split(r"\\?\|", names[2] or ""):
            yield [names[1], *([last] if last else [])], options


def test_commands_and_their_options_are_there() -> None:
    found = [each for first in table(3) for each in commands(first)]
    assert len(found) >= 30
    for names, options in found:
        command: click.Command = zentra
        for name in names:
            if isinstance(command, click.Group):
                next_command = command.get_command(click.Context(command), name)
                assert next_command is not None, names
                command = next_command
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert set(options) <= known | {"--json"}, names


def test_exception_types_statuses_and_resolutions_are_the_vocabulary() -> None:
    assert [word for first in table(6) for word in words(first)] == [
        row.exception_type for row in vocabulary.exception_types()
    ]
    prose = " ".join(section(6).split())
    statuses = prose.split("**Exception status**: ")[1].split(".")[0]
    assert words(statuses)[0].split(" → ") == list(vocabulary.values("exception_status"))
    resolutions = prose.split("**Resolutions**: ")[1].split(". ")[0]
    assert set(words(resolutions)) == set(vocabulary.values("resolution"))


def test_run_and_closeout_statuses_are_the_vocabulary() -> None:
    prose = " ".join(section(4).split())
    run = words(prose.split("**Run status**: ")[1].split("**Closeout")[0])
    taken_back = {"void"}  # by `zentra runs void` of §3
    assert set(run[0].split(" → ")) | {run[1]} | taken_back == set(vocabulary.values("run_status"))
    closeout = words(prose.split("**Closeout status**: ")[1].split(".")[0])
    assert closeout[0].split(", ") == list(vocabulary.values("closeout_status"))


def test_passes_are_the_vocabulary_in_their_order() -> None:
    passes = re.findall(r"^\d\. `(\w+)`", section(5), re.M)
    assert passes == [rule for rule in vocabulary.values("rule") if rule in passes]


def expanded(path: str) -> Iterator[str]:
    """`/a[/{id}[/b|/c]]` as `/a`, `/a/{}`, `/a/{}/b`, `/a/{}/c`; `/d/e|f` as `/d/e`, `/d/f`."""
    whole = re.fullmatch(r"([^\[|]+)(?:\|([\w-]+))?(?:\[(/[^\[]+)\[(.+)\]\])?", re.sub(r"{\w+}", "{}", path))
    assert whole, path
    stem, other, part, lasts = whole.groups()
    yield stem
    if other:
        yield f"{stem.rpartition('/')[0]}/{other}"
    if part:
        yield stem + part
        yield from (stem + part + last for last in lasts.split("|"))


def test_routes_are_in_the_description_of_the_api() -> None:
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    routes = {(method.upper(), re.sub(r"{\w+}", "{}", path)) for path, methods in paths.items() for method in methods}
    named = {
        (text.split(" ")[0], path)
        for text in words(" ".join(section(7).split()))
        if re.match(r"(GET|POST) /", text)
        for path in expanded(text.split(" ")[1])
    }
    kinds = {
        ("POST", f"/files/{{}}/{kind}") for kind in ("settlement", "ledger")
    }  # one route whose last part is a kind
    assert kinds < named
    assert len(named) > 15
    assert named - kinds <= routes
    assert ("POST", "/files/{}/{}") in routes


def test_event_types_are_those_of_the_contract_and_the_ones_that_follow_from_it() -> None:
    named = set()
    for text in words(section(8)):
        if text.startswith("reconciliation."):
            stem, _, last = text.rpartition(".")
            named |= {f"{stem}.{word}" for word in last.split("|")}
    named |= set(re.findall(r"reconciliation\.provider\.drifted", TEXT))
    assert named <= set(types.DATA)
    assert set(types.DATA) - named <= EVENT_TYPES_UNNAMED


def test_every_reading_that_code_and_tests_cite_is_in_the_contract() -> None:
    readings = {
        int(number)
        for number in re.findall(r"^(\d+)\. \*\*|^(\d+)\. ", section(10), re.M)
        for number in number
        if number
    }
    cited: set[tuple[str, str]] = set()
    for folder, pattern in (
        ("zentra_pipeline", "*.py"),
        ("tests", "*.py"),
        ("dbt_project/models", "*.sql"),
        ("dbt_project/macros", "*.sql"),
    ):
        for path in (ROOT / folder).rglob(pattern):
            for number in re.findall(r"contract §(\d+(?:\.\d+)?)", path.read_text(encoding="utf-8")):
                cited.add((path.name, number))
    assert len(cited) > 40
    for name, number in sorted(cited):
        whole, _, reading = number.partition(".")
        assert 1 <= int(whole) <= 11, (name, number)
        assert not reading or (whole == "10" and int(reading) in readings), (name, number)


def test_the_security_model_says_of_each_role_what_it_may_over_http() -> None:
    text = (ROOT / "docs" / "guides" / "security-model.md").read_text(encoding="utf-8")
    columns = (READ, ASK, DELIVER, DECIDE, PREPARE, APPROVE, KEEP_WEBHOOKS)
    said = {
        words(line)[0]: {action for action, cell in zip(columns, line.split("|")[2:], strict=False) if "yes" in cell}
        for line in text.splitlines()
        if re.match(r"\| `(analyst|service|operator|approver|admin)` \|", line)
    }
    roles = set().union(*MAY.values())
    assert said == {role: {action for action in columns if role in MAY[action]} for role in roles}
    assert MAY.keys() == set(columns)
