"""What a request's target says: its path, as a client may write it."""

from functools import lru_cache
from urllib.parse import unquote, urlsplit

from exo_supervisor.http.head import Head
from exo_supervisor.wire.table import ANSWERED, OPERATIONS

CHAT = "/v1/chat/completions"
OLLAMA = "/ollama"
"""Below it Exo answers Ollama's clients, so that they find the same here."""
DISPATCHED = frozenset({*OPERATIONS, *ANSWERED})
"""Paths whose POSTs are read with their bodies; all but those in ANSWERED are sent on."""


def split_target(target: bytes) -> tuple[str, str]:
    """Return path and query as they were sent; a client may send the URL whole (RFC 9112, 3.2.2).

    Both are empty where nothing can be read.
    """
    text = target.decode("ascii", "surrogateescape").partition("#")[0]
    if not text.startswith("/"):
        try:
            parts = urlsplit(text)
        except ValueError:
            return "", ""
        return parts.path or "/", parts.query
    path, _, query = text.partition("?")
    return path, query


@lru_cache(maxsize=256)
def path_of(target: bytes) -> str:
    """Return the path, decoded, as one that means the same is written."""
    return tidied(unquote(split_target(target)[0]))


def tidied(path: str) -> str:
    """Leave out slashes that come of joining two texts, and Exo's prefix of Ollama's API."""
    if "//" in path:
        path = "/" + "/".join(part for part in path.split("/") if part)
    return path.removeprefix(OLLAMA) if path.startswith(f"{OLLAMA}/api/") else path


def is_dispatch(head: Head, paths: frozenset[str]) -> bool:
    """Say whether a request is sent on to a target."""
    return head.method == b"POST" and path_of(head.target) in paths
