"""What the assets work with: the home, bound once per process. Nothing connects here."""

from dataclasses import dataclass, field

import dagster as dg

from zentra_pipeline.settings import Home
from zentra_pipeline.window_run import Progress, RunRequest, WindowResult, run_window


@dataclass
class Reconciler:
    """Runs windows of one home and keeps their results for whoever started the Dagster run in this process."""

    home: Home
    progress: Progress | None = None
    results: list[WindowResult] = field(default_factory=list)

    def run(self, tenant: str, request: RunRequest) -> WindowResult:
        """Reconcile one window; see window_run.run_window."""
        result = run_window(self.home, tenant, request, self.progress)
        self.results.append(result)
        return result


defs = dg.Definitions(resources={"reconciler": Reconciler(Home.at())})
