"""Routes for what keeps a server running: whether it can work, and the figures of a tenant as Prometheus reads them.

Monitors call these, so that the description of the API leaves them out, as it does the console's pages. Does not belong
here: what is counted (desk.metrics).
"""

from collections.abc import Iterator

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from zentra_pipeline.api import query_string
from zentra_pipeline.api.security import Monitor
from zentra_pipeline.api.service import Serving
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.desk import metrics
from zentra_pipeline.desk.metrics import Gauge
from zentra_pipeline.tenants import tenancy

router = APIRouter(include_in_schema=False, dependencies=[Depends(query_string.require_once)])


class _Figures(Collector):
    """The gauges of one tenant, labelled with its name."""

    def __init__(self, tenant: str, gauges: list[Gauge]) -> None:
        self._tenant = tenant
        self._gauges = gauges

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Each gauge with its values in the order of their labels."""
        for gauge in self._gauges:
            family = GaugeMetricFamily(gauge.name, gauge.about, labels=["tenant", *gauge.labels])
            for labels, value in sorted(gauge.values.items()):
                family.add_metric([self._tenant, *labels], value)
            yield family


@router.get("/metrics")
def show(serving: Serving, caller: Monitor) -> Response:
    """The figures of the token's tenant in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Figures(caller.tenant.name, metrics.gauges(caller.tenant, serving.now())))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/readyz")
def ready(serving: Serving) -> Response:
    """Whether the stores answer; 503 with what is away where they do not. Needs no token."""
    tenancy.names(serving.home)
    return json_response({"status": "ready"})
