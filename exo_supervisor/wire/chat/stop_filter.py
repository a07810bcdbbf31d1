"""What generation A does not do itself: end at a stop text or a length, and hide its end mark."""

_END_MARKS = (
    "<|eot_id|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "</s>",
    "<eos>",
)
"""End marks that v0.0.15 and older leave in the text of the last chunk (Exo pull request 716)."""


class StopFilter:
    """Ends one text as the client asked, where the engine would run on.

    The engine sends one token a piece, so that pieces are counted for `max_tokens`.
    """

    def __init__(self, max_tokens: int | None, stop: tuple[str, ...]) -> None:
        self._max = max_tokens
        self._stops = [(text, _backs(text)) for text in stop]
        self._held = ""
        self._pieces = 0
        self.enough = False

    def push(self, piece: str, finish: str | None) -> tuple[str, str | None]:
        """Take the next piece and its finish reason; return what the client is to see of them."""
        self._pieces += 1
        if finish:
            for mark in _END_MARKS:
                piece = piece.removesuffix(mark)
        text = self._held + piece
        self._held = ""
        places = [place for place in (text.find(stop) for stop, _ in self._stops) if place >= 0]
        if places:
            self.enough = True
            return text[: min(places)], "stop"
        if finish:
            return text, finish
        if self._max is not None and self._pieces >= self._max:
            self.enough = True
            return text, "length"
        held = self._begun(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held], None

    def _begun(self, text: str) -> int:
        """How many characters at the end may be the beginning of a stop text."""
        return max((_overlap(text, stop, backs) for stop, backs in self._stops), default=0)


def _backs(stop: str) -> list[int]:
    """Where reading goes on after a mismatch at each place (Knuth, Morris and Pratt)."""
    backs = [0] * len(stop)
    begun = 0
    for place in range(1, len(stop)):
        while begun and stop[place] != stop[begun]:
            begun = backs[begun - 1]
        begun += stop[place] == stop[begun]
        backs[place] = begun
    return backs


def _overlap(text: str, stop: str, backs: list[int]) -> int:
    """How long a beginning of `stop` the text ends with; the whole of it is not in there."""
    begun = 0
    for char in text[max(0, len(text) - len(stop) + 1) :]:
        while begun and char != stop[begun]:
            begun = backs[begun - 1]
        begun += char == stop[begun]
    return begun
