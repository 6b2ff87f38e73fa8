"""What the assets work with: the home, bound once per process. Nothing connects here."""

from dataclasses import dataclass, field

import dagster as dg

from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import Followed, Progress, WindowResult, run_queued, run_window
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant


@dataclass
class Reconciler:
    """Runs windows of one home and keeps their results for whoever started the Dagster run in this process."""

    home: Home
    progress: Progress | None = None
    results: list[WindowResult] = field(default_factory=list)
    followed: Followed = field(default_factory=Followed)

    def tenant(self, name: str) -> Tenant:
        """A tenant of the home; UsageError when there is none of this name."""
        return tenancy.require_tenant(self.home, name)

    def tenants(self) -> list[Tenant]:
        """The home's tenants; none where there is no home yet."""
        return tenancy.tenants(self.home) if tenancy.is_initialised(self.home) else []

    def run(self, tenant: Tenant, request: RunRequest) -> WindowResult:
        """Reconcile one window; see window_run.run_window."""
        result = run_window(tenant, request, self.progress)
        self.results.append(result)
        return result

    def run_queued(self, tenant: Tenant, provider: str) -> Followed:
        """Make the provider's queued runs again; see window_run.run_queued."""
        followed = run_queued(tenant, provider, self.progress)
        self.followed.results += followed.results
        self.followed.failures |= followed.failures
        return followed


defs = dg.Definitions(resources={"reconciler": Reconciler(Home.at())})
