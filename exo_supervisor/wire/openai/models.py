"""Which models there are, as clients of OpenAI's dialect are told."""

from collections.abc import Mapping

import msgspec


def _card(name: str, created: int, context: int) -> Mapping[str, object]:
    card = {"id": name, "object": "model", "created": created, "owned_by": "exo-supervisor"}
    return {**card, "context_length": context} if context else card


def model_list(contexts: Mapping[str, int], created: int) -> bytes:
    """Write the answer of `GET /v1/models`; `created` is in seconds since the epoch.

    Each model has the tokens that it takes, 0 where nobody told. Codex reads `models`, and is
    told of none: an entry has to bring a system prompt, which would take the place of its own.
    """
    cards = [_card(name, created, context) for name, context in contexts.items()]
    return msgspec.json.encode({"object": "list", "data": cards, "models": ()})


def model_card(name: str, created: int, context: int = 0) -> bytes:
    """Write the answer of `GET /v1/models/{id}`."""
    return msgspec.json.encode(_card(name, created, context))
