"""Fields that a configured row gives where its client left them out, as if it had sent them."""

from typing import Final

import msgspec
from msgspec import Raw, Struct, structs

from exo_supervisor.wire.chat.body import check_limit, check_stop, demands_of
from exo_supervisor.wire.chat.request import ChatRequest, Fields

_LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})
"""Two words for one thing: who says either has said it."""
_WORDS: Final[dict[str, dict[str, str]]] = {
    "anthropic": {
        "temperature": "temperature", "top_p": "top_p", "top_k": "top_k",
        "max_tokens": "max_tokens", "max_completion_tokens": "max_tokens", "stop": "stop_sequences",
    }
}  # fmt: skip
"""How a dialect calls them whose requests go on as they came to who speaks it too.

Any other is a demand that it has no word for, or does nothing there."""


class _Known(Struct):
    """What is read of the fields that we know; the configuration has checked their types."""

    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None


_known = msgspec.json.Decoder(_Known)


def fill(chat: ChatRequest, defaults: Fields) -> ChatRequest:
    """Fill in what a request leaves out; what it says itself, be it null, stays."""
    said = chat.fields.keys()
    if not _LIMITS.isdisjoint(said):
        said = said | _LIMITS
    left_out = {name: raw for name, raw in defaults.items() if name not in said}
    if not left_out:
        return chat
    known = _known.decode(msgspec.json.encode(left_out))
    limit = known.max_tokens if known.max_completion_tokens is None else known.max_completion_tokens
    fields = {**chat.fields, **left_out}
    native, words = chat.native, _WORDS.get(chat.dialect)
    if native is not None and words is not None:
        native = {**_in(words, left_out), **native}
    return structs.replace(
        chat,
        fields=fields,
        native=native,
        demands=chat.demands - demands_of(chat.fields) | demands_of(fields),
        max_tokens=chat.max_tokens if limit is None else check_limit(limit),
        stop=chat.stop or check_stop(known.stop),
        n=chat.n if known.n is None else known.n,
    )


def _in(words: dict[str, str], fields: Fields) -> Fields:
    named = {words[name]: raw for name, raw in fields.items() if name in words}
    stop = named.get("stop_sequences")
    if stop is not None and bytes(stop).startswith(b'"'):
        named["stop_sequences"] = Raw(b"[%b]" % bytes(stop))
    return named
