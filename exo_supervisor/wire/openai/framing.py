"""What is no part of an answer, as clients of OpenAI's dialect read it: errors, and comments."""

from http import HTTPStatus

import msgspec

from exo_supervisor.wire.dialect import Framing, Reply, Told

KEEP_ALIVE = b": keep-alive\n\n"

_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


def kind_of(status: int) -> str:
    """OpenAI's `type` of an error that is answered with this status."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    return _KINDS.get(status, "invalid_request_error")


def error_body(told: Told) -> bytes:
    """Write `{"error": …}`, the body of every error answer."""
    error = {
        "message": told.message,
        "type": kind_of(told.status),
        "param": told.param,
        "code": told.code,
    }
    return msgspec.json.encode({"error": error})


def _error_event(told: Told, _reply: Reply) -> bytes:
    return b"data: %b\n\n" % error_body(told)


FRAMING = Framing(
    dialect="openai",
    content_type="text/event-stream; charset=utf-8",
    error_body=error_body,
    error_event=_error_event,
    keepalive=lambda _: KEEP_ALIVE,
    served=lambda served, _: b": supervisor %b\n\n" % served,
)
