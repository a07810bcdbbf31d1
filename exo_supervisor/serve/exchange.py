"""One request, from its body to its end: asks the core, does as it says, and tells what came of it.

An automaton without I/O, called back and never awaited: by the core (through `take`), by the
attempt that runs, by the client's connection and by the ticker. Nothing is decided here. What it
asks is answered at once, in the order that `take` was given, or by a later call of `take`.

    waiting -- an order to start --> in its `attempt` -- whole --> flushing since --> over
       |  ^------ it failed, and is tried again ----'                                  ^
       '-- an order to refuse, or the client left, from any of them -------------------'

It ends exactly once, in `_end`. Until then the core has a request of its name, and each attempt
that was started is settled once, or given back by `RequestEnded`.
"""

from exo_supervisor.core.choice import Choice
from exo_supervisor.core.effects import CancelAttempt, KeepAwake, Refuse, StartAttempt
from exo_supervisor.core.events import Event, RequestEnded
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import SERVED, Failure, Fault, Refusal
from exo_supervisor.errors import BrokenMachineError
from exo_supervisor.serve import opening, usage
from exo_supervisor.serve.attempt import Attempt
from exo_supervisor.serve.backpressure import Backpressure
from exo_supervisor.serve.context import Context
from exo_supervisor.serve.continuation import Broken, Continuation, broken_by
from exo_supervisor.serve.crashes import guarded
from exo_supervisor.serve.inspector import Tap
from exo_supervisor.serve.interfaces import Owner
from exo_supervisor.serve.reports import arrived, explained, settled
from exo_supervisor.serve.request_headers import RequestHeaders
from exo_supervisor.serve.response import Response
from exo_supervisor.serve.timers import KEEPALIVE_PERIOD, SLOW_CLIENT
from exo_supervisor.views.request_done import AttemptDone, RequestDone, RequestLine
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.dialect import Operation, Reply

Order = StartAttempt | Refuse | CancelAttempt | KeepAwake


