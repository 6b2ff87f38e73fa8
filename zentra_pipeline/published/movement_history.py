"""A movement's whole history in the order of time, from published evidence alone; its rows come from movement_rows.

Every entry says when, what happened in a sentence, by whom, in which run, and which row of which file says so. Does not
belong here: SQL, printing.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from zentra_pipeline import money
from zentra_pipeline.errors import UsageError
from zentra_pipeline.events import types
from zentra_pipeline.published import movement_rows
from zentra_pipeline.settings import TenantPaths

# What happens at one instant is listed in this order.
KINDS: Final = (
    *("intent", "ledger", "callback", "settlement", "payout", "bank"),
    *("match", "exception", "decision", "closeout"),
)
MOST_REFERENCE: Final = 4_096
_SYSTEM: Final = "system"
_COUNTERPARTS: Final = ("settlement_line", "ledger_transaction", "callback")


@dataclass(frozen=True)
class Source:
    """A row of a file as received: its id, the digest of its bytes, and the row's number."""

    file_id: str
    sha256: str
    row: int


@dataclass(frozen=True)
class HistoryEntry:
    """One thing that happened: instant (UTC text), kind, sentence, ids by name, rows that say so, run, actor.

    `is_late` marks what was received after its run was sealed.
    """

    at: str
    kind: str
    sentence: str
    ids: Mapping[str, str]
    sources: Sequence[Source] = ()
    run_id: str | None = None
    actor: str | None = None
    is_late: bool = False


@dataclass(frozen=True)
class MovementHistory:
    """All that is known of a movement, oldest first, and its state now, in words."""

    provider_reference: str
    providers: list[str]
    state: list[str]
    entries: list[HistoryEntry] = field(default_factory=list)


def history_of(paths: TenantPaths, reference: str, provider: str | None = None) -> MovementHistory:
    """The story of a provider reference or of an intent, transaction, entry, line or callback by its id.

    Of one provider where given; UsageError when nothing is known by it.
    """
    rows = movement_rows.gather(paths, reference, provider)
    if not rows:
        of_provider = f" of {provider}" if provider else ""
        raise UsageError(
            f"nothing{of_provider} has the provider reference or id {reference!r}: give the provider's reference, or "
            "the id of an intent, transaction, ledger entry, settlement line or callback, exactly as it was ingested"
        )
    entries = [
        *_intents(rows["internal_event"]),
        *_postings(rows["entry"]),
        *_callbacks(rows["callback"], _Closeouts(rows)),
        *_lines(rows["line"]),
        *_cash(rows["cash"]),
        *_matches(rows),
        *_exceptions(rows),
        *_decisions(rows["decision"]),
        *_closeouts(rows["closeout"]),
    ]
    entries.sort(key=lambda entry: (entry.at, KINDS.index(entry.kind)))  # else as each kind orders its own
    kinds = ("line", "entry", "callback", "match", "internal_event")
    providers = sorted({row["provider"] for kind in kinds for row in rows[kind]})
    return MovementHistory(reference, providers, _state(rows), entries)


class _Closeouts:
    """Which seals a fact came too late for."""

    def __init__(self, rows: movement_rows.Rows) -> None:
        runs = {row["match_id"]: row["run_id"] for row in rows["match"]}
        by_leg = {
            (leg["provider"], leg["leg_id"]): runs[leg["match_id"]]
            for leg in rows["leg"]
            if leg["leg_type"] == "callback" and leg["match_id"] in runs
        }
        self._run_of_callback = by_leg
        self._runs = set(runs.values())
        self._sealed = sorted((row for row in rows["closeout"] if row["sealed_at"]), key=lambda row: row["sealed_at"])

    def missed(self, delivery: Mapping[str, Any]) -> str | None:
        """In words, the newest seal of its run that a callback came after, and what amends it."""
        run_id = self._run_of_callback.get((delivery["provider"], delivery["provider_event_id"]))
        runs = self._runs if run_id is None else {run_id}
        before = [row for row in self._sealed if row["run_id"] in runs and row["sealed_at"] < delivery["received_at"]]
        if not before:
            return None
        sealed = before[-1]
        amendment = next((row for row in self._sealed if row["amends"] == sealed["closeout_id"]), None)
        what_followed = f"{amendment['closeout_id']} amends it" if amendment else "no closeout amends it yet"
        return f"after closeout {sealed['closeout_id']} was sealed at {_clock(sealed['sealed_at'])}; {what_followed}"


