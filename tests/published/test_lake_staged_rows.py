"""Staged files of several releases read as one table. Ingest and runs are tested elsewhere."""

from pathlib import Path

import duckdb
import polars as pl

from zentra_pipeline.published import lake_files


def test_a_column_that_an_older_file_lacks_is_null_whichever_file_comes_first(tmp_path: Path) -> None:
    old, new = tmp_path / "old [1].parquet", tmp_path / "new.parquet"
    pl.DataFrame({"line_id": ["a"]}).write_parquet(old)
    pl.DataFrame({"presentment_minor": [5], "line_id": ["b"]}).write_parquet(new)
    columns = "line_id varchar, presentment_minor bigint"
    with duckdb.connect() as connection:
        for paths, rows in (
            ([old, new], [("a", None), ("b", 5)]),
            ([new, old], [("a", None), ("b", 5)]),
            ([old], [("a", None)]),
            ([], []),
        ):
            found = connection.sql(lake_files.staged_rows(columns, paths)).order("line_id")
            assert found.fetchall() == rows
            assert [str(kind) for kind in found.types] == ["VARCHAR", "BIGINT"]
