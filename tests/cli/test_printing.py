"""What outsiders wrote cannot drive a terminal, and what is printed can be read by programs."""

import io
import json

import pytest

from zentra_pipeline.cli import printing


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 日本", "plain ü 日本"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\nb\r", "a\\nb\\r"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\udcff", "\\udcff"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_only_printable_characters_reach_a_terminal(text: str, shown: str) -> None:
    assert printing.printable(text) == shown


def test_a_table_shows_escapes_and_markup_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_table(("reference", "amount"), [("\x1b[31m[bold]x[/bold] :smile:", 5), (None, 12_345)])
    out = capsys.readouterr().out
    assert "\\x1b[31m[bold]x[/bold] :smile:" in out
    assert [line.rstrip() for line in out.splitlines()][-1].endswith("12345")
    assert "null" in out


def test_a_piped_table_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_table(("a", "b"), [("x" * 500, "y" * 500)])
    assert f"{'x' * 500}   {'y' * 500}" in capsys.readouterr().out


def test_json_survives_a_lone_surrogate(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    printing.print_json({"file": "\udcff"})
    assert json.loads(capsysbinary.readouterr().out) == {"file": "\udcff"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, **environment: str) -> Terminal:
    """Stdout as a terminal of so many columns."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    for name, value in {"COLUMNS": str(columns), "TERM": "xterm-256color", **environment}.items():
        monkeypatch.setenv(name, value)
    return terminal


HEADINGS = ("exception", "type", "amount", "owner")
ROW = ("exc_0123456789abcdef01234567", "unmatched_provider_row", "482.00 USD", "finance_ops")


@pytest.mark.parametrize(("columns", "shown"), [(20, 1), (53, 2), (60, 2), (68, 3), (82, 4)])
def test_a_narrow_terminal_shows_fewer_columns_and_names_the_others(
    columns: int, shown: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = on_terminal(monkeypatch, columns, NO_COLOR="1")
    printing.print_table(HEADINGS, [ROW])
    out = "".join(terminal.getvalue().split())
    assert [text in out for text in map("".join, map(str.split, ROW))] == [position < shown for position in range(4)]
    left_out = ", ".join(HEADINGS[shown:])
    expected = f"Not shown, the terminal is too narrow: {left_out}. Widen it, or use a pipe or --json.\n"
    assert capsys.readouterr().err == (expected if left_out else "")


def test_no_color_leaves_out_bold_and_dim_too(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = on_terminal(monkeypatch, 80, NO_COLOR="")
    printing.print_table(("a",), [(None,)])
    assert "\x1b[1m" in coloured.getvalue()
    plain = on_terminal(monkeypatch, 80, NO_COLOR="1")
    printing.print_table(("a",), [(None,)])
    assert "\x1b" not in plain.getvalue()
    assert "null" in plain.getvalue()
