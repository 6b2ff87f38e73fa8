"""`zentra exceptions assign, resolve, approve, …`: one command a decision; their rules do not belong here (review)."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zentra_pipeline.cli import options
from zentra_pipeline.desk import deciding
from zentra_pipeline.review import attachments
from zentra_pipeline.review.record import DecisionRequest

if TYPE_CHECKING:
    from zentra_pipeline.tenants.tenant import Tenant

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def _decision(action: str, help_text: str, *takes: Decorator) -> click.Command:
    """The command of one action: what every decision needs, and what this one takes."""

    def run(exception_id: str, tenant: "Tenant", actor: str, as_json: bool, **given: Any) -> None:
        _decide(tenant, exception_id, action, actor, as_json, given)

    subject = click.argument("exception_id", metavar="ID", callback=options.checked(options.record_id))
    given: list[Decorator] = [subject, options.tenant, *takes, options.acting, options.home, options.as_json]
    decorated: Callable[..., None] = run
    for decorate in reversed(given):
        decorated = decorate(decorated)
    return click.command(action, help=help_text)(decorated)


def _decide(tenant: "Tenant", exception_id: str, action: str, actor: str, as_json: bool, given: dict[str, Any]) -> None:
    from zentra_pipeline.actors import command_line
    from zentra_pipeline.cli import printing

    file = given.pop("file", None)
    request = DecisionRequest(exception_id, action, actor, origin=command_line(), **given)
    if file is not None:
        kept = attachments.keep(tenant.paths, file.name, _content(file))
        request = request.checked().with_attachment(kept)
    recorded = deciding.decide(tenant, request, datetime.now(UTC))
    state = recorded.state
    if not recorded.is_new:
        printing.note(f"nothing new: {actor} already decided that ({recorded.decision_id})")
    if recorded.is_reconciled:
        printing.note(f"run {recorded.run_id} was re-reconciled")
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


def _content(file: Path) -> bytes:
    """What may be attached and one byte more, which is refused: a larger file is not read."""
    with file.open("rb") as stream:
        return stream.read(attachments.MOST_BYTES + 1)


def _reason(help_text: str, required: bool = True) -> Decorator:
    return click.option("--reason", metavar="TEXT", required=required, help=help_text)


_OWNER: Final = click.option(
    "--owner", metavar="O", required=True, callback=options.checked(options.name_of_person), help="New owner."
)
_RESOLUTION: Final = click.option(
    "--resolution", metavar="R", required=True, help="Resolution: written_off, false_positive, …"
)
_LINES: Final = click.option(
    "--line", "settlement_lines", metavar="L", multiple=True, help="A settlement line; repeat for more."
)
_MOVEMENTS: Final = click.option(
    "--transaction", "ledger_transactions", metavar="T", multiple=True, help="A ledger transaction; repeat for more."
)

_ATTACH: Final = click.option(
    "--attach",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file that goes with it: pdf, png, jpg, xlsx, csv, txt or eml, 10 MB at most.",
)

COMMANDS: Final = (
    _decision("assign", "Give an exception to a person or team.", _OWNER, _reason("Why.", required=False)),
    _decision("comment", "Add a comment to an exception; its status stays.", _reason("The comment."), _ATTACH),
    _decision(
        "investigate",
        "Mark an exception as under investigation.",
        _reason("What is being investigated.", required=False),
    ),
    _decision(
        "dispute",
        "Record that the provider was asked; the exception stays under investigation until they answer.",
        _reason("What was asked."),
    ),
    _decision(
        "match",
        "Match settlement lines with ledger movements, or items of one side that cancel with each other; where sums "
        "differ a second person has to approve.",
        _LINES,
        _MOVEMENTS,
        _reason("Why they belong together."),
    ),
    _decision(
        "split",
        "Match one line with several movements, or several lines with one movement.",
        _LINES,
        _MOVEMENTS,
        _reason("Why they belong together."),
    ),
    _decision(
        "resolve",
        "Resolve an exception, or propose a resolution where a second person has to approve.",
        _RESOLUTION,
        _reason("Reason, kept in the log."),
    ),
    _decision(
        "write_off", "Propose to write the amount off; another person must approve.", _reason("Why it is written off.")
    ),
    _decision(
        "accept_timing",
        "Resolve an exception as timing: the other side is expected later.",
        _reason("What is expected."),
    ),
    _decision(
        "confirm_duplicate", "Resolve an exception as a confirmed duplicate.", _reason("What it is a duplicate of.")
    ),
    _decision("approve", "Approve what somebody else proposed.", _reason("Why.", required=False)),
    _decision("reject", "Reject what was proposed; the investigation continues.", _reason("Why not.")),
    _decision("reopen", "Open a resolved exception again.", _reason("Why.")),
)
