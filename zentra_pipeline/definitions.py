"""The code location: one entry point that loads every Dagster object below `defs`; none is made here."""

import dagster as dg

import zentra_pipeline.defs

defs = dg.components.load_defs(zentra_pipeline.defs)
