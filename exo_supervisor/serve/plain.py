"""What is no dispatch route: looked up, or refused, in one answer each."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.serve.request_id import new_request_id
from exo_supervisor.wire.dialect import told
from exo_supervisor.wire.table import OPERATIONS, framing_of

JSON_HEADERS = {"content-type": "application/json", "server": "exo-supervisor"}
AUTHENTICATE = {"www-authenticate": "Bearer"}
"""What every 401 says (RFC 9110, section 15.5.2)."""

Look = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse] | web.StreamResponse]


class PlainRoutes:
    """Answers every request that is not dispatched; `look` knows the routes."""

    def __init__(self, look: Look) -> None:
        self._look = look

    async def serve(
        self, request: web.BaseRequest, wrong: Refusal | None = None
    ) -> web.StreamResponse:
        """Answer one request; what is known to be `wrong` about it refuses it."""
        path = request.path
        if "//" in path:  # a client that joins a base URL and a path as texts
            path = "/" + "/".join(part for part in path.split("/") if part)
        if wrong is not None:
            return refuse_plainly(wrong, path)
        try:
            if path in OPERATIONS:
                raise wrong_method(path, "POST")
            answer = self._look(request, path)
            return answer if isinstance(answer, web.StreamResponse) else await answer
        except BadRequestError as bad:
            return refuse_plainly(bad.refusal, path)


def wrong_method(path: str, allow: str) -> BadRequestError:
    """Say which method a path takes."""
    text = f"{path} takes {allow}"
    return BadRequestError(Refusal(405, "method_not_allowed", text, allow=allow))


def refuse_plainly(refusal: Refusal, path: str) -> web.Response:
    """Answer with an error outside of any exchange, to one who asked at a path."""
    headers = JSON_HEADERS if refusal.allow is None else JSON_HEADERS | {"allow": refusal.allow}
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers = headers | AUTHENTICATE
    framing, request_id = framing_of(path), ""
    if framing.id_header:
        request_id = new_request_id()
        headers = headers | {"x-request-id": request_id, framing.id_header: request_id}
    body = framing.error_body(told(refusal, request_id))
    return web.Response(status=refusal.status, body=body, headers=headers)
