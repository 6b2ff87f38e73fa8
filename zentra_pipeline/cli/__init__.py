"""The command line's entry: runs a command and turns errors into exit codes; commands stand in a module a noun."""

import io
import os
import sys
from collections.abc import Sequence

DEBUG_VARIABLE = "ZENTRA_DEBUG"
_INTERRUPTED = 130


def main() -> None:
    """Run the command of this process's arguments and end the process with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a poor locale shows escapes instead of failing
    try:
        sys.exit(invoke(sys.argv[1:]))
    except BrokenPipeError:
        # Whoever read our output has gone: end quietly, and leave the interpreter nothing to flush into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def invoke(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code (CONTRACT §3); whatever goes wrong is said on stderr, or as JSON."""
    import click

    from zentra_pipeline.cli.group import zentra
    from zentra_pipeline.errors import ZentraError

    as_json = "--json" in arguments
    try:
        result = zentra.main(args=list(arguments), prog_name="zentra", standalone_mode=False)
        sys.stdout.flush()
    except ZentraError as error:
        return _fail(type(error).__name__, str(error), error.exit_code, as_json)
    except click.UsageError as error:
        if not as_json:
            error.show()
            return error.exit_code
        return _fail("UsageError", error.format_message(), error.exit_code, as_json)
    except click.Abort:
        return _fail("Interrupted", "interrupted; what was published before stays", _INTERRUPTED, as_json)
    except BrokenPipeError:
        raise
    except Exception as error:
        return _unexpected(error, as_json)
    return result if isinstance(result, int) else 0


def _fail(name: str, message: str, exit_code: int, as_json: bool) -> int:
    from zentra_pipeline.cli import printing

    if as_json:
        printing.print_json({"error": {"type": name, "message": message, "exit_code": exit_code}})
    else:
        printing.note(f"Error: {message}")
    return exit_code


def _unexpected(error: Exception, as_json: bool) -> int:
    """A fault nobody foresaw: one line for the user, the traceback only for whoever asked for it."""
    if os.environ.get(DEBUG_VARIABLE) == "1":
        import traceback

        traceback.print_exception(error)
    message = " ".join(str(error).split()) or "no message"
    hint = f"run again with {DEBUG_VARIABLE}=1 for the traceback"
    return _fail(type(error).__name__, f"{type(error).__name__}: {message} ({hint})", 1, as_json)
