"""What outsiders wrote cannot drive a terminal, and what is printed can be read by programs."""

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
