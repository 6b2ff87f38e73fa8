"""The command line's entry: runs a command and turns errors into exit codes; commands are in one module a noun."""

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zentra_pipeline.errors import ZentraError

DEBUG_VARIABLE = "ZENTRA_DEBUG"
_INTERRUPTED = 130


def main() -> None:
    """Run the command of this process's arguments and end the process with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a poor locale shows escapes instead of failing
    os.umask(0o077)  # what is written is for this user alone
    try:
        sys.exit(invoke(sys.argv[1:]))
    except BrokenPipeError:
        # Whoever read our output has enough: end quietly, and leave the interpreter nothing to flush into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def invoke(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code (contract §3); whatever goes wrong is said on stderr, or as JSON."""
    import click

    from zentra_pipeline.cli.group import zentra
    from zentra_pipeline.errors import UnconfirmedError, ZentraError

    as_json = "--json" in arguments
    try:
        result = zentra.main(args=list(arguments), prog_name="zentra", standalone_mode=False)
        sys.stdout.flush()
    except ZentraError as error:
        ask = " Give --yes if you mean it." if isinstance(error, UnconfirmedError) else ""
        return _fail(type(error).__name__, f"{error}{ask}", error.exit_code, as_json, _command(error, arguments))
    except click.UsageError as error:
        if not as_json:
            error.show()
            return error.exit_code
        return _fail("UsageError", error.format_message(), error.exit_code, as_json)
    except click.Abort:
        return _fail("Interrupted", "interrupted; what was published before is kept", _INTERRUPTED, as_json)
    except BrokenPipeError:
        raise
    except Exception as error:
        return _unexpected(error, as_json)
    return result if isinstance(result, int) else 0


def _fail(name: str, message: str, exit_code: int, as_json: bool, command: str | None = None) -> int:
    from zentra_pipeline.cli import printing

    if as_json:
        content = {"type": name, "message": message, "exit_code": exit_code}
        printing.print_json({"error": content | ({} if command is None else {"command": command})})
    else:
        printing.note(f"Error: {message}")
        if command is not None:
            printing.note(f"Next: {command}")
    return exit_code


def _command(error: "ZentraError", arguments: Sequence[str]) -> str | None:
    """The command that follows on an error, for the tenant and home that this one was given."""
    from zentra_pipeline import remedies

    if error.remedy is None:
        return None
    return remedies.command(error.remedy, _given("--tenant", arguments), _given("--home", arguments))


def _given(option: str, arguments: Sequence[str]) -> str | None:
    """The value of an option as the arguments give it."""
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
        if argument == option and place + 1 < len(arguments):
            return arguments[place + 1]
    return None


def _unexpected(error: Exception, as_json: bool) -> int:
    """A fault nobody foresaw: one line for the user, the traceback only for whoever asked for it."""
    from zentra_pipeline.machine_errors import explained

    known = explained(error)
    if known is not None:
        return _fail(type(known).__name__, str(known), known.exit_code, as_json)
    if os.environ.get(DEBUG_VARIABLE) == "1":
        import traceback

        traceback.print_exception(error)
    message = " ".join(str(error).split()) or "no message"
    hint = f"run again with {DEBUG_VARIABLE}=1 for the traceback"
    return _fail(type(error).__name__, f"{type(error).__name__}: {message} ({hint})", 1, as_json)
