"""What the events of one answer have in common that add text and nothing else."""

from typing import Final

from exo_supervisor.wire.chat.piece import NULL, Frame, Piece, WriteTexts

MARK_TEXT: Final = "\x01?"
MARK: Final = b'"\\u0001?"'
"""Stands for any text while a template is proven; the JSON of MARK_TEXT, however it is written."""

_FRAMES = tuple((begin, end) for begin in (b"data: ", b"data:") for end in (b"\n\n", b"\r\n\r\n"))


class Template:
    """Bytes of an event's data before and after its text, and what writes a text.

    `opening`, `closing` and `between` are the same with the lines of the stream around it, `around`
    is the length of the first two; they are unknown until an event was found in one read. `example`
    is the last event that fits. `before` and `after` are what a client gets around each text, where
    that is all that there is to writing one: in one place, it costs a call less.
    """

    __slots__ = (
        "after", "around", "before", "between", "closing", "end", "example", "opening", "pre",
        "suf", "write",
    )  # fmt: skip

    def __init__(self, pre: bytes, suf: bytes, write: WriteTexts, example: bytes) -> None:
        self.pre, self.suf, self.write, self.example = pre, suf, write, example
        self.opening = self.closing = self.between = self.end = b""
        self.around = 0
        self.before = self.after = b""
        if isinstance(write, Frame):
            self.before, self.after = write.before, write.after

    def text_in(self, data: bytes) -> bytes | None:
        """Return what an event's data has between the two, None where it has not both."""
        text = data.removeprefix(self.pre).removesuffix(self.suf)
        return text if len(text) + len(self.pre) + len(self.suf) == len(data) else None

    def texts_in(self, data: bytes) -> list[bytes] | None:
        """Return what several events have between the two, None where one has not both.

        They are cut at their ends, which are short, and joined again to compare: to look for so
        long a text as stands between two of them costs several times as much at each.
        """
        begin, end = len(self.opening), len(self.suf)
        texts = [event[begin:-end] for event in data[: -len(self.end)].split(self.end)]
        whole = self.opening + self.between.join(texts) + self.closing
        return texts if whole == data else None

    def is_framed(self, data: bytes) -> bool:
        """Say whether the lines around an event are known, now that a read has come."""
        if self.opening:
            return True
        for begin, end in _FRAMES:
            framed = begin + self.example + end
            if data == framed or data.find(framed) >= 0:
                self.opening, self.closing, self.end = begin + self.pre, self.suf + end, end
                self.between = self.closing + self.opening
                self.around = len(self.opening) + len(self.closing)
                return True
        return False


def plain_text(piece: Piece) -> str:
    """Name the member of the delta by which a piece of the first choice adds text, and no more.

    It is "" where that is not all that a piece adds; a thought is a text as the content is.
    """
    if piece.index or piece.finish is not None:
        return ""
    return piece.delta.only_text() if piece.logprobs == NULL == piece.native_finish else ""


def split_at(data: bytes, text: bytes) -> tuple[bytes, bytes]:
    """Return what stands before and after the last place where `text` stands."""
    before, _, after = data.rpartition(text)
    return before, after
