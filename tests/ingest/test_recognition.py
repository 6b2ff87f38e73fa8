"""Which readers could take a file: every file of the shipped stories is named as what it is, and junk as nothing."""

from pathlib import Path

import pytest

from zentra_pipeline.ingest.recognition import recognize
from zentra_pipeline.scenarios.scenario import load_scenario, scenario_folders
from zentra_pipeline.sources.registry import formats_of


def test_every_file_of_a_story_is_recognized_as_its_format_and_as_no_other() -> None:
    wrong = {}
    for folder in scenario_folders():
        scenario = load_scenario(folder)
        formats = {"settlement": scenario.settings.settlement_format, "callbacks": scenario.settings.callback_format}
        formats |= {"bank_statement": "camt053"}
        for step in scenario.steps:
            if step.ingest is None:
                continue
            due = (formats.get(step.ingest.kind, "canonical"), step.ingest.kind)
            expected = [] if due[0] == "tabular" else [due]
            if expected and due[0] in formats_of("bank_statement"):  # which of the two it is nobody can see
                expected = [(due[0], "settlement"), (due[0], "bank_statement")]
            for name in step.ingest.files:
                found = [(each.format, each.kind) for each in recognize(folder / "inputs" / name)[0]]
                if found != expected:
                    wrong[f"{folder.name}/{name}"] = found
    assert wrong == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7", "it is a PDF"),
        (b"\x1f\x8b\x08\x00", "it is compressed (gzip)"),
        (b"a,b\n1,2\n", "no column line_id"),
    ],
)
def test_what_no_reader_takes_is_named_by_what_it_looks_like(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    found, reason = recognize(path)
    assert found == []
    assert words in (reason or "")
