"""What is no dispatch route: looked up, or refused, in one answer each."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

import msgspec
from aiohttp import web

from exo_supervisor.core.near_names import similar_clause
from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.heads import JSON_HEADERS, error_headers, told_at
from exo_supervisor.serve.target import DISPATCHED, tidied

Look = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse] | web.StreamResponse]
LONGEST = 200
"""Characters of a name that is not known which are compared with those that are."""
NOT_STORED = MappingProxyType({"cache-control": "no-store"})


async def answer(look: Look, request: web.BaseRequest, wrong: Refusal | None) -> web.StreamResponse:
    """Answer a request that is not dispatched; what is known to be `wrong` about it refuses it."""
    path = tidied(request.path)
    if wrong is not None:
        return refuse_plainly(wrong, path)
    try:
        if path in DISPATCHED:
            raise wrong_method(path, "POST")
        found = look(request, path)
        return found if isinstance(found, web.StreamResponse) else await found
    except BadRequestError as bad:
        return refuse_plainly(bad.refusal, path)


def wrong_method(path: str, allow: str) -> BadRequestError:
    """Say which method a path takes."""
    text = f"{path} takes {allow}"
    return BadRequestError(Refusal(405, "method_not_allowed", text, allow=allow))


def no_route(text: str) -> BadRequestError:
    """Say that nothing lies at a path."""
    return BadRequestError(Refusal(404, "route_not_found", text))


def check_method(request: web.BaseRequest, path: str, allow: Literal["GET", "POST"]) -> None:
    """Raise BadRequestError for another method than a path takes; HEAD goes where GET does."""
    if request.method != allow and (request.method, allow) != ("HEAD", "GET"):
        raise wrong_method(path, allow)


def as_json(
    body: object, status: int = 200, more: Mapping[str, str] = MappingProxyType({})
) -> web.Response:
    """Answer in JSON, with `more` headers."""
    written = msgspec.json.encode(body)
    return web.Response(status=status, body=written, headers={**JSON_HEADERS, **more})


def raw_json(body: bytes) -> web.Response:
    """Answer with what is written in JSON already."""
    return web.Response(body=body, headers=JSON_HEADERS)


def alike(name: str, known: Iterable[str]) -> list[str]:
    """List those of the known names that are most like one that is not."""
    return get_close_matches(name[:LONGEST], list(known), n=3)


def check_client(name: str, clients: Clients) -> None:
    """Raise BadRequestError for a name that no client of the configuration has."""
    names = clients.names()
    if name not in names:
        near = similar_clause(alike(name, names))
        text = f"the configuration has no [[client]] of this name{near}"
        raise BadRequestError(Refusal(404, "target_not_found", text))


def refuse_plainly(refusal: Refusal, path: str) -> web.Response:
    """Answer with an error outside of any exchange, to one who asked at a path."""
    framing, said = told_at(path, refusal)
    body, headers = framing.error_body(said), error_headers(framing, said)
    return web.Response(status=refusal.status, body=body, headers=headers)
