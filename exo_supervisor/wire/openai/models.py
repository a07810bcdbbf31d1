"""Which models there are, as clients of OpenAI's dialect are told."""

from collections.abc import Iterable, Mapping

import msgspec


def _card(name: str, created: int) -> Mapping[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": "exo-supervisor"}


def model_list(ids: Iterable[str], created: int) -> bytes:
    """Write the answer of `GET /v1/models`; `created` is in seconds since the epoch."""
    return msgspec.json.encode({"object": "list", "data": [_card(name, created) for name in ids]})


def model_card(name: str, created: int) -> bytes:
    """Write the answer of `GET /v1/models/{id}`."""
    return msgspec.json.encode(_card(name, created))
