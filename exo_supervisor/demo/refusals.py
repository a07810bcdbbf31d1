"""Chat requests answered with a status instead of an answer."""

from collections.abc import Callable

import msgspec
from aiohttp import web

from exo_supervisor.demo.answers import JsonObject
from exo_supervisor.demo.diseases import Disease

Spell = Callable[[int, str], JsonObject]
NOT_TAKEN = {
    "no_stream": ("stream", "Your organization must be verified to stream this model."),
    "no_stream_options": (
        "stream_options", "Unrecognized request argument supplied: stream_options",
    ),
}  # fmt: skip
"""Fields that a provider refuses where they are asked for, and how it words that."""


def refusal(ill: Disease, *, reason: str | None, spell: Spell) -> web.Response | None:
    """Return the answer of the diseases `status` and `redirect`, None for all others.

    `spell` writes the server's own shape of an error from its status and its message.
    """
    if ill.name == "redirect":
        return web.Response(status=307, reason=reason, headers={"Location": "http://127.0.0.1:9/"})
    if ill.name != "status":
        return None
    headers = {} if ill.retry_after is None else {"Retry-After": str(ill.retry_after)}
    bodies = {
        "json": (msgspec.json.encode(spell(ill.status, ill.words)), "application/json"),
        "text": (ill.words.encode(), "text/plain"),
        "html": (f"<html><body><h1>{ill.words}</h1></body></html>".encode(), "text/html"),
    }
    body, content_type = bodies[ill.body]
    return web.Response(
        status=ill.status, reason=reason, headers=headers, body=body, content_type=content_type
    )


def not_taken(ill: Disease, body: JsonObject) -> str | None:
    """Return the words that refuse a field of a request, None where nothing of it is refused."""
    field, words = NOT_TAKEN.get(ill.name, ("", ""))
    return words if body.get(field) else None
