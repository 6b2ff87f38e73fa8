"""The code location: one entry point that loads every Dagster object below `defs`; none is made here."""

from dagster.components import load_defs

import zentra_pipeline.defs

defs = load_defs(zentra_pipeline.defs)
