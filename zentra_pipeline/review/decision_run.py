"""The run that a decision belongs to, and the items it takes out of it or puts back; reads, never writes.

A write-off or a match changes the newest run that carries its items, so that run is reconciled again after it. Does not
belong here: what decisions mean (decisions), recording them (record).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from zentra_pipeline import money, vocabulary
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.decisions import policy, run_adjustments
from zentra_pipeline.decisions.exception_state import KEEPS_STATUS, ExceptionState
from zentra_pipeline.decisions.manual_match import LINE, Match, Named
from zentra_pipeline.decisions.run_adjustments import ManualMatch, WriteOff
from zentra_pipeline.errors import NotPossibleError
from zentra_pipeline.published import lake
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import closeouts as closeout_store
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.decisions import Decision

# A failed or returned line takes part in no match.
_FAILED: Final = "failed_settlement"


@dataclass(frozen=True)
class DecisionRun:
    """The run a decision belongs to, what of its items the log keeps, and whether that changes the run."""

    run: run_store.Run
    details: Mapping[str, Any] = field(default_factory=dict)
    is_changed: bool = False


@dataclass(frozen=True)
class FoundMatch:
    """What a match comes to in the newest run that carries its items."""

    run: run_store.Run
    match: Match


@dataclass(frozen=True)
class OpenItem:
    """An item in the newest run that sees it and leaves it open.

    `amount_minor` is what it comes to in the currency that was asked for: of a line that settled in another, what the
    customer paid. `own_minor` of `own_currency` is what it is open with.
    """

    run: run_store.Run
    item_type: str
    item_id: str
    amount_minor: int
    provider_reference: str | None
    opened_window: str
    item_state: str
    own_currency: str
    own_minor: int


def of_known(connection: Connection, known: Decision) -> DecisionRun:
    """The run of a decision that is recorded already."""
    return DecisionRun(run_store.get(connection, known.run_id), known.details, run_adjustments.changes_items(known))


def of_decision(
    connection: Connection,
    paths: TenantPaths,
    row: Mapping[str, Any],
    state: ExceptionState,
    log: Sequence[Decision],
    action: str,
    verdict: policy.PolicyResult,
    found: FoundMatch | None,
) -> DecisionRun:
    """The provider's newest published run; for what changes items the newest that carries them."""
    published = published_runs(connection, row)
    if found is not None:
        takes_effect = verdict.result == "resolved"
        return DecisionRun(
            found.run if takes_effect else published[-1],
            found.match.details(takes_effect=takes_effect),
            takes_effect,
        )
    if verdict.result == "resolved" and verdict.resolution == policy.WRITE_OFF:
        return _written_off(connection, paths, row, published) or DecisionRun(published[-1])
    if action == "reopen":
        decided = next((each for each in log if each.decision_id == state.decision_id), None)
        if decided is not None and run_adjustments.changes_items(decided):
            return DecisionRun(_taken_back_from(connection, state, published), _items_of(decided), is_changed=True)
    return DecisionRun(published[-1])


def match_of(
    connection: Connection,
    paths: TenantPaths,
    row: Mapping[str, Any],
    log: Sequence[Decision],
    action: str,
    named: Named | None,
) -> FoundMatch | None:
    """What is named, or the match that an approval is about, in the newest runs; null where there is none.

    Raises NotPossibleError when an item is not open in the newest run that sees it, when these are not one run, when
    that is sealed, when amounts are others than those that were proposed, or when items of one side do not cancel.
    """
    proposed = proposal(log) if action == "approve" else None
    if proposed is not None:
        named = Named.of_details(proposed.details)
    if named is None:
        return None
    _check_subject(row, named)
    currency, items = _items_in_one_currency(paths, published_runs(connection, row), named.items, row["currency"])
    run = _one_run(row, named, items)
    _check_unsealed(connection, run, "a match")
    _check_unclaimed(connection, run, named, currency)
    found = FoundMatch(run, _judged(paths, run, named, currency, items))
    if named.is_one_sided:
        found.match.check_cancels(load_profile(paths, run.provider).tolerance_minor(currency))
    if proposed is not None:
        _check_as_proposed(proposed, found.match)
    return found


def is_sealed(connection: Connection, run_id: str) -> bool:
    """Whether a closeout of the run carries a seal."""
    return any(closeout.chain_sequence is not None for closeout in closeout_store.of_run(connection, run_id))


def published_runs(connection: Connection, row: Mapping[str, Any]) -> list[run_store.Run]:
    """The published runs of the exception's provider, in order of creation."""
    provider = run_store.get(connection, row["run_id"]).provider
    return [run for run in run_store.list_runs(connection, provider) if run.is_published]


