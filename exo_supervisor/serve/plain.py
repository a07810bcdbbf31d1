"""What is no dispatch route: looked up, or refused, in one answer each."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from exo_supervisor.errors import BadRequestError
from exo_supervisor.serve.target import CHAT
from exo_supervisor.wire.openai.inbound import error_body, kind_of

JSON_HEADERS = {"content-type": "application/json", "server": "exo-supervisor"}
AUTHENTICATE = {"www-authenticate": "Bearer"}
"""What every 401 says (RFC 9110, section 15.5.2)."""

Look = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse] | web.StreamResponse]


class PlainRoutes:
    """Answers every request that is not dispatched; `look` knows the routes."""

    def __init__(self, look: Look) -> None:
        self._look = look

    async def serve(
        self, request: web.BaseRequest, wrong: BadRequestError | None = None
    ) -> web.StreamResponse:
        """Answer one request; what is known to be `wrong` about it refuses it."""
        path = request.path
        if "//" in path:  # a client that joins a base URL and a path as texts
            path = "/" + "/".join(part for part in path.split("/") if part)
        if wrong is not None:
            return refuse_plainly(wrong.status, wrong.code, wrong.message)
        if path == CHAT:
            return refuse_plainly(405, "method_not_allowed", f"{CHAT} takes POST", allow="POST")
        try:
            answer = self._look(request, path)
            return answer if isinstance(answer, web.StreamResponse) else await answer
        except BadRequestError as bad:
            return refuse_plainly(bad.status, bad.code, bad.message)


def refuse_plainly(
    status: int, code: str, message: str, *, allow: str | None = None
) -> web.Response:
    """Answer with an error outside of any exchange."""
    headers = JSON_HEADERS if allow is None else JSON_HEADERS | {"allow": allow}
    if status == HTTPStatus.UNAUTHORIZED:
        headers = headers | AUTHENTICATE
    body = error_body(message, code, kind=kind_of(status))
    return web.Response(status=status, body=body, headers=headers)
