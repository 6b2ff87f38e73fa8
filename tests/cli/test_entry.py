"""Every way a command can end has its exit code, one line for operators and one object for programs."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Zentra
from tests.support.every import check_every
from zentra_pipeline import errors
from zentra_pipeline.cli import group
from zentra_pipeline.cli.group import COMMANDS, LazyGroup

ROOT = Path(__file__).resolve().parents[2]


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its path, groups included."""
    for name in COMMANDS:
        command = LazyGroup().get_command(click.Context(group.zentra), name)
        assert command is not None
        yield (name,), command
        if isinstance(command, click.Group):
            for child in command.commands.values():
                assert child.name is not None
                yield (name, child.name), child


def test_every_command_explains_itself(zentra: Zentra) -> None:
    def check(path: tuple[str, ...]) -> None:
        done = zentra(*path, "--help")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"Usage: zentra {' '.join(path)} ")

    check_every([path for path, _ in commands()], check, " ".join)


def test_every_option_is_explained_and_every_command_takes_home() -> None:
    def check(case: tuple[tuple[str, ...], click.Command]) -> None:
        options = [option for option in case[1].params if isinstance(option, click.Option)]
        assert [option.name for option in options if not option.help] == []
        assert "home" in {option.name for option in options}

    check_every([each for each in commands() if not isinstance(each[1], click.Group)], check, lambda case: case[0])


def test_top_level_help_lists_every_command_in_its_own_words(zentra: Zentra) -> None:
    out = zentra("--help").out
    for (name, *nested), command in commands():
        if not nested:
            summary = COMMANDS[name].partition(";")[0].rstrip(".").lower()
            assert (command.help or "").lower().startswith(summary), name
            assert f"  {name} " in out


def test_help_imports_nothing_heavy_and_answers_at_once() -> None:
    program = (
        "import sys; sys.argv = ['zentra', '--help']\n"
        "from zentra_pipeline.cli import main\n"
        "try: main()\n"
        "finally: print(sorted(set(sys.modules) & {'rich', 'sqlalchemy', 'polars', 'duckdb', 'dagster', 'pandera',"
        " 'pydantic', 'yaml', 'zentra_pipeline.cli.run', 'zentra_pipeline.cli.ingest'}))"
    )
    fastest = 10.0
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
        fastest = min(fastest, time.perf_counter() - started)
    assert done.stdout.endswith("\n[]\n")
    assert fastest < 0.3


class UnforeseenError(Exception):
    """A fault nobody foresaw, in two lines."""


ENDINGS = [
    (errors.ZentraError("m"), 1, "ZentraError"),
    (errors.UsageError("m"), 2, "UsageError"),
    (errors.RefusedError("m"), 3, "RefusedError"),
    (errors.InputRejectedError("m"), 4, "InputRejectedError"),
    (errors.VerificationError("m"), 5, "VerificationError"),
    (errors.RunFailedError("m"), 1, "RunFailedError"),
    (errors.ControlFailedError("m", (("conservation", 2),)), 1, "ControlFailedError"),
    (click.UsageError("m"), 2, "UsageError"),
    (click.BadParameter("m"), 2, "UsageError"),
    (KeyboardInterrupt(), 130, "Interrupted"),
    (UnforeseenError("one\ntwo"), 1, "UnforeseenError"),
    (MemoryError(), 1, "MemoryError"),
    (OSError(5, "Input/output error", "/broken"), 1, "OSError"),
    # What the machine refuses is explained: with 75 it may go well later, with 3 somebody has to allow it first.
    (OSError(28, "No space left on device", "/full"), 75, "UnavailableError"),
    (OSError(30, "Read-only file system", "/sealed"), 3, "RefusedError"),
    (PermissionError(13, "Permission denied", "/closed"), 3, "RefusedError"),
]


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[BaseException, int, str]:
    """Make `zentra demo` end as the parameter says."""
    error: BaseException = request.param[0]

    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    def demo(as_json: bool) -> None:
        raise error

    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: demo)
    ending: tuple[BaseException, int, str] = request.param
    return ending


