"""The home's Dagster instance keeps what is recorded in it."""

from pathlib import Path

from zentra_pipeline.defs.instance import dagster_instance
from zentra_pipeline.settings import Home


def test_what_an_open_instance_records_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with dagster_instance(Home.at(tmp_path)) as instance:
        instance.add_dynamic_partitions("scope", ["acme/rail"])
    with dagster_instance(Home.at(tmp_path)) as instance:
        assert instance.get_dynamic_partitions("scope") == ["acme/rail"]
