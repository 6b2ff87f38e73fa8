"""Spans of requests, runs and their steps, sent by OpenTelemetry where OTEL_EXPORTER_OTLP_ENDPOINT is set.

Elsewhere a span is nothing, and no library of it is imported. A span has ids and figures, never a value of a row. Does
not belong here: what is worth a span.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, Final, ParamSpec, TypeVar

from zentra_pipeline import settings
from zentra_pipeline.errors import UsageError

_NOTHING: Final[AbstractContextManager[None]] = nullcontext()
_HEADER: Final = "traceparent"
_P = ParamSpec("_P")
_R = TypeVar("_R")


def is_on() -> bool:
    """Whether spans are sent from this process."""
    return settings.are_traces_sent()


def span(name: str, parent: str | None = None, **facts: Any) -> AbstractContextManager[Any]:
    """A span around what is done within; `parent` is a W3C traceparent, else the span around this one."""
    return _span(name, parent, facts) if is_on() else _NOTHING


def note(**facts: Any) -> None:
    """Add to the span that is open."""
    if is_on():
        from opentelemetry import trace

        trace.get_current_span().set_attributes(_attributes(facts))


def current() -> str | None:
    """The open span as a W3C traceparent, for what is done elsewhere on its behalf; null where there is none."""
    if not is_on():
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(_HEADER)


def carried(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """What a pool of threads is given, so that its spans are within the one that is open here; `work` where none is."""
    if not is_on():
        return work
    from opentelemetry import context

    here = context.get_current()

    def within(*arguments: _P.args, **options: _P.kwargs) -> _R:
        token = context.attach(here)
        try:
            return work(*arguments, **options)
        finally:
            context.detach(token)

    return within


@contextmanager
def _span(name: str, parent: str | None, facts: dict[str, Any]) -> Iterator[Any]:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    outer = None if parent is None else TraceContextTextMapPropagator().extract({_HEADER: parent})
    with _tracer().start_as_current_span(name, context=outer, attributes=_attributes(facts)) as opened:
        yield opened


@cache
def _tracer() -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as cause:
        raise UsageError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and traces are not installed: install zentra with the extra traces, "
            "or unset it"
        ) from cause
    from zentra_pipeline import __version__

    known = {"service.name": "zentra", "service.version": __version__}
    provider = TracerProvider(resource=Resource.create(known))  # OTEL_SERVICE_NAME, where set, holds
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("zentra", __version__)


def _attributes(facts: dict[str, Any]) -> dict[str, Any]:
    return {name if "." in name else f"zentra.{name}": value for name, value in facts.items() if value is not None}
