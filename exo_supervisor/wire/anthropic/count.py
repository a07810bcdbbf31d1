"""How many tokens a prompt has, about: no model is asked, only its text's length is known."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.estimate import BYTES_A_TOKEN
from exo_supervisor.wire.chat.body import check_messages, check_model, read_as, read_fields
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.untrusted_json import as_list, as_object

_MESSAGE: Final = 4
"""Tokens of a message beside what is in it: whose it is, where it begins and ends."""
_MEDIA: Final = 1_600
"""Tokens that Anthropic counts for the largest image that it does not shrink."""
_NO_TEXT: Final = frozenset({"type", "data", "signature", "cache_control"})
"""Members of blocks that no model reads as text."""


class _Prompt(Struct):
    model: str | None = None
    messages: list[object] | None = None
    system: object = None
    tools: Raw = NULL


_prompt = msgspec.json.Decoder(_Prompt)


def count_tokens(body: bytes) -> bytes:
    """Answer `POST /v1/messages/count_tokens`; raises BadRequestError.

    That it is an estimate is said in a member that clients pass over.
    """
    read_fields(body)
    prompt = read_as(_prompt, body)
    check_model(prompt.model)
    messages = check_messages(prompt.messages)
    tokens = _MESSAGE * len(messages)
    size = 0 if prompt.tools == NULL else len(prompt.tools)
    for value in _values([prompt.system, *messages]):
        if isinstance(value, str):
            size += len(value.encode())
        else:
            tokens += _MEDIA * (as_object(value).get("type") in ("image", "document"))
    tokens += -(-size // BYTES_A_TOKEN)
    return msgspec.json.encode({"input_tokens": tokens, "estimated": True})


def _values(left: list[object]) -> Iterator[object]:
    """Give all that a prompt is made of, however deep; a role is as good as no text."""
    while left:
        value = left.pop()
        yield value
        left += as_list(value)
        left += [each for name, each in as_object(value).items() if name not in _NO_TEXT]
