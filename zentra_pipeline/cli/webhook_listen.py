"""`zentra webhooks listen`: a receiver on this machine to try deliveries with; what it verifies is the receiver's."""

import os
import threading
from typing import TYPE_CHECKING, Any

import click

from zentra_pipeline.cli import options
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import Home

if TYPE_CHECKING:
    from zentra_pipeline.webhooks.receiver import Received

SECRET_VARIABLE = "ZENTRA_WEBHOOK_SECRET"  # noqa: S105  the variable's name


@click.command("listen")
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), default=8900, show_default=True, help="0 for any.")
@click.option(
    "--secret",
    "secrets",
    metavar="SECRET",
    multiple=True,
    help=f"Secret of the endpoint; may be given several times.  [default: ${SECRET_VARIABLE}]",
)
@click.option("--silent", metavar="N", type=click.IntRange(0), default=0, help="Let the first N time out.")
@click.option(
    "--silent-seconds",
    metavar="S",
    type=click.FloatRange(0, 600),
    default=20,
    show_default=True,
    help="Seconds before those are answered.",
)
@click.option("--failing", metavar="N", type=click.IntRange(0), default=0, help="Answer the next N with a failure.")
@click.option(
    "--failing-status",
    metavar="CODE",
    type=click.IntRange(200, 599),
    default=500,
    show_default=True,
    help="HTTP status of the failure.",
)
@click.option("--count", metavar="N", type=click.IntRange(1), help="End after N deliveries.")
@options.home
@options.as_json
def listen(
    port: int,
    secrets: tuple[str, ...],
    silent: int,
    silent_seconds: float,
    failing: int,
    failing_status: int,
    count: int | None,
    home: Home,
    as_json: bool,
) -> None:
    """Receive deliveries on 127.0.0.1, verify them and print each with the verdict.

    Needs no home. Add it as an endpoint with --allow-loopback.
    """
    from zentra_pipeline.cli import printing
    from zentra_pipeline.webhooks import receiver as receivers

    given = secrets or tuple(os.environ.get(SECRET_VARIABLE, "").split())
    if not given:
        raise UsageError(f"there is no secret to verify with: give --secret, or set {SECRET_VARIABLE}")
    if as_json and count is None:
        raise UsageError("--json is one object, and listening never ends: give --count as well")
    found: list[Received] = []
    is_enough = threading.Event()

    def show(received: "Received") -> None:
        found.append(received)
        if not as_json:
            printing.say(_line(received))
        if count is not None and len(found) >= count:
            is_enough.set()

    behaviour = receivers.Behaviour(given, silent, silent_seconds, failing, failing_status)
    try:
        receiver = receivers.Receiver(behaviour, show, port)
    except OSError as cause:
        raise UsageError(f"port {port} cannot be listened on ({cause.strerror}): choose another") from cause
    with receivers.running(receiver):
        printing.note(f"Listening on {receiver.url}")
        try:
            is_enough.wait()
        except KeyboardInterrupt:
            return
    if as_json:
        printing.print_json({"deliveries": [_as_object(received) for received in found[:count]]})


def _line(received: "Received") -> str:
    verdict = "verified" if received.is_verified else "NOT VERIFIED"
    answered = "no answer" if received.answered is None else f"answered {received.answered}"
    repeat = ", a repeat" if received.is_repeat else ""
    return f"{verdict}  {received.event_id}  {received.event_type or '?'}  {answered}{repeat}"


def _as_object(received: "Received") -> dict[str, Any]:
    return {
        "event_id": received.event_id,
        "event_type": received.event_type,
        "verified": received.is_verified,
        "repeat": received.is_repeat,
        "answered": received.answered,
    }
