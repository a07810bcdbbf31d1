"""Requests to the service over its Unix socket, with the standard library alone."""

import http.client
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus

from exo_supervisor.cli import place
from exo_supervisor.cli.body import fields, parse_object
from exo_supervisor.cli.errors import UNREACHABLE, CutError, VerbError
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import cell

ANSWER_TIMEOUT = 5.0
MOST_BODY = 64 * 1024 * 1024
MOST_LINE = 9 * 1024 * 1024
_PIECE = 65536
_NEXT = {
    "model_not_found": "exo-supervisor models",
    "model_not_placed": "exo-supervisor models place {model}",
    "attempts_failed": "exo-supervisor status",
    "no_target": "exo-supervisor models",
    "local_only_unavailable": "exo-supervisor nodes",
    "privacy": "exo-supervisor models",
    "target_not_found": "exo-supervisor nodes",
}
"""Where each refusal leads on to; what else is refused says itself what to do."""
_NO_CLUSTER = "exo-supervisor nodes"


class Answer:
    """One answer of the service; `close` is what cancels it at the service too."""

    def __init__(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        self._connection = connection
        self._response = response

    def header(self, name: str) -> str:
        return cell(self._response.getheader(name) or "")

    def whole(self) -> bytes:
        """Read the body; raises `CutError` if it breaks off or is absurdly long."""
        try:
            body = self._response.read(MOST_BODY + 1)
        except (http.client.HTTPException, OSError) as error:
            raise CutError("the service's answer broke off", why=[_reason(error)]) from error
        if len(body) > MOST_BODY:
            raise CutError("the service's answer is too long", why=[f"over {MOST_BODY} bytes"])
        if self._response.length:  # a bounded read says nothing of a body that ends too soon
            raise CutError(
                "the service's answer broke off", why=[f"{self._response.length} bytes are missing"]
            )
        return body

    def lines(self) -> Iterator[bytes]:
        """Read line by line as it arrives; raises `CutError` if it breaks off."""
        kept = b""
        while piece := self._piece():
            *lines, kept = (kept + piece).split(b"\n")
            yield from (line.removesuffix(b"\r") for line in lines)
            if len(kept) > MOST_LINE:
                raise CutError("a line of the answer is too long", why=[f"over {MOST_LINE} bytes"])
        if kept:
            yield kept

    def close(self) -> None:
        with suppress(OSError):
            self._response.close()
            self._connection.close()

    def _piece(self) -> bytes:
        try:
            return self._response.read1(_PIECE)
        except (http.client.HTTPException, OSError) as error:
            raise CutError("the service's answer broke off", why=[_reason(error)]) from error


def send(
    arguments: Arguments,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = ANSWER_TIMEOUT,
) -> Answer:
    """Ask the service and return its good answer, the body still unread.

    Raises `VerbError`: 69 when nothing answers within `timeout` seconds, else what it refused.
    """
    connection = http.client.HTTPConnection("localhost")
    connection.sock = plug = place.connect(arguments)
    where = str(plug.getpeername())
    connection.sock.settimeout(timeout)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
    except (http.client.HTTPException, OSError) as error:
        connection.close()
        raise VerbError(
            "the service did not answer",
            why=[_reason(error)],
            hint=place.gone(where),
            exit_code=UNREACHABLE,
        ) from error
    except BaseException:  # Ctrl-C while waiting: the service must learn of it
        connection.close()
        raise
    answer = Answer(connection, response)
    if response.status != HTTPStatus.OK:
        try:
            raise _refused(arguments, response.status, answer)
        finally:
            answer.close()
    return answer


def fetch(arguments: Arguments, path: str, method: str = "GET") -> bytes:
    """Ask for a whole body; raises as `send` does."""
    answer = send(arguments, method, path)
    try:
        return answer.whole()
    finally:
        answer.close()


def _refused(arguments: Arguments, status: int, answer: Answer) -> VerbError:
    body = answer.whole()
    try:
        error = fields(parse_object(body).get("error"))
    except VerbError:
        error = {}
    said, code = error.get("message"), error.get("code")
    if not isinstance(said, str) or not said:
        return VerbError(f"the service answered with HTTP status {status}, and no reason")
    wait = answer.header("retry-after")
    return VerbError(
        said,
        why=[f"{cell(str(code))}, HTTP status {status}" if code else f"HTTP status {status}"],
        hint=_next(arguments, str(code)) or (f"again in {wait} s" if wait.isdigit() else ""),
        body=body,
    )


def _next(arguments: Arguments, code: str) -> str:
    """Name the command that says more; to place a model, what is missing are nodes."""
    if code == "no_target" and arguments.verb == "models":
        return _NO_CLUSTER
    return _NEXT.get(code, "").format(model=shlex.quote(cell(arguments.model or "NAME")))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return (error.strerror or "the connection was closed").lower()
    return cell(str(error))[:200] or type(error).__name__
