"""What the assets work with: the home, bound once per process. Nothing connects here."""

from dataclasses import dataclass, field

import dagster as dg

from zentra_pipeline.reconcile.window_run import Followed, Progress, RunRequest, WindowResult, run_queued, run_window
from zentra_pipeline.settings import Home


@dataclass
class Reconciler:
    """Runs windows of one home and keeps their results for whoever started the Dagster run in this process."""

    home: Home
    progress: Progress | None = None
    results: list[WindowResult] = field(default_factory=list)
    followed: Followed = field(default_factory=Followed)

    def run(self, tenant: str, request: RunRequest) -> WindowResult:
        """Reconcile one window; see window_run.run_window."""
        result = run_window(self.home, tenant, request, self.progress)
        self.results.append(result)
        return result

    def run_queued(self, tenant: str, provider: str) -> Followed:
        """Make the provider's queued runs anew; see window_run.run_queued."""
        followed = run_queued(self.home, tenant, provider, self.progress)
        self.followed.results += followed.results
        self.followed.failures |= followed.failures
        return followed


defs = dg.Definitions(resources={"reconciler": Reconciler(Home.at())})
