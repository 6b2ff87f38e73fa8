"""The command `zentra` and the list of its commands; a command's module is imported only when it is called."""

import importlib

import click

from zentra_pipeline import __version__

COMMANDS = {
    "init": "Make the home, the folder that holds all state.",
    "tenant": "Add and list tenants.",
    "provider": "Add a provider's profile, list templates.",
    "bank": "Add a bank's profile, list the banks of a tenant, show one.",
    "profile": "Propose a provider's profile for a file.",
    "token": "Make, list and revoke API tokens.",
    "ingest": "Validate files, land their bytes and stage their rows.",
    "files": "List what was ingested.",
    "inspect": "Show what a reader makes of files; needs no home.",
    "run": "Reconcile one ledger window.",
    "backfill": "Reconcile every window of a range of days, in order.",
    "backtest": "Show what a changed profile would make of past windows.",
    "runs": "List runs, show one, take one back.",
    "exceptions": "List exceptions, explain one and decide about it.",
    "verify": "Check sealed bundles offline, against pinned keys.",
    "keys": "Make, rotate and hand out the keys that sign closeouts.",
    "events": "Print the reconciliation.* events of a tenant in the order of the log.",
    "notices": "Notify operators of what their lane has open or overdue, by chat or mail.",
    "webhooks": "Send events to endpoints, list attempts, send again.",
    "story": "Show the timeline of one payment.",
    "close": "Close a run: prepare, approve and seal its evidence.",
    "closeouts": "List closeouts and see which windows are closed.",
    "period": "See a month, close its windows together, sign it off by two people.",
    "journal": "Propose journal entries of a month; nothing is posted.",
    "query": "Read the published tables of a tenant with SQL.",
    "export": "Write a run as an Excel workbook.",
    "audit": "List and check the record of who read and asked what.",
    "doctor": "Check a home for damage and contradictions, and name the remedies.",
    "backup": "Write all that cannot be made again of a home in use to one archive.",
    "restore": "Make a home of an archive that `zentra backup` wrote.",
    "rebuild": "Remake staged files, lake and catalog from landed bytes and ops.db.",
    "reperform": "Make a run again from retained inputs and compare it with its seal.",
    "retention": "Delete bytes as received whose time is over, and list what was deleted.",
    "serve": "Start the HTTP API of a home.",
    "simulate": "Write a labelled data set: inputs, what operators decide and close, and the answer key.",
    "score": "Run a world of `zentra simulate` and score it.",
    "demo": "Show the shipped stories end to end.",
}


class LazyGroup(click.Group):
    """A group whose commands are in modules of the same name, as an attribute `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"zentra_pipeline.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zentra")
def zentra() -> None:
    """Payment reconciliation that keeps the story intact.

    Exit codes: 0 done, 1 a fault, 2 usage, 3 refused, 4 input rejected and nothing changed, 5 verification failed,
    75 try again later (a database or disk is not available).
    """
