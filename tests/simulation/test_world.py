"""A world is the same for the same seed, and its answer key contradicts neither itself nor the rows."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.simulation.answer_key import AnswerKey, answer_key
from zentra_pipeline.simulation.cases import all_cases
from zentra_pipeline.simulation.rows import CLEARING_ACCOUNT, PROVIDER
from zentra_pipeline.simulation.world import World, build_world
from zentra_pipeline.simulation.write import KEY_TABLES, write_world

SEEDS = range(40)


def worlds() -> list[tuple[World, AnswerKey]]:
    return [(world, answer_key(world)) for world in (build_world(seed, 250) for seed in SEEDS)]


@pytest.fixture(scope="module", name="keyed")
def _keyed() -> list[tuple[World, AnswerKey]]:
    return worlds()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_world(build_world(7, 150), tmp_path / name)
    assert files_of(tmp_path / "first") == files_of(tmp_path / "second")


def test_another_seed_makes_another_world(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_world(build_world(seed, 60), tmp_path / str(seed))
    assert files_of(tmp_path / "1") != files_of(tmp_path / "2")


def test_every_case_is_told_and_explains_itself(keyed: list[tuple[World, AnswerKey]]) -> None:
    told = {story.case for world, _ in keyed for story in world.stories}
    assert told == set(all_cases())
    assert [name for name, case in all_cases().items() if not case.description.endswith(".")] == []


def test_every_exception_type_and_every_rule_is_asked_for(keyed: list[tuple[World, AnswerKey]]) -> None:
    types = {row.exception_type for _, key in keyed for row in key.exceptions if "|" not in row.exception_type}
    rules = {row.rule for _, key in keyed for row in key.matches}
    assert len(types) == 18
    assert rules == {
        "exact_reference",
        "normalized_reference",
        "internal_reference",
        "callback_bridge",
        "batch_total",
        "amount_date",
    }


def test_a_leg_is_in_one_confirmed_match_at_most(keyed: list[tuple[World, AnswerKey]]) -> None:
    for _, key in keyed:
        legs = Counter(
            (leg, row.currency)
            for row in key.matches
            if row.status == "confirmed"
            for leg in f"{row.settlement_lines} {row.ledger_transactions}".split()
        )
        assert {leg: count for leg, count in legs.items() if count > 1} == {}


def test_what_is_undecidable_is_in_no_confirmed_match(keyed: list[tuple[World, AnswerKey]]) -> None:
    for _, key in keyed:
        confirmed = {
            leg
            for row in key.matches
            if row.status == "confirmed"
            for leg in f"{row.settlement_lines} {row.ledger_transactions}".split()
        }
        assert {row.leg_id for row in key.undecidable} & confirmed == set()


def test_an_exception_is_stated_once(keyed: list[tuple[World, AnswerKey]]) -> None:
    for _, key in keyed:
        stated = Counter((row.exception_type, row.subject_id, row.currency) for row in key.exceptions)
        assert [subject for subject, count in stated.items() if count > 1] == []


def test_the_roll_forward_ends_in_the_open_movements(keyed: list[tuple[World, AnswerKey]]) -> None:
    for _, key in keyed:
        still_open: Counter[tuple[str, str]] = Counter()
        for row in key.open_items:
            if row.item_type == "ledger_transaction":
                still_open[row.ledger_window, row.currency] += row.amount_minor
        for flow in key.rollforward:
            assert flow.opening_minor + flow.posted_minor - flow.settled_minor == flow.closing_minor
            assert flow.closing_minor == still_open[flow.ledger_window, flow.currency]


def test_a_movement_is_the_net_of_its_clearing_entries(keyed: list[tuple[World, AnswerKey]]) -> None:
    for world, _ in keyed:
        for story in world.stories:
            net: Counter[tuple[str, str]] = Counter()
            for entry in {entry for _, entry in story.entries}:
                if entry.account == CLEARING_ACCOUNT and entry.provider == PROVIDER:
                    sign = 1 if entry.direction == "credit" else -1
                    net[entry.transaction_id, entry.currency] += sign * entry.amount_minor
            stated = Counter({(item.transaction_id, item.currency): item.amount_minor for item in story.movements})
            for _, transaction, currency, amount in story.posted_more:
                stated[transaction, currency] += amount
            assert dict(net) == dict(stated), story.case


def test_rows_are_seen_by_the_run_their_window_gives(keyed: list[tuple[World, AnswerKey]]) -> None:
    for world, _ in keyed:
        for story in world.stories:
            for movement in story.movements:
                assert world.calendar.run_seeing(movement.window) == movement.run, story.case
            for line in story.lines:
                assert world.calendar.window_of(line.row.settled_at) == world.calendar.runs[line.run], story.case


def test_ids_and_references_belong_to_one_story(keyed: list[tuple[World, AnswerKey]]) -> None:
    for world, _ in keyed:
        owner: dict[str, int] = {}
        for story in world.stories:
            references = {line.row.provider_reference for line in story.lines}
            references |= {movement.provider_reference for movement in story.movements}
            for reference in references - {""}:
                plain = "".join(character for character in reference.casefold() if character.isalnum())
                assert owner.setdefault(plain or reference, story.number) == story.number


def test_the_profile_is_one_the_program_takes(tmp_path: Path) -> None:
    for seed in SEEDS:
        write_world(build_world(seed, 1), tmp_path / str(seed))
        paths = TenantPaths(tmp_path / f"home{seed}")
        paths.providers.mkdir(parents=True)
        (paths.providers / f"{PROVIDER}.yml").write_bytes((tmp_path / str(seed) / "profile.yml").read_bytes())
        assert load_profile(paths, PROVIDER).settlement_lag_days in (1, 2, 3)


def test_the_folder_holds_the_key_and_explains_it(tmp_path: Path) -> None:
    counts = write_world(build_world(3, 120), tmp_path / "world")
    readme = (tmp_path / "world" / "README.md").read_text(encoding="utf-8")
    for table in KEY_TABLES:
        with (tmp_path / "world" / "answer_key" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            assert len(list(csv.DictReader(file))) == counts[table]
        assert f"`{table}.csv`" in readme
    assert [name for name in all_cases() if f"| `{name}` |" not in readme] == []


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(UsageError, match="not an empty folder"):
        write_world(build_world(1, 1), tmp_path)
    assert files_of(tmp_path) == {"mine.txt": b"keep me"}


def test_an_unknown_case_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no case 'happy_path'; cases are exact_reference"):
        build_world(1, 10, only_cases=["happy_path"])


def test_cases_that_need_more_windows_are_refused_not_looped_over() -> None:
    with pytest.raises(UsageError, match="none of settled_after_the_lag fits"):
        build_world(1, 10, windows=1, only_cases=["settled_after_the_lag"])


def test_a_world_of_one_case_tells_only_that_case() -> None:
    world = build_world(5, 30, only_cases=["never_posted"])
    assert {story.case for story in world.stories} == {"never_posted"}
    assert len(world.stories) == 30
