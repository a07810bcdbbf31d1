"""The bearer token (RFC 6750) that a TCP listener asks for: any local user can reach it."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from hmac import compare_digest

from aiohttp import web

from exo_supervisor.errors import BadRequestError

OPEN = "/healthz"
"""The one path that tells nothing, and is answered without a token."""

Serve = Callable[[web.BaseRequest, BadRequestError | None], Awaitable[web.StreamResponse]]


class Guard:
    """Hands on each request, with what is wrong about it where it shows no token or another one."""

    def __init__(self, serve: Serve, token: str) -> None:
        self._serve, self._digest = serve, _digest(token)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Have a request answered."""
        known = request.path == OPEN or self._is_shown(request)
        return await self._serve(request, None if known else _bad_token())

    def _is_shown(self, request: web.BaseRequest) -> bool:
        """Compare in a time that tells nothing of the token, its length included."""
        shown = request.headers.getall("authorization", [])
        scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        same = compare_digest(_digest(token.strip(" ")), self._digest)
        return scheme.lower() == "bearer" and same


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()


def _bad_token() -> BadRequestError:
    text = "this listener asks for its token: send the header Authorization: Bearer TOKEN"
    return BadRequestError("bad_token", text, status=401)
