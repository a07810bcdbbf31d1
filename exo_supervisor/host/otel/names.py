"""The names of OpenTelemetry's GenAI conventions, version 0.1.0, for what our records hold.

Of a provider whose name is not one of theirs, and of Exo, the name is our own.
"""

from typing import Final

from exo_supervisor.views.request_done import AttemptDone, RequestDone, target_side

SCHEMA: Final = "https://opentelemetry.io/schemas/gen-ai/0.1.0"
"""By the pattern of a release's, `gen-ai/X.Y.Z`: theirs of version 0.1.0 still says "TODO"; between
releases their registry calls itself `gen-ai-dev/1.42.0-dev`."""
_OPERATIONS = {"completions": "text_completion"}
_PROVIDERS = {
    "mistral": "mistral_ai", "xai": "x_ai", "moonshot": "moonshot_ai", "gemini": "gcp.gemini",
    "google": "gcp.gemini", "vertex": "gcp.vertex_ai", "bedrock": "aws.bedrock",
}  # fmt: skip
_NO_ERROR = ("none", "client_left")

Attributes = dict[str, str | int | float | bool]


def operation(record: RequestDone) -> str:
    """Name what was asked for."""
    return _OPERATIONS.get(record.kind, record.kind)


def span_name(record: RequestDone, model: str | None) -> str:
    """Name a span: the operation, and the model as whoever is asked knows it."""
    return f"{operation(record)} {model}" if model else operation(record)


def provider(target: str) -> str:
    """Name who is asked."""
    return "exo" if target_side(target) == "exo" else _PROVIDERS.get(target, target)


def of_request(record: RequestDone) -> Attributes:
    """Tell of the whole request what its client could know."""
    line = record.line
    found: dict[str, object] = {
        "gen_ai.operation.name": operation(record),
        "gen_ai.provider.name": None if line.target is None else provider(line.target),
        "gen_ai.request.model": line.model,
        "gen_ai.request.stream": record.streamed or None,
        "gen_ai.response.model": line.served_model,
        "gen_ai.response.time_to_first_chunk": line.ttft if record.streamed else None,
        "gen_ai.usage.input_tokens": line.prompt_tokens,
        "gen_ai.usage.output_tokens": line.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": line.cached_tokens,
        "error.type": line.code,
        "http.response.status_code": line.status or None,
        "exo_supervisor.request.id": line.request_id,
        "exo_supervisor.client": line.client,
        "exo_supervisor.outcome": line.outcome,
        "exo_supervisor.shift": line.shift,
    }
    return _told(found)


def of_attempt(record: RequestDone, attempt: AttemptDone) -> Attributes:
    """Tell of one attempt what its target told."""
    host, colon, port = attempt.target.rpartition(":")
    found: dict[str, object] = {
        "gen_ai.operation.name": operation(record),
        "gen_ai.provider.name": provider(attempt.target),
        "gen_ai.request.model": attempt.model,
        "gen_ai.request.stream": record.streamed or None,
        "gen_ai.response.id": attempt.response_id,
        "gen_ai.response.model": attempt.served_model,
        "gen_ai.response.time_to_first_chunk": attempt.first if record.streamed else None,
        "gen_ai.usage.input_tokens": attempt.prompt_tokens,
        "gen_ai.usage.output_tokens": attempt.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": attempt.cached_tokens or None,
        "gen_ai.usage.cache_write.input_tokens": (
            attempt.cache_write_tokens + attempt.cache_write_1h_tokens or None
        ),
        "gen_ai.usage.reasoning.output_tokens": attempt.reasoning_tokens or None,
        "server.address": host if colon else None,
        "server.port": int(port) if colon else None,
        "error.type": attempt.fault if attempt.fault not in _NO_ERROR else None,
        "exo_supervisor.attempt.number": attempt.number or None,
    }
    return _told(found)


def _told(found: dict[str, object]) -> Attributes:
    return {name: value for name, value in found.items() if isinstance(value, str | int | float)}