def _intents(rows: Iterable[Mapping[str, Any]]) -> Iterator[HistoryEntry]:
    for row in rows:
        policy = f"; policy {row['policy']}: {row['policy_result']}" if row["policy"] else ""
        yield HistoryEntry(
            at=row["occurred_at"],
            kind="intent",
            sentence=f"Intent {row['intent_id']} was {row['stage']}{policy}",
            ids=_ids(row, "event_id", "intent_id", "transaction_id"),
            sources=[_source(row)],
            actor=row["actor"],
        )


def _postings(rows: Iterable[Mapping[str, Any]]) -> Iterator[HistoryEntry]:
    """A transaction a line: its entries of one posting instant together, each with its account."""
    transactions: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        key = (row["posted_at"], row["provider"], row["transaction_id"], row["file_sha256"])
        transactions[key].append(row)
    for entries in transactions.values():
        first = entries[0]
        moves = ", ".join(
            f"{entry['account']} {entry['direction']} {money.amount_text(entry['amount_minor'], entry['currency'])}"
            for entry in sorted(entries, key=lambda entry: (entry["direction"] != "debit", entry["entry_id"]))
        )
        yield HistoryEntry(
            at=first["posted_at"],
            kind="ledger",
            sentence=f"The ledger posted {first['movement_type']} {first['transaction_id']}: {moves}",
            ids=_ids(first, "transaction_id", "intent_id", "provider_reference")
            | {"entry_ids": ", ".join(sorted(entry["entry_id"] for entry in entries))},
            sources=[_source(entry) for entry in sorted(entries, key=lambda entry: int(entry["row_number"]))],
        )


def _callbacks(rows: Iterable[Mapping[str, Any]], closeouts: _Closeouts) -> Iterator[HistoryEntry]:
    seen: set[tuple[str, str]] = set()
    for row in sorted(rows, key=lambda row: (row["received_at"], row["file_sequence"], row["row_number"])):
        key = (row["provider"], row["provider_event_id"])
        again = " again" if key in seen else ""
        seen.add(key)
        signature = {True: "; signature verified", False: "; signature not verified", None: ""}
        missed = closeouts.missed(row)
        amount = money.amount_text(row["amount_minor"], row["currency"])
        yield HistoryEntry(
            at=row["received_at"],
            kind="callback",
            sentence=f"{row['provider']} called back{again}: {row['provider_event_id']} {row['status']}, {amount}, "
            f"occurred {_clock(row['occurred_at'])}{signature[row['signature_verified']]}"
            + (f"; received {missed}" if missed else ""),
            ids=_ids(row, "provider_event_id", "provider_reference", "merchant_reference"),
            sources=[_source(row)],
            actor=row["provider"],
            is_late=missed is not None,
        )


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[HistoryEntry]:
    seen: set[tuple[str, str]] = set()
    for row in sorted(rows, key=lambda row: (row["file_sequence"], row["row_number"])):
        key = (row["provider"], row["line_id"])
        verb = {"settled": "settled", "failed": "reported as failed", "returned": "reported as returned"}
        again = " once more" if key in seen else ""
        seen.add(key)
        amounts = ", ".join(
            f"{name} {money.amount_text(row[f'{name}_minor'], row['currency'])}" for name in ("gross", "fee", "net")
        )
        of = f" of {row['original_reference']}" if row["original_reference"] else ""
        yield HistoryEntry(
            at=row["settled_at"],
            kind="settlement",
            sentence=f"{row['provider']} {verb.get(row['status'], row['status'])} {row['line_type']}{of} "
            f"{row['line_id']}{again} in {row['settlement_file']}: {amounts}",
            ids=_ids(row, "line_id", "provider_reference", "merchant_reference", "batch_id", "settlement_file"),
            sources=[_source(row)],
            actor=row["provider"],
        )


def _cash(rows: Iterable[Mapping[str, Any]]) -> Iterator[HistoryEntry]:
    """When a payout left the provider, and each line by which the bank credited it or took it back."""
    listed: set[tuple[str, str, str]] = set()
    for row in rows:
        payout = (row["provider"], row["payout_id"], row["currency"])
        amount = money.amount_text(row["amount_minor"], row["currency"])
        if payout not in listed:
            listed.add(payout)
            to = f" into {row['payout_account']}" if row["payout_account"] else ""
            yield HistoryEntry(
                at=row["paid_at"],
                kind="payout",
                sentence=f"{row['provider']} paid out batch {row['batch_id']}: {amount}{to}; "
                f"it is {_words(row['status'])}",
                ids=_ids(row, "payout_id", "batch_id"),
                run_id=row["bank_run_id"],
                actor=row["provider"],
            )
        if row["booked_at"] is not None:
            verb = "credited" if row["booked_minor"] >= 0 else "took back"
            booked = money.amount_text(abs(row["booked_minor"]), row["booked_currency"])
            text = f" ({row['text']})" if row["text"] else ""
            yield HistoryEntry(
                at=row["booked_at"],
                kind="bank",
                sentence=f"The bank {verb} {booked} by line {row['bank_line_id']}{text}, payout {row['payout_id']}",
                ids=_ids(row, "bank_line_id", "payout_id"),
                sources=[_source(row)],
                run_id=row["bank_run_id"],
            )


