"""The code location: one entry point that loads every Dagster object below `defs`; none is made here."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Every asset, check and resource below `zentra_pipeline/defs`."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
