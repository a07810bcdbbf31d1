"""One attempt: a request at one target, and its answer on the way to the client.

    opening -- a good head --> relaying -- the answer's end --> over
       |          any other head --> reading why ----------------^
       '-- lost, cancelled, or a timer, from any of them --------'

It is called back and never waits. Per read its answer is parsed, translated and written, in
`relay`, and nothing else: that there was progress, the ticker sees by the reader's own count.
"""

import time
from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING

from exo_supervisor.core.effects import CancelAttempt, StartAttempt
from exo_supervisor.core.events import AttemptQuieted
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.http.faults import HttpError
from exo_supervisor.serve.crashes import guarded, guarded_part
from exo_supervisor.serve.error_answer import OK, ErrorAnswer, readable
from exo_supervisor.serve.interfaces import Call
from exo_supervisor.serve.relay import Relay
from exo_supervisor.serve.timers import ERROR_WAIT, WORTH_A_WORD
from exo_supervisor.serve.upstream import broken_fault
from exo_supervisor.views.request_done import in_micros
from exo_supervisor.wire.chat.rate_limits import read_allowances
from exo_supervisor.wire.exo.traits import TRAITS

if TYPE_CHECKING:
    from exo_supervisor.serve.opening import Opening


class Attempt(Relay):
    """One attempt under its timers."""

    __slots__ = (
        "_error", "_looked_at", "_request", "connected", "energy", "given", "local_cost",
    )  # fmt: skip

    def __init__(self, owner: "Opening", start: StartAttempt) -> None:
        super().__init__(owner, start)
        self._error: ErrorAnswer | None = None
        self.energy: Callable[[], int | None] | None = None
        """Ends the count of what its energy cost, and tells."""
        self.local_cost: int | None = None
        self._request: Call | None = None
        self.given = 0
        """Bytes that the target was given of the request, known once it was let go."""
        self.connected: float | None = None
        """Seconds that a new connection took, where it got one; known as late."""
        self._looked_at = -inf

    def silence(self, now: float) -> float:
        """Tell how long its longest silence was, where that is worth a word."""
        progress = self._progress
        if now - progress.since >= WORTH_A_WORD and not (self._moved() or self._stops_reading()):
            progress.note_silence(now)
        longest = progress.longest
        return in_micros(longest) if longest >= WORTH_A_WORD else 0.0

    # ---------------------------------------------------------------- what its exchange does

    def sent(self, call: Call) -> None:
        """Take in that the request is on its way."""
        self._call = self._request = call

    def cancel(self, effect: CancelAttempt) -> None:
        """End it, unless it made progress after the instant since when it was thought dead."""
        if self.over:
            return
        self._stamp(self._owner.now())
        after, lived_at = effect.unless_after, self.lived_at
        if after is None or lived_at is None or lived_at <= after:
            self._fail(effect.fault)

    def let_go(self, *, whole: bool) -> None:
        """Leave a body that has said everything to its connection, or close it at work.

        It is the close that stops a target, Exo, too: its `POST /v1/cancel/{id}` ends the stream,
        but about every second time leaves the runner at work to `max_tokens` (v1.0.71: the master
        forgets the task before the worker looks).
        """
        self.over = True
        if self.energy is not None:
            self.local_cost = self.energy()
        call, self._call = self._call, None
        if call is not None:
            if whole:
                call.leave()
            else:
                call.close()
        if (request := self._request) is not None:  # nothing more of it goes out
            self.given, self.connected = request.sent, request.connected
            self._request = None  # it knows us: both would be left to the garbage collector
        start = self.start
        if self.given and start.generation is None and not start.local:
            self._owner.record.leave(start.target, self.given)
        if self._pressure is not None:
            self._pressure.close()

    # ---------------------------------------------------------------- what the target sends

    @guarded
    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Read on what is worth it, and of anything else why."""
        now = self._owner.now()
        self.head_after = now - self.began
        found = readable(status, headers)
        if found is None:
            self._error = ErrorAnswer(status, headers, now + ERROR_WAIT)
            if status == OK:  # its body would tell nothing
                self._fail_by_head()
            return
        if self.start.generation is None:
            self._allowances = read_allowances(headers, time.time())
        self.reading = self._owner.read_answer(self.start, found)
        if self.reading is None:
            self._fail(Fault.CONTENT_TYPE)

    @guarded_part
    def data(self, data: bytes) -> None:
        """Pass on what one read brought.

        Nearly every read of a stream is a token or a few, and goes the short way. `_take_texts` is
        there once the head was good, content was seen, and the client has a part of the answer,
        none of which changes back. A read that only adds texts neither ends nor fails an attempt,
        and leaves nothing behind that needs room; a reader takes any other for none of its own.
        """
        if self._take_texts is not None:
            written = self._take_texts(data)
            if written is not None:
                self._send(written)
                return
        reading = self.reading
        if reading is None:
            if self._error is not None and self._error.take(data):
                self._fail_by_head()
            return
        self._pass_on(reading, reading.feed(data))
        if self.over:
            return
        if data.endswith(b"\n\n") and self._owner.streams and not self.start.commit_at_answer:
            return  # between two events of a stream nothing is held
        self._look_for_room(reading.held)

    @guarded
    def end(self) -> None:
        """Take the clean end of the body in."""
        self._call = None
        reading = self.reading
        if reading is None:
            self._fail_by_head()
            return
        self._pass_on(reading, reading.close())

    @guarded
    def lost(self, error: HttpError) -> None:
        """Take in that no more comes."""
        self._call = None
        if self._error is not None:  # an error that breaks off says less, not something else
            self._fail_by_head()
        elif self.reading is None:
            self._end(self._owner.upstream.not_opened(error))
        else:
            self._end(Failure(broken_fault(error)))

    # ---------------------------------------------------------------- time

    def due(self, now: float) -> bool:
        """Look whether a timer has run out; True: look again once waiting bytes were read.

        A process that was stopped, or swapped out, finds those and its timers due together.
        """
        self._stamp(now)
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
        owner = self._owner
        if now >= (owner.end_by if self.committed else owner.commit_by):
            return Fault.DEADLINE
        if self._pressure is not None and self._pressure.stops_reading:
            return self._pressure.overdue(now, self.start.timers.stall)
        if self.reading is None:
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

    def _end(self, failure: Failure | None) -> None:
        self._owner.ended(self, failure)

    def _fail_by_head(self) -> None:
        error = self._error or ErrorAnswer(0, {})
        self._end(error.judge(exo=TRAITS[self.start.generation].exo))
