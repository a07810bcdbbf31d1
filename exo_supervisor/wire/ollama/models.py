"""Which models there are, as Ollama's clients are told: what is unknown here is left out, or 0."""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.chat.body import check_model, read_as, read_fields

API: Final = "0.12.0"
"""The version of Ollama whose API is followed; clients compare it with what they need."""
_DETAILS: Final[dict[str, object]] = {
    "parent_model": "", "format": "", "family": "", "families": (), "parameter_size": "",
    "quantization_level": "",
}  # fmt: skip


class _Show(Struct):
    model: str | None = None
    name: str | None = None


_show = msgspec.json.Decoder(_Show)


def model_tags(names: Iterable[str], created: int) -> bytes:
    """Write the answer of /api/tags; the digest is of the name, since files are none of ours."""
    modified = datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    models = [_card(name) | {"modified_at": modified} for name in names]
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


def shown(name: str, context: int) -> bytes:
    """Write the answer of /api/show; `context` is how many tokens it takes, 0 where unknown."""
    info: dict[str, object] = {"general.architecture": "unknown", "general.basename": name}
    if context:
        info["unknown.context_length"] = context
    told: dict[str, object] = {"details": _DETAILS, "model_info": info, "modelfile": Raw(b'""')}
    return msgspec.json.encode(told)


def _card(name: str) -> dict[str, object]:
    digest = sha256(name.encode()).hexdigest()
    return {"name": name, "model": name, "size": 0, "digest": digest, "details": _DETAILS}
