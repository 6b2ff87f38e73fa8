"""What holds of an ingest whatever the files say: text survives, splitting a file changes no row."""

import csv
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zentra_pipeline.contracts import contract_of
from zentra_pipeline.contracts.row_rules import BLANK, CONTROL
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant

NAUGHTY = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpora" / "blns" / "blns.json"
SETTLEMENT = contract_of("settlement")
ROW: dict[str, Any] = {
    "line_type": "payment",
    "merchant_reference": None,
    "gross_minor": 5,
    "fee_minor": 0,
    "net_minor": 5,
    "currency": "USD",
    "settled_at": "2026-04-26T10:00:00Z",
    "batch_id": "b",
}
# What gets in: no control character, and nothing at either end that shows nothing.
REFUSED = re.compile(rf"{CONTROL}|^{BLANK}|{BLANK}$".replace("\\x{2028}", "\u2028").replace("\\x{2029}", "\u2029"))
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10).filter(
    lambda text: not REFUSED.search(text)
)


def written(path: Path, references: list[tuple[str, str]]) -> Path:
    """A settlement file of lines with these ids and references, in the form its name's ending says."""
    rows = [ROW | {"line_id": line_id, "provider_reference": reference} for line_id, reference in references]
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8", newline="")
    elif path.suffix == ".parquet":
        text = {"settled_at": pl.col("settled_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")}
        pl.DataFrame(rows).with_columns(pl.col("merchant_reference").cast(pl.String), **text).write_parquet(path)
    else:
        content = io.StringIO(newline="")
        writer = csv.DictWriter(content, SETTLEMENT.required, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(content.getvalue(), encoding="utf-8", newline="")
    return path


def staged(root: Path, files: list[Path]) -> pl.DataFrame:
    tenant = Tenant.of(Home(root), "acme")
    ingest_files(
        tenant,
        provider="rail",
        kind="settlement",
        files=files,
        file_id="set_1",
        format="canonical",
        now=datetime(2026, 4, 27, tzinfo=UTC),
    )
    return pl.concat(map(pl.read_parquet, sorted((tenant.paths.staged / "settlement_lines").glob("*.parquet"))))


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the corpora are not beside this repository")
@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_every_naughty_string_survives_or_is_refused_for_what_it_does_not_show(tmp_path: Path, ending: str) -> None:
    strings = [text for text in json.loads(NAUGHTY.read_text("utf-8")) if text] + ["\x00", "a\x00b", " ", "NULL", "\\N"]
    references = [(f"L{position}", text) for position, text in enumerate(strings)]
    found = staged(tmp_path / "home", [written(tmp_path / f"in{ending}", references)])
    shown = [(line_id, text) for line_id, text in references if not REFUSED.search(text)]
    assert list(found.select("line_id", "provider_reference").iter_rows()) == shown


@settings(max_examples=12, deadline=None)
@given(st.dictionaries(TEXT, TEXT, min_size=2, max_size=12), st.data())
def test_splitting_a_file_or_changing_its_form_stages_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, lines: dict[str, str], data: st.DataObject
) -> None:
    references = list(lines.items())
    cut = data.draw(st.integers(1, len(references) - 1))
    folder = tmp_path_factory.mktemp("split")
    whole = staged(folder / "whole", [written(folder / "in.csv", references)])
    one, two = written(folder / "one.jsonl", references[:cut]), written(folder / "two.parquet", references[cut:])
    parts = staged(folder / "parts", [two, one])
    content = SETTLEMENT.columns
    assert sorted(whole.select("line_id", "provider_reference").rows()) == sorted(references)
    assert set(parts.select(content).rows()) == set(whole.select(content).rows())
