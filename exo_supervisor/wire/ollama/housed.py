"""Which models an Ollama serves itself: it lists those of its cloud beside them."""

import msgspec
from msgspec import Struct

from exo_supervisor.core.names import ModelId
from exo_supervisor.wire.untrusted_json import UNREADABLE


class _Model(Struct):
    name: str = ""
    model: str = ""
    remote_host: str = ""
    remote_model: str = ""


class _Tags(Struct):
    models: list[_Model] | None = None


def read_housed(body: bytes) -> frozenset[ModelId] | None:
    """Read an answer of `/api/tags`; None: it is no Ollama's, which hands nothing on.

    LM Studio answers any path so. Of an answer that cannot be read, nothing is of the house.
    """
    try:
        tags = msgspec.json.decode(body, type=_Tags)
    except UNREADABLE:
        return frozenset()
    if tags.models is None:
        return None
    own = (each for each in tags.models if not each.remote_host and not each.remote_model)
    return frozenset(ModelId(name) for each in own for name in (each.name, each.model) if name)