def _matches(rows: movement_rows.Rows) -> Iterator[HistoryEntry]:
    """What runs emitted about matches; a match without an event is listed at its run's review cut-off."""
    matches = {row["match_id"]: row for row in rows["match"]}
    emitted: set[str] = set()
    for event, data in _events(rows, types.MATCH_CREATED, types.MATCH_REVERSED):
        is_made = event["event_type"] == types.MATCH_CREATED
        if is_made:
            emitted.add(event["subject"])
        yield HistoryEntry(
            at=event["event_time"],
            kind="match",
            sentence=_match_sentence(data, rows) if is_made else _reversal_sentence(data, event["run_id"]),
            ids={"match_id": data["match_id"], "event_id": event["event_id"]},
            run_id=event["run_id"],
            actor=event["actor"],
        )
    for match_id, row in matches.items():
        if match_id not in emitted and row["status"] != "reversed":
            yield HistoryEntry(
                at=row["review_cutoff_at"],
                kind="match",
                sentence=_match_sentence(row, rows),
                ids={"match_id": match_id},
                run_id=row["run_id"],
            )


def _match_sentence(match: Mapping[str, Any], rows: movement_rows.Rows) -> str:
    legs = [leg for leg in rows["leg"] if leg["match_id"] == match["match_id"]]
    sides = {side: sorted({leg["leg_id"] for leg in legs if leg["leg_type"] == side}) for side in _COUNTERPARTS}
    lines = " + ".join(sides["settlement_line"]) or match.get("line_id") or match.get("first_line_id")
    movements = " + ".join(sides["ledger_transaction"]) or match.get("transaction_id")
    movements = movements or match.get("first_transaction_id")
    size = next((row["legs"] for row in rows["size"] if row["match_id"] == match["match_id"]), 0)
    more = f" (the first of {size} legs)" if not legs and size else ""
    settled = money.amount_text(match["settlement_minor"], match["currency"]) + _as_settled(match["match_id"], rows)
    posted = money.amount_text(match["ledger_minor"], match["currency"])
    difference = match["difference_minor"]
    off = f", off by {money.amount_text(difference, match['currency'])}" if difference else ""
    verb = "Suggested, for a person to decide," if match.get("status") == "suggested" else "Matched"
    if match.get("restored_by_revision"):
        verb = "Matched again"
    how = f"{_words(match['rule'])}, {_words(match['cardinality'])}"
    return f"{verb} {lines} with {movements}{more} by {how}: settled {settled}, posted {posted}{off}"


def _as_settled(match_id: str, rows: movement_rows.Rows) -> str:
    """What the lines of a match settled in their own currency, in words, where it is by what the customer paid."""
    row = next((row for row in rows["match"] if row["match_id"] == match_id), {})
    if row.get("settled_minor") is None:
        return ""
    return f" (as {money.amount_text(row['settled_minor'], row['settled_currency'])})"


def _reversal_sentence(data: Mapping[str, Any], run_id: str) -> str:
    what = f"Match {data['match_id']} of {_pair(data)}"
    if data["withdrawn_by_revision"]:
        return f"{what} was withdrawn: revision {data['withdrawn_by_revision']} of its run does not find it"
    return f"{what} was reversed: {run_id} matches its group again"


def _pair(data: Mapping[str, Any]) -> str:
    return f"{data['line_id']} with {data['transaction_id']}"


def _exceptions(rows: movement_rows.Rows) -> Iterator[HistoryEntry]:
    """What runs emitted about exceptions; what operators decided is listed with the decisions."""
    exceptions = {row["exception_id"]: row for row in rows["exception"]}
    emitted: set[str] = set()
    opened, resolved, reopened = types.EXCEPTION_OPENED, types.EXCEPTION_RESOLVED, types.EXCEPTION_REOPENED
    changed = types.EXCEPTION_CHANGED
    for event, data in _events(rows, opened, changed, resolved, reopened):
        if data.get("decision_id"):
            continue
        name = _words(data["exception_type"]).capitalize()
        if event["event_type"] == opened:
            emitted.add(event["subject"])
            sentence = f"{name} opened for {data['owner']}, due {_clock(data['due_at'])}: {data['explanation']}"
        elif event["event_type"] == changed:
            sentence = f"{name} shows what holds now: {data['explanation']}"
        elif event["event_type"] == resolved:
            how = _words(data["resolution"]) if data["resolution"] else data["reason"]
            sentence = f"{name} resolved: {how}"
        else:
            sentence = f"{name} is open again: {data['reason']}"
        yield HistoryEntry(
            at=event["event_time"],
            kind="exception",
            sentence=sentence,
            ids={"exception_id": event["subject"], "event_id": event["event_id"]},
            run_id=event["run_id"],
            actor=event["actor"],
        )
    for exception_id, row in exceptions.items():
        if exception_id not in emitted:
            name = _words(row["exception_type"]).capitalize()
            yield HistoryEntry(
                at=row["opened_at"],
                kind="exception",
                sentence=f"{name} opened for {row['owner']}, due {_clock(row['due_at'])}: {row['explanation']}",
                ids={"exception_id": exception_id},
                run_id=row["run_id"],
            )


