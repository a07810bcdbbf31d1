"""Whether anything is told to a collector is for the variables `OTEL_*` alone to say."""

import sys

import pytest
from structlog.testing import capture_logs

from exo_supervisor.host.otel.opening import open_telemetry

NOBODY = "http://127.0.0.1:9"
NAMED = {"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_SERVICE_NAME": "attic"},
        {**NAMED, "OTEL_SDK_DISABLED": "TRUE"},
        {**NAMED, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "console"},
    ],
)
def test_without_a_collector_nothing_is_told(environ: dict[str, str]) -> None:
    with capture_logs() as lines:
        assert open_telemetry(environ) is None
    assert not lines


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "the protocol 'grpc' is not spoken here"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "the protocol 'http/json'"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "max_queue_size must be a positive integer"),
    ],
)
def test_what_cannot_be_done_is_told_once(
    environ: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "OTEL_BSP_MAX_QUEUE_SIZE" in environ:
        pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
    for name, value in {**NAMED, **environ}.items():
        monkeypatch.setenv(name, value)
    with capture_logs() as lines:
        assert open_telemetry({**NAMED, **environ}) is None
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("otel_off", "warning")
    assert why in line["why"]


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "exo_supervisor.host.otel.telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with capture_logs() as lines:
        assert open_telemetry(NAMED) is None
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("otel_off", "warning")
    assert "pip install 'exo-supervisor[otel]'" in line["advice"]