@pytest.mark.parametrize("ending", ENDINGS, indirect=True, ids=[name for _, _, name in ENDINGS])
def test_every_error_has_its_exit_code_and_no_traceback(zentra: Zentra, ending: tuple[BaseException, int, str]) -> None:
    _, exit_code, _ = ending
    done = zentra("demo")
    assert (done.code, done.out) == (exit_code, "")
    assert done.err.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in done.err


@pytest.mark.parametrize("ending", ENDINGS, indirect=True, ids=[name for _, _, name in ENDINGS])
def test_with_json_every_error_is_one_object(zentra: Zentra, ending: tuple[BaseException, int, str]) -> None:
    _, exit_code, name = ending
    done = zentra("demo", "--json")
    assert (done.code, done.err.strip()) == (exit_code, "")
    assert set(done.json) == {"error"}
    assert done.json["error"].keys() == {"type", "message", "exit_code"}
    assert (done.json["error"]["type"], done.json["error"]["exit_code"]) == (name, exit_code)
    assert "\n" not in done.json["error"]["message"]


@pytest.mark.parametrize("ending", [ENDINGS[10]], indirect=True)
def test_the_traceback_is_for_whoever_asks(zentra: Zentra, ending: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert zentra("demo").err == "Error: UnforeseenError: one two (run again with ZENTRA_DEBUG=1 for the traceback)\n"
    monkeypatch.setenv("ZENTRA_DEBUG", "1")
    assert "Traceback (most recent call last)" in zentra("demo").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("tenant", "nonsense"), "No such command 'nonsense'"),
        (("tenant", "list", "--nonsense"), "No such option"),
        (("tenant", "add"), "Missing argument 'TENANT'"),
        (("run", "--tenant", "acme"), "Missing option '--ledger-window'"),
        (
            ["run", "--tenant", "acme", "--ledger-window", "2026-04-26", "--owner", "ana"],
            "Missing option '--provider', or '--bank-account'",
        ),
        (("ingest", "--tenant", "acme", "--provider", "p", "--kind", "odd", __file__), "'odd' is not one of"),
        (("ingest", "--tenant", "acme", "--provider", "p", "--kind", "ledger", "nowhere.csv"), "does not exist"),
        (("ingest", "--tenant", "acme", "--provider", "p", "--kind", "ledger", "."), "is a directory"),
        (("tenant", "list"), "is not a Zentra home"),
        (("tenant", "list", "--home", ""), "--home is empty"),
        (("query", "--tenant", "acme", "select 1"), "is not a Zentra home"),
    ],
)
def test_misuse_ends_with_2_and_says_what_is_wrong(zentra: Zentra, arguments: tuple[str, ...], message: str) -> None:
    done = zentra(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    if arguments[0] != "query":
        as_object = zentra(*arguments, "--json")
        assert as_object.code == 2
        assert message in as_object.json["error"]["message"]


HOSTILE = ["../x", "*", "[1]", "k=v", "'; drop table runs; --", "", "a/b", "x" * 200, "é", "\udcff"]


def test_a_place_where_nobody_can_listen_is_refused_with_2(acme: Zentra) -> None:
    """It was a log of the server's library, and 3, which says that a policy refuses."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for host, why in (("127.0.0.1", "ddress already in use"), ("no.such.host.invalid", "ame or service not known")):
            refused = acme("serve", "--host", host, "--port", port)
            assert (refused.code, refused.out) == (2, "")
            assert refused.err.startswith(f"Error: {host}:{port} cannot be listened on (")
            assert why in refused.err


def test_a_head_that_cannot_be_written_is_refused_with_2(acme: Zentra, tmp_path: Path) -> None:
    """It was a fault of the program."""
    place = tmp_path / "nowhere" / "head.json"
    refused = acme("closeouts", "head", "--tenant", "acme", "--provider", "rail", "--out", place)
    assert (refused.code, refused.out) == (2, "")
    assert "cannot be written (No such file or directory)" in refused.err


def test_a_calendar_of_millennia_is_refused_with_2(acme: Zentra) -> None:
    """It took minutes."""
    days = ("--from", "2001-01-01", "--to", "9997-01-01")
    refused = acme("closeouts", "calendar", "--tenant", "acme", "--provider", "rail", *days)
    assert (refused.code, refused.out) == (2, "")
    assert "is more than 3,660 days" in refused.err


def test_hostile_names_are_refused_with_2_and_change_nothing(acme: Zentra, tmp_path: Path) -> None:
    check_every(HOSTILE, lambda name: check_hostile(acme, tmp_path, name))


def check_hostile(acme: Zentra, tmp_path: Path, name: str) -> None:
    file = tmp_path / "f.csv"
    file.write_text("x\n")
    before = sorted(path for path in tmp_path.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    window = ("--ledger-window", "2026-04-26", "--owner", "o")
    for arguments in (
        ("tenant", "add", name),
        ("ingest", "--tenant", name, "--provider", "p", "--kind", "ledger", file),
        ("ingest", "--tenant", "acme", "--provider", name, "--kind", "ledger", file),
        ("ingest", "--tenant", "acme", "--provider", "p", "--kind", "settlement", "--settlement-file", name, file),
        ("run", "--tenant", "acme", "--provider", name, "--settlement-file", "s", *window),
        ("run", "--tenant", "acme", "--provider", "p", "--settlement-file", name, *window),
        (
            "run",
            "--tenant",
            "acme",
            "--provider",
            "p",
            "--settlement-file",
            "s",
            "--owner",
            "o",
            "--ledger-window",
            name,
        ),
        ("backfill", "--tenant", name, "--provider", "p", "--from", "2026-04-26", "--to", "2026-04-26", "--owner", "o"),
        ("backfill", "--tenant", "acme", "--provider", "p", "--from", name, "--to", "2026-04-26", "--owner", "o"),
        ("query", "--tenant", name, "select 1"),
        ("runs", "list", "--tenant", "acme", "--provider", name),
        ("runs", "show", "--tenant", "acme", name),
        ("exceptions", "list", "--tenant", name),
        ("exceptions", "list", "--tenant", "acme", "--status", name),
        ("exceptions", "list", "--tenant", "acme", "--type", name),
        ("exceptions", "list", "--tenant", "acme", "--run", name),
        ("exceptions", "show", "--tenant", "acme", name),
    ):
        done = acme(*arguments)
        assert (done.code, done.out) == (2, ""), arguments
        assert "Error: " in done.err and "Traceback" not in done.err
    assert sorted(path for path in tmp_path.rglob("*") if not path.name.endswith(("-wal", "-shm"))) == before


def test_whoever_stops_reading_ends_the_command_quietly(tmp_path: Path) -> None:
    file = tmp_path / "torn.csv"
    file.write_text("a,b\n")
    command = [
        sys.executable,
        "-m",
        "zentra_pipeline",
        "inspect",
        "--format",
        "canonical",
        "--json",
        *[str(file)] * 300,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(1) == b"{"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_output_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    file = tmp_path / "naïve.csv"
    file.write_text("a\n")
    done = subprocess.run(
        [sys.executable, "-m", "zentra_pipeline", "inspect", "--format", "canonical", "--json", str(file)],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        check=False,
    )
    assert done.returncode == 4
    assert json.loads(done.stdout.decode())["statements"][0]["file"] == "naïve.csv"


def test_a_poor_locale_shows_escapes_instead_of_failing(tmp_path: Path) -> None:
    file = tmp_path / "日.csv"
    file.write_text("a\n")
    done = subprocess.run(
        [sys.executable, "-m", "zentra_pipeline", "inspect", "--format", "canonical", str(file)],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        check=False,
    )
    assert done.returncode == 4
    assert b"refused: \\u65e5.csv: " in done.stdout


def test_version_is_that_of_the_package(zentra: Zentra) -> None:
    from zentra_pipeline import __version__

    assert zentra("--version").out == f"zentra, version {__version__}\n"
