"""The half of an exchange that begins attempts: what is asked for, of whom, and who reads it."""

from abc import ABC, abstractmethod
from math import inf

from msgspec import UNSET

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.serve.attempt import Attempt
from exo_supervisor.serve.context import Context
from exo_supervisor.serve.continuation import Continuation
from exo_supervisor.serve.crashes import guarded
from exo_supervisor.serve.inspector import Tap
from exo_supervisor.serve.interfaces import Owner
from exo_supervisor.serve.request_headers import RequestHeaders
from exo_supervisor.serve.response import Response
from exo_supervisor.serve.upstream import dialect_of
from exo_supervisor.views.booked import Reservation
from exo_supervisor.views.request_done import RequestLine
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.dialect import Operation, Reply
from exo_supervisor.wire.exo.traits import TRAITS


class Opening(ABC):
    """What a request asks for, and the attempts that are made to have it answered."""

    __slots__ = (
        "_chat", "_context", "_continuation", "_headers", "_operation", "_owner", "_reserved",
        "attempt", "commit_by", "end_by", "now", "over", "record", "reply", "request", "response",
        "room", "session", "streams", "tap", "tell", "upstream",
    )  # fmt: skip

    def __init__(
        self, context: Context, owner: Owner, operation: Operation, chat: ChatRequest,
        headers: RequestHeaders, response: Response, record: RequestLine,
    ) -> None:  # fmt: skip
        self._context, self._owner, self._operation = context, owner, operation
        self._chat, self._headers = chat, headers
        self.response, self.record = response, record
        self.request = RequestId(record.request_id)
        self.streams, self.room, self.upstream = chat.stream, context.room, context.upstream
        self.tell = context.ask
        """Tell the core of an event that no order follows from."""
        self.now = context.clock
        """Return the instant on the clock of all timers."""
        began = context.clock()
        self.end_by, self.commit_by = inf, began + context.total
        """The client's own deadline, and when an answer must have begun."""
        if headers.deadline is not None:
            self.end_by = began + headers.deadline
            self.commit_by = min(self.commit_by, self.end_by)
        self._continuation: Continuation | None = None
        self._reserved: StartAttempt | None = None
        """What begins once it is written down what it may cost."""
        self.session = 0
        self.attempt: Attempt | None = None
        self.reply = Reply(self.request, int(context.wall()), chat.model, chat)
        """What the writer of the last attempt was told."""
        self.tap: Tap | None = None
        self.over = False

    @abstractmethod
    def ended(self, attempt: Attempt, failure: Failure | None) -> None:
        """Take in how the attempt ended; None: the answer is whole, and all of it was read."""

    def crash(self, crash: Exception) -> None:
        """End after a fault of our own."""
        self._owner.crash(crash)

    def read_answer(self, start: StartAttempt, media: Media) -> Reader | None:
        """Make what reads an attempt's answer; None: what was asked for is not answered so."""
        chat, was, continuation = self._chat, self.reply, self._continuation
        reader = dialect_of(start).readers.get((chat.kind, media))
        if reader is None:
            return None
        reply = Reply(was.request, was.created, start.model, chat, was.state)
        seam, before = None, 0
        if continuation is not None:
            seam, before = continuation.seam(start), continuation.before()
            reply = continuation.follow(reply, joined=seam is not None)
        self.reply = reply
        write = self._operation.stream if self.streams else self._operation.body
        # By their places: so many names in a call cost half of what making a reader does.
        return reader(
            write(reply), TRAITS[start.generation], start.model, chat.max_tokens, chat.stop,
            chat.n or 1, seam, before, self._context.hide,
        )  # fmt: skip

    def _start(self, start: StartAttempt) -> None:
        record = self.record
        record.target, record.attempts, record.shift = start.target, start.attempt, start.shift
        record.local, record.private = start.local or UNSET, start.private or UNSET
        if start.reserved and (reserve := self._context.reserve) is not None:
            self._reserved = start
            row = Reservation(
                self._context.wall(), self.request, start.attempt, start.target, start.model,
                record.client, self.session, start.reserved,
            )  # fmt: skip
            reserve(row, self._open_late)
        else:
            self._open(start)

    @guarded
    def _open_late(self) -> None:
        """Begin an attempt whose reservation is in the file; its client may have left by now."""
        start, self._reserved = self._reserved, None
        if start is not None and not self.over:
            self._open(start)

    def _open(self, start: StartAttempt) -> None:
        if start.continues and self._continuation is None:
            self._continuation = Continuation(self._chat)
        chat = self._chat if self._continuation is None else self._continuation.ask(start)
        self.attempt = attempt = Attempt(self, start)
        if self._context.energy is not None and start.generation is not None:
            attempt.energy = self._context.energy(start.target)
        call = self.upstream.send(start, chat, attempt, self._headers.trace)
        if call is None:
            self.ended(attempt, Failure(Fault.BAD_KEY))
        else:
            if self.tap is not None:
                self.tap.send(start, call)
            attempt.sent(call)
