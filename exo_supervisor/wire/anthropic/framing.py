"""What is no part of an answer, as clients of Anthropic's dialect read it: errors, and pings."""

from http import HTTPStatus
from typing import Final

import msgspec

from exo_supervisor.wire.dialect import Framing, Reply, Told, told_by

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'

_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def type_of(status: int) -> str:
    """Anthropic's `type` of an error that is answered with this status."""
    if found := _TYPES.get(status):
        return found
    wrong = status < HTTPStatus.INTERNAL_SERVER_ERROR
    return "invalid_request_error" if wrong else "api_error"


def error_body(told: Told) -> bytes:
    """Write the body of every error answer; our own code stands beside Anthropic's type."""
    error = {"type": type_of(told.status), "message": told.message, "code": told.code}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": told.request_id})


def _error_event(told: Told, _reply: Reply) -> bytes:
    return b"event: error\ndata: %b\n\n" % error_body(told)


FRAMING: Final = Framing(
    dialect="anthropic",
    content_type="text/event-stream; charset=utf-8",
    error_body=error_body,
    error_event=_error_event,
    keepalive=lambda _: PING,
    served=lambda served, _: b": supervisor %b\n\n" % served,
    id_header="request-id",
    told=told_by(
        {
            "response_format": "output_config.format",
            "reasoning_effort": "output_config.effort",
            "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        }
    ),
)
