"""A world is the same for the same seed, and its answer key contradicts neither itself nor the rows."""

import csv
from collections import Counter
from pathlib import Path

import pytest
import yaml

from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.simulation.answer_key import AnswerKey, answer_key
from zentra_pipeline.simulation.cases import all_cases
from zentra_pipeline.simulation.operators import KeyDecision, decisions
from zentra_pipeline.simulation.rows import CLEARING_ACCOUNT, PROVIDER
from zentra_pipeline.simulation.world import Dataset, build_world
from zentra_pipeline.simulation.write import KEY_TABLES, write_world

SEEDS = range(40)


def worlds() -> list[tuple[Dataset, AnswerKey]]:
    return [(world, answer_key(world)) for world in (build_world(seed, 250) for seed in SEEDS)]


@pytest.fixture(scope="module", name="keyed")
def _keyed() -> list[tuple[Dataset, AnswerKey]]:
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


def test_every_case_is_used_and_explains_itself(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    reported = {story.case for world, _ in keyed for story in world.stories}
    assert reported == set(all_cases())
    assert [name for name, case in all_cases().items() if not case.description.endswith(".")] == []


def test_every_exception_type_and_every_rule_is_asked_for(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
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


def test_a_leg_is_in_one_confirmed_match_at_most(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    for _, key in keyed:
        legs = Counter(
            (leg, row.currency)
            for row in key.matches
            if row.status == "confirmed"
            for leg in f"{row.settlement_lines} {row.ledger_transactions}".split()
        )
        assert {leg: count for leg, count in legs.items() if count > 1} == {}


def test_what_is_undecidable_is_in_no_confirmed_match(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    for _, key in keyed:
        confirmed = {
            leg
            for row in key.matches
            if row.status == "confirmed"
            for leg in f"{row.settlement_lines} {row.ledger_transactions}".split()
        }
        assert {row.leg_id for row in key.undecidable} & confirmed == set()


def test_an_exception_is_stated_once_unless_it_ended_before(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    for _, key in keyed:
        last: dict[tuple[str, str, str], str] = {}
        for row in sorted(key.exceptions, key=lambda row: row.ledger_window):
            subject = (row.exception_type, row.subject_id, row.currency)
            assert last.setdefault(subject, "0") not in ("", row.ledger_window), subject
            assert last[subject] < row.ledger_window, subject
            last[subject] = row.resolved_window


def test_the_roll_forward_ends_in_the_open_movements(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    for _, key in keyed:
        still_open: Counter[tuple[str, str]] = Counter()
        for row in key.open_items:
            if row.item_type == "ledger_transaction":
                still_open[row.ledger_window, row.currency] += row.amount_minor
        for flow in key.rollforward:
            gone = flow.settled_minor + flow.written_off_minor
            assert flow.opening_minor + flow.posted_minor - gone == flow.closing_minor
            assert flow.closing_minor == still_open[flow.ledger_window, flow.currency]


def test_a_movement_is_the_net_of_its_clearing_entries(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    for world, _ in keyed:
        for story in world.stories:
            net: Counter[tuple[str, str]] = Counter()
            for entry in {entry for _, entry in story.entries}:
                if entry.account == CLEARING_ACCOUNT and entry.provider == PROVIDER:
                    sign = 1 if entry.direction == "credit" else -1
                    net[entry.transaction_id, entry.currency] += sign * entry.amount_minor
            stated: Counter[tuple[str, str]] = Counter()
            for item in story.movements:
                stated[item.transaction_id, item.currency] += item.amount_minor
            for _, transaction, currency, amount in story.posted_more:
                stated[transaction, currency] += amount
            assert dict(net) == dict(stated), story.case


def test_rows_are_seen_by_the_run_their_window_gives(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    for world, _ in keyed:
        for story in world.stories:
            for movement in story.movements:
                assert world.calendar.run_seeing(movement.window) == movement.run, story.case
            for line in story.lines:
                assert world.calendar.window_of(line.row.settled_at) == world.calendar.runs[line.run], story.case


def test_ids_and_references_belong_to_one_story(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    for world, _ in keyed:
        owner: dict[str, int] = {}
        for story in world.stories:
            references = {line.row.provider_reference for line in story.lines}
            references |= {movement.provider_reference for movement in story.movements}
            for reference in references - {""}:
                plain = "".join(character for character in reference.casefold() if character.isalnum())
                assert owner.setdefault(plain or reference, story.number) == story.number


def decisions_of(world: Dataset) -> list[tuple[int, KeyDecision]]:
    """Every decision of a world with the last run that is made when it is taken."""
    moments = [(run, is_late) for run in range(len(world.calendar.runs)) for is_late in (False, True)]
    return [(run, row) for run, is_late in moments for row in decisions(world, run, is_late=is_late)]


def test_what_operators_end_is_decided_in_the_window_that_the_key_names(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    """What only late files show never to have been is decided about too, but no exception of the key."""
    by_people = {"accepted_timing": "accept_timing", "written_off": "write_off"}
    for world, key in keyed:
        decided = {
            (str(world.calendar.runs[run]), row.action, row.exception_type, row.subject_id)
            for run, row in decisions_of(world)
        }
        ended = {
            (row.resolved_window, by_people[row.resolution], row.exception_type, row.subject_id)
            for row in key.exceptions
            if row.resolution in by_people
        }
        provisional = {line.row.line_id for story in world.stories if story.before for line in story.before.lines}
        provisional |= {
            item.transaction_id for story in world.stories if story.before for item in story.before.movements
        }
        assert ended <= decided
        assert {row[3] for row in decided - ended if row[1] != "approve"} <= provisional


def test_a_write_off_has_a_second_person(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    for world, _ in keyed:
        rows = [(row.subject_id, row.action, row.actor) for _, row in decisions_of(world)]
        written_off = [(subject, actor) for subject, action, actor in rows if action == "write_off"]
        approved = [(subject, actor) for subject, action, actor in rows if action == "approve"]
        assert sorted(subject for subject, _ in written_off) == sorted(subject for subject, _ in approved)
        assert {actor for _, actor in written_off}.isdisjoint(actor for _, actor in approved)


def test_nothing_that_is_open_blocks_a_close(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    for world, key in keyed:
        late = {story.case for story in world.stories if story.before is not None}
        for run in world.calendar.closed:
            closed = str(world.calendar.runs[run])
            for row in key.exceptions:
                is_open = row.ledger_window <= closed and (not row.resolved_window or row.resolved_window > closed)
                assert not is_open or row.exception_type == "late_callback" or row.case in late, row


def test_late_files_bring_their_rows_once_and_run_their_window_again(tmp_path: Path) -> None:
    world = build_world(3, 250)
    write_world(world, tmp_path)
    plan = yaml.safe_load((tmp_path / "plan.yml").read_text(encoding="utf-8"))
    assert world.calendar.late is not None
    windows = [str(day) for day in world.calendar.runs]
    first, newest = (windows[run] for run in world.calendar.late)
    order = [step["ledger_window"] for step in plan["runs"]]
    again = len(order) - 1 - order[::-1].index(first)
    assert order[again - 1] == newest
    late = {file["file"] for file in plan["runs"][again]["ingest"]}
    assert late == {str(path.relative_to(tmp_path)) for path in tmp_path.glob("inputs/*/*_late.*")}
    before = [path.read_text(encoding="utf-8") for path in tmp_path.glob("inputs/*/*") if "_late" not in path.name]
    brought = "".join((tmp_path / name).read_text(encoding="utf-8") for name in late)
    ids = set().union(*(story.late for story in world.stories))
    assert ids
    assert [row for row in ids if row not in brought or any(row in text for text in before)] == []


def test_the_kinds_of_faults_that_were_found_are_in_most_worlds(keyed: list[tuple[Dataset, AnswerKey]]) -> None:
    kinds = {
        "direction of callbacks": ("refund_callback_without_a_sign", "refund_and_payment_of_one_order"),
        "parts over files": ("lines_over_several_files", "postings_over_several_windows"),
        "zero lines": ("zero_line_that_nothing_answers",),
        "late originals": ("original_known_later", "smaller_original_known_later"),
        "write-offs that grow": ("write_off_that_grows", "write_off_that_grows_and_is_settled"),
        "revisions of earlier windows": ("line_restated_after_later_windows", "posting_found_after_later_windows"),
    }
    cases = [{story.case for story in world.stories} for world, _ in keyed]
    planted = {kind: sum(not reported.isdisjoint(names) for reported in cases) for kind, names in kinds.items()}
    assert {kind for kind, worlds in planted.items() if worlds * 3 < len(cases) * 2} == set(), planted


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


def test_a_world_of_one_case_has_only_that_case() -> None:
    world = build_world(5, 30, only_cases=["never_posted"])
    assert {story.case for story in world.stories} == {"never_posted"}
    assert len(world.stories) == 30
