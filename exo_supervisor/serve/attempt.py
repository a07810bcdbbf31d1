"""One attempt: a request at one target, and its answer on the way to the client.

    opening -- a good head --> relaying -- the answer's end --> over
       |          any other head --> reading why ----------------^
       '-- lost, cancelled, or a timer, from any of them --------'

It is called back and never waits. Per read it parses, translates and writes, and else only notes
that there was progress. While its client does not read, or while there is no room for more of its
answer, the target is not read either, and none of its timers runs.
"""

import time
from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING

from exo_supervisor.core.effects import CancelAttempt, StartAttempt
from exo_supervisor.core.events import AttemptQuieted, ContentSeen
from exo_supervisor.core.load.allowance import Allowance
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.http.faults import HttpError
from exo_supervisor.serve.backpressure import MAX_KEPT_BYTES, Backpressure
from exo_supervisor.serve.crashes import guarded, guarded_part
from exo_supervisor.serve.error_answer import OK, ErrorAnswer, readable
from exo_supervisor.serve.heads import Served
from exo_supervisor.serve.interfaces import Call
from exo_supervisor.serve.room import FREE_BYTES
from exo_supervisor.serve.timers import ERROR_WAIT, WORTH_A_WORD, Progress
from exo_supervisor.serve.upstream import broken_fault
from exo_supervisor.views.request_done import in_micros
from exo_supervisor.wire.chat.rate_limits import read_allowances
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.exo.traits import TRAITS

if TYPE_CHECKING:
    from exo_supervisor.serve.exchange import Exchange