class Exchange:
    """Serves one request; its record is filled in as things happen."""

    __slots__ = (
        "_chat", "_context", "_continuation", "_flushing_since", "_headers", "_keepalive_at",
        "_operation", "_order", "_owner", "_reserved", "_unread", "asking", "attempt", "choice",
        "commit_by", "end_by", "now", "over", "record", "reply", "request", "response", "room",
        "session", "streams", "tap", "tell", "tried", "upstream",
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
        self.end_by, self.commit_by = opening.deadlines(headers, context, began)
        patience = context.head if chat.stream else operation.framing.blank_after
        self._keepalive_at = began + patience
        self._flushing_since: float | None = None
        self._unread: Backpressure | None = None  # has the room of what the client has yet to read
        self._continuation: Continuation | None = None
        self._order: StartAttempt | Refuse | None = None
        self._reserved: StartAttempt | None = None
        """What begins once it is written down what it may cost."""
        self.session = 0
        self.attempt: Attempt | None = None
        self.reply = Reply(self.request, int(context.wall()), chat.model, chat)
        """What the writer of the last attempt was told."""
        self.tap: Tap | None = None
        self.over = False
        self.tried: list[AttemptDone] = []
        self.choice: Choice | None = None
        """Why no target was asked, or no other one."""
        self.asking = False

    def begin(self) -> None:
        """Tell the core, and do as it says."""
        chat, headers, record = self._chat, self._headers, self.record
        self.session = opening.session_of(chat, headers, record, self._context)
        self.ask(arrived(
            self.request, record.client, chat, headers, self.session, self._owner.size,
            self.commit_by, self._context.draw(),
        ))  # fmt: skip
        self._obey()

    # ---------------------------------------------------------------- the core

    def ask(self, event: Event) -> None:
        """Tell the core of an event; an order that follows from it is left in `take`."""
        self.asking = True
        try:
            self.tell(event)
        finally:
            self.asking = False

    def take(self, order: Order) -> None:
        """Do as the core says; what answers a question of ours is done once that has returned."""
        if self.over:
            return
        attempt = self.attempt
        if isinstance(order, (StartAttempt, Refuse)):
            self._order = order
            if not self.asking:
                self._obey()
        elif attempt is not None and attempt.start.attempt == order.attempt:
            if isinstance(order, CancelAttempt):
                attempt.cancel(order)
            else:
                attempt.relay.keep_awake()

    def _obey(self) -> None:
        order, self._order = self._order, None
        if isinstance(order, StartAttempt):
            self._start(order)
        elif order is not None:
            self.choice = order.choice
            self._refuse(order.refusal)

    def _refuse(self, refusal: Refusal) -> None:
        self.record.refuse(refusal)
        self.response.refuse(refusal)
        self._end()

    # ---------------------------------------------------------------- the attempt

    def crash(self, crash: Exception) -> None:
        """End after a fault of our own."""
        self._owner.crash(crash)

    def read_answer(self, start: StartAttempt, media: Media) -> Reader | None:
        """Make what reads an attempt's answer; None: what was asked for is not answered so."""
        reading, self.reply = opening.reader_for(
            start, media, self._operation, self.reply, self._continuation, self._context.hide
        )
        return reading

    def _start(self, start: StartAttempt) -> None:
        opening.note_start(self.record, start)
        reserve = self._context.reserve
        if start.reserved and reserve is not None:
            row = opening.reservation(start, self.record, self.session, self._context.wall())
            self._reserved = start
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
        self.attempt = attempt = Attempt(self, start, self._context.energy)
        call = self.upstream.send(start, chat, attempt, self._headers.trace)
        if call is None:
            self.ended(attempt, Failure(Fault.BAD_KEY))
            return
        if self.tap is not None:
            self.tap.send(start, call)
        attempt.sent(call)

    def ended(self, attempt: Attempt, failure: Failure) -> None:
        """Take in how the attempt ended; SERVED: the answer is whole, and all of it was read."""
        reading = attempt.relay.reading
        if failure is not SERVED or reading is None:
            attempt.let_go(whole=False)
            self._failed(attempt, failure)
            return
        self._unread = attempt.relay.hand_over()
        attempt.let_go(whole=not reading.enough)
        done = self._tell_of(attempt, SERVED)
        if not self.streams:
            self.response.send_whole(reading.result(), attempt.relay.served())
        else:
            self.response.finish(attempt.relay.tail)
        if unsent := self.response.unsent:
            self._flushing_since = self.now()
        self._settle(attempt, SERVED, done, unsent=unsent)
        if not unsent:
            self._served()

    def _served(self) -> None:
        """End with a whole answer once its client has taken it, or nearly all of it.

        Until then its target is free for others; whether the request counts as served is open,
        since a client that leaves the tail unread was not: counts and log line say `abandoned`.
        """
        self.record.outcome = "success"
        if self._flushing_since is not None:
            self.tell(RequestEnded(request=self.request))
        self._end()

    def _failed(self, attempt: Attempt, failure: Failure) -> None:
        failure = explained(failure, attempt.start.dialect, self._chat, self._context.hide)
        done = self._tell_of(attempt, failure)
        broken = broken_by(attempt, failure.fault, self._continuation)
        self._settle(attempt, failure, done)
        if attempt.relay.committed and self._order is None:  # nobody goes on with it
            self._break_off(broken)
        else:
            self._obey()

    def _settle(
        self, attempt: Attempt, failure: Failure, done: AttemptDone, *, unsent: bool = False
    ) -> None:
        self.attempt = None
        continuation = self._continuation
        resumable = attempt.relay.committed and continuation is not None and continuation.possible()
        draw = self._context.draw()
        self.ask(settled(attempt, failure, done, self._chat, draw, resumable, unsent))

    def _tell_of(self, attempt: Attempt, failure: Failure) -> AttemptDone:
        size, arrived = len(self._chat.prompt), self._owner.began
        usage.note(self.record, attempt, arrived)
        if self._continuation is not None:
            self.record.continued = len(self._continuation)
        done = usage.attempt_done(attempt, failure, size, arrived, self._context)
        self.tried.append(done)
        return done

    def _break_off(self, broken: Broken) -> None:
        if broken.fault is Fault.CLIENT_LEFT:
            self.record.abandon()
            self.response.abort()
            self._end()
            return
        self.record.target = broken.target
        self._refuse(broken.refusal())

    # ---------------------------------------------------------------- the client, and time

    def writable(self) -> None:
        """Go on: the client has taken what it was sent."""
        if self._flushing_since is not None:
            self.response.send_on()
            if not self.response.unsent:
                self._served()
        elif self.attempt is not None:
            self.attempt.relay.writable()

    def gone(self) -> None:
        """Give everything back: the client left."""
        if not self.over:
            self.record.abandon()
            self.give_up()

    def due(self, now: float) -> bool:
        """Look at all timers; True: look again once waiting bytes were read."""
        if self._flushing_since is not None:
            if now >= self._flushing_since + SLOW_CLIENT:
                self.response.abort()
                self.gone()
        elif now >= self._keepalive_at and not self.response.committed:
            self._keepalive_at = now + KEEPALIVE_PERIOD
            self.response.send_keepalive(self.reply)
        return self.attempt is not None and self.attempt.due(now)

    def give_up(self) -> None:
        """Give back what the request still holds of targets and of the core."""
        attempt, self.attempt = self.attempt, None
        tokens, cost = 0, None
        try:
            if attempt is not None and not attempt.over:
                attempt.let_go(whole=False)
                done = self._tell_of(attempt, Failure(Fault.CLIENT_LEFT))
                tokens, cost = usage.tokens_of(done), done.cost
            self.tell(RequestEnded(request=self.request, tokens=tokens, cost=cost))
        except BrokenMachineError:
            pass  # this process is ending, and everything with it
        finally:
            self._end()

    def told(self) -> RequestDone:
        """Return what is told of the request at its end."""
        return RequestDone(
            self.record, self.tried, self.choice, self.session, self._chat.kind, self.streams,
            self._headers.trace,
        )  # fmt: skip

    def _end(self) -> None:
        self.over = True
        if self._unread is not None:
            self._unread.close()
        self.record.cost_microdollars = usage.cost_of(self.tried)
        self._owner.ended()
