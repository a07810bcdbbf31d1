"""Fields that a configured row gives where its client left them out, as if it had sent them."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct, structs

from exo_supervisor.core.outcomes import bad_request
from exo_supervisor.wire.bounds import MAX_CHOICES
from exo_supervisor.wire.chat.body import check_limit, check_stop, demands_of
from exo_supervisor.wire.chat.request import ChatRequest

_LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})
"""Two words for one thing: who says either has said it."""
_OF_VECTORS: Final = frozenset({"dimensions", "encoding_format"})
_ALSO_OF_VECTORS: Final = _OF_VECTORS | {"user"}
"""All that a row may say of a list of texts; any other field of its is one of chats."""
_UNSEEN: Final = frozenset({"n", "logprobs", "top_logprobs", "modalities", "audio"})
"""What asks for more of an answer than a client of any dialect but OpenAI's can be shown."""


class _Known(Struct):
    """What is read of the fields that we know; the configuration has checked their types."""

    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None


_known = msgspec.json.Decoder(_Known)


def fill(chat: ChatRequest, defaults: Mapping[str, Raw]) -> ChatRequest:
    """Fill in what a request leaves out; what it says itself, be it null, stays."""
    said = chat.fields.keys()
    if not _LIMITS.isdisjoint(said):
        said = said | _LIMITS
    left_out = {
        name: raw for name, raw in defaults.items() if name not in said and _fits(name, chat)
    }
    if not left_out:
        return chat
    known = _known.decode(msgspec.json.encode(left_out))
    limit = known.max_tokens if known.max_completion_tokens is None else known.max_completion_tokens
    fields = {**chat.fields, **left_out}
    return structs.replace(
        chat,
        fields=fields,
        filled={} if chat.native is None else left_out,
        demands=chat.demands - demands_of(chat.fields) | demands_of(fields),
        max_tokens=chat.max_tokens if limit is None else check_limit(limit),
        stop=chat.stop or check_stop(known.stop),
        n=chat.n if known.n is None else _count(chat, known.n),
    )


def _fits(name: str, chat: ChatRequest) -> bool:
    """Tell whether a field is one of the request's kind, and its client can be shown the answer."""
    if chat.kind == "embeddings":
        return name in _ALSO_OF_VECTORS
    return name not in _OF_VECTORS and (chat.dialect == "openai" or name not in _UNSEEN)


def _count(chat: ChatRequest, n: int) -> int:
    """Return how many answers there are: so many of a chat, or of each prompt of a completion."""
    if chat.kind == "chat":
        return n
    count = (chat.n or 1) * n
    if count > MAX_CHOICES:
        text = f"the field prompt asks for more than {MAX_CHOICES} answers, as each gets {n}"
        raise bad_request("wrong_type", text, "prompt")
    return count
