"""What is no part of an answer, as Ollama's clients read it: lines that add no word."""

from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.wire.dialect import Framing, Reply, Told, told_by


def created_at(reply: Reply) -> str:
    """Return when a request came, as Ollama writes a time."""
    return datetime.fromtimestamp(reply.created, UTC).isoformat().replace("+00:00", "Z")


def error_body(told: Told) -> bytes:
    """Write the body of every error answer; our own code stands beside Ollama's text."""
    return msgspec.json.encode({"error": told.message, "code": told.code})


def _error_line(told: Told, _reply: Reply) -> bytes:
    return error_body(told) + b"\n"


def _line(empty: dict[str, object], reply: Reply, **more: Raw) -> bytes:
    line = {"model": reply.model, "created_at": created_at(reply), **empty, "done": False}
    return msgspec.json.encode({**line, **more}) + b"\n"


def _framing(empty: dict[str, object]) -> Framing:
    return Framing(
        dialect="ollama",
        content_type="application/x-ndjson",
        error_body=error_body,
        error_event=_error_line,
        keepalive=partial(_line, empty),
        served=lambda served, reply: _line(empty, reply, supervisor=Raw(served)),
        told=told_by(
            {
                "response_format": "format",
                "reasoning_effort": "think",
                "max_tokens": "options.num_predict",
            }
        ),
    )


FRAMING: Final = _framing({"message": {"role": "assistant", "content": ""}})
"""Of a chat."""
GENERATE: Final = _framing({"response": ""})
