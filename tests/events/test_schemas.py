"""The documented schemas are those of the code, and know every event type of the code."""

from pathlib import Path

import jsonschema_rs
import pytest

from zentra_pipeline.events import types

DOCUMENTS = Path(__file__).parents[2] / "docs" / "events"


@pytest.mark.parametrize("event_type", types.DATA)
def test_documented_schema_is_that_of_the_code(event_type: str) -> None:
    assert (DOCUMENTS / f"{event_type}.json").read_text(encoding="utf-8") == types.schema_text(event_type)


def test_every_document_is_of_an_event_type() -> None:
    assert {path.stem for path in DOCUMENTS.iterdir()} == set(types.DATA)


@pytest.mark.parametrize("event_type", types.DATA)
def test_schema_is_a_schema(event_type: str) -> None:
    jsonschema_rs.meta.validate(types.json_schema(event_type))


def test_guide_names_every_event_type() -> None:
    guide = (DOCUMENTS.parent / "guides" / "events.md").read_text(encoding="utf-8")
    assert [name for name in types.DATA if f"`{name}`" not in guide] == []
