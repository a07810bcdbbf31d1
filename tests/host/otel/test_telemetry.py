"""A collector is told of each request and attempt by the conventions' names, and of no content."""

from collections.abc import Generator
from contextlib import contextmanager
from logging import getLogger
from socket import create_server
from typing import Any

import pytest
from structlog.testing import capture_logs

from exo_supervisor.core.trace import read_trace
from exo_supervisor.host.otel.opening import open_telemetry
from exo_supervisor.views.request_done import AttemptDone, RequestDone, RequestLine

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.host.otel.collector import Collector, collecting

NODE = "192.168.1.5:52415"
ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ENDED = 1_800_000_000 * 10**9
SECOND = 10**9
SCHEMA = "https://opentelemetry.io/schemas/gen-ai/0.1.0"


@pytest.fixture
def collector() -> Generator[Collector]:
    with collecting() as server:
        yield server


@contextmanager
def telling(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], patience: float = 30.0
) -> Generator[Any]:
    """Tell by these variables; what is told is handed over at the end."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    sdk = getLogger("opentelemetry")
    for each in sdk.handlers[:]:  # it counts what it has said for as long as the process lives
        sdk.removeHandler(each)
    telemetry = open_telemetry(environ, lambda: ENDED)
    assert telemetry is not None
    yield telemetry
    telemetry.close(patience)


def a_record(**more: object) -> RequestDone:
    line = RequestLine(
        "01J9", model="house", served_model="m-served", target=NODE, attempts=2, status=200,
        outcome="success", ttft=0.75, duration=2.5, prompt_tokens=10, completion_tokens=5,
        client="kids", cached_tokens=4, shift="attempt_failed",
    )  # fmt: skip
    for name, value in more.items():
        setattr(line, name, value)
    failed = AttemptDone(
        "mistral", "m", None, None, 0.25, 0.5, 0.1, None, "stall", 200, "words of a provider",
        number=1,
    )  # fmt: skip
    served = AttemptDone(
        NODE, "m", "m-served", None, 0.5, 2.5, 0.1, 0.25, "none", 200, "", 10, 5, 4, 2, 1, 3,
        number=2, response_id="chatcmpl-1",
    )  # fmt: skip
    trace = read_trace({"traceparent": f"00-{ID}-{SPAN}-01", "tracestate": "a=1"})
    return RequestDone(line, [failed, served], kind="chat", streamed=True, trace=trace)


def told(attributes: list[KeyValue]) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in attributes
    }


def test_a_request_and_its_attempts_are_spans_of_its_clients_trace(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRICS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=green", "OTEL_RESOURCE_ATTRIBUTES": "room=attic",
    }  # fmt: skip
    with telling(monkeypatch, environ) as telemetry:
        telemetry.done(a_record())
    request, failed, served = collector.spans()
    assert collector.headers == ["green"]
    assert not collector.figures()
    assert {span.trace_id.hex() for span in (request, failed, served)} == {ID}
    assert (request.parent_span_id.hex(), request.trace_state) == (SPAN, "a=1")
    assert failed.parent_span_id == served.parent_span_id == request.span_id
    assert [span.name for span in (request, failed, served)] == ["chat house", "chat m", "chat m"]
    assert [span.kind for span in (request, failed, served)] == [2, 3, 3]  # server, client
    assert request.end_time_unix_nano == ENDED
    assert request.start_time_unix_nano == ENDED - 2.5 * SECOND
    assert served.start_time_unix_nano == request.start_time_unix_nano + 0.5 * SECOND
    assert [span.status.code for span in (request, failed, served)] == [0, 2, 0]
    assert told(request.attributes) == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "exo",
        "gen_ai.request.model": "house", "gen_ai.request.stream": True,
        "gen_ai.response.model": "m-served", "gen_ai.response.time_to_first_chunk": 0.75,
        "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4, "http.response.status_code": 200,
        "exo_supervisor.request.id": "01J9", "exo_supervisor.client": "kids",
        "exo_supervisor.outcome": "success", "exo_supervisor.shift": "attempt_failed",
    }  # fmt: skip
    assert told(failed.attributes) == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": "m", "gen_ai.request.stream": True, "error.type": "stall",
        "exo_supervisor.attempt.number": 1,
    }  # fmt: skip
    assert told(served.attributes) == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "exo",
        "gen_ai.request.model": "m", "gen_ai.request.stream": True,
        "gen_ai.response.id": "chatcmpl-1", "gen_ai.response.model": "m-served",
        "gen_ai.response.time_to_first_chunk": 0.25, "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_write.input_tokens": 3, "gen_ai.usage.reasoning.output_tokens": 3,
        "server.address": "192.168.1.5", "server.port": 52415, "exo_supervisor.attempt.number": 2,
    }  # fmt: skip
    (resource,) = collector.traces.resource_spans
    named = told(list(resource.resource.attributes))
    assert (named["service.name"], named["room"]) == ("exo-supervisor", "attic")
    assert resource.scope_spans[0].schema_url == SCHEMA
    assert b"words of a provider" not in collector.traces.SerializeToString()


def test_a_request_without_a_trace_begins_one_and_a_failure_is_an_error(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
        "OTEL_SERVICE_NAME": "attic",
    }
    line = RequestLine("01J9", outcome="failure", code="attempts_failed", status=502)
    with telling(monkeypatch, environ) as telemetry:
        telemetry.done(RequestDone(line, kind="completions"))
        telemetry.done(RequestDone(RequestLine("01J8", model="e"), kind="embeddings"))
        telemetry.announce(None)
    failed, other = sorted(collector.spans(), key=lambda span: span.name, reverse=True)
    assert (failed.name, failed.status.code, failed.parent_span_id) == ("text_completion", 2, b"")
    assert told(failed.attributes)["error.type"] == "attempts_failed"
    assert other.name == "embeddings e"
    assert other.trace_id != failed.trace_id
    resource = told(list(collector.traces.resource_spans[0].resource.attributes))
    assert resource["service.name"] == "attic"


def test_what_a_client_does_not_have_sampled_is_not_told(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = read_trace({"traceparent": f"00-{ID}-{SPAN}-00"})
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRICS_EXPORTER": "none"}
    with telling(monkeypatch, environ) as telemetry:
        telemetry.done(RequestDone(RequestLine("01J9"), trace=trace))
    assert not collector.spans()


@pytest.mark.parametrize("old", [False, True])
def test_figures_have_the_conventions_names_and_old_ones_where_asked(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, *, old: bool
) -> None:
    opted = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http, gen_ai/dup"} if old else {}
    environ = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/v1/metrics", **opted}
    with telling(monkeypatch, environ) as telemetry:
        telemetry.done(a_record())
        telemetry.done(a_record(code="deadline", ttft=None))
    assert not collector.spans()
    figures = collector.figures()
    sums = {
        name: {
            told(list(p.attributes))["gen_ai.provider.name"]: p.as_int for p in m.sum.data_points
        }
        for name, m in figures.items()
        if m.WhichOneof("data") == "sum"
    }
    prefix = "gen_ai.client.inference.usage"
    assert sums == {
        f"{prefix}.input_tokens": {"exo": 20}, f"{prefix}.output_tokens": {"exo": 10},
        f"{prefix}.cache_read.input_tokens": {"exo": 8},
        f"{prefix}.cache_write.input_tokens": {"exo": 6},
        f"{prefix}.reasoning.output_tokens": {"exo": 6},
    }  # fmt: skip
    timed = {name: m.histogram for name, m in figures.items() if name not in sums}
    durations = timed.pop("gen_ai.client.inference.duration").data_points
    assert {told(list(p.attributes)).get("error.type") for p in durations} == {"stall", None}
    assert durations[0].explicit_bounds[0] == 0.01
    assert timed.pop("gen_ai.server.request.duration").data_points[0].sum == 2.5
    assert timed.pop("gen_ai.server.time_to_first_token").data_points[0].count == 1
    assert timed.pop("gen_ai.client.inference.time_to_first_chunk").data_points[0].sum == 0.5
    older = {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"}
    assert set(timed) == (older if old else set[str]())


def test_names_that_clients_invent_do_not_grow_the_figures(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/v1/metrics"}
    with telling(monkeypatch, environ) as telemetry:
        for number in range(300):
            telemetry.done(RequestDone(RequestLine("r", model=f"invented-{number}")))
    points = collector.figures()["gen_ai.server.request.duration"].histogram.data_points
    assert len(points) == 201


def test_a_collector_that_never_answers_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither requests nor the end: whoever waited for it here would wait for ever."""
    with create_server(("127.0.0.1", 0)) as deaf:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:{1}".format(*deaf.getsockname()),
            "OTEL_BSP_MAX_QUEUE_SIZE": "16", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "0.05",
        }  # fmt: skip
        with telling(monkeypatch, environ, 0.01) as telemetry:
            for _ in range(100):
                telemetry.done(a_record())


def test_a_collector_that_is_gone_holds_up_nobody_and_is_told_of_in_our_own_log(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces",
        "OTEL_BSP_MAX_QUEUE_SIZE": "16", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2",
    }  # fmt: skip
    with capture_logs() as lines, telling(monkeypatch, environ) as telemetry:
        for _ in range(200):
            telemetry.done(a_record())
    said = [line for line in lines if line["event"] == "otel_failed"]
    assert said
    assert all(line["log_level"] == "warning" for line in said)
    assert not capfd.readouterr().err
    assert not getLogger("opentelemetry").propagate, "nothing of it stands beside our lines"
