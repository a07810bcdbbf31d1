"""One attempt: a request at one target, and its answer on the way to the client.

    opening -- a good head --> relaying -- the answer's end --> over
       |          any other head --> reading why ----------------^
       '-- lost, cancelled, or a timer, from any of them --------'

It is called back and never waits. Per read its answer is parsed, translated and written, by its
`relay`, and nothing else: that there was progress, the ticker sees by the reader's own count.
"""

import time
from math import inf
from typing import TYPE_CHECKING

from exo_supervisor.core.effects import CancelAttempt, StartAttempt
from exo_supervisor.core.events import AttemptQuieted
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.http.faults import HttpError
from exo_supervisor.http.headers import Headers
from exo_supervisor.serve.context import BeginEnergy
from exo_supervisor.serve.crashes import guarded, guarded_part
from exo_supervisor.serve.error_answer import OK, ErrorAnswer, readable
from exo_supervisor.serve.interfaces import Call
from exo_supervisor.serve.relay import Relay
from exo_supervisor.serve.timers import ERROR_WAIT, WORTH_A_WORD, Progress
from exo_supervisor.serve.upstream import broken_fault
from exo_supervisor.views.request_done import in_micros
from exo_supervisor.wire.chat.rate_limits import IN_EACH_NAME, read_allowances
from exo_supervisor.wire.exo.traits import TRAITS

if TYPE_CHECKING:
    from exo_supervisor.serve.exchange import Exchange


