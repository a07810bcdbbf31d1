"""Reading an answer that comes as a stream of events; what one says, a dialect's reader knows."""

from abc import abstractmethod
from dataclasses import dataclass, field

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.exo.prefill import read_prefill
from exo_supervisor.wire.sse import Message, OversizedEventError, SseReader

MAX_MALFORMED = 1_000
"""Events that cannot be read and held nothing, and are passed over.

Each is refused by two decoders, and what they say of it makes it as dear as ten events that add a
text: so many are 90 million instructions, a thirtieth of a second in which nobody else is served.
A gateway that puts a line of its own beside each piece of an ordinary answer stays below them.
"""


@dataclass(slots=True, eq=False, repr=False)
class StreamReader(Reader):
    """Reads events as they come; comments between them tell how far the prompt has been read."""

    _sse: SseReader = field(default_factory=SseReader, init=False)

    @property
    def held(self) -> int:
        """Return how many bytes of the answer are held here and at the writer."""
        held = self._sse.held + self.writer.held
        return held if self._arguments is None else held + self._arguments.held

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the body and return what the client gets for them."""
        if self.done or self.fault is not None:
            return b""
        message = self._sse.one_message(data)
        if message is not None:
            return self.read_event(message)
        try:
            events = self._sse.feed(data)
        except OversizedEventError as error:
            self.fail(Fault.OVERSIZED, str(error))
            return b""
        written: list[bytes] = []
        for event in events:
            if isinstance(event, Message):
                written.append(self.read_event(event.data, event.event))
                if self.done or self.fault is not None:
                    break
            elif not self.content:
                self._hear(event.text)
        return written[0] if len(written) == 1 else b"".join(written)

    def close(self) -> bytes:
        """Take the clean end of the body and return the client's tail, unless it had it."""
        tail = self.feed(b"\n\n") if self._sse.pending else b""
        if self.done or self.fault is not None:
            return tail
        return tail + self.end()

    @abstractmethod
    def read_event(self, data: bytes, event: bytes = b"") -> bytes:
        """Take one event's data and return what the client gets for it."""

    def judge_malformed(self, event: bytes, *, lost: bool) -> None:
        """Judge an event that cannot be read: it is passed over, or ends the reading.

        It ends it where a piece of the answer may be `lost` by it, since an answer with a hole in
        it would look whole; where it calls itself an error; and where there were too many.
        """
        if event == b"error":
            self.read_error(None)
            return
        self.malformed += 1
        if lost:
            self.fail(Fault.MALFORMED, "an event that held a piece of the answer is malformed")
        elif self.malformed > MAX_MALFORMED:
            self.fail(Fault.MALFORMED, f"more than {MAX_MALFORMED} events are malformed")

    def _hear(self, comment: bytes) -> None:
        told = read_prefill(comment)
        if told is None:
            return
        self.prefill_total = told.total_tokens
        if told.processed_tokens != self.processed:  # a first `0/N` tells nothing yet
            self.processed = told.processed_tokens
            self.progressed += 1
