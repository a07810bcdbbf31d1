"""The bearer token (RFC 6750) that a TCP listener asks for: any local user can reach it."""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from hmac import compare_digest

from aiohttp import web

from exo_supervisor.errors import BadRequestError

OPEN = frozenset({"/healthz", "/"})
"""The paths that tell nothing but who listens, and are answered without a token."""

Serve = Callable[[web.BaseRequest, BadRequestError | None], Awaitable[web.StreamResponse]]


class Guard:
    """Hands on each request, with what is wrong about it where it shows no token or another one."""

    def __init__(self, serve: Serve, token: str) -> None:
        self._serve, self._digest = serve, _digest(token)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Have a request answered."""
        shown = request.headers.getall("authorization", [])
        known = request.path in OPEN or self._is_right(shown)
        return await self._serve(request, None if known else _bad_token(shown))

    def _is_right(self, shown: Sequence[str]) -> bool:
        """Compare in a time that tells nothing of the token, its length included."""
        scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        same = compare_digest(_digest(token.strip(" ")), self._digest)
        return scheme.lower() == "bearer" and same


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()


def _bad_token(shown: Sequence[str]) -> BadRequestError:
    """Tell one that is wrong from one that is missing, and say of neither what it is."""
    text = "this listener asks for its token: send the header Authorization: Bearer TOKEN"
    if len(shown) > 1:
        text = "more than one Authorization header was sent: send one, with Bearer TOKEN"
    elif shown and shown[0].partition(" ")[0].lower() != "bearer":
        text = "the Authorization header has another scheme: send Authorization: Bearer TOKEN"
    elif shown:
        text = "the token that was sent is wrong: it is not the one of this listener"
    return BadRequestError("bad_token", text, status=401)
