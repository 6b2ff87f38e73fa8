"""The samples that guides of formats show are read by their readers, and come to what they say."""

from pathlib import Path

import pytest

from zentra_pipeline.ingest.inspection import inspect

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides" / "formats"
SAMPLES = {
    "adyen": ("csv", ("41", 4, "EUR", 0, True)),
    "checkout": ("csv", ("PO1", 1, "USD", 4_850, None)),
    "square": ("json", ("po_1", 2, "USD", 4_855, True)),
    "gocardless": ("json", ("PO1", 4, "GBP", 580, True)),
    "mollie": ("json", ("stl_1", 3, "EUR", 1_465, True)),
    "braintree": ("json", ("2026-04-14_acme_58hbprvz", 1, "USD", 1_250, None)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_of_a_guide_is_read(name: str, tmp_path: Path) -> None:
    ending, expected = SAMPLES[name]
    starts = {"csv": ("Company Account,", "Type,"), "json": ("{", "[")}[ending]
    text = (GUIDES / f"{name}.md").read_text(encoding="utf-8")
    fenced = [block.partition("\n")[2] for block in text.split("```")[1::2]]
    (sample,) = (block for block in fenced if block.startswith(starts))
    path = tmp_path / f"sample.{ending}"
    path.write_text(sample, encoding="utf-8")
    first = inspect(name, path).statements[0]
    assert (first.id, first.entries, first.currency, first.signed_sum_minor, first.ties) == expected
