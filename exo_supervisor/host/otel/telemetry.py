"""Spans and figures of requests and of their attempts, by OpenTelemetry's GenAI conventions 0.1.0.

A sink. All is made at a request's end, from the times of its record, and handed to the SDK's own
threads, whose queues have bounds: a collector that is slow or gone loses spans and holds up nobody.
Nothing of a prompt or of an answer is told, nor can it be switched on.
"""

import logging
from collections.abc import Callable
from threading import Thread
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.trace.span import TraceState

from exo_supervisor import __version__
from exo_supervisor.core.effects import Announce
from exo_supervisor.core.keys import hide_shapes
from exo_supervisor.core.trace import Trace
from exo_supervisor.host.otel.figures import Figures
from exo_supervisor.host.otel.names import SCHEMA, Attributes, of_attempt, of_request, span_name
from exo_supervisor.views.request_done import AttemptDone, RequestDone

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("otel")

OURS: Final = "exo-supervisor"
_WORDS = 200
"""Characters of what the SDK says of a fault."""


class Telemetry:
    """Tells a collector of what ended; whoever opened it closes it."""

    name = "otel"

    def __init__(
        self, wall: Callable[[], int], *, traces: bool, metrics: bool, old_names: bool
    ) -> None:
        self._wall = wall
        _listen()
        resource = Resource.create()
        if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: OURS}))
        resource = Resource({"service.version": __version__}).merge(resource)
        self._closing: list[Callable[[], object]] = []
        self._tracer: Tracer | None = None
        self._figures: Figures | None = None
        if traces:
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            self._tracer = provider.get_tracer(OURS, __version__, SCHEMA)
            self._closing.append(provider.shutdown)
        if metrics:
            reader = PeriodicExportingMetricReader(OTLPMetricExporter())
            meters = MeterProvider([reader], resource, shutdown_on_exit=False)
            self._figures = Figures(meters.get_meter(OURS, __version__, SCHEMA), old=old_names)
            self._closing.append(meters.shutdown)

    def done(self, record: RequestDone) -> None:
        """Tell of a request that ended just now."""
        if self._figures is not None:
            self._figures.done(record)
        if self._tracer is not None:
            self._trace(self._tracer, record)

    def announce(self, said: Announce) -> None:
        """Tell nothing of what the core announces."""

    def close(self, seconds: float) -> None:
        """Hand over what is left, if that can be done in so many seconds."""
        threads = [Thread(target=close, daemon=True) for close in self._closing]
        for each in threads:
            each.start()
        for each in threads:
            each.join(seconds / len(threads))

    def _trace(self, tracer: Tracer, record: RequestDone) -> None:
        line = record.line
        ended = self._wall()
        began = ended - _nanos(line.duration)
        span = tracer.start_span(
            span_name(record, line.model), _parent(record.trace), SpanKind.SERVER,
            of_request(record), start_time=began,
        )  # fmt: skip
        if line.outcome == "failure":
            span.set_status(Status(StatusCode.ERROR))
        inside = trace.set_span_in_context(span, Context())
        for attempt in record.tried:
            _attempt(tracer, inside, record, attempt, began)
        span.end(ended)


def _attempt(
    tracer: Tracer, inside: Context, record: RequestDone, attempt: AttemptDone, began: int
) -> None:
    attributes: Attributes = of_attempt(record, attempt)
    span = tracer.start_span(
        span_name(record, attempt.model), inside, SpanKind.CLIENT, attributes,
        start_time=began + _nanos(attempt.began),
    )  # fmt: skip
    if "error.type" in attributes:
        span.set_status(Status(StatusCode.ERROR))
    span.end(began + _nanos(attempt.ended))


def _nanos(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


def _parent(said: Trace | None) -> Context:
    if said is None:
        return Context()
    state = TraceState.from_header([said.state])
    parent = SpanContext(said.trace_id, said.span_id, True, TraceFlags(said.flags), state)  # noqa: FBT003 - of elsewhere
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())


class _Complaints(logging.Handler):
    """Says in our own log what the SDK says of itself: of one kind the 1st, 2nd, 4th, 8th time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said = dict[str, int]()

    def emit(self, record: logging.LogRecord) -> None:
        kind = f"{record.name} {record.lineno}"
        self._said[kind] = said = self._said.get(kind, 0) + 1
        if said & (said - 1) == 0:
            why = hide_shapes(record.getMessage())[:_WORDS]
            log.warning("otel_failed", why=why, times=said)


def _listen() -> None:
    """Take over what the SDK logs, once: its lines would stand among ours in another form."""
    sdk = logging.getLogger("opentelemetry")
    if not any(isinstance(each, _Complaints) for each in sdk.handlers):
        sdk.addHandler(_Complaints())
        sdk.propagate = False
