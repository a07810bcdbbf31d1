"""`/supervisor/inspect`: who may look on shows or starts an inspection, or ends the one that runs.

It lives as long as the answer in which it is shown, a line of JSON for each request: when that
ends, in whatever way, nothing is left.
"""

from collections.abc import Awaitable, Iterable
from math import inf, isfinite
from time import time

import anyio
import msgspec
import structlog
from aiohttp import web
from anyio import to_thread

from exo_supervisor.core.outcomes import BadRequestError, Refusal, bad_request
from exo_supervisor.http.peer import user_of
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.plain import (
    NOT_STORED,
    as_json,
    check_client,
    no_route,
    wrong_method,
)
from exo_supervisor.serve.inspector import Body, Inspection, InspectionRunsError, Inspector, Tap
from exo_supervisor.serve.peer import socket_of
from exo_supervisor.views.recorded import stamp
from exo_supervisor.wire.redact import Hide, redact, redact_headers

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("inspector")

INSPECT = "/supervisor/inspect"
MAX_SECONDS = 86_400.0
MAX_REQUESTS = 1000
DEFAULT_SECONDS, DEFAULT_REQUESTS = 600.0, 20
_LINES = {"content-type": "application/x-ndjson", **NOT_STORED}


class Inspecting:
    """Answers for the inspector."""

    def __init__(self, inspector: Inspector, clients: Clients, authority: Authority) -> None:
        self._inspector, self._clients, self._authority = inspector, clients, authority

    def look(
        self, request: web.BaseRequest, rest: str
    ) -> web.StreamResponse | Awaitable[web.StreamResponse]:
        """Answer a request. Raises BadRequestError."""
        if rest:
            raise no_route(f"there is {INSPECT} and nothing below")
        answer = {"GET": self._shown, "HEAD": self._shown, "POST": self._start, "DELETE": self._end}
        if request.method not in answer:
            raise wrong_method(INSPECT, "GET, POST, DELETE")
        peer = socket_of(request)
        asker = None if peer is None else user_of(peer)
        if asker is None:
            text = "requests are shown on the Unix socket alone, where the system says who asks"
            raise BadRequestError(Refusal(403, "not_allowed", text))
        self._authority.check(request, f"inspect {request.method}")
        return answer[request.method](request, asker)

    def _shown(self, _request: web.BaseRequest, asker: int) -> web.Response:
        runs = self._inspector.inspection
        requests = [] if runs is None else [msgspec.Raw(line) for line in runs.kept(asker)]
        told = None if runs is None else self._told(runs)
        return as_json({"inspection": told, "requests": requests}, more=NOT_STORED)

    def _end(self, _request: web.BaseRequest, _asker: int) -> web.Response:
        ended = self._inspector.inspection is not None
        self._inspector.end("ordered")
        return as_json({"ended": ended})

    async def _start(self, request: web.BaseRequest, asker: int) -> web.StreamResponse:
        query = request.query
        seconds = _number("for", query.get("for"), DEFAULT_SECONDS, MAX_SECONDS)
        most = _number("next", query.get("next"), DEFAULT_REQUESTS, MAX_REQUESTS)
        if most != int(most):
            raise _bad("next", "next is a whole number")
        if (client := query.get("client")) is not None:
            check_client(client, self._clients)
        inspection = Inspection(asker, client, int(most), time() + seconds)
        try:
            self._inspector.begin(inspection)
        except InspectionRunsError:
            text = "an inspection runs already, and there is one at a time: "
            text += "exo-supervisor inspect stop ends it"
            raise BadRequestError(Refusal(409, "inspection_runs", text)) from None
        who = {"client_uid": asker, "of": client, "local_only": inspection.private}
        log.warning("inspection_started", seconds=seconds, requests=int(most), **who)
        try:
            return await self._show(request, inspection, seconds)
        finally:  # also where the client has left
            self._inspector.end("left")
            counts = {"shown": inspection.shown, "passed": inspection.passed}
            why = inspection.why
            log.warning("inspection_ended", why=why, dropped=inspection.dropped, **counts, **who)

    async def _show(
        self, request: web.BaseRequest, inspection: Inspection, seconds: float
    ) -> web.StreamResponse:
        answer = web.StreamResponse(headers=_LINES)
        await answer.prepare(request)
        await answer.write(_line({"inspection": self._told(inspection)}))
        with anyio.move_on_after(seconds) as until:
            while (tap := await inspection.next()) is not None:
                line = await to_thread.run_sync(show, tap, self._inspector.hide)
                inspection.keep(tap, line)
                del tap
                if not inspection.why:
                    await answer.write(b'{"request":%b}\n' % line)
        if until.cancelled_caught:
            inspection.end("time")
        await answer.write(_line({"ended": self._told(inspection)}))
        await answer.write_eof()
        return answer

    def _told(self, inspection: Inspection) -> dict[str, object]:
        return {
            "until": stamp(inspection.until, "seconds"),
            "client": inspection.client,
            "local_only": inspection.private,
            "requests": inspection.most,
            "shown": inspection.shown,
            "passed": inspection.passed,
            "dropped": inspection.dropped,
            "why": inspection.why or None,
        }


def show(tap: Tap, hide: Hide) -> bytes:
    """Write down what was noted of a request, without its keys."""
    done = tap.done
    sent = [
        {"target": each.target, **_head(each.head, hide), "body": _body(each.body, hide)}
        for each in tap.sent
    ]
    return msgspec.json.encode(
        {
            "line": {} if done is None else done.line.facts(),
            "local_only": tap.private,
            "asked": {
                "path": _path(tap.target.decode("ascii", "replace"), hide),
                "headers": _headers(tap.headers.items(), hide),
                "body": _body(tap.asked, hide),
            },
            "sent": sent,
            "answer": {**_head(tap.head, hide), "body": _body(tap.answer, hide)},
        }
    )


def _head(head: bytes, hide: Hide) -> dict[str, object]:
    """Read a head that we have written ourselves."""
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = ((name, value.strip()) for name, _, value in (x.partition(":") for x in lines if x))
    method, _, rest = first.partition(" ")
    start = f"{method} {_path(rest.partition(' ')[0], hide)}" if head else ""
    return {"start": start, "headers": _headers(fields, hide)}


def _headers(fields: Iterable[tuple[str, str]], hide: Hide) -> dict[str, str]:
    shown = redact_headers(fields, hide)
    return {name: value.encode("utf-8", "replace").decode() for name, value in shown.items()}


def _path(target: str, hide: Hide) -> str:
    """Show a path; what stands behind it may be a key of any shape."""
    path, question, _ = target.partition("?")
    return hide(path) + question + ("..." if question else "")


def _body(body: Body, hide: Hide) -> dict[str, object]:
    kept = sum(map(len, body.parts))
    return {
        "text": redact(body.text(), hide),
        "bytes": body.size,
        "pieces": body.pieces,
        "cut": kept < body.size,
    }


def _number(name: str, said: str | None, default: float, most: float) -> float:
    if said is None:
        return default
    try:
        number = float(said)
    except ValueError:
        number = -inf
    if not (isfinite(number) and 0 < number <= most):
        raise _bad(name, f"{name} is a number above 0, and at most {most:g}")
    return number


def _bad(name: str, text: str) -> BadRequestError:
    return bad_request("wrong_type", text, param=name)


def _line(said: object) -> bytes:
    return msgspec.json.encode(said) + b"\n"