def _decisions(rows: Iterable[Mapping[str, Any]]) -> Iterator[HistoryEntry]:
    for row in rows:
        to = f" to {row['owner']}" if row["owner"] else ""
        as_what = f" as {_words(row['resolution'])}" if row["resolution"] else ""
        reason = f": {row['reason']}" if row["reason"] else ""
        yield HistoryEntry(
            at=row["decided_at"],
            kind="decision",
            sentence=f"{row['actor']} decided to {_words(row['action'])} {row['exception_id']}{to}{as_what}{reason}; "
            f"it is {_words(row['result'])}",
            ids=_ids(row, "decision_id", "exception_id"),
            run_id=row["run_id"],
            actor=row["actor"],
        )


def _closeouts(rows: Iterable[Mapping[str, Any]]) -> Iterator[HistoryEntry]:
    for row in sorted(rows, key=lambda row: (row["run_id"], row["revision"])):
        amends = f", amends {row['amends']} because {row['reason']}" if row["amends"] else ""
        about = f"{row['closeout_id']} (revision {row['revision']}) of window {row['ledger_window']}{amends}"
        ids = _ids(row, "closeout_id", "seal_digest", "amends")
        common = {"kind": "closeout", "ids": ids, "run_id": row["run_id"]}
        evidence = f"{row['evidence_rows']:,} row{'' if row['evidence_rows'] == 1 else 's'} of evidence"
        prepared = f"{row['prepared_by']} prepared closeout {about}: {evidence}"
        yield HistoryEntry(at=row["prepared_at"], sentence=prepared, actor=row["prepared_by"], **common)
        if row["sealed_at"]:
            sealed = f"Closeout {about} was sealed; {row['approved_by']} approved it; root {row['evidence_root'][:16]}…"
            yield HistoryEntry(at=row["sealed_at"], sentence=sealed, actor=row["approved_by"], **common)


def _state(rows: movement_rows.Rows) -> list[str]:
    """The movement's state now: its matches, exceptions and seals, each in a few words."""
    matches: dict[str, int] = defaultdict(int)
    for row in rows["match"]:
        matches[row["status"]] += 1
    words = [f"{number} {status} match{'' if number == 1 else 'es'}" for status, number in sorted(matches.items())]
    for row in sorted(rows["exception"], key=lambda row: (row["status"] == "resolved", row["opened_at"])):
        state = f"resolved as {_words(row['resolution'])}" if row["status"] == "resolved" else _words(row["status"])
        words.append(f"{_words(row['exception_type'])} {state}")
    newest = {row["run_id"]: row for row in sorted(rows["closeout"], key=lambda row: row["revision"])}
    for row in sorted(newest.values(), key=lambda row: (row["ledger_window"], row["run_id"])):
        words.append(f"window {row['ledger_window']} {row['status']}, closeout revision {row['revision']}")
    payouts = {(row["provider"], row["payout_id"]): row["status"] for row in rows["cash"]}
    words += [f"payout {payout} {_words(status)}" for (_, payout), status in sorted(payouts.items())]
    return words or ["neither matched nor excepted yet"]


def _events(rows: movement_rows.Rows, *event_types: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Events of these types with their data, in the order of the log."""
    for event in sorted(rows["event"], key=lambda event: int(event["position"])):
        if event["event_type"] in event_types:
            yield event, json.loads(event["data"])


def _ids(row: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: row[name] for name in names if row[name]}


def _source(row: Mapping[str, Any]) -> Source:
    return Source(row["file_id"], row["file_sha256"], row["row_number"])


def _clock(instant: str | None) -> str:
    """An instant as text: without a fraction that is zero."""
    return "—" if instant is None else instant.replace(".000000Z", "Z")


def _words(name: str) -> str:
    return name.replace("_", " ")
