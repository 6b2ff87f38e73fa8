"""Where traces are sent, a request, its run and every model are spans of one trace; elsewhere nothing is."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.api.conftest import PROVIDER, make_books, serving
from zentra_pipeline import settings, traces, worker
from zentra_pipeline.errors import UsageError

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setenv(settings.TRACES_VARIABLE, "http://127.0.0.1:1")
    monkeypatch.setattr(traces, "_tracer", lambda: provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def _parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def test_a_request_its_run_and_every_model_are_one_trace(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    books = make_books(tmp_path)
    with serving(books) as api:
        asker = api.as_("operator")
        body = {"provider": PROVIDER, "settlement_file": "set_2026_04_15", "ledger_window": "2026-04-15", "owner": "o"}
        answer = asker.post("/reconciliation/runs", body, headers={"traceparent": PARENT})
        assert answer.status_code == 202, answer.text
        asker.get("/readyz")
    said: list[str] = []
    assert worker.work_once(books.home, datetime.now(UTC), said.append)
    found = {span.name: span for span in spans.get_finished_spans()}
    request, asked, run, models = (
        found[name] for name in ("POST /reconciliation/runs", "run request", "run", "build models")
    )
    run_id = answer.json()["id"]
    assert {span.context.trace_id for span in found.values() if span.context} == {int(PARENT.split("-")[1], 16)}
    assert _parent(request) == int(PARENT.split("-")[2], 16)
    assert (_parent(asked), _parent(run), _parent(models)) == (_id(request), _id(asked), _id(run))
    assert {_parent(span) for name, span in found.items() if name.startswith("model ")} == {_id(models)}
    assert {"gather inputs", "write tables", "model int_matches"} <= found.keys()
    assert not any("readyz" in name for name in found)
    assert request.attributes is not None
    assert {name: request.attributes[name] for name in ("http.response.status_code", "zentra.tenant")} == {
        "http.response.status_code": 202,
        "zentra.tenant": "acme",
    }
    assert run.attributes is not None
    assert (run.attributes["zentra.run_id"], run.attributes["zentra.tenant"]) == (run_id, "acme")


def test_without_an_endpoint_nothing_is_imported_and_a_span_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.TRACES_VARIABLE, raising=False)
    assert traces.span("run", run_id="x") is traces.span("other")
    assert (traces.current(), traces.carried(len)) == (None, len)
    program = (
        "import sys; from zentra_pipeline import traces\n"
        "with traces.span('run'): traces.note(x=1)\n"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_spans_arrive_at_the_endpoint_by_http() -> None:
    """As a server sends them: in a process of its own, by the exporter that the extra brings."""
    arrived: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    program = "from zentra_pipeline import traces\nwith traces.span('run', run_id='run_7'): pass"
    environment = {settings.TRACES_VARIABLE: f"http://127.0.0.1:{server.server_port}", "PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    server.shutdown()
    server.server_close()
    assert done.stderr == ""
    ((path, body),) = arrived
    assert path == "/v1/traces"
    assert b"zentra.run_id" in body
    assert b"run_7" in body


def test_traces_that_are_not_installed_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.TRACES_VARIABLE, "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    traces._tracer.cache_clear()
    with pytest.raises(UsageError, match="install zentra with the extra traces"), traces.span("run"):
        pass
