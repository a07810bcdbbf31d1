"""What is no part of an answer, as clients of the Responses API read it: numbered events, too."""

from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.dialect import Framing, Reply, Told, told_by
from exo_supervisor.wire.openai.framing import error_body

_ECHOED: Final[dict[str, object]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}
"""What every response repeats of its request, and what stands for a field that was left out."""


def response_of(reply: Reply, status: str, **more: object) -> dict[str, object]:
    """Return the `response` of an event, or the whole answer; `more` takes a member's place."""
    asked = reply.chat.native or {}
    response: dict[str, object] = {
        "id": f"resp_{reply.request}",
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": reply.model,
        "output": [],
        "previous_response_id": None,
        "store": False,
        "usage": None,
    }
    told = {name: asked[name] for name in _ECHOED if asked.get(name, NULL) != NULL}
    return {**response, **_ECHOED, **told, **more}


def event(reply: Reply, kind: str, **members: object) -> bytes:
    """Write the next event of a reply's stream; it has the next number."""
    told = {"type": kind, "sequence_number": reply.state.sent, **members}
    reply.state.sent += 1
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(told))


def opening(reply: Reply) -> bytes:
    """Write the events that open a stream, unless they are out."""
    if reply.state.opened:
        return b""
    reply.state.opened = True
    response = Raw(msgspec.json.encode(response_of(reply, "in_progress")))
    return event(reply, "response.created", response=response) + event(
        reply, "response.in_progress", response=response
    )


def _keepalive(reply: Reply) -> bytes:
    response = response_of(reply, "in_progress")
    return opening(reply) or event(reply, "response.in_progress", response=response)


def _failed(told: Told, reply: Reply) -> bytes:
    error = {"code": told.code, "message": told.message}
    response = response_of(reply, "failed", error=error)
    return opening(reply) + event(reply, "response.failed", response=response)


FRAMING: Final = Framing(
    dialect="responses",
    content_type="text/event-stream; charset=utf-8",
    error_body=error_body,
    error_event=_failed,
    keepalive=_keepalive,
    served=lambda served, _: b": supervisor %b\n\n" % served,
    told=told_by(
        {
            "response_format": "text.format",
            "reasoning_effort": "reasoning.effort",
            "max_tokens": "max_output_tokens",
        }
    ),
)
