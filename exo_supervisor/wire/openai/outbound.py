"""The provider's side of the dialect: chat requests out, model lists in."""

from functools import lru_cache
from itertools import islice

import msgspec
from msgspec import Raw, Struct

from exo_supervisor import __version__
from exo_supervisor.core.fleet.model_facts import ModelFacts
from exo_supervisor.core.names import ModelId
from exo_supervisor.core.policy import NEW_LIMIT, NO_STREAM_OPTIONS, OLD_LIMIT
from exo_supervisor.wire.bounds import MAX_NAME_CHARS
from exo_supervisor.wire.capabilities import capabilities_of
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import FALSE, TRUE, Ask, ChatRequest, Fields, Kind
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.openai.pricing import price_of
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_object

_CONTEXTS = (
    "context_length", "context_window", "max_model_len", "max_context_length", "inputTokenLimit",
)  # fmt: skip
"""How lists call the tokens that a model takes: OpenRouter and Together, Groq, vLLM, Mistral,
Google."""

MAX_LISTED = 5_000
"""Models of one list that are read."""
_MAX_COMMAS = 400_000
_MAX_CARD_BYTES = 65_536


class _List(Struct):
    data: Raw = NULL
    models: Raw = NULL


_PATHS: dict[Kind, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}

_LIMITS = NEW_LIMIT, OLD_LIMIT
_list = msgspec.json.Decoder(_List)
_cards = msgspec.json.Decoder(list[Raw])
_messages = msgspec.json.Decoder(list[dict[str, Raw]])
_THOUGHT = b'"reasoning_content"'
_USAGE = Raw(b'{"include_usage":true}')
_options = msgspec.json.Decoder(dict[str, Raw] | None)


def encode_chat(request: ChatRequest, ask: Ask) -> bytes:
    """Write the request for a provider; every field not named here is as it came.

    Thoughts of an earlier turn that were translated are left out: OpenAI's own schema has no word
    for them, and strict servers refuse the request.
    """
    fields = request.fields.copy()
    fields["model"] = ask.named()
    if request.kind == "embeddings":  # which never come as a stream
        return msgspec.json.encode(fields)
    fields["stream"] = TRUE if ask.streamed else FALSE
    if request.dialect != "openai":
        fields["messages"] = _without_thoughts(fields["messages"])
    if ask.without:
        fields = _bent(fields, ask.without, renames=request.kind == "chat")
    if not ask.streamed:
        fields.pop("stream_options", None)
    elif ask.usage:
        fields["stream_options"] = _with_usage(request.fields.get("stream_options", NULL))
    return msgspec.json.encode(fields)


def _with_usage(options: Raw) -> Raw:
    if options == NULL:
        return _USAGE
    merged: dict[str, Raw] = _options.decode(options) or {}
    merged["include_usage"] = TRUE
    return Raw(msgspec.json.encode(merged))


def _bent(fields: Fields, without: frozenset[str], *, renames: bool) -> Fields:
    """Say the same as a provider takes it, in the client's order."""
    if NO_STREAM_OPTIONS in without:
        fields.pop("stream_options", None)
    for old, new in (_LIMITS, _LIMITS[::-1]) if renames else ():
        if old in without and old in fields:
            if new in fields:
                del fields[old]
                return fields
            return {new if key == old else key: raw for key, raw in fields.items()}
    return fields


def _without_thoughts(messages: Raw) -> Raw:
    if _THOUGHT not in bytes(messages):
        return messages
    told = _messages.decode(messages)
    for message in told:
        message.pop("reasoning_content", None)
    return Raw(msgspec.json.encode(told))


def read_models(body: bytes) -> dict[ModelId, ModelFacts]:
    """Read a model list of any known shape, `data`, `models` or bare; raises WireError.

    Of a longer list the first `MAX_LISTED` are read, and a name beyond the bound is passed over.
    """
    if body.count(b",") > _MAX_COMMAS:
        raise WireError("a list of models that holds more values than are read")
    models: dict[ModelId, ModelFacts] = {}
    try:
        for raw in islice(_cards.decode(_list_in(body)), MAX_LISTED):
            card: object = msgspec.json.decode(raw) if len(raw) <= _MAX_CARD_BYTES else None
            name = _name(card)
            if name and len(name) <= MAX_NAME_CHARS and name not in models:
                models[ModelId(name)] = _facts(as_object(card))
    except UNREADABLE:
        raise WireError("not a list of models") from None
    return models


def _list_in(body: bytes) -> bytes | Raw:
    if not body.lstrip().startswith(b"{"):
        return body
    found = _list.decode(body)
    return found.models if found.data == NULL else found.data


def _name(card: object) -> str | None:
    fields = as_object(card)
    name = fields.get("id") or fields.get("name") or card
    return name if isinstance(name, str) else None


def _facts(card: dict[str, object]) -> ModelFacts:
    told = (card.get(name) for name in _CONTEXTS)
    context = next((size for size in told if type(size) is int and size > 0), 0)
    return ModelFacts(context, capabilities_of(card), price_of(card))


@lru_cache(maxsize=4096)
def url(base: str, kind: Kind) -> str:
    """Where a provider with this base URL takes requests of a kind."""
    return base.rstrip("/") + _PATHS[kind]


def models_url(base: str) -> str:
    """Where a provider with this base URL lists its models."""
    return f"{base.rstrip('/')}/models"


def request_headers(key: str | None) -> dict[str, str]:
    """All headers of a request to a provider: nothing of the client's goes along."""
    headers = {
        "accept": "text/event-stream, application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": f"exo-supervisor/{__version__}",
    }
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return headers
