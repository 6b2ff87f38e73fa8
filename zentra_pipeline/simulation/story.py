"""One life story: the rows a case puts into the world and what it states must come of them.

Does not belong here: what follows from the calendar alone (ages, carried items, roll-forward), which the answer key
adds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from zentra_pipeline.simulation.placed_rows import PlacedRows, seen_in
from zentra_pipeline.simulation.rows import Callback, Line
from zentra_pipeline.simulation.statements import (
    Finding,
    Item,
    Leg,
    Match,
    Movement,
    PlacedLine,
    Refused,
    WriteOff,
    leg_of,
)


@dataclass
class CaseScript(PlacedRows):
    """Rows and statements of one case. `reasons` says why a line is unmatched, where it is not the plain reason.

    `late` are the ids of rows that an earlier window's files bring only when later windows have run, `restated_late`
    the lines that change by them; `before` is what the story states until then.
    """

    redelivered_lines: list[tuple[int, Line]] = field(default_factory=list)
    restated: list[tuple[Line, Line]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    reasons: dict[str, tuple[str, ...]] = field(default_factory=dict)
    duplicate_from: dict[Leg, int] = field(default_factory=dict)
    posted_more: list[tuple[int, str, str, int]] = field(default_factory=list)
    undecidable: set[tuple[str, str]] = field(default_factory=set)
    disbelieved: set[str] = field(default_factory=set)
    write_offs: list[WriteOff] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    restated_late: list[tuple[Line, Line]] = field(default_factory=list)
    before: "CaseScript | None" = None

    def match(
        self,
        lines: Sequence[PlacedLine],
        movements: Sequence[Movement],
        rule: str = "exact_reference",
        *,
        run: int | None = None,
        callbacks: Sequence[Callback] | None = None,
        has_every_callback: bool = False,
        reversed_in: int | None = None,
        settlement_minor: int | None = None,
        is_part: bool = False,
    ) -> Match:
        """State a confirmed match; when `callbacks` is not given, the provider reports success in time.

        `has_every_callback`: all callbacks of the story speak of it, those that the case adds later too. It is made
        in the first run that sees all of its legs, unless `run` says otherwise. What is off, a pair
        beyond tolerance, carries an `amount_mismatch` that ends when the match is taken back; where the match
        `is_part` of a settlement in parts, match_in_parts states it.
        """
        made_in = max(seen_in(lines, movements)) if run is None else run
        settled = sum(line.compared_minor for line in lines) if settlement_minor is None else settlement_minor
        posted = sum(movement.amount_minor for movement in movements)
        currency = movements[0].currency
        difference = settled - posted
        is_beyond = self._is_beyond(lines, movements, difference)
        method = "exact" if difference == 0 else "" if is_beyond else "tolerance"
        if callbacks is None:
            callbacks = () if has_every_callback else self.success(lines, movements, settled)
        match = Match(
            rule=rule,
            run=made_in,
            lines=tuple(lines),
            movements=tuple(movements),
            settlement_minor=settled,
            ledger_minor=posted,
            method=method,
            callbacks=frozenset(callback.provider_event_id for callback in callbacks),
            has_every_callback=has_every_callback,
            reversed_in=reversed_in,
        )
        self.matches.append(match)
        if is_beyond and not is_part:
            first = min(line.row.line_id for line in lines)
            self.find("amount_mismatch", "settlement_line", first, made_in, reversed_in, currency, difference)
        return match

    def match_in_parts(
        self,
        stages: Sequence[tuple[int, Sequence[PlacedLine], Sequence[Movement]]],
        callbacks: Sequence[Callback],
        rule: str = "exact_reference",
    ) -> None:
        """State that each run of `stages` matches what has come by then, and takes the match before it back.

        The first line by id has the difference: the same exception while that stays the same line, else
        one that supersedes it; it ends when what has come is the whole.
        """
        shown: list[tuple[int, int]] = []  # the differences of the exception that is open, each from a run on
        subject = ""
        for place, (run, lines, movements) in enumerate(stages):
            following = stages[place + 1][0] if place + 1 < len(stages) else None
            match = self.match(
                lines, movements, rule, run=run, callbacks=callbacks, reversed_in=following, is_part=True
            )
            currency, first = movements[0].currency, min(line.row.line_id for line in lines)
            is_beyond = self._is_beyond(lines, movements, match.difference_minor)
            if shown and (not is_beyond or subject != first):
                self._find_difference(subject, currency, shown, run, "superseded" if is_beyond else "matched_late")
                shown = []
            if is_beyond:
                subject, shown = first, [*shown, (run, match.difference_minor)]
        if shown:
            self._find_difference(subject, currency, shown, None, "matched_late")

    def _find_difference(
        self, line_id: str, currency: str, shown: Sequence[tuple[int, int]], ended: int | None, resolution: str
    ) -> None:
        """State an amount_mismatch whose difference changes from run to run."""
        self.findings.append(
            Finding(
                ("amount_mismatch",),
                "settlement_line",
                line_id,
                shown[0][0],
                ended,
                currency,
                shown[-1][1],
                resolution,
                tuple(shown),
            )
        )

    def _is_beyond(self, lines: Sequence[PlacedLine], movements: Sequence[Movement], difference: int) -> bool:
        """Whether a difference is reported; tolerance is for pairs."""
        is_pair = len(lines) == len(movements) == 1
        return abs(difference) > (self.terms.tolerance(movements[0].currency) if is_pair else 0)

    def suggest(self, line: PlacedLine, movement: Movement) -> None:
        """State that the first run that sees both must suggest the pair, which stays unmatched by that."""
        self.matches.append(
            Match(
                rule="amount_date",
                run=max(line.run, movement.run),
                lines=(line,),
                movements=(movement,),
                settlement_minor=line.compared_minor,
                ledger_minor=movement.amount_minor,
                method="exact",
                status="suggested",
            )
        )

    def leave_open(self, *legs: Item) -> None:
        """State that no honest reader can decide these: any confident match of them is wrong."""
        for leg in legs:
            if isinstance(leg, PlacedLine):
                self.undecidable.add(("settlement_line", leg.row.line_id))
            else:
                self.undecidable.add(("ledger_transaction", leg.transaction_id))

    def find(
        self,
        types: str | tuple[str, ...],
        subject_type: str,
        subject_id: str,
        run: int,
        resolved_in: int | None = None,
        currency: str = "",
        difference_minor: int | None = None,
        resolution: str = "matched_late",
    ) -> None:
        """State an exception that the calendar alone does not give."""
        named = (types,) if isinstance(types, str) else types
        self.findings.append(
            Finding(named, subject_type, subject_id, run, resolved_in, currency, difference_minor, resolution)
        )

    def reason(self, line: PlacedLine, *types: str) -> None:
        """State why a line is unmatched for as long as it is."""
        self.reasons[line.row.line_id] = types

    def duplicate(self, leg: Item, run: int) -> None:
        """State that from this run on an unmatched line or movement repeats one already paired."""
        self.duplicate_from[leg_of(leg)] = run

    def post_more(self, movement: Movement, run: int, amount: int) -> Movement:
        """An entry of a later window that changes a movement seen before; returns the movement as it is from then on.

        Its id is the last of the transaction's: what the movement has stays as it was.
        """
        self._add_entries(movement, run, amount)
        self.posted_more.append((run, movement.transaction_id, movement.currency, amount))
        return replace(movement, amount_minor=movement.amount_minor + amount)

    def write_off(self, item: Item, run: int, exception_type: str) -> None:
        """Operators give an item up after the run that opens its exception."""
        self.write_offs.append(WriteOff(run, exception_type, item))

    def fork(self) -> "CaseScript":
        """The story as far as it has come, to be continued as it is known before the late files."""
        return replace(
            self,
            lines=[*self.lines],
            movements=[*self.movements],
            matches=[*self.matches],
            findings=[*self.findings],
            callbacks=[*self.callbacks],
            reasons={**self.reasons},
            duplicate_from={**self.duplicate_from},
        )
