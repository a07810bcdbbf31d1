"""A collector that speaks OTLP over HTTP, and keeps what it was sent."""

from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.traces, self.metrics = ExportTraceServiceRequest(), ExportMetricsServiceRequest()
        self.headers: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Any]:
        found = [
            span for r in self.traces.resource_spans for s in r.scope_spans for span in s.spans
        ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def figures(self) -> dict[str, Any]:
        return {
            metric.name: metric
            for r in self.metrics.resource_metrics
            for s in r.scope_metrics
            for metric in s.metrics
        }


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body, kept = self.rfile.read(int(self.headers["content-length"])), self.server
        assert isinstance(kept, Collector)
        kept.headers.append(self.headers["x-team"])
        into = kept.traces if self.path == "/v1/traces" else kept.metrics
        into.MergeFromString(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        pass


@contextmanager
def collecting() -> Generator[Collector]:
    """Run one."""
    with Collector() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
