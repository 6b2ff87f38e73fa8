"""`zentra exceptions assign, resolve, approve, …`: one command a decision; their rules do not belong here (review)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import click

from zentra_pipeline.cli import options
from zentra_pipeline.settings import Home

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def _decision(action: str, help_text: str, *takes: Decorator) -> click.Command:
    """The command of one action: what every decision needs, and what this one takes."""

    def run(exception_id: str, tenant: str, actor: str, home: Home, as_json: bool, **given: Any) -> None:
        _decide(home, tenant, exception_id, action, actor, as_json, given)

    subject = click.argument("exception_id", metavar="ID", callback=options.checked(options.record_id))
    given: list[Decorator] = [subject, options.tenant, *takes, options.acting, options.home, options.as_json]
    decorated: Callable[..., None] = run
    for decorate in reversed(given):
        decorated = decorate(decorated)
    return click.command(action, help=help_text)(decorated)


def _decide(
    home: Home, tenant: str, exception_id: str, action: str, actor: str, as_json: bool, given: dict[str, Any]
) -> None:
    from zentra_pipeline.cli import printing
    from zentra_pipeline.review import record
    from zentra_pipeline.tenants.actors import command_line

    recorded = record.decide(
        home, tenant, exception_id, action, actor, now=datetime.now(UTC), origin=command_line(), **given
    )
    state = recorded.state
    if not recorded.is_new:
        printing.note(f"nothing new: {actor} decided just that before ({recorded.decision_id})")
    if recorded.is_reconciled:
        printing.note(f"run {recorded.run_id} was reconciled anew")
    if as_json:
        printing.print_json(
            {
                "exception_id": exception_id,
                "status": state.status,
                "owner": state.owner,
                "resolution": state.resolution,
                "proposed_resolution": state.proposed_resolution,
                "decision_id": recorded.decision_id,
                "version": state.decisions,
                "run_id": recorded.run_id,
            }
        )
        return
    ending = state.resolution or state.proposed_resolution
    status = state.status.replace("_", " ")
    printing.say(f"{exception_id} is {status}{f' as {ending}' if ending else ''}, owner {state.owner}")
    if state.proposed_by is not None:
        printing.note(f"somebody other than {state.proposed_by} has to approve it")


def _reason(help_text: str, required: bool = True) -> Decorator:
    return click.option("--reason", metavar="TEXT", required=required, help=help_text)


_OWNER: Final = click.option(
    "--owner", metavar="O", required=True, callback=options.checked(options.name_of_person), help="Who takes it on."
)
_RESOLUTION: Final = click.option(
    "--resolution", metavar="R", required=True, help="How it ends: written_off, false_positive, …"
)
_LINES: Final = click.option(
    "--line", "settlement_lines", metavar="L", multiple=True, help="A settlement line; repeat for more."
)
_MOVEMENTS: Final = click.option(
    "--transaction", "ledger_transactions", metavar="T", multiple=True, help="A ledger transaction; repeat for more."
)

COMMANDS: Final = (
    _decision("assign", "Give an exception to a person or team.", _OWNER, _reason("Why.", required=False)),
    _decision("comment", "Say something about an exception; its status stays.", _reason("What there is to say.")),
    _decision("investigate", "Say that an exception is worked on.", _reason("What is looked into.", required=False)),
    _decision(
        "dispute", "Say that the provider was asked; it is investigated until they answer.", _reason("What was asked.")
    ),
    _decision(
        "match",
        "Match settlement lines with ledger movements, or items of one side that cancel with each other; where sums "
        "differ a second person has to approve.",
        _LINES,
        _MOVEMENTS,
        _reason("What says that they belong together."),
    ),
    _decision(
        "split",
        "Match one line with several movements, or several lines with one movement.",
        _LINES,
        _MOVEMENTS,
        _reason("What says that they belong together."),
    ),
    _decision(
        "resolve",
        "End an exception, or propose how where a second person has to approve.",
        _RESOLUTION,
        _reason("Why, for whoever reads it later."),
    ),
    _decision(
        "write_off", "Propose to give the money up, which somebody else has to approve.", _reason("Why it is given up.")
    ),
    _decision(
        "accept_timing", "End an exception as one of timing: the other side is expected.", _reason("What is awaited.")
    ),
    _decision(
        "confirm_duplicate", "End an exception as a duplicate that is one.", _reason("What it is a duplicate of.")
    ),
    _decision("approve", "Approve what somebody else proposed.", _reason("Why.", required=False)),
    _decision("reject", "Turn down what was proposed; it is investigated further.", _reason("Why not.")),
    _decision("reopen", "Open a resolved exception again.", _reason("Why.")),
)
