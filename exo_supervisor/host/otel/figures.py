"""The figures of the GenAI conventions, of attempts as their client and of requests as a server."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.metrics import Counter, Histogram, Meter

from exo_supervisor.host.otel.names import Attributes, operation, provider
from exo_supervisor.views.request_done import AttemptDone, RequestDone

SECONDS: Final = tuple(0.01 * 2**step for step in range(14))
TOKENS: Final = tuple(4**step for step in range(14))
MOST_MODELS: Final = 200
"""Names that stand in figures; the next is `other`, since clients may invent them."""


class Figures:
    """Owns the instruments; `old` adds the two figures that others' dashboards still read."""

    def __init__(self, meter: Meter, *, old: bool) -> None:
        self._models = set[str]()

        def histogram(name: str, unit: str, bounds: Sequence[float]) -> Histogram:
            return meter.create_histogram(name, unit, explicit_bucket_boundaries_advisory=bounds)

        def seconds(name: str) -> Histogram:
            return histogram(name, "s", SECONDS)

        def tokens(kind: str) -> Counter:
            return meter.create_counter(f"gen_ai.client.inference.usage.{kind}", "{token}")

        self._duration = seconds("gen_ai.client.inference.duration")
        self._first = seconds("gen_ai.client.inference.time_to_first_chunk")
        self._request = seconds("gen_ai.server.request.duration")
        self._request_first = seconds("gen_ai.server.time_to_first_token")
        self._input, self._output = tokens("input_tokens"), tokens("output_tokens")
        self._read, self._written = (
            tokens("cache_read.input_tokens"), tokens("cache_write.input_tokens"),
        )  # fmt: skip
        self._reasoned = tokens("reasoning.output_tokens")
        self._old_duration = seconds("gen_ai.client.operation.duration") if old else None
        tokens_used = "gen_ai.client.token.usage"
        self._old_tokens = histogram(tokens_used, "{token}", TOKENS) if old else None

    def done(self, record: RequestDone) -> None:
        """Count a request and its attempts."""
        line = record.line
        labels: Attributes = {
            "gen_ai.operation.name": operation(record),
            "gen_ai.request.model": self._model(line.model or "other"),
        }
        if line.code is not None:
            labels["error.type"] = line.code
        self._request.record(line.duration, labels)
        if line.ttft is not None:
            self._request_first.record(line.ttft, labels)
        for attempt in record.tried:
            self._attempted(record, attempt)

    def _attempted(self, record: RequestDone, attempt: AttemptDone) -> None:
        labels: Attributes = {
            "gen_ai.operation.name": operation(record),
            "gen_ai.provider.name": provider(attempt.target),
            "gen_ai.request.model": self._model(attempt.model),
        }
        for counter, count in (
            (self._input, attempt.prompt_tokens),
            (self._output, attempt.completion_tokens),
            (self._read, attempt.cached_tokens),
            (self._written, attempt.cache_write_tokens + attempt.cache_write_1h_tokens),
            (self._reasoned, attempt.reasoning_tokens),
        ):
            if count:
                counter.add(count, labels)
        if self._old_tokens is not None:
            for kind, count in (
                ("input", attempt.prompt_tokens), ("output", attempt.completion_tokens),
            ):  # fmt: skip
                if count is not None:
                    self._old_tokens.record(count, {**labels, "gen_ai.token.type": kind})
        if attempt.first is not None:
            self._first.record(attempt.first, labels)
        if attempt.fault != "none":
            labels = {**labels, "error.type": attempt.fault}
        self._duration.record(attempt.ended - attempt.began, labels)
        if self._old_duration is not None:
            self._old_duration.record(attempt.ended - attempt.began, labels)

    def _model(self, name: str) -> str:
        if name in self._models or len(self._models) < MOST_MODELS:
            self._models.add(name)
            return name
        return "other"
