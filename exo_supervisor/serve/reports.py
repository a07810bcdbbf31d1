"""What the core is told of a request: how it came, and how each of its attempts ended."""

from collections.abc import Callable
from zlib import crc32

from msgspec import structs

from exo_supervisor.core.events import AttemptSettled, RequestArrived
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import SERVED, Failure, Fault
from exo_supervisor.serve import usage
from exo_supervisor.serve.attempt import Attempt
from exo_supervisor.serve.request_headers import RequestHeaders
from exo_supervisor.views.request_done import AttemptDone
from exo_supervisor.wire.chat.echo import without_request
from exo_supervisor.wire.chat.extent import extent_of
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.chat.session import is_mid_turn
from exo_supervisor.wire.chat.spare import can_spare

_DECLINED = Fault.DECLINED


def arrived(
    request: RequestId, client: str, chat: ChatRequest, headers: RequestHeaders,
    session: int, size: int, commit_by: float, draw: float,
) -> RequestArrived:  # fmt: skip
    """Tell of a request whose body of `size` bytes has come."""
    return RequestArrived(
        request=request, model=chat.model, deadline=commit_by, draw=draw,
        route=headers.route, local_only=headers.local_only,
        demands=chat.demands, native_demands=chat.native_demands, dialect=chat.dialect,
        hazards=chat.hazards, size=len(chat.prompt), client=client,
        session=session, mid_turn=bool(session) and is_mid_turn(chat),
        extent=extent_of(chat, size),
    )  # fmt: skip


def settled(
    attempt: Attempt, failure: Failure, done: AttemptDone, chat: ChatRequest, draw: float,
    resumable: bool, unsent: bool,  # noqa: FBT001 - by their names in the event
) -> AttemptSettled:  # fmt: skip
    """Tell how an attempt ended, and what it used and cost."""
    return AttemptSettled(
        request=attempt.start.request,
        attempt=attempt.start.attempt,
        draw=draw,
        failure=failure,
        committed=attempt.relay.committed or failure is SERVED,
        resumable=resumable,
        unsent=unsent,
        body=crc32(chat.prompt) if failure.fault is _DECLINED else 0,
        tokens=usage.tokens_of(done),
        cost=done.cost,
    )


def explained(
    failure: Failure, dialect: str | None, chat: ChatRequest, hide: Callable[[str], str]
) -> Failure:
    """Tell a field that can be spared from one that cannot, and what may be said of it to whom."""
    fault = failure.fault
    if fault is Fault.FIELD_REFUSED and not can_spare(chat, failure.field, dialect):
        fault = Fault.UNSUPPORTED
    words = failure.message and hide(failure.message)
    loggable = without_request(words, chat.fields, chat.native)
    return structs.replace(failure, fault=fault, message=words, loggable=loggable)
