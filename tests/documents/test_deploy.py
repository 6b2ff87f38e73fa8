"""The files in deploy/ name commands, modules, variables and settings that exist."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster._core.storage.tags import MULTIDIMENSIONAL_PARTITION_PREFIX

from tests.documents.test_documents import check_command
from zentra_pipeline import settings
from zentra_pipeline.defs.partitions import SCOPE_PARTITIONS
from zentra_pipeline.keys import signing_keys

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# What other programs read: the object store's clients, Dagster's storage, PostgreSQL, Celery, the S3 server, uvicorn.
_OTHERS = ("AWS_", "DAGSTER_", "POSTGRES_", "CELERY_", "MINIO_", "FORWARDED_ALLOW_IPS")
YAML = sorted(DEPLOY.rglob("*.yaml"))


def documents(file: Path) -> list[Any]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def known_variables() -> set[str]:
    """Every variable that the program reads, as it is written in its source."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "zentra_pipeline").rglob("*.py"))
    return set(re.findall(r'"(ZENTRA_[A-Z_]+)"', source))


def test_there_are_files_for_each_way_to_deploy() -> None:
    names = {path.relative_to(DEPLOY).as_posix() for path in DEPLOY.rglob("*") if path.is_file()}
    assert names >= {"Dockerfile", "compose.yaml", "dagster.yaml", "hosts.env.example", "Caddyfile", "workspace.yaml"}
    assert names >= {f"launchers/{each}.yaml" for each in ("docker", "kubernetes", "celery", "celery-worker")}
    assert names >= {"systemd/zentra.service", "systemd/zentra-dagster.service", "kubernetes/values.yaml"}


@pytest.mark.parametrize("file", YAML, ids=lambda path: path.name)
def test_yaml_parses(file: Path) -> None:
    assert all(isinstance(each, dict) for each in documents(file))


def test_every_variable_that_is_set_is_read() -> None:
    known = known_variables()
    assert {settings.HOME_VARIABLE, settings.CACHE_VARIABLE, signing_keys.PASSPHRASE_VARIABLE} <= known
    for file in (path for path in DEPLOY.rglob("*") if path.is_file()):
        for name in set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", file.read_text(encoding="utf-8"))):
            assert name in known or name.startswith(_OTHERS), f"{file.name} names {name}"


def test_commands_of_zentra_exist_with_their_options() -> None:
    compose = documents(DEPLOY / "compose.yaml")[0]
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    said = re.search(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert said is not None and 'ENTRYPOINT ["zentra"]' in dockerfile
    web = documents(DEPLOY / "kubernetes" / "web.yaml")[0]["spec"]["template"]["spec"]["containers"][0]["args"]
    unit = re.search(r"^ExecStart=/opt/venv/bin/zentra (.*)$", unit_of("zentra"), re.MULTILINE)
    assert unit is not None
    for command in (yaml.safe_load(said[1]), web, shlex.split(unit[1])):
        check_command(command)
    assert "zentra" in compose["name"]


def unit_of(name: str) -> str:
    return (DEPLOY / "systemd" / f"{name}.service").read_text(encoding="utf-8")


def test_paths_of_the_image_and_the_units_are_those_of_the_project() -> None:
    copied = re.findall(r"^COPY (?!--)(.+) (\S+)$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    for sources, _ in copied:
        for source in sources.split():
            assert (ROOT / source).exists(), source
    modules = re.findall(r"zentra_pipeline\.[a-z_.]+", "".join(each.read_text(encoding="utf-8") for each in YAML))
    assert set(modules) == {"zentra_pipeline.definitions"}
    assert "/opt/zentra/workspace.yaml" in unit_of("zentra-dagster") and (ROOT / "workspace.yaml").is_file()


def test_dagster_s_instance_is_one_that_dagster_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "DB", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"DAGSTER_PG_{name}", "x")
    (instance,) = documents(DEPLOY / "dagster.yaml")
    checked = validate_config(dagster_instance_config_schema(), instance)
    assert checked.success, checked.errors
    assert instance["run_monitoring"]["enabled"] is True
    for limits in (
        instance["concurrency"]["runs"]["tag_concurrency_limits"],
        documents(DEPLOY / "kubernetes" / "values.yaml")[0]["dagsterDaemon"]["runCoordinator"]["config"][
            "queuedRunCoordinator"
        ]["tagConcurrencyLimits"],
    ):
        assert limits == [
            {
                "key": f"{MULTIDIMENSIONAL_PARTITION_PREFIX}{SCOPE_PARTITIONS}",
                "value": {"applyLimitPerUniqueValue": True},
                "limit": 1,
            }
        ]


def test_a_celery_worker_gives_its_task_up_when_it_dies_and_takes_one_at_a_time() -> None:
    (launcher,) = documents(DEPLOY / "launchers" / "celery.yaml")
    (worker,) = documents(DEPLOY / "launchers" / "celery-worker.yaml")
    assert launcher["run_launcher"]["config"] == worker["execution"]["config"]
    said = launcher["run_launcher"]["config"]["config_source"]
    assert said == {"task_acks_late": True, "task_reject_on_worker_lost": True, "worker_prefetch_multiplier": 1}


def test_definitions_run_in_one_process_whatever_launches_them() -> None:
    from zentra_pipeline.definitions import defs

    assert defs().executor is dg.in_process_executor


def test_the_extra_for_hosts_brings_what_the_files_need() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split(r"[<>=\[]", each)[0] for each in project["optional-dependencies"]["hosts"]}
    assert named == {"s3fs", "dagster-postgres"}
