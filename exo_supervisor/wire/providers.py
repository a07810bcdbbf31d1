"""The provider's side of the dialect: chat requests out, model lists in."""

from typing import cast

import msgspec
from msgspec import Raw

from exo_supervisor import __version__
from exo_supervisor.core.names import ModelId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.faults import WireError, decode
from exo_supervisor.wire.openai import ChatRequest
from exo_supervisor.wire.shapes import as_object

_CONTEXTS = (
    "context_length", "context_window", "max_model_len", "max_context_length", "inputTokenLimit",
)  # fmt: skip
"""How lists call the tokens that a model takes: OpenRouter and Together, Groq, vLLM, Mistral,
Google."""

_options = msgspec.json.Decoder(dict[str, Raw] | None)


def encode_chat(
    request: ChatRequest, model: str, *, streamed: bool = True, usage: bool = True
) -> bytes:
    """Write the request for a provider: its model name, `streamed`, and with its `usage` told.

    Without `streamed` it is asked for one whole answer, whatever the client asked of us.
    """
    fields = request.fields | {
        "model": Raw(msgspec.json.encode(model)),
        "stream": Raw(b"true" if streamed else b"false"),
    }
    if not streamed:
        fields.pop("stream_options", None)
    elif usage:
        options = request.fields.get("stream_options", Raw(b"null"))
        merged: dict[str, Raw] = _options.decode(options) or {}
        merged["include_usage"] = Raw(b"true")
        fields["stream_options"] = Raw(msgspec.json.encode(merged))
    return msgspec.json.encode(fields)


def refused_of_client(fault: Fault, request: ChatRequest) -> Fault:
    """Tell what we added from what the client itself asked for, where a provider refused it."""
    own = request.fields.get("stream_options", Raw(b"null")) != Raw(b"null")
    return Fault.UNSUPPORTED if own and fault is Fault.USAGE_REFUSED else fault


def read_models(body: bytes) -> dict[ModelId, int]:
    """Read a model list of any known shape, `data`, `models` or bare; raises WireError.

    Each model has the tokens that it takes, 0 where the list does not say.
    """
    found = decode(body)
    fields = as_object(found)
    cards = fields.get("data", fields.get("models", found))
    if not isinstance(cards, list):
        raise WireError("not a list of models")
    models: dict[ModelId, int] = {}
    for card in cast("list[object]", cards):
        if name := _name(card):
            models.setdefault(ModelId(name), _context(as_object(card)))
    return models


def _name(card: object) -> str | None:
    fields = as_object(card)
    name = fields.get("id") or fields.get("name") or card
    return name if isinstance(name, str) else None


def _context(card: dict[str, object]) -> int:
    told = (card.get(name) for name in _CONTEXTS)
    return next((size for size in told if type(size) is int and size > 0), 0)


def chat_url(base: str) -> str:
    """Where a provider with this base URL takes chats."""
    return f"{base.rstrip('/')}/chat/completions"


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
