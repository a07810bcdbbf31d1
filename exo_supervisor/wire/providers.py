"""The provider's side of the dialect: chat requests out, model lists in."""

from typing import cast

import msgspec
from msgspec import Raw

from exo_supervisor import __version__
from exo_supervisor.core.names import ModelId
from exo_supervisor.wire.faults import WireError, decode
from exo_supervisor.wire.openai import ChatRequest
from exo_supervisor.wire.shapes import as_object

_options = msgspec.json.Decoder(dict[str, Raw] | None)


def encode_chat(request: ChatRequest, model: str) -> bytes:
    """Write the request for a provider: its model name, streamed, and with its usage told."""
    options = request.fields.get("stream_options", Raw(b"null"))
    merged: dict[str, Raw] = _options.decode(options) or {}
    merged["include_usage"] = Raw(b"true")
    fields = request.fields | {
        "model": Raw(msgspec.json.encode(model)),
        "stream": Raw(b"true"),
        "stream_options": Raw(msgspec.json.encode(merged)),
    }
    return msgspec.json.encode(fields)


def read_models(body: bytes) -> tuple[ModelId, ...]:
    """Read a model list of any known shape, `data`, `models` or bare; raises WireError."""
    found = decode(body)
    fields = as_object(found)
    cards = fields.get("data", fields.get("models", found))
    if not isinstance(cards, list):
        raise WireError("not a list of models")
    names = [_name(card) for card in cast("list[object]", cards)]
    return tuple(dict.fromkeys(ModelId(name) for name in names if name))


def _name(card: object) -> str | None:
    fields = as_object(card)
    name = fields.get("id") or fields.get("name") or card
    return name if isinstance(name, str) else None


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
