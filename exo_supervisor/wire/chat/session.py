"""Which conversation a request is of, as clients say it unasked, and whether it is the user's turn.

What they say is untrusted, and only ever compared: what is odd tells nothing, and breaks nothing.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_object

MAX_SESSION_CHARS: Final = 256
"""More than any client's name for a conversation takes."""
_MAX_METADATA_BYTES: Final = 16_384

_HEADERS: Final = ("x-claude-code-session-id", "x-session-id", "session-id", "session_id")
"""Claude Code's own; what others have come to use; Codex's."""
_FIELDS: Final = ("session_id", "prompt_cache_key", "conversation")
_NAMED: Final = frozenset({*_FIELDS, "metadata"})
_TOOLS: Final = frozenset({b'"tool"', b'"function"'})

_list = msgspec.json.Decoder(list[Raw])


class _Message(Struct):
    role: Raw = NULL
    content: Raw = NULL


class _Block(Struct):
    type: Raw = NULL


_message = msgspec.json.Decoder(_Message)
_blocks = msgspec.json.Decoder(list[_Block])


def session_in_headers(headers: Mapping[str, str]) -> str:
    """Return what a client calls the conversation in its headers; "" where it does not."""
    for name in _HEADERS:
        if name in headers and 0 < len(headers[name]) <= MAX_SESSION_CHARS:
            return headers[name]
    return ""


def session_in_body(request: ChatRequest) -> str:
    """Return what a client calls the conversation in the body; "" where it does not."""
    fields = request.fields if request.native is None else request.native
    if _NAMED.isdisjoint(fields):
        return ""
    user = as_object(_decoded(fields.get("metadata", NULL))).get("user_id")
    found = (user, *(_decoded(fields.get(name, NULL)) for name in _FIELDS))
    return next((x for x in found if isinstance(x, str) and 0 < len(x) <= MAX_SESSION_CHARS), "")


def is_mid_turn(request: ChatRequest) -> bool:
    """Say whether the last message brings what a tool returned, be it with words beside it."""
    native = request.native or request.fields
    try:
        last = _list.decode(native.get("messages", request.fields["messages"]))[-1]
        message = _message.decode(last)
        if bytes(message.role) in _TOOLS:
            return True
        blocks = _blocks.decode(message.content) if bytes(message.content).startswith(b"[") else ()
    except (KeyError, IndexError, *UNREADABLE):
        return False
    return any(bytes(block.type) == b'"tool_result"' for block in blocks)


def _decoded(raw: Raw) -> object:
    try:
        return msgspec.json.decode(raw) if len(raw) <= _MAX_METADATA_BYTES else None
    except UNREADABLE:  # a number out of range
        return None
