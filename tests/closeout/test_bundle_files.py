"""Every line of a bundle is the RFC 8785 form of its row, whatever text it holds."""

import json
from pathlib import Path

import pytest
import rfc8785

from tests.closeout.closed_world import close, monday
from tests.scenarios.rows import MON, call, post, settle
from tests.scenarios.world import World
from zentra_pipeline.closeout.event_lines import amounts_as_text, line_of

HOSTILE = [
    'quote " backslash \\ slash /',
    "".join(chr(code) for code in range(1, 0x20)),
    "\u007f\u0080\u2028\u2029\ufeff😀é",
    "\\u000B is no control character",
    "=1+1",
]
# Ingest keeps out references with control characters or line separators; of those accepted these are the worst.
ACCEPTED = [
    'quote " backslash \\ slash /',
    "a\u202eb\u200b\ufeffc😀e\u0301é",
    "\\u000B is no control character",
    "=1+1",
    "\ue000\U0001f600 sorts by code unit",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_an_event_line_is_canonical_with_amounts_as_text(text: str) -> None:
    event = {"type": "t", "data": {"b": text, "a_minor": -5, "list": [{"c_minor": 7, "n": 3}], "none": None, "t": True}}
    line = line_of(json.dumps(event))
    assert line == rfc8785.dumps(amounts_as_text(event)) + b"\n"
    assert json.loads(line)["data"] | {"b": ""} == {
        "b": "",
        "a_minor": "-5",
        "list": [{"c_minor": "7", "n": 3}],
        "none": None,
        "t": True,
    }


def test_every_line_of_a_bundle_is_canonical_though_references_are_hostile(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number, reference in enumerate(ACCEPTED):
        world.add(
            settle(f"L{number}", reference, 500), post(f"T{number}", reference, 500), call(f"E{number}", reference, 500)
        )
    world.make(MON)
    close(world)
    files = world.paths.closeouts / monday(world) / "r1" / "files"
    read = 0
    for path in files.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            assert line == rfc8785.dumps(json.loads(line)), path.name
            read += 1
    assert read > 3 * len(ACCEPTED)