class Attempt:
    """One attempt under its timers."""

    __slots__ = (
        "_allowances", "_call", "_error", "_looked_at", "_owner", "_pressure", "_progress",
        "_progressed", "_request", "_take_texts", "_vouched", "began", "committed", "connected",
        "energy", "given", "head_after", "lived_at", "local_cost", "over", "reading", "start",
        "tail", "ttft",
    )  # fmt: skip

    def __init__(self, owner: "Exchange", start: StartAttempt) -> None:
        self.start, self._owner = start, owner
        self.began = owner.now()
        self._progress = Progress(start, self.began)
        self._call: Call | None = None
        """What brings its answer, while more of that may come."""
        self._request: Call | None = None
        self.given = 0
        """Bytes that the target was given of the request, known once it was let go."""
        self.connected: float | None = None
        """Seconds that a new connection took, where it got one; known as late."""
        self._error: ErrorAnswer | None = None
        self.reading: Reader | None = None
        self.head_after: float | None = None
        """Seconds until its good head came."""
        self._take_texts: Callable[[bytes], bytes | None] | None = None
        """Reads what only adds texts, from the first that its client got on: see `data`."""
        self._pressure: Backpressure | None = None
        self.committed = start.resumes
        """Whether the client has a part of the answer."""
        self.tail = b""
        """The last part of a whole answer, for its end to go out with it."""
        self.over = False
        self.energy: Callable[[], int | None] | None = None
        """Ends the count of what its energy cost, and tells."""
        self.local_cost: int | None = None
        self.ttft: float | None = None
        self.lived_at: float | None = None
        """When its answer made progress last, as far as the ticker has seen."""
        self._allowances: tuple[Allowance, ...] = ()
        self._vouched = False
        self._progressed = 0
        """How far its answer was when that was looked at last."""
        self._looked_at = -inf

    def silence(self, now: float) -> float:
        """Tell how long its longest silence was, where that is worth a word."""
        progress = self._progress
        if now - progress.since >= WORTH_A_WORD and not (self._moved() or self._stops_reading()):
            progress.note_silence(now)
        longest = progress.longest
        return in_micros(longest) if longest >= WORTH_A_WORD else 0.0

    def crash(self, crash: Exception) -> None:
        """End the request; a fault of our own is nobody else's."""
        self._owner.crash(crash)

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

    def keep_awake(self) -> None:
        """Show a client in the midst of its answer that somebody is at work on the rest."""
        if self.committed and not self.over:
            self._vouched = self._owner.response.full
            if not self._vouched:
                self._owner.response.send_keepalive(self._owner.reply)

    def writable(self) -> None:
        """Go on after a wait for the client: that time was not the target's."""
        if self.over or self._pressure is None or not self._pressure.unblock():
            return
        if self._vouched:
            self.keep_awake()
        self._read_on()

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

        Once its client has a part of it, nearly every read brings a token or a few, and each costs
        as much as all else that happens to it in this process. So `_take_texts` stands for all that
        has to be so: it has opened, has content, is committed and not kept back. What a read only
        adds texts to can neither fail nor end, and needs no room. That there was progress, the
        ticker sees by the reader's own count. Any other read goes the long way.
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
            self._owner.ended(self, self._owner.upstream.not_opened(error))
        else:
            self._owner.ended(self, Failure(broken_fault(error)))

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

    def _stamp(self, now: float) -> None:
        reading = self.reading
        if reading is not None and reading.progressed != self._progressed:
            self._progressed = reading.progressed
            self._progress.note_silence(now)
            self._progress.since = self.lived_at = now

    def _moved(self) -> bool:
        """Say whether there was progress that was not looked at yet."""
        return self.reading is not None and self.reading.progressed != self._progressed

    # ---------------------------------------------------------------- within

    def _pass_on(self, reading: Reader, out: bytes) -> None:
        """Carry over what a read brought, and end with it if it was the end."""
        if self.ttft is None and reading.progressed != self._progressed:
            now = self._owner.now()  # a step of the prompt: its pace is worth a look at the clock
            self._progress.note_prefill(reading.processed, now)
            self._stamp(now)
        if reading.fault is not None and not self.committed:
            self._fail(reading.fault)
            return
        if self.ttft is None and reading.content:
            self._see_content()
        last = reading.done and reading.fault is None
        if out and self._owner.streams:
            self._write(out, reading, last=last)
        if reading.fault is not None:
            self._fail(reading.fault)
        elif last or reading.enough:
            self._owner.ended(self, None)

    def _see_content(self) -> None:
        self.ttft = self._owner.now() - self.began
        self._progress.begun = True
        start = self.start
        self._owner.tell(
            ContentSeen(
                request=start.request,
                attempt=start.attempt,
                ttft=self.ttft,
                head=self.head_after or 0.0,
                allowances=self._allowances,
            )
        )

    def _write(self, data: bytes, reading: Reader, *, last: bool) -> None:
        response = self._owner.response
        if self.start.commit_at_answer:
            kept = self._backpressure()
            if not kept.keep(data):
                text = f"the answer is larger than {MAX_KEPT_BYTES} bytes"
                reading.fail(Fault.OVERSIZED, text)
            if not last or reading.fault is not None:
                return
            data = kept.join()
        if not self.committed:
            self.committed = True
            data = response.commit(self.served(), self._owner.reply) + data
        if last:
            self.tail = data
            return
        self._send(data)
        if self.ttft is not None:
            self._take_texts = reading.take_texts

    def _send(self, data: bytes) -> None:
        """Write to the client, and read no more while it does not read."""
        response = self._owner.response
        response.write(data)
        if response.full:
            self._wait_for_client()

    def served(self) -> Served:
        """Say who answers, as the client is told."""
        start, reading = self.start, self.reading
        model = start.model if reading is None else reading.served_model or start.model
        return Served(start.target, start.attempt, start.shift, model)

    def _backpressure(self) -> Backpressure:
        if self._pressure is None:
            self._pressure = Backpressure(self._owner.room, self._read_on)
        return self._pressure

    def _stops_reading(self) -> bool:
        return self._pressure is not None and self._pressure.stops_reading

    def _wait_for_client(self) -> None:
        if self._backpressure().block(self._owner.now()):
            self._pause()

    def _look_for_room(self, reader_holds: int) -> None:
        """Stop reading where there is no room for more."""
        if reader_holds <= FREE_BYTES and self._pressure is None:
            return
        if not self._backpressure().fits(reader_holds, self._owner.now()):
            self._pause()

    def _pause(self) -> None:
        if self._call is not None:
            self._call.pause_reading()

    @guarded
    def _read_on(self) -> None:
        """Read again, where nothing stands in the way any more; the target has its whole time."""
        if self._call is not None and not self._stops_reading():
            self._progress.since = self._owner.now()
            self._call.resume_reading()

    def _fail_by_head(self) -> None:
        error = self._error or ErrorAnswer(0, {})
        self._owner.ended(self, error.judge(exo=TRAITS[self.start.generation].exo))

    def _fail(self, fault: Fault) -> None:
        reading = self.reading
        if reading is None:
            self._owner.ended(self, Failure(fault))
        else:
            wait = reading.retry_after
            self._owner.ended(self, Failure(fault, reading.message, retry_after=wait))
