"""An answer on its way to its client: what is read of it, committed and written.

While its client does not read, or while there is no room for more of it, the target is not read
either, and none of its attempt's timers runs.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.events import ContentSeen
from exo_supervisor.core.load.allowance import Allowance
from exo_supervisor.core.outcomes import SERVED, Failure, Fault
from exo_supervisor.http.head import read_length
from exo_supervisor.http.headers import Headers
from exo_supervisor.serve.backpressure import MAX_KEPT_BYTES, Backpressure
from exo_supervisor.serve.crashes import guarded
from exo_supervisor.serve.heads import Served
from exo_supervisor.serve.interfaces import Call
from exo_supervisor.serve.room import FREE_BYTES
from exo_supervisor.serve.timers import Progress
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.chat.whole_body import MAX_BODY_BYTES

if TYPE_CHECKING:
    from exo_supervisor.serve.exchange import Exchange


UNTOLD_BYTES: Final = 2**20
"""Bytes of an answer in one piece that does not say how long it is: one with more may be as long as
any."""
AHEAD_PARTS: Final = 8
AHEAD_SECONDS: Final = 1.0
"""Seconds in which one of so many parts of an answer has to come for which there is room ahead."""


class Relay:
    """One attempt's answer on its way, once its head was good (`open`).

    `feed` and `close` return how it ended: whole is SERVED, and None is not yet.
    """

    __slots__ = (
        "_allowances", "_came", "_came_at", "_head_after", "_owner", "_progress", "_progressed",
        "_start", "_vouched", "_whole", "call", "committed", "lived_at", "pressure", "reading",
        "response", "tail", "take_texts", "ttft",
    )  # fmt: skip

    def __init__(self, owner: "Exchange", start: StartAttempt, progress: Progress) -> None:
        self._owner, self._start, self._progress = owner, start, progress
        self.response = owner.response
        self.call: Call | None = None
        """What brings the answer, while more of that may come."""
        self.reading: Reader | None = None
        self.take_texts: Callable[[bytes, bytes, int], bytes | None] | None = None
        """Reads what only adds texts: see `Attempt.pass_texts`."""
        self.pressure: Backpressure | None = None
        self.committed = start.resumes
        """Whether the client has a part of the answer."""
        self.tail = b""
        """The last part of a whole answer, for its end to go out with it."""
        self.ttft: float | None = None
        self.lived_at: float | None = None
        """When the answer made progress last, as far as the ticker has seen."""
        self._head_after = 0.0
        self._allowances: tuple[Allowance, ...] = ()
        self._whole: Headers | None = None
        """The head of an answer that comes as one whole."""
        self._came, self._came_at = -MAX_BODY_BYTES, 0.0
        """How much was held when it had last grown by a part, and when that was seen."""
        self._vouched = False
        self._progressed = 0
        """How far the answer was when that was looked at last."""

    def crash(self, crash: Exception) -> None:
        """End the request; a fault of our own is nobody else's."""
        self._owner.crash(crash)

    def served(self) -> Served:
        """Say who answers, as the client is told."""
        start, reading = self._start, self.reading
        model = start.model if reading is None else reading.served_model or start.model
        return Served(start.target, start.attempt, start.shift, model)

    def failure(self, fault: Fault) -> Failure:
        """Return a fault with what the target said about it."""
        reading = self.reading
        if reading is None:
            return Failure(fault)
        return Failure(fault, reading.message, retry_after=reading.retry_after)

    # ---------------------------------------------------------------- the answer

    def open(
        self, reading: Reader, head_after: float, allowances: tuple[Allowance, ...],
        whole: Headers | None = None,
    ) -> None:  # fmt: skip
        """Begin to read, with what the head told; `whole` is that of an answer in one piece."""
        self.reading, self._head_after, self._allowances = reading, head_after, allowances
        self._whole = whole

    def feed(self, reading: Reader, data: bytes) -> Failure | None:
        """Pass on what one read brought."""
        return self._pass_on(reading, reading.feed(data)) or self._look_for_room(reading.held)

    def close(self, reading: Reader) -> Failure:
        """Take the clean end of the body in: no answer goes on after it."""
        return self._pass_on(reading, reading.close()) or self.failure(Fault.UNFINISHED)

    def _pass_on(self, reading: Reader, out: bytes) -> Failure | None:
        if self.ttft is None and reading.progressed != self._progressed:
            now = self._owner.now()  # a step of the prompt: its pace is worth a look at the clock
            self._progress.note_prefill(reading.processed, now)
            self.stamp(now)
        if reading.fault is not None and not self.committed:
            return self.failure(reading.fault)
        if self.ttft is None and reading.content:
            self._see_content()
        last = reading.done and reading.fault is None
        if out and self._owner.streams:
            self._write(out, reading, last=last)
        if reading.fault is not None:
            return self.failure(reading.fault)
        return SERVED if last or reading.enough else None

    def _see_content(self) -> None:
        self.ttft = self._owner.now() - self._progress.began
        self._progress.begun = True
        start = self._start
        self._owner.tell(
            ContentSeen(
                request=start.request,
                attempt=start.attempt,
                ttft=self.ttft,
                head=self._head_after,
                allowances=self._allowances,
            )
        )

    def _write(self, data: bytes, reading: Reader, *, last: bool) -> None:
        if self._start.commit_at_answer:
            kept = self._backpressure()
            if not kept.keep(data):
                text = f"the answer is larger than {MAX_KEPT_BYTES} bytes"
                reading.fail(Fault.OVERSIZED, text)
            if not last or reading.fault is not None:
                return
            data = kept.join()
        if not self.committed:
            self.committed = True
            data = self.response.commit(self.served(), self._owner.reply) + data
        if last:
            self.tail = data
            return
        self.response.write(data)
        if self.response.client.full:
            self.wait_for_client()
        if not reading.writer.held:  # whoever keeps what it writes needs room, text for text
            self.take_texts = reading.take_texts

    # ---------------------------------------------------------------- its progress

    def stamp(self, now: float) -> None:
        """Take in when there was progress since the last look."""
        reading = self.reading
        if reading is not None and reading.progressed != self._progressed:
            self._progressed = reading.progressed
            self._progress.note_silence(now)
            self._progress.since = self.lived_at = now

    def stands_still(self) -> bool:
        """Say whether it could have made progress since the last look, and did not."""
        moved = self.reading is not None and self.reading.progressed != self._progressed
        return not (moved or self.stops_reading())

    # ---------------------------------------------------------------- the client, and the room

    def keep_awake(self) -> None:
        """Show a client in the midst of its answer that somebody is at work on the rest."""
        if self.committed:
            self._vouched = not self.response.send_keepalive(self._owner.reply)

    def writable(self) -> None:
        """Go on after a wait for the client: that time was not the target's."""
        if self.pressure is None or not self.pressure.unblock():
            return
        if self._vouched:
            self.keep_awake()
        self._read_on()

    def stops_reading(self) -> bool:
        """Say whether the client or the room stands in the way."""
        return self.pressure is not None and self.pressure.stops_reading

    def hand_over(self) -> Backpressure | None:
        """Return what has the room of a whole answer, for the caller to close, if it takes any."""
        pressure, self.pressure = self.pressure, None
        if pressure is not None:
            pressure.settle()
        return pressure

    def let_go(self, *, whole: bool) -> None:
        """Read no more: leave a body that has said everything to its connection, or close it."""
        call, self.call = self.call, None
        if call is not None:
            if whole:
                call.leave()
            else:
                call.close()
        if self.pressure is not None:
            self.pressure.close()

    def _backpressure(self) -> Backpressure:
        if self.pressure is None:
            self.pressure = Backpressure(self._owner.room, self._read_on)
        return self.pressure

    def wait_for_client(self) -> None:
        """Read no more while the client does not read."""
        if self._backpressure().block(self._owner.now()):
            self._pause()

    def _look_for_room(self, reader_holds: int) -> Failure | None:
        """Stop reading where there is no room for more, unless nothing is read any more."""
        if self.call is None or (reader_holds <= FREE_BYTES and self.pressure is None):
            return None
        pressure = self._backpressure()
        if pressure.too_large(reader_holds):
            return Failure(Fault.OVERSIZED, "the answer takes more room than there is for one")
        if not pressure.fits(max(reader_holds, self._expected(reader_holds)), self._owner.now()):
            self._pause()
        return None

    def _expected(self, holds: int) -> int:
        """Tell how much will be held of an answer in one piece, so that it asks for it once.

        Until there is room for all of it, it reads no more than its beginning, and others have the
        room that a half of it would take.
        """
        if self._whole is None:
            return 0
        length = self._whole.get("content-length")
        if length is not None:
            return min(read_length(length), MAX_BODY_BYTES)
        return MAX_BODY_BYTES if holds > UNTOLD_BYTES else 0

    def look_for_use(self, now: float) -> None:
        """Give back what was asked for ahead, for good, where it would stand empty for long.

        Others wait for it meanwhile, and a length that was told may be a lie.
        """
        reading = self.reading
        if self._whole is None or self.pressure is None or reading is None:
            return
        held = reading.held
        if self.stops_reading() or held >= self._came + self._expected(held) // AHEAD_PARTS:
            self._came, self._came_at = held, now
        elif now >= self._came_at + AHEAD_SECONDS:
            self._whole = None
            self.pressure.fits(held, now)

    def _pause(self) -> None:
        if self.call is not None:
            self.call.pause_reading()

    @guarded
    def _read_on(self) -> None:
        """Read again, where nothing stands in the way any more; the target has its whole time."""
        if self.call is not None and not self.stops_reading():
            self._progress.resume(self._owner.now())
            self.call.resume_reading()
