"""What a request and its attempts begin with.

By when an answer must be there, what is put down before an attempt may cost, and who reads it.
"""

from collections.abc import Callable
from math import inf

from msgspec import UNSET

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.serve.context import Context
from exo_supervisor.serve.continuation import Continuation
from exo_supervisor.serve.request_headers import RequestHeaders
from exo_supervisor.serve.upstream import dialect_of
from exo_supervisor.views.booked import Reservation
from exo_supervisor.views.request_done import RequestLine
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.chat.session import session_in_body
from exo_supervisor.wire.dialect import Operation, Reply
from exo_supervisor.wire.exo.traits import TRAITS


def deadlines(headers: RequestHeaders, context: Context, began: float) -> tuple[float, float]:
    """Return the client's own deadline, and when an answer must have begun."""
    commit_by = began + context.total
    if headers.deadline is None:
        return inf, commit_by
    end_by = began + headers.deadline
    return end_by, min(commit_by, end_by)


def session_of(
    chat: ChatRequest, headers: RequestHeaders, record: RequestLine, context: Context
) -> int:
    """Return what stands for the conversation that a request is a part of; 0: it names none."""
    named = headers.session or session_in_body(chat)
    return context.number_of(named, f"{record.client} {record.client_uid}") if named else 0


def note_start(record: RequestLine, start: StartAttempt) -> None:
    """Note in a record who is asked now."""
    record.target, record.attempts, record.shift = start.target, start.attempt, start.shift
    record.local, record.private = start.local or UNSET, start.private or UNSET


def reservation(start: StartAttempt, record: RequestLine, session: int, wall: float) -> Reservation:
    """Put down what an attempt may cost."""
    return Reservation(
        wall, start.request, start.attempt, start.target, start.model, record.client, session,
        start.reserved,
    )  # fmt: skip


def reader_for(
    start: StartAttempt, media: Media, operation: Operation, last: Reply,
    continuation: Continuation | None, hide: Callable[[str], str],
) -> tuple[Reader | None, Reply]:  # fmt: skip
    """Make what reads an attempt's answer; None: what was asked for is not answered so.

    With it comes what its writer was told, `last` being what that of the attempt before was.
    """
    chat = last.chat
    reader = dialect_of(start).readers.get((chat.kind, media))
    if reader is None:
        return None, last
    reply = Reply(last.request, last.created, start.model, chat, last.state)
    seam, before = None, 0
    if continuation is not None:
        seam, before = continuation.seam(start), continuation.before()
        reply = continuation.follow(reply, joined=seam is not None)
    write = operation.stream if chat.stream else operation.body
    # By their places: so many names in a call cost half of what making a reader does.
    reading = reader(
        write(reply), TRAITS[start.generation], start.model, chat.max_tokens, chat.stop,
        chat.n or 1, seam, before, hide,
    )  # fmt: skip
    return reading, reply
