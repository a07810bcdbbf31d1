"""Makes what reads an attempt's answer, and what writes it for the client."""

from collections.abc import Callable

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.serve.continuation import Continuation
from exo_supervisor.serve.upstream import dialect_of
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.dialect import Operation, Reply
from exo_supervisor.wire.exo.traits import TRAITS


def answer_reader(
    start: StartAttempt, media: Media, chat: ChatRequest, operation: Operation, was: Reply,
    continuation: Continuation | None, hide: Callable[[str], str],
) -> tuple[Reader, Reply] | None:  # fmt: skip
    """Return an attempt's reader, and what its writer is told, where it `was` another's before.

    None: what was asked for is not answered so.
    """
    reader = dialect_of(start).readers.get((chat.kind, media))
    if reader is None:
        return None
    reply = Reply(was.request, was.created, start.model, chat, was.state)
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
