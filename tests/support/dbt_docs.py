"""Writes dbt's documentation of the project as one page, from the database of a run without rows (`make dbt-docs`).

No network and no home is needed. Does not belong here: what models say about themselves.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.built_project import built_project
from zentra_pipeline.reconcile import dbt_project
from zentra_pipeline.settings import DBT_PROJECT

PAGE = "static_index.html"


def write(folder: Path) -> Path:
    """Have dbt write its page, lineage included, below `folder`; raises where dbt fails."""
    dbt = Path(sys.executable).with_name("dbt")
    folders = [f"--project-dir={DBT_PROJECT}", f"--profiles-dir={DBT_PROJECT}", f"--target-path={folder}"]
    environment = {**os.environ, dbt_project.DATABASE_VARIABLE: str(built_project().database)}
    command = [str(dbt), "docs", "generate", "--static", "--select", "*", *folders, f"--log-path={folder / 'logs'}"]
    subprocess.run(command, env=environment, check=True)
    return folder / PAGE


if __name__ == "__main__":
    sys.stdout.write(f"{write(Path(sys.argv[1]).absolute())}\n")