def _open_items(
    paths: TenantPaths, published: Sequence[run_store.Run], items: Sequence[tuple[str, str]], currency: str
) -> dict[tuple[str, str], OpenItem]:
    """The items that are open in the newest run that sees them, with that run and their amount there."""
    return newest_open(_open_rows(paths, items), published, items, currency)


def _items_in_one_currency(
    paths: TenantPaths, published: Sequence[run_store.Run], items: Sequence[tuple[str, str]], currency: str
) -> tuple[str, dict[tuple[str, str], OpenItem]]:
    """The currency in which all items can be compared (contract §10.1), and the items; as asked where there is none."""
    rows = _open_rows(paths, items)
    others = {each for row in rows for each in (row["currency"], row["presentment_currency"]) if each}
    for each in (currency, *sorted(others - {currency})):
        found = newest_open(rows, published, items, each)
        if len(found) == len(items):
            return each, found
    return currency, newest_open(rows, published, items, currency)


def _open_rows(paths: TenantPaths, items: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    answer = lake.query(
        paths,
        "SELECT run_id, item_type, item_id, currency, provider_reference, amount_minor, presentment_currency, "
        "presentment_minor, cast(opened_window AS varchar) AS opened_window, item_state FROM open_items "
        "WHERE list_contains(?::varchar[], item_id)",
        [sorted({item_id for _, item_id in items})],
    )
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def newest_open(
    rows: Sequence[Mapping[str, Any]],
    published: Sequence[run_store.Run],
    items: Sequence[tuple[str, str]],
    currency: str,
) -> dict[tuple[str, str], OpenItem]:
    """The same from rows of open_items, with `opened_window` as text: items open in the currency, or paid in it."""
    known = {run.run_id for run in published}
    found: dict[tuple[str, str], OpenItem] = {}
    for item in items:
        by_run = {
            row["run_id"]: row
            for row in rows
            if (row["item_type"], row["item_id"]) == item and row["run_id"] in known
            if currency in (row["currency"], row["presentment_currency"])
        }
        if not by_run:
            continue
        opened = min(row["opened_window"] for row in by_run.values())
        newest = [run for run in published if run.ledger_window >= opened][-1]
        if newest.run_id in by_run:
            row = by_run[newest.run_id]
            found[item] = OpenItem(
                run=newest,
                item_type=item[0],
                item_id=item[1],
                amount_minor=row["amount_minor" if row["currency"] == currency else "presentment_minor"],
                provider_reference=row["provider_reference"],
                opened_window=row["opened_window"],
                item_state=row["item_state"],
                own_currency=row["currency"],
                own_minor=row["amount_minor"],
            )
    return found


def _written_off(
    connection: Connection, paths: TenantPaths, row: Mapping[str, Any], published: Sequence[run_store.Run]
) -> DecisionRun | None:
    """The newest run that sees the exception's item, provided it leaves it open and is not sealed."""
    if row["exception_type"] not in vocabulary.unmatched_reasons():
        return None
    item = (row["subject_type"], row["subject_id"])
    open_item = _open_items(paths, published, [item], row["currency"]).get(item)
    if open_item is None:
        return None
    _check_unsealed(connection, open_item.run, "a write-off")
    details = {
        "item_type": row["subject_type"],
        "item_id": row["subject_id"],
        "currency": row["currency"],
        "exception_type": row["exception_type"],
        "amount_minor": open_item.own_minor,
    }
    return DecisionRun(open_item.run, {"item": details}, is_changed=True)


def _check_unsealed(connection: Connection, run: run_store.Run, what: str) -> None:
    if is_sealed(connection, run.run_id):
        act = "write off" if what == "a write-off" else "match"
        raise NotPossibleError(
            f"run {run.run_id} of window {run.ledger_window} is sealed, and {what} changes its "
            f"roll-forward: reconcile the next window first, and {act} in that run"
        )


def proposal(log: Sequence[Decision]) -> Decision | None:
    """The decision that awaits its approval."""
    proposals = [each for each in log if each.result == "pending_approval" and each.action not in KEEPS_STATUS]
    return proposals[-1] if proposals else None


def _check_subject(row: Mapping[str, Any], named: Named) -> None:
    about = f"{_words(row['subject_type'])} {row['subject_id']}"
    if row["exception_type"] not in vocabulary.unmatched_reasons() - {_FAILED}:
        raise NotPossibleError(
            f"exception {row['exception_id']} is {row['exception_type']} about {about}: matching answers exceptions of "
            "lines and movements that wait for a counterpart; resolve this one"
        )
    if (row["subject_type"], row["subject_id"]) not in named.items:
        raise NotPossibleError(f"exception {row['exception_id']} is about {about}: name it among what you match")


def _one_run(row: Mapping[str, Any], named: Named, items: Mapping[tuple[str, str], OpenItem]) -> run_store.Run:
    """The one run in which all named items are open."""
    for item_type, item_id in named.items:
        if (item_type, item_id) not in items:
            raise NotPossibleError(
                f"{_words(item_type)} {item_id} is not open in {row['currency']} in the newest run that sees it: a "
                "match takes items of one currency and provider that nothing has matched or written off (a line also "
                "counts in the currency that the customer paid in)"
            )
    runs = {item.run.run_id: item.run for item in items.values()}
    if len(runs) > 1:
        shown = ", ".join(f"{run.run_id} of window {run.ledger_window}" for run in runs.values())
        raise NotPossibleError(
            f"the items belong to different runs ({shown}): reconcile the next window, and match them there"
        )
    (run,) = runs.values()
    return run


def _check_unclaimed(connection: Connection, run: run_store.Run, named: Named, currency: str) -> None:
    """Refuse what another decision in this run has taken already, though its revision is not published yet."""
    taken = run_adjustments.of_run(decision_store.listed(connection), run.run_id, ())
    claims: list[WriteOff | ManualMatch] = [*taken.write_offs, *taken.matches]
    for claim in claims:
        is_same = claim.item_type == LINE or claim.currency == currency  # a line is one, whatever it is compared in
        if (claim.item_type, claim.item_id) in named.items and is_same:
            raise NotPossibleError(
                f"{_words(claim.item_type)} {claim.item_id} is taken by decision {claim.decision_id} about exception "
                f"{claim.exception_id} in run {run.run_id}: reopen that one first"
            )


def _judged(
    paths: TenantPaths,
    run: run_store.Run,
    named: Named,
    currency: str,
    items: Mapping[tuple[str, str], OpenItem],
) -> Match:
    """The match with its sums and the exceptions that its run opened; NotPossibleError for a line that has failed."""
    rows = lake.query(
        paths,
        "SELECT subject_type, subject_id, exception_id, exception_type, run_id, currency FROM exceptions "
        "WHERE list_contains(?::varchar[], subject_id) "
        "AND list_contains(?::varchar[], exception_type) ORDER BY subject_type, subject_id, exception_id",
        [sorted({item_id for _, item_id in named.items}), sorted(vocabulary.unmatched_reasons())],
    ).rows
    breaks = []
    for item_type, item_id, exception_id, exception_type, run_id, own_currency in rows:
        if (item_type, item_id) not in items or items[item_type, item_id].own_currency != own_currency:
            continue
        if exception_type == _FAILED:
            raise NotPossibleError(f"settlement line {item_id} has failed or was returned: it cannot be matched")
        if run_id == run.run_id:
            broken = {"item_type": item_type, "item_id": item_id, "exception_id": exception_id}
            breaks.append(broken | {"exception_type": exception_type})
    return Match(
        named,
        currency,
        sum(items[item].amount_minor for item in named.items if item[0] == "settlement_line"),
        sum(items[item].amount_minor for item in named.items if item[0] == "ledger_transaction"),
        tuple(breaks),
    )


def _check_as_proposed(proposal: Decision, match: Match) -> None:
    proposed = (proposal.details["settlement_minor"], proposal.details["ledger_minor"])
    now = (match.settlement_minor, match.ledger_minor)
    if now != proposed:
        was, is_now = (
            " against ".join(money.amount_text(amount, match.currency) for amount in each) for each in (proposed, now)
        )
        raise NotPossibleError(
            f"exception {proposal.exception_id}: {proposal.actor} proposed to match {was}, and it is {is_now} by now: "
            "reject it, and have it proposed again"
        )


def _items_of(decision: Decision) -> dict[str, Any]:
    """The items that a decision closed, for the decision that reopens them."""
    named = Named.of_details(decision.details)
    return {"item": dict(decision.details["item"])} if named is None else dict(named.content())


def _taken_back_from(
    connection: Connection, state: ExceptionState, published: Sequence[run_store.Run]
) -> run_store.Run:
    """The run whose decision a reopening takes back; refused once a later run starts from it, or it is sealed."""
    run = run_store.get(connection, str(state.run_id))
    following = [later for later in published if later.sequence > run.sequence]
    if following or is_sealed(connection, run.run_id):
        why = f"run {following[0].run_id} was reconciled on top of it" if following else "it is sealed"
        how, then = (
            ("written off", "a counterpart that comes later opens an exception of its own")
            if state.resolution == policy.WRITE_OFF
            else (
                "matched by decision",
                "what is wrong with the match has to be corrected in the ledger or by the provider",
            )
        )
        raise NotPossibleError(
            f"exception {state.exception_id} was {how} in run {run.run_id}, and {why}: it cannot be reopened; {then}"
        )
    return run


def _words(name: str) -> str:
    return name.replace("_", " ")
