"""What the events of one answer have in common that add text and nothing else."""

from typing import Final

import msgspec

from exo_supervisor.wire.chat.piece import NULL, Frame, Piece, WriteTexts
from exo_supervisor.wire.openai.chunk import LARGE, read_pieces
from exo_supervisor.wire.untrusted_json import UNREADABLE

MARK_TEXT: Final = "\x01?"
MARK: Final = b'"\\u0001?"'
"""Stands for any text while a template is proven; the JSON of MARK_TEXT, however it is written."""

decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_APART, _BETWEEN = b",\n", b'",\n"'
"""What is put between texts, and how it stands between two strings."""
_FRAMES = tuple((begin, end) for begin in (b"data: ", b"data:") for end in (b"\n\n", b"\r\n\r\n"))


class Template:
    """Bytes of an event's data before and after its text, and what writes a text.

    `opening`, `closing` and `between` are the same with the lines of the stream around it, `around`
    is the length of the first two, `end` what ends an event's lines, and `end_of_chunk` is
    `closing` with CRLF; they are unknown until an event was found in one read. `example` is the
    last event that fits. `before` and `after` are what a client gets around each text, where that
    is all that there is to writing one: in one place, it costs a call less.
    """

    __slots__ = (
        "after", "around", "before", "between", "closing", "end", "end_of_chunk", "example",
        "opening", "pre", "suf", "write",
    )  # fmt: skip

    def __init__(self, pre: bytes, suf: bytes, write: WriteTexts, example: bytes) -> None:
        self.pre, self.suf, self.write, self.example = pre, suf, write, example
        self.opening = self.closing = self.between = self.end = self.end_of_chunk = b""
        self.around = 0
        self.before = self.after = b""
        if isinstance(write, Frame):
            self.before, self.after = write.before, write.after

    def text_in(self, data: bytes) -> bytes | None:
        """Return what an event's data has between the two, None where it has not both."""
        text = data.removeprefix(self.pre).removesuffix(self.suf)
        return text if len(text) + len(self.pre) + len(self.suf) == len(data) else None

    def texts_in(self, data: bytes) -> list[bytes]:
        """Return what several events have between the two, none where one has not both.

        They are cut at their ends, which are short, and joined again to compare: to look for so
        long a text as stands between two of them costs several times as much at each.
        """
        begin, end = len(self.opening), len(self.suf)
        texts = [event[begin:-end] for event in data[: -len(self.end)].split(self.end)]
        whole = self.opening + self.between.join(texts) + self.closing
        return texts if whole == data else []

    def write_all(self, texts: list[bytes]) -> tuple[bytes | None, int]:
        """Write texts, and count those that say a word; None: they have to be read in full.

        What is no string is mostly found without the decoder, whose refusals are dear. It refuses a
        line feed within a string: what has as many strings as texts has one in each.
        """
        listed = _APART.join(texts)
        if listed.count(_BETWEEN) != len(texts) - 1 or len(listed) > LARGE:
            return None, 0
        if listed[:1] != b'"' or listed[-1:] != b'"':  # JSON allows blanks around a string
            return None, 0
        try:
            said = _decode_texts(b"[%b]" % listed)
        except UNREADABLE:
            return None, 0
        if len(said) != len(texts):
            return None, 0
        return self.write(texts), len(said) - said.count("")

    def is_framed(self, data: bytes) -> bool:
        """Say whether the lines around an event are known, now that a read has come."""
        if self.opening:
            return True
        for begin, end in _FRAMES:
            framed = begin + self.example + end
            if data == framed or data.find(framed) >= 0:
                self.opening, self.closing, self.end = begin + self.pre, self.suf + end, end
                self.between = self.closing + self.opening
                self.end_of_chunk = self.closing + b"\r\n"
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


def proven(data: bytes, text: bytes, name: str) -> tuple[bytes, bytes, Piece] | None:
    """Return what an event has before and after its text, and the piece with MARK for that text.

    The proof: with another string in the place of its text it is a chunk that says that other
    string. A JSON string ends where it ends whatever follows, and cannot change how the bytes
    before it were read, so that this holds of every string, and no other byte differs. None: it
    does not, as where the text's last place is another's.
    """
    pre, _, suf = data.rpartition(text)
    try:
        piece = read_pieces(pre + MARK + suf)[0]
    except UNREADABLE:
        return None
    return (pre, suf, piece) if getattr(piece.delta, name) == MARK_TEXT else None


def written_anew(write: WriteTexts) -> WriteTexts:
    """Write texts of a target whose deltas are written anew, as these are, too."""
    return lambda texts: write([msgspec.json.encode(decode_text(text)) for text in texts])
