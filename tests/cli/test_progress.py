"""Progress is printed on stderr alone: plain lines when nobody watches, one moving line in a terminal."""

import io
import sys

import pytest

from zentra_pipeline.cli.progress import progress


def test_without_a_terminal_every_step_is_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("2026-04-26: ") as emit:
        emit("match", "looking for \x1b[31mmovements")
        emit("compare", "naming breaks")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "2026-04-26: match: looking for \\x1b[31mmovements\n2026-04-26: compare: naming breaks\n"


def test_in_a_terminal_the_line_moves_and_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress() as emit:
        emit("match", "looking for [bold]movements[/bold]")
    assert "\x1b[2K" in terminal.getvalue() or terminal.getvalue().endswith("\x1b[?25h")