class Attempt:
    """One attempt under its timers."""

    __slots__ = (
        "_energy", "_error", "_looked_at", "_owner", "_progress", "_request", "began", "connected",
        "given", "head_after", "local_cost", "over", "relay", "start",
    )  # fmt: skip

    def __init__(self, owner: "Exchange", start: StartAttempt, energy: BeginEnergy | None) -> None:
        self.start, self._owner = start, owner
        self.began = owner.now()
        self._progress = Progress(start, self.began)
        self.relay = Relay(owner, start, self._progress)
        self.head_after: float | None = None
        """Seconds until its head came."""
        self.over = False
        self._error: ErrorAnswer | None = None
        local = start.generation is not None
        self._energy = energy(start.target) if energy is not None and local else None
        """Ends the count of what its energy cost, and tells."""
        self.local_cost: int | None = None
        self._request: Call | None = None
        self.given = 0
        """Bytes that the target was given of the request, known once it was let go."""
        self.connected: float | None = None
        """Seconds that a new connection took, where it got one; known as late."""
        self._looked_at = -inf

    def crash(self, crash: Exception) -> None:
        """End the request; a fault of our own is nobody else's."""
        self._owner.crash(crash)

    def silence(self, now: float) -> float:
        """Tell how long its longest silence was, where that is worth a word."""
        progress = self._progress
        if now - progress.since >= WORTH_A_WORD and self.relay.stands_still():
            progress.note_silence(now)
        longest = progress.longest
        return in_micros(longest) if longest >= WORTH_A_WORD else 0.0

    # ---------------------------------------------------------------- what its exchange does

    def sent(self, call: Call) -> None:
        """Take in that the request is on its way."""
        self.relay.call = self._request = call

    def cancel(self, effect: CancelAttempt) -> None:
        """End it, unless it made progress after the instant since when it was thought dead."""
        self.relay.stamp(self._owner.now())
        after, lived_at = effect.unless_after, self.relay.lived_at
        if after is None or lived_at is None or lived_at <= after:
            self._fail(effect.fault)

    def let_go(self, *, whole: bool) -> None:
        """Leave a body that has said everything to its connection, or close it at work.

        It is the close that stops a target, Exo, too: its `POST /v1/cancel/{id}` ends the stream,
        but about every second time leaves the runner at work to `max_tokens` (v1.0.71: the master
        forgets the task before the worker looks).
        """
        self.over = True
        if self._energy is not None:
            self.local_cost = self._energy()
        self.relay.let_go(whole=whole)
        if (request := self._request) is not None:  # nothing more of it goes out
            self.given, self.connected = request.sent, request.connected
            self._request = None  # it knows us: both would be left to the garbage collector
        start = self.start
        if self.given and start.generation is None and not start.local:
            self._owner.record.leave(start.target, self.given)

    # ---------------------------------------------------------------- what the target sends

    @guarded
    def head(self, status: int, headers: Headers) -> None:
        """Read on what is worth it, and of anything else why."""
        now = self._owner.now()
        self.head_after = now - self.began
        found = readable(status, headers)
        if found is None:
            self._error = ErrorAnswer(status, headers, now + ERROR_WAIT)
            if status == OK:  # its body would tell nothing
                self._fail_by_head()
            return
        reading = self._owner.read_answer(self.start, found)
        if reading is None:
            self._fail(Fault.CONTENT_TYPE)
            return
        paid = self.start.generation is None
        told = paid and headers.mentions(IN_EACH_NAME)
        allowances = read_allowances(headers, time.time()) if told else ()
        whole = headers if found == "json" else None
        self.relay.open(reading, self.head_after, allowances, whole)

    def data(self, data: bytes) -> None:
        """Pass on what one read brought; the next may be such that it need not be parsed."""
        if not self.pass_texts(data, b"", len(data)):
            self._read(data)
        elif self._request is not None:
            self._request.take_chunk = self.pass_texts

    def pass_texts(self, data: bytes, head: bytes, size: int) -> bool:
        """Pass on a read that adds texts to the answer and nothing else; False: it is none.

        Nearly every read of a stream is a token or a few, and goes this short way. `take_texts` is
        there once the client has a part of the answer, which does not change back. Such a read
        neither ends nor fails an attempt, and leaves nothing behind that needs room; a reader takes
        any other for none of its own.
        """
        relay = self.relay
        try:  # as `guarded` does; a frame less a token
            if relay.take_texts is None or (written := relay.take_texts(data, head, size)) is None:
                return False
            relay.response.write(written)
            if relay.response.client.full:
                relay.wait_for_client()
        except Exception as crash:  # noqa: BLE001 -- the outermost guard
            self.crash(crash)
        return True

    @guarded_part
    def _read(self, data: bytes) -> None:
        relay = self.relay
        if relay.reading is not None:
            ended = relay.feed(relay.reading, data)
            if ended is not None:
                self._end(ended)
        elif self._error is not None and self._error.take(data):
            self._fail_by_head()

    @guarded
    def end(self) -> None:
        """Take the clean end of the body in."""
        relay = self.relay
        relay.call = None
        if relay.reading is None:
            self._fail_by_head()
        else:
            self._end(relay.close(relay.reading))

    @guarded
    def lost(self, error: HttpError) -> None:
        """Take in that no more comes."""
        self.relay.call = None
        if self._error is not None:  # an error that breaks off says less, not something else
            self._fail_by_head()
        elif self.relay.reading is None:
            self._end(self._owner.upstream.not_opened(error))
        else:
            self._end(Failure(broken_fault(error)))

    # ---------------------------------------------------------------- time

    def due(self, now: float) -> bool:
        """Look whether a timer has run out; True: look again once waiting bytes were read.

        A process that was stopped, or swapped out, finds those and its timers due together.
        """
        self.relay.stamp(now)
        self.relay.look_for_use(now)
        fault = self._overdue(now)
        if fault is None:
            return False
        if self._looked_at != self._progress.since:
            self._looked_at = self._progress.since
            return True
        if self._error is not None and fault is self._progress.unopened():
            self._fail_by_head()  # what came of an error's body is all that it says
        else:
            self._fail(fault)
        return False

    def _overdue(self, now: float) -> Fault | None:
        owner, relay = self._owner, self.relay
        if now >= (owner.end_by if relay.committed else owner.commit_by):
            return Fault.DEADLINE
        if relay.pressure is not None and relay.pressure.stops_reading:
            return relay.pressure.overdue(now, self.start.timers.stall)
        if relay.reading is None:
            head_by, error = self._progress.head_by(), self._error
            late = now >= head_by or (error is not None and now >= error.read_by)
            return self._progress.unopened() if late else None
        fault = self._progress.silent(now)
        if fault is None:
            self._ask_whether_it_lives(now)
        return fault

    def _ask_whether_it_lives(self, now: float) -> None:
        progress, start = self._progress, self.start
        if now >= progress.asks_at():
            progress.asked_at = now
            self._owner.tell(
                AttemptQuieted(
                    request=start.request,
                    attempt=start.attempt,
                    silence=now - progress.since,
                    begun=progress.begun,
                )
            )

    def _end(self, failure: Failure) -> None:
        self._owner.ended(self, failure)

    def _fail(self, fault: Fault) -> None:
        self._end(self.relay.failure(fault))

    def _fail_by_head(self) -> None:
        error = self._error or ErrorAnswer(0, {})
        self._end(error.judge(exo=TRAITS[self.start.generation].exo))
