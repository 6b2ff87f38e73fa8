"""The code location: one entry point that loads every Dagster object below `defs`; none is made here."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Every asset, check and resource below `zentra_pipeline/defs`."""
    loaded = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    # A process a step would take seconds to start, for a step or two a run.
    return dg.Definitions.merge(loaded, dg.Definitions(executor=dg.in_process_executor))
