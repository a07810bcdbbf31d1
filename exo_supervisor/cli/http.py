"""Requests to the service, and its refusals in the three parts that a person needs."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from exo_supervisor.cli import locate
from exo_supervisor.cli.errors import UNREACHABLE, VerbError
from exo_supervisor.cli.json_view import parse_object
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import cell, raw
from exo_supervisor.client import http
from exo_supervisor.client.errors import CutError, NoAnswerError, RefusedError
from exo_supervisor.client.http import Answer
from exo_supervisor.client.json_object import Fields

ANSWER_TIMEOUT = 5.0
_NEXT = {
    "model_not_found": "exo-supervisor models",
    "model_not_placed": "exo-supervisor models place {model}",
    "attempts_failed": "exo-supervisor why {id}",
    "no_target": "exo-supervisor models",
    "local_only_unavailable": "exo-supervisor nodes",
    "privacy": "exo-supervisor models",
    "target_not_found": "exo-supervisor nodes",
}
"""Where each refusal leads on to; what else is refused says itself what to do."""
_NO_CLUSTER = "exo-supervisor nodes"


@contextmanager
def asked(
    arguments: Arguments,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = ANSWER_TIMEOUT,
) -> Generator[Answer]:
    """Ask the service and hand on its good answer, the body still unread; leaving cancels it.

    Raises `VerbError`: 69 when nothing answers within `timeout` seconds, else what it refused, or
    that its answer broke off, here or inside.
    """
    request = http.request(method, path, body, headers)
    connection = locate.connect(arguments)
    where = str(connection.getpeername())
    try:
        answer = http.send(connection, request, timeout=timeout)
        try:
            yield answer
        finally:
            answer.close()
    except NoAnswerError as error:
        raise VerbError(
            error.message, why=[cell(error.why)], hint=locate.gone(where), exit_code=UNREACHABLE
        ) from error
    except RefusedError as error:
        raise _refused(arguments, error) from error
    except CutError as error:
        raise VerbError(error.message, why=[error.why]) from error


def fetch(arguments: Arguments, path: str, method: str = "GET") -> bytes:
    """Ask for a whole body; raises as `asked` does."""
    with asked(arguments, method, path) as answer:
        return answer.whole()


def view(arguments: Arguments, path: str) -> Fields:
    """Ask for a view of the service's; raises as `asked` does."""
    return parse_object(fetch(arguments, path))


def told(arguments: Arguments, path: str, method: str = "GET") -> Fields | None:
    """Ask for a JSON object to be put into words; None: `--json` wanted it, and it is printed.

    Raises as `asked` does.
    """
    body = fetch(arguments, path, method)
    if not arguments.json:
        return parse_object(body)
    raw(body)
    return None


def in_path(name: str, safe: str = "") -> str:
    """Write a name as a part of a path; a shell word that is no UTF-8 goes as its bytes."""
    from urllib.parse import quote

    return quote(name.encode("utf-8", "surrogateescape"), safe=safe)


def in_query(said: Mapping[str, object]) -> str:
    """Write what was said into a query, as `in_path` writes a name."""
    from urllib.parse import urlencode

    return urlencode(said, errors="surrogateescape")


def _refused(arguments: Arguments, error: RefusedError) -> VerbError:
    status, code, wait = f"HTTP status {error.status}", error.code, error.retry_after
    if not error.message:
        return VerbError(f"the service answered with {status}, and no reason")
    again = f"again in {wait} s" if wait.isdigit() else ""
    return VerbError(
        error.message,
        why=[f"{cell(code)}, {status}" if code else status],
        hint=_next(arguments, code, error.request_id) or again,
        body=error.body,
    )


def _next(arguments: Arguments, code: str, request: str) -> str:
    """Name the command that says more; to place a model, what is missing are nodes."""
    if code == "no_target" and arguments.verb == "models":
        return _NO_CLUSTER
    from shlex import quote

    model = quote(cell(arguments.model or "NAME"))
    return _NEXT.get(code, "").format(model=model, id=quote(cell(request or "--last")))
