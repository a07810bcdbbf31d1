"""The HTTP server on the socket: routes, admission, the shape of errors, one log line a request."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import anyio
import structlog
from aiohttp import web

from exo_supervisor.core.effects import Refuse
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.requests.admission import Gate
from exo_supervisor.errors import BadRequestError
from exo_supervisor.http.peer import user_of
from exo_supervisor.runtime.supervise import describe_crash
from exo_supervisor.serve.body import Body, overloaded
from exo_supervisor.serve.exchange import Account, Exchange, House
from exo_supervisor.serve.peer import socket_of
from exo_supervisor.serve.request_headers import read_wishes
from exo_supervisor.serve.request_id import new_request_id
from exo_supervisor.serve.response import AUTHENTICATE, JSON_HEADERS, ClientLeftError, Reply
from exo_supervisor.wire.openai.inbound import error_body, kind_of, read_chat

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("ingress")

CHAT = "/v1/chat/completions"
Look = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse] | web.StreamResponse]


class Ingress:
    """Serves clients; `look` answers whatever is no dispatch route."""

    def __init__(self, house: House, gate: Gate, *, max_body: int, look: Look) -> None:
        self._house, self._gate, self._max_body, self._look = house, gate, max_body, look

    async def serve(
        self, request: web.BaseRequest, wrong: BadRequestError | None = None
    ) -> web.StreamResponse:
        """Answer one request, whatever it is; what is known to be `wrong` about it refuses it."""
        path = request.path
        if "//" in path:  # a client that joins a base URL and a path as texts
            path = "/" + "/".join(part for part in path.split("/") if part)
        if path == CHAT and request.method == "POST":
            return await self._dispatch(request, wrong)
        if wrong is not None:
            return refuse_plainly(wrong.status, wrong.code, wrong.message)
        if path == CHAT:
            return refuse_plainly(405, "method_not_allowed", f"{CHAT} takes POST", allow="POST")
        try:
            answer = self._look(request, path)
            return answer if isinstance(answer, web.StreamResponse) else await answer
        except BadRequestError as bad:
            return refuse_plainly(bad.status, bad.code, bad.message)

    async def _dispatch(
        self, request: web.BaseRequest, wrong: BadRequestError | None
    ) -> web.StreamResponse:
        began, uid = anyio.current_time(), _peer_uid(request)  # of one that left nobody can tell
        account = Account(new_request_id())
        reply = Reply(request, account.request_id)
        try:
            if wrong is not None:
                await _refuse(reply, account, wrong)
            else:
                await self._admit(request, reply, account, uid)
        except ClientLeftError:
            reply.drop()
            account.outcome = "abandoned" if account.outcome == "refused" else account.outcome
        except Exception as crash:  # noqa: BLE001 -- the outermost guard: the client is told
            log.error(  # noqa: TRY400 -- a traceback's values may hold a prompt
                "request_crashed", request_id=account.request_id, crash=describe_crash(crash)
            )
            account.outcome, account.code = "failure", "internal"
            await _tell_of_crash(reply, account, crash)
        except BaseException:  # the client left, and the server cancels us: no waiting here
            if account.outcome == "refused":
                account.outcome = "abandoned"
            raise
        finally:
            _log_done(account, reply, began, uid)
        return reply.response

    async def _admit(
        self, request: web.BaseRequest, reply: Reply, account: Account, uid: int | None
    ) -> None:
        body = Body(self._gate, self._max_body, owner=uid)
        try:
            wishes = read_wishes(request.headers)
            chat = read_chat(await body.read(request))
            account.model = chat.model
            await self._enter(Exchange(self._house, chat, wishes, reply, account, int(time.time())))
        except BadRequestError as bad:
            await _refuse(reply, account, bad)
        finally:
            body.close()

    async def _enter(self, exchange: Exchange) -> None:
        """Serve a request that has come whole, if there is a place left for it."""
        if not self._gate.enter():
            raise overloaded("as many requests as are allowed are in flight")
        try:
            await exchange.run()
        finally:
            self._gate.leave()


async def _refuse(reply: Reply, account: Account, bad: BadRequestError) -> None:
    account.code = bad.code
    await reply.refuse(
        Refuse(
            request=RequestId(account.request_id),
            status=bad.status,
            code=bad.code,
            message=bad.message,
            param=bad.param,
            retry_after=bad.retry_after,
        )
    )


async def _tell_of_crash(reply: Reply, account: Account, crash: Exception) -> None:
    if reply.over:
        return
    text = f"a fault of exo-supervisor's own ({type(crash).__name__}); its log has more"
    try:
        await reply.refuse(
            Refuse(request=RequestId(account.request_id), status=500, code="internal", message=text)
        )
    except ClientLeftError:
        return


def _log_done(account: Account, reply: Reply, began: float, uid: int | None) -> None:
    log.info(
        "request_done",
        request_id=account.request_id,
        model=account.model,
        served_model=account.served_model,
        target=account.target,
        attempts=account.attempts,
        shift=account.shift,
        status=reply.status,
        outcome=account.outcome,
        code=account.code,
        continued=account.continued,
        ttft=account.ttft and round(account.ttft, 6),
        duration=round(anyio.current_time() - began, 6),
        prompt_tokens=account.prompt_tokens,
        completion_tokens=account.completion_tokens,
        cost_microdollars=None,
        malformed=account.malformed,
        client_uid=uid,
    )


def _peer_uid(request: web.BaseRequest) -> int | None:
    """Tell which user is at the other end of a Unix socket; of TCP nobody knows."""
    peer = socket_of(request)
    return None if peer is None else user_of(peer)


def refuse_plainly(
    status: int, code: str, message: str, *, allow: str | None = None
) -> web.Response:
    """Answer with an error outside of any exchange."""
    headers = JSON_HEADERS if allow is None else JSON_HEADERS | {"allow": allow}
    if status == HTTPStatus.UNAUTHORIZED:
        headers = headers | AUTHENTICATE
    body = error_body(message, code, kind=kind_of(status))
    return web.Response(status=status, body=body, headers=headers)
