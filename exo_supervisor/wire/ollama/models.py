"""Which models there are, as Ollama's clients are told: what is unknown here is left out, or 0."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.fleet.model_facts import ModelFacts
from exo_supervisor.wire.chat.body import check_model, read_as, read_fields

API: Final = "0.12.0"
"""The version of Ollama whose API is followed; clients compare it with what they need."""
_DETAILS: Final[dict[str, object]] = {
    "parent_model": "", "format": "", "family": "", "families": (), "parameter_size": "",
    "quantization_level": "",
}  # fmt: skip


_OLLAMAS: Final = frozenset(
    {"completion", "tools", "vision", "thinking", "embedding", "insert", "audio"}
)


class _Show(Struct):
    model: str | None = None
    name: str | None = None


_show = msgspec.json.Decoder(_Show)


def model_tags(facts: Mapping[str, ModelFacts], created: int) -> bytes:
    """Write the answer of /api/tags; the digest is of the name, since files are none of ours."""
    modified = datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    models = [_card(name) | {"modified_at": modified} | _can(its) for name, its in facts.items()]
    return msgspec.json.encode({"models": models})


def running(names: Iterable[str]) -> bytes:
    """Write the answer of /api/ps."""
    return msgspec.json.encode({"models": [_card(name) | {"size_vram": 0} for name in names]})


def version() -> bytes:
    """Write the answer of /api/version."""
    return msgspec.json.encode({"version": API})


def read_show(body: bytes) -> str:
    """Return the name of the model that /api/show asks for; raises BadRequestError."""
    read_fields(body)
    known = read_as(_show, body)
    return check_model(known.model or known.name)


def shown(name: str, facts: ModelFacts) -> bytes:
    """Write the answer of /api/show."""
    info: dict[str, object] = {"general.architecture": "unknown", "general.basename": name}
    if facts.context:
        info["unknown.context_length"] = facts.context
    told: dict[str, object] = {"details": _DETAILS, "model_info": info, "modelfile": Raw(b'""')}
    return msgspec.json.encode(told | _can(facts))


def _can(facts: ModelFacts) -> dict[str, object]:
    """Tell what a model can in Ollama's own words, of which clients read "completion" as chat."""
    if not facts.capabilities:
        return {}
    words = [word for word in facts.capabilities if word in _OLLAMAS]
    chats = [] if "embedding" in words or "completion" in words else ["completion"]
    return {"capabilities": [*chats, *words]}


def _card(name: str) -> dict[str, object]:
    digest = sha256(name.encode()).hexdigest()
    return {"name": name, "model": name, "size": 0, "digest": digest, "details": _DETAILS}
