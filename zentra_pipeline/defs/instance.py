"""The home's own Dagster instance, which `zentra run` writes to and the Dagster UI reads; no asset belongs here."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from zentra_pipeline.settings import Home

_CONFIGURATION = """\
# Dagster's state of this home: SQLite files beside this one. Nothing is reported, nobody is asked to sign up.
telemetry:
  enabled: false
nux:
  enabled: false
"""


@contextmanager
def dagster_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The instance below the home, made when it is missing."""
    prepare_instance(home)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield instance


def prepare_instance(home: Home) -> None:
    """Make the folder that `DAGSTER_HOME` names for the UI of this home."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    configuration = home.dagster / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_CONFIGURATION, encoding="utf-8")
