"""An answer as clients of the Responses API get it: as a stream of events, or as one response."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

import msgspec
from msgspec import Raw, structs

from exo_supervisor.wire.chat.piece import Answer, Piece, WriteTexts
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.lenient_json import dumps
from exo_supervisor.wire.openai.merged import write
from exo_supervisor.wire.responses.framing import event, opening, response_of
from exo_supervisor.wire.responses.output import Output

_CUT: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer is incomplete, by its finish reason."""


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class ResponseWriter:
    """Writes the items of an answer, told by events where it is `streamed`.

    A `transcript` of the reply takes down what the client is told.
    """

    native: ClassVar[str] = ""

    reply: Reply
    streamed: bool
    output: Output = field(init=False)
    _finish: str = field(default="", init=False)

    def __post_init__(self) -> None:
        said = self.reply.transcript.text() if self.reply.joined and self.reply.transcript else ""
        begun = dumps(said) if said else b""
        self.output = Output(reply=self.reply, silent=not self.streamed, begun=begun)

    @property
    def held(self) -> int:
        """Return how many bytes of the answer are held: its end tells all of it once more."""
        return self.output.held

    def note(self, size: int) -> None:
        """Count nothing: what is kept of an event is counted as it is kept."""

    def take(self, piece: Piece, answer: Answer) -> bytes:
        """Write the events of one piece; there are none before the first content."""
        if self.reply.transcript is not None:
            self.reply.transcript.note(piece)
        self._finish = piece.finish or self._finish
        return self._opening(answer) + self.output.take(piece)

    def plain(self, _piece: Piece, _answer: Answer, _mark: bytes, _size: int) -> WriteTexts | None:
        """Return what writes texts into the message that is open, as long as it is."""
        return None if self.reply.transcript is not None else self.output.texts()

    def end(self, answer: Answer) -> bytes:
        """Write the end of a whole answer, which holds all of it."""
        told = self._opening(answer) + self.output.close(cut=self._finish in _CUT)
        if not self.streamed:
            return told
        parts: list[bytes] = []
        write(self._response(answer), parts)
        response = b"".join(parts)
        if self.reply.mark:
            response = b"%b%b}" % (response[:-1], self.reply.mark)
        return told + event(self.reply, f"response.{self._status()}", response=Raw(response))

    def result(self, answer: Answer) -> list[bytes]:
        """Return the whole response in parts; of a stream there is nothing left to send."""
        parts: list[bytes] = []
        if not self.streamed:
            write(self._response(answer), parts)
        return parts

    def _opening(self, answer: Answer) -> bytes:
        if not self.streamed or not answer.content:
            return b""
        return opening(structs.replace(self.reply, model=answer.served_model or self.reply.model))

    def _status(self) -> str:
        return "incomplete" if self._finish in _CUT else "completed"

    def _response(self, answer: Answer) -> dict[str, object]:
        reason = _CUT.get(self._finish)
        return response_of(
            self.reply,
            self._status(),
            model=answer.served_model or self.reply.model,
            output=self.output.items(),
            incomplete_details=None if reason is None else {"reason": reason},
            usage=_usage(answer),
        )


def write_stream(reply: Reply) -> ResponseWriter:
    """Return what writes the answer to a request that wants a stream."""
    return ResponseWriter(reply=reply, streamed=True)


def write_body(reply: Reply) -> ResponseWriter:
    """Return what writes the answer to a request that wants no stream."""
    return ResponseWriter(reply=reply, streamed=False)


def _usage(answer: Answer) -> Raw | None:
    """Return the counts as Responses tells them, None where the upstream told none."""
    usage = answer.usage
    if usage is None:
        return None
    told = {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
    return Raw(msgspec.json.encode(told))
