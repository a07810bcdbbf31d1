"""The half of an attempt that its answer goes through: what is read, committed and written.

While its client does not read, or while there is no room for more of its answer, the target is not
read either, and none of its timers runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.events import ContentSeen
from exo_supervisor.core.load.allowance import Allowance
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.serve.backpressure import MAX_KEPT_BYTES, Backpressure
from exo_supervisor.serve.crashes import guarded
from exo_supervisor.serve.heads import Served
from exo_supervisor.serve.interfaces import Call
from exo_supervisor.serve.room import FREE_BYTES
from exo_supervisor.serve.timers import Progress
from exo_supervisor.wire.chat.reader import Reader

if TYPE_CHECKING:
    from exo_supervisor.serve.opening import Opening


class Relay(ABC):
    """One attempt's answer on its way to the client."""

    __slots__ = (
        "_allowances", "_call", "_owner", "_pressure", "_progress", "_progressed", "_take_texts",
        "_vouched", "began", "committed", "head_after", "lived_at", "over", "reading", "start",
        "tail", "ttft",
    )  # fmt: skip

    def __init__(self, owner: "Opening", start: StartAttempt) -> None:
        self.start, self._owner = start, owner
        self.began = owner.now()
        self._progress = Progress(start, self.began)
        self._call: Call | None = None
        """What brings its answer, while more of that may come."""
        self.reading: Reader | None = None
        self.head_after: float | None = None
        """Seconds until its good head came."""
        self._take_texts: Callable[[bytes], bytes | None] | None = None
        """Reads what only adds texts: see `Attempt.data`."""
        self._pressure: Backpressure | None = None
        self.committed = start.resumes
        """Whether the client has a part of the answer."""
        self.tail = b""
        """The last part of a whole answer, for its end to go out with it."""
        self.over = False
        self.ttft: float | None = None
        self.lived_at: float | None = None
        """When its answer made progress last, as far as the ticker has seen."""
        self._allowances: tuple[Allowance, ...] = ()
        self._vouched = False
        self._progressed = 0
        """How far its answer was when that was looked at last."""

    def crash(self, crash: Exception) -> None:
        """End the request; a fault of our own is nobody else's."""
        self._owner.crash(crash)

    def served(self) -> Served:
        """Say who answers, as the client is told."""
        start, reading = self.start, self.reading
        model = start.model if reading is None else reading.served_model or start.model
        return Served(start.target, start.attempt, start.shift, model)

    @abstractmethod
    def _end(self, failure: Failure | None) -> None:
        """End the attempt; None: its answer is whole."""

    # ---------------------------------------------------------------- the answer

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
            self._end(None)

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
        if response.client.full:  # not by `response.full`: this is once a token
            self._wait_for_client()

    def _stamp(self, now: float) -> None:
        reading = self.reading
        if reading is not None and reading.progressed != self._progressed:
            self._progressed = reading.progressed
            self._progress.note_silence(now)
            self._progress.since = self.lived_at = now

    def _moved(self) -> bool:
        """Say whether there was progress that was not looked at yet."""
        return self.reading is not None and self.reading.progressed != self._progressed

    # ---------------------------------------------------------------- the client, and the room

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

    def _fail(self, fault: Fault) -> None:
        reading = self.reading
        if reading is None:
            self._end(Failure(fault))
        else:
            wait = reading.retry_after
            self._end(Failure(fault, reading.message, retry_after=wait))
