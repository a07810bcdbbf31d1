"""A service whose environment names a collector tells it of its requests, up to the last."""

from signal import SIGTERM

import pytest

from exo_supervisor.demo import ExoNode
from tests.app.world import folder, left, process_of_service, toml

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from tests.host.otel.collector import collecting

pytestmark = [pytest.mark.real_time, pytest.mark.alone]

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRET = "a-word-of-a-prompt"


async def test_the_last_requests_are_told_at_the_end() -> None:
    async with ExoNode("C", pace=0.0) as node:
        with folder() as place, collecting() as collector:
            environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
            text = toml((node,), None, {})
            async with process_of_service(place, text, env=environ) as (world, process):
                await world.ready()
                said = [{"role": "user", "content": SECRET}]
                await world.chat(messages=said, headers={"traceparent": PARENT})
                (started,) = await world.lines("otel_started")
                process.send_signal(SIGTERM)
                assert await left(process) == 0
            request, attempt = collector.spans()
            assert started["signals"] == ["traces", "metrics"]
            assert request.trace_id.hex() in PARENT
            assert attempt.parent_span_id == request.span_id
            assert "gen_ai.server.request.duration" in collector.figures()
            for sent in (collector.traces, collector.metrics):
                assert SECRET.encode() not in sent.SerializeToString()
